"""The client settings that harness and engines share, and those that the clients log."""

from __future__ import annotations

from rtmbench.kafka import clients

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
    text = clients.properties_file()
    assert "source.fetch.max.wait.ms=500\n" in text
    assert "sink.linger.ms=0\n" in text
    consumer = clients.harness_consumer("h:1")
    assert consumer == {"bootstrap.servers": "h:1", "fetch.min.bytes": "1", "fetch.wait.max.ms": "500"}
    assert clients.harness_producer("h:1")["compression.codec"] == "none"
    assert [clients.generator_linger_ms(rate) for rate in (100, 4_999, 5_000)] == [0, 0, 1]
    assert clients.harness_producer("h:1", linger_ms=1)["linger.ms"] == "1"
