from __future__ import annotations

import pytest
from trial_io import trial_io

from rtmbench.artifacts import load_lock
from rtmbench.engines import parse_engine, required_bundles
from rtmbench.engines.base import EngineSpec, require_slots
from rtmbench.engines.flink import config as flink_config
from rtmbench.engines.registry import entry_points, kind
from rtmbench.engines.spark.master import divide_memory as divide_spark
from rtmbench.errors import ConfigurationError, PreflightError


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


def test_fewer_slots_than_tasks_are_refused():
    require_slots("Spark", trial_io(), 4, "4 input partitions = 4 slots")
    with pytest.raises(PreflightError, match=r"2 slots, and 4 input partitions = 4 slots are needed.*--slots 4"):
        require_slots("Spark", trial_io(slots=2), 4, "4 input partitions = 4 slots")


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


def test_flink_listens_on_loopback_and_does_not_restart(tmp_path):
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
