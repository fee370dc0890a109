from __future__ import annotations

from pathlib import Path

import pytest

from rtmbench.artifacts import load_lock
from rtmbench.engines import parse_engine, required_bundles
from rtmbench.engines.base import EngineSpec, TrialIo, require_slots
from rtmbench.engines.flink import config as flink_config
from rtmbench.engines.registry import entry_points, kind
from rtmbench.engines.spark.engine import divide_memory as divide_spark
from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.kafka import clients
from rtmbench.parity import parity
from rtmbench.platform import jvm, kafka, logs
from rtmbench.platform.java import Java


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flink", "flink@1.20"),
        ("flink@2.2:close", "flink@2.2:close"),
        ("spark", "spark@4.1"),
        (" spark@4.3:microbatch ", "spark@4.3:microbatch"),
        ("spark@4.2:rtm-unchecked", "spark@4.2:rtm-unchecked"),
        ("transport", "transport"),
        ("relay", "relay"),
    ],
)
def test_parse_engine_fills_the_version_in_and_leaves_the_mode_to_the_pattern(text, expected):
    assert str(parse_engine(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "storm",
            r"Unknown engine 'storm'\. .*flink@1.20, flink@2.2, spark@4.1, spark@4.2, spark@4.3, transport, relay",
        ),
        ("", r"Unknown engine ''"),
        ("flink@9", r"flink has no version '9'\. Its versions are: 1\.20, 2\.2\."),
        ("spark@", r"spark has no version ''"),
        ("spark@4.1:fast", r"spark@4\.1 has no mode 'fast'\. Its modes are: rtm, microbatch, rtm-unchecked, close, "),
        ("spark@4.3:rtm-unchecked", r"spark@4\.3 has no mode 'rtm-unchecked'"),
        ("flink:", r"flink@1\.20 has no mode ''"),
        ("transport@1", r"transport has no version '1'\. It has no versions\."),
    ],
)
def test_parse_engine_lists_what_exists(text, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_engine(text)


def test_every_registered_engine_runs_from_bundles_of_the_lock():
    locked = set(load_lock().bundles)
    for engine in entry_points():
        for version in kind(engine).versions:
            spec = EngineSpec(engine=engine, version=version, mode="")
            assert set(required_bundles(spec)) <= locked


def io(**changes) -> TrialIo:
    values = {
        "bootstrap_servers": "127.0.0.1:1",
        "input_topic": "in",
        "output_topic": "out",
        "partitions": 4,
        "slots": 4,
        "checkpoint_interval_ms": 5000,
        "work": Path("work"),
        "logs": Path("logs"),
        "memory_mb": 2048,
    }
    return TrialIo(**{**values, **changes})


def test_fewer_slots_than_tasks_are_refused():
    require_slots("Spark", io(), 4, "4 input partitions = 4 slots")
    with pytest.raises(PreflightError, match=r"2 slots, and 4 input partitions = 4 slots are needed.*--slots 4"):
        require_slots("Spark", io(slots=2), 4, "4 input partitions = 4 slots")


@pytest.mark.parametrize("total", [1280, 1536, 2048, 3071, 3072, 4096, 16384])
def test_memory_of_both_engines_adds_up(total):
    flink = flink_config.divide_memory(total)
    assert flink.total == total
    assert flink.task_heap >= 256
    spark = divide_spark(total)
    assert spark + 512 <= total
    assert spark >= flink.data_plane_heap
    assert flink.heap == flink.job_heap + flink.data_plane_heap


@pytest.mark.parametrize("total", [1_888, 2_048, 3_071, 3_072, 4_096, 16_384])
def test_the_data_plane_heap_is_equal_on_both_sides(total):
    assert divide_spark(total) == flink_config.divide_memory(total).data_plane_heap


def test_a_small_spark_keeps_a_heap_for_its_driver():
    assert divide_spark(1_536) == 1_024
    assert divide_spark(1_280) == 768


@pytest.mark.parametrize("divide", [flink_config.divide_memory, divide_spark])
def test_too_little_memory_is_an_error(divide):
    with pytest.raises(ConfigurationError, match="1279 MiB"):
        divide(1279)


def test_flink_listens_on_loopback_and_does_not_restart(tmp_path: Path):
    settings = flink_config.configuration(
        memory=flink_config.divide_memory(1536), slots=4, rest_port=1, rpc_port=2, work=tmp_path
    )
    hosts = {key: value for key, value in settings.items() if key.endswith(("host", "address"))}
    assert len(hosts) == 6
    assert set(hosts.values()) == {"127.0.0.1"}
    assert settings["restart-strategy.type"] == "none"
    assert "pipeline.object-reuse" not in settings, (
        "a custom job has Flink's default; rtmbench's jobs set it themselves"
    )
    written = flink_config.write_configuration(tmp_path / 'a "b', settings)
    assert f'rest.port: "{1}"' in (written / "config.yaml").read_text().splitlines()


def test_kafka_listens_on_loopback_only(tmp_path: Path):
    text = kafka.server_properties(broker_port=1, controller_port=2, data=tmp_path)
    listeners = [line for line in text.splitlines() if "listeners=" in line]
    assert listeners == [
        "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2",
        "advertised.listeners=PLAINTEXT://127.0.0.1:1",
    ]


def test_children_see_no_foreign_engine_settings():
    java = Java(home=Path("/jdk"), executable=Path("/jdk/bin/java"), version="17", major=17)
    environ = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "SPARK_HOME": "/s",
        "PYSPARK_SUBMIT_ARGS": "x",
        "JAVA_TOOL_OPTIONS": "-Xmx1g",
        "KAFKA_OPTS": "y",
    }
    assert jvm.environment(java, environ) == {
        "PATH": "/jdk/bin:/bin",
        "HOME": "/home/x",
        "JAVA_HOME": "/jdk",
        "LC_ALL": "C.UTF-8",
    }


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


def test_client_settings_are_read_back_from_what_the_clients_log(tmp_path: Path):
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


def test_parity_shows_equal_different_missing_and_unknown_settings():
    rows = parity(
        {
            "flink@1.20": {"settings": {"slots": 4, "java": "17.0.1", "object_reuse": True, "new": 1}},
            "spark@4.1": {"settings": {"slots": "4", "java": "17.0.2", "new": 1}},
            "transport": {"settings": {}},
        }
    )
    by_name = {row["setting"]: row for row in rows}
    assert by_name["slots"] == {
        "setting": "slots",
        "flink@1.20": 4,
        "spark@4.1": "4",
        "same": True,
        "note": "",
    }
    assert by_name["Java"]["same"] is False
    assert by_name["object reuse"]["spark@4.1"] is None
    assert by_name["object reuse"]["same"] is False
    assert by_name["object reuse"]["note"].startswith("Spark reuses its rows anyway; a custom job has Flink's default")
    assert by_name["new"]["same"] is True
    assert "transport" not in by_name["slots"]


JAVA_FAILURE = """\
2026 INFO  Server - starting
2026 ERROR Server - Exiting Kafka due to fatal exception
java.lang.RuntimeException: could not start
\tat kafka.Server.start(Server.scala:1)
Caused by: java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
\t... 12 more
2026 INFO  Server - shut down
"""


def test_the_telling_lines_are_the_error_and_its_cause(tmp_path: Path):
    log = tmp_path / "x.log"
    log.write_text(JAVA_FAILURE)
    assert logs.telling_lines(log) == [
        "2026 ERROR Server - Exiting Kafka due to fatal exception",
        "java.lang.RuntimeException: could not start",
        "Caused by: java.net.BindException: Address already in use",
    ]


def test_without_an_error_the_last_lines_are_quoted(tmp_path: Path):
    log = tmp_path / "x.log"
    log.write_text("one\n\ntwo\nthree\nfour\n")
    assert logs.telling_lines(log, 2) == ["three", "four"]
    assert "wrote nothing" in logs.quote(tmp_path / "absent.log")
