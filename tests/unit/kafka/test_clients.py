"""The client settings that harness and engines share, and those that the clients log."""

from __future__ import annotations

import stat

from rtmbench.kafka import clients
from rtmbench.kafka.connection import Connection
from rtmbench.spark.io import read_kafka_properties

KAFKA = Connection(bootstrap_servers="h:1")

CLIENT_LOG = """\
2026-01-01 INFO  ConsumerConfig [t] - ConsumerConfig values:
\tacks = never
\tfetch.max.wait.ms = 500
\tfetch.min.bytes = 1

2026-01-01 INFO  AppInfoParser [t] - Kafka version: 3.4.0
2026-01-01 INFO  ProducerConfig [t] - ProducerConfig values:
\tacks = -1
\tlinger.ms = 0
2026-01-01 INFO  Other [t] - something
\tlinger.ms = 9
2026-01-01 INFO  ProducerConfig [t] - ProducerConfig values:
\tlinger.ms = 5
"""


def test_client_settings_are_read_back_from_what_the_clients_log(tmp_path):
    log = tmp_path / "engine.log"
    log.write_text(CLIENT_LOG)
    assert clients.read_back(log) == {
        "source.fetch.max.wait.ms": "500",
        "source.fetch.min.bytes": "1",
        "kafka-clients": "3.4.0",
        "sink.acks": "all",
        "sink.linger.ms": "0 | 5",
    }


def test_client_settings_are_the_same_for_all():
    text = clients.properties_file({})
    assert "source.fetch.max.wait.ms=500\n" in text
    assert "sink.linger.ms=0\n" in text
    consumer = clients.harness_consumer(KAFKA)
    assert consumer == {"bootstrap.servers": "h:1", "fetch.min.bytes": "1", "fetch.wait.max.ms": "500"}
    assert clients.harness_producer(KAFKA)["compression.codec"] == "none"
    assert [clients.generator_linger_ms(rate) for rate in (100, 4_999, 5_000)] == [0, 0, 1]
    assert clients.harness_producer(KAFKA, linger_ms=1)["linger.ms"] == "1"


def test_an_engine_gets_the_secrets_in_a_file_that_only_this_user_can_read(tmp_path):
    java = {"sasl.jaas.config": 'x required password="a\\"b";', "ssl.truststore.certificates": "one\ntwo\n"}
    path = tmp_path / "kafka.properties"
    clients.write_properties(path, java)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    source, sink = read_kafka_properties(path)
    assert source == {**clients.SOURCE, **java}
    assert sink == {**clients.SINK, **java}
