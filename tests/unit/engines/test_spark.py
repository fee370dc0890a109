"""What the Spark engine makes of what a pipeline says about its query; no Spark is started."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from trial_io import trial_io

from rtmbench.engines import choose, parse_engine
from rtmbench.engines.base import EngineRefusedError
from rtmbench.engines.flink import config as flink_config
from rtmbench.engines.spark import engine as spark
from rtmbench.engines.spark.master import LocalThreads
from rtmbench.errors import RunFailedError
from rtmbench.patterns import find_pattern
from rtmbench.run_settings import RunSettings

REAL_TIME = {"spark_version": "4.3.0", "trigger": "RealTimeTrigger(5000)", "real_time": True}
BATCH_BOUND = {**REAL_TIME, "real_time": False}
MICROBATCH = {"spark_version": "4.1.4", "trigger": "ProcessingTimeTrigger(0)", "real_time": False}
NOT_ALLOWED = "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST"


class FakeProcess:
    """A process of which only the end matters."""

    log = Path("spark.log")

    def __init__(self, *, ended: bool) -> None:
        self.ended = ended

    def check(self) -> None:
        if self.ended:
            raise RunFailedError("spark has ended")


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Return a function that makes an engine whose pipeline has said `facts`."""
    monkeypatch.setattr(spark, "REFUSAL_TIMEOUT_S", 0.2)
    monkeypatch.setattr(spark, "POLL_S", 0.01)

    def make(name, pattern, facts, *, ended=False):
        spec = parse_engine(name)
        found = find_pattern(pattern)
        variant = choose(spec, found)
        made = spark.SparkEngine(
            replace(spec, mode=variant.mode), variant=variant, platform=None, master=LocalThreads(), pattern=pattern
        )
        made._io = trial_io(
            tmp_path,
            partitions=2,
            window_ms=found.window_ms,
            slide_ms=found.slide_ms,
            settings=RunSettings(buffer_wait_ms=7, local_files="plain"),
        )
        made._process = FakeProcess(ended=ended)
        (tmp_path / "facts.json").write_text(json.dumps(facts))
        return made

    return make


@pytest.mark.parametrize(
    ("name", "pattern", "facts"),
    [
        ("spark@4.1", "01", REAL_TIME),
        ("spark@4.3", "02", REAL_TIME),
        ("spark@4.1:rtm-unchecked", "02", BATCH_BOUND),
        ("spark@4.1:microbatch", "04", MICROBATCH),
        ("spark@4.3:close", "03", MICROBATCH),
    ],
)
def test_a_query_in_its_mode_has_started(engine, name, pattern, facts):
    made = engine(name, pattern, facts)
    made._await_running(made._process)


@pytest.mark.parametrize(
    ("name", "pattern", "facts"),
    [
        ("spark@4.3", "02", BATCH_BOUND),
        ("spark@4.1", "01", MICROBATCH),
        ("spark@4.1:rtm-unchecked", "02", MICROBATCH),
    ],
)
def test_a_query_in_another_mode_has_failed(engine, name, pattern, facts):
    made = engine(name, pattern, facts)
    with pytest.raises(RunFailedError, match=r"does not run in the requested mode"):
        made._await_running(made._process)


def test_a_query_that_is_planned_and_then_refused_is_refused(engine):
    refused = {"refused": {"code": NOT_ALLOWED, "message": "no"}}
    made = engine("spark@4.1:rtm", "02", {**BATCH_BOUND, **refused}, ended=True)
    with pytest.raises(EngineRefusedError) as caught:
        made._await_running(made._process)
    assert caught.value.code == NOT_ALLOWED


def test_what_never_starts_is_refused_and_what_breaks_has_failed(engine):
    never = {"error": {"code": "STDS_FAILED_TO_READ_OPERATOR_METADATA", "message": "no file"}}
    with pytest.raises(EngineRefusedError, match="STDS_FAILED"):
        engine("spark@4.1:rtm-unchecked", "04", never, ended=True).check()
    broken = {"error": {"code": "KAFKA_DATA_LOSS.X", "message": "gone"}}
    with pytest.raises(RunFailedError, match=r"KAFKA_DATA_LOSS\.X"):
        engine("spark@4.1:microbatch", "04", broken, ended=True).check()
    with pytest.raises(RunFailedError, match="has ended"):
        engine("spark@4.1:microbatch", "04", MICROBATCH, ended=True).check()


def test_the_configuration_bounds_rocksdb_as_flink_does_and_commits_changes(engine, tmp_path):
    made = engine("spark@4.3", "02", REAL_TIME)
    made._connector = SimpleNamespace(jars=[])
    made._configure(made._io)
    settings = dict(line.split(" ", 1) for line in (tmp_path / "conf" / "spark-defaults.conf").read_text().splitlines())
    store = "spark.sql.streaming.stateStore.rocksdb"
    assert settings[f"{store}.boundedMemoryUsage"] == "true"
    assert settings[f"{store}.maxMemoryUsageMB"] == str(flink_config.divide_memory(2048).managed)
    assert settings[f"{store}.changelogCheckpointing.enabled"] == "true"
    assert settings["spark.driver.memory"] == f"{flink_config.divide_memory(2048).data_plane_heap}m"


def told(**settings):
    """Facts as a pipeline tells them, with these settings of the running query."""
    return REAL_TIME | {
        "java_version": "17",
        "slots": 4,
        "jvm": {"heap_max_mb": 1184, "gc": ["G1 Young Generation"]},
        "settings": {"spark.sql.shuffle.partitions": "2", **settings},
    }


def test_the_parity_has_what_the_running_query_has(engine, tmp_path):
    store = "spark.sql.streaming.stateStore"
    rocksdb = {f"{store}.providerClass": spark.ROCKSDB}
    bounded = {f"{store}.rocksdb.boundedMemoryUsage": "true", f"{store}.rocksdb.maxMemoryUsageMB": "96"}
    changelog = {f"{store}.rocksdb.changelogCheckpointing.enabled": "true"}

    def read(**settings):
        made = engine("spark@4.3", "02", told(**settings))
        made._process.log = tmp_path / "spark.log"
        made._process.log.touch()
        return made.facts()

    found = read(**rocksdb, **bounded, **changelog, **spark.PLAIN_LOCAL_FILES)
    assert found.settings.state_memory_mb == 96
    assert found.settings.state_changelog == "true"
    assert found.settings.data_plane_heap_mb == found.settings.heap_mb == 1184
    assert found.settings.local_files == "plain"
    assert found.remark == spark.PLAIN_REMARK, "an engine that was changed is named beside its figures"
    found = read(**rocksdb)
    assert found.settings.state_memory_mb == "unbounded"
    assert found.settings.local_files == "hadoop"
    assert found.remark == ""


def test_the_interval_is_the_one_of_the_running_trigger(engine):
    assert engine("spark@4.3", "02", REAL_TIME).interval_s() == 5.0
    assert engine("spark@4.3", "02", {**REAL_TIME, "trigger": "RealTimeTrigger(300000)"}).interval_s() == 300.0
    assert engine("spark@4.1:microbatch", "04", MICROBATCH).interval_s() is None
    assert engine("spark@4.1:microbatch", "04", {}).interval_s() is None


def test_failed_tasks_and_queries_started_again_are_restarts(engine, tmp_path):
    made = engine("spark@4.3", "02", REAL_TIME | {"restarts": 2})
    made._process.log = tmp_path / "spark.log"
    lines = [
        "2026-11-30T04:00:00.000 WARN TaskSetManager - Lost task 1.0 in stage 3.0 (TID 7): Boom",
        "2026-11-30T04:00:00.1 WARN TaskSetManager - Lost task 2.0 in stage 3.0 (TID 8): TaskKilled (Stage cancelled)",
    ]
    made._process.log.write_text("\n".join(lines) + "\n")
    assert made.restarts() == 3


def test_late_rows_are_added_up_over_batches_and_operators(engine, tmp_path):
    made = engine("spark@4.3", "02", REAL_TIME)
    assert made.late_dropped() == 0
    events = [
        {"stateOperators": [{"numRowsDroppedByWatermark": 2}, {"numRowsDroppedByWatermark": 1}]},
        {"stateOperators": []},
        {"stateOperators": [{"numRowsDroppedByWatermark": 4}]},
    ]
    (tmp_path / spark.PROGRESS).write_text("".join(json.dumps(event) + "\n" for event in events))
    assert made.late_dropped() == 7
