"""Pattern 01's Spark pipeline on a real Kafka: that Real-Time Mode is what runs, and how it starts, fails and ends."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from pipeline_runs import EVENTS, KEPT, PARTITIONS, Pipelines, await_true

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.patterns.pipelines import locate
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


STATEFUL = """
from rtmbench.spark import main, parse_events


def build(spark, io):
    from pyspark.sql.functions import struct, to_json

    counts = parse_events(io.read(spark)).groupBy("key").count()
    return io.trigger(io.write(counts.select("key", to_json(struct("*")).alias("value"))))


main(build)
"""

MALFORMED = """
from rtmbench.spark import main, parse_events


def build(spark, io):
    from pyspark.sql.functions import col, concat, lit, struct, substring, to_json

    # Made from the record, since Spark evaluates a constant while it plans.
    value = concat(lit(VALUE), substring(col("value").cast("string"), 1, 0))
    records = io.read(spark).withColumn("value", value)
    return io.trigger(io.write(parse_events(records).select("key", to_json(struct("*")).alias("value"))))


main(build)
"""


def assert_real_time(facts):
    """What this repository means by real time: the running query's trigger and its plan, not what was asked for."""
    assert facts["trigger"].startswith("RealTimeTrigger"), facts["trigger"]
    assert "RealTimeStreamScan" in facts["plan"], facts["plan"]
    assert facts["real_time"] is True


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    with LocalPlatform(java=find_java(), cache=Cache(), logs=root / "logs", kafka_heap_mb=256) as platform:
        yield Pipelines(platform, platform.kafka(), root)


def check_that_records_stream(pipelines, version):
    """Start with a batch longer than the test: what comes out came out within it."""
    pipeline = pipelines.start(pipelines.topics(), version=version, RTMBENCH_CHECKPOINT_INTERVAL="3 minutes")
    facts = pipeline.running()
    assert_real_time(facts)
    assert facts["trigger"] == "RealTimeTrigger(180000)"
    assert facts["spark_version"].startswith(f"{version}.")

    expected = pipeline.send()
    await_true(lambda: pipeline.produced() >= expected, 60)

    assert not pipeline.progress.exists(), "the batch has ended: this shows nothing about real time"
    pipeline.stop()
    assert pipeline.produced() == expected
    assert pipeline.facts["state"] == "stopped"


def test_spark_4_1_runs_in_real_time_mode(pipelines):
    check_that_records_stream(pipelines, "4.1")


@pytest.mark.full
def test_spark_4_3_runs_in_real_time_mode_by_its_native_trigger(pipelines):
    check_that_records_stream(pipelines, "4.3")


def test_a_micro_batch_query_is_not_taken_for_real_time(pipelines):
    pipeline = pipelines.start(pipelines.topics(), RTMBENCH_MODE="microbatch")
    pipeline.running()
    expected = pipeline.send()
    await_true(lambda: pipeline.produced() >= expected and pipeline.facts["plan"], 60)
    facts = pipeline.facts
    assert facts["real_time"] is False
    with pytest.raises(AssertionError):
        assert_real_time(facts)
    # Micro-batches read with another scan: the plan alone tells them apart, too.
    assert "MicroBatchScan" in facts["plan"]
    await_true(lambda: sum(batch["numInputRows"] for batch in progress(pipeline)) == EVENTS, 30)
    pipeline.stop()


def progress(pipeline):
    lines = pipeline.progress.read_text().splitlines() if pipeline.progress.exists() else []
    return [json.loads(line) for line in lines]


def test_a_query_that_spark_refuses_exits_64_and_leaves_the_code(pipelines, tmp_path):
    file = tmp_path / "stateful.py"
    file.write_text(STATEFUL)
    pipeline = pipelines.start(pipelines.topics(), file=file)
    assert pipeline.exit_code() == 64
    refused = pipeline.facts["refused"]
    assert refused["code"] == "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST"
    assert "HashAggregateExec" in refused["message"]


def test_fewer_slots_than_partitions_are_refused_instead_of_starved(pipelines):
    pipeline = pipelines.start(pipelines.topics(partitions=PARTITIONS + 1))
    assert pipeline.exit_code() == 3
    assert f"has {PARTITIONS + 1} partitions, but Spark has {PARTITIONS} slots" in pipeline.log


@pytest.mark.full
@pytest.mark.parametrize(
    ("value", "said"),
    [("not json", "MALFORMED_RECORD_IN_PARSING"), ("{}", "A record is not an event"), ("", "A record is not an event")],
)
def test_a_record_that_is_no_event_fails_the_query(pipelines, tmp_path, value, said):
    file = tmp_path / "malformed.py"
    file.write_text(MALFORMED.replace("VALUE", repr(value)))
    pipeline = pipelines.start(pipelines.topics(), file=file)
    pipeline.running()
    pipeline.send(1)
    assert pipeline.exit_code() == 1
    assert said in pipeline.facts["error"]["message"]
    assert said in pipeline.log
    assert pipeline.produced() == 0


def test_spark_submit_needs_nothing_but_kafkas_address(pipelines):
    config = {"bootstrap.servers": pipelines.servers}
    _core.create_topics(config, ["benchmark-input", "benchmark-output"], partitions=2)
    spark = pipelines.platform.cache.ensure("spark@4.1").root
    jars = pipelines.platform.cache.ensure("spark-connector-kafka@4.1").jars
    command = [
        *(str(spark / "pyspark" / "bin" / "spark-submit"), "--master", "local[2]"),
        *("--jars", ",".join(str(jar) for jar in jars)),
        *("--conf", "spark.ui.enabled=false", "--conf", "spark.driver.host=127.0.0.1"),
        str(locate("01", "spark")),
    ]
    env = {name: value for name, value in pipelines.platform.environment().items() if not name.startswith("RTMBENCH_")}
    env |= {
        "KAFKA_BOOTSTRAP_SERVERS": pipelines.servers,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_HOME": str(spark / "pyspark"),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    process = pipelines.platform.spawn("spark-submit", command, env=env)
    workload = _core.Workload(seed=7, keys=10)
    _core.Generator(config, "benchmark-input", workload, _core.Schedule.constant(2_000), count=EVENTS).run()
    expected = sum(json.loads(workload.event(index, 0))["event_type"] in KEPT for index in range(EVENTS))
    await_true(lambda: sum(_core.end_offsets(config, "benchmark-output")) >= expected, 90)
    process.check()
    assert sum(_core.end_offsets(config, "benchmark-output")) == expected
    pipelines.platform.stop(process)


def test_ctrl_c_stops_the_query_and_exits_0(pipelines):
    pipeline = pipelines.start(pipelines.topics())
    pipeline.running()
    os.kill(pipeline.process.pid, signal.SIGINT)
    assert pipeline.exit_code(10) == 0
    assert pipeline.facts["state"] == "stopped"
    assert "Traceback" not in pipeline.log


@pytest.mark.parametrize("delay_s", [1, 4])
def test_a_stop_before_the_query_has_started_is_no_failure(pipelines, delay_s):
    pipeline = pipelines.start(pipelines.topics())
    time.sleep(delay_s)
    os.kill(pipeline.process.pid, signal.SIGTERM)
    assert pipeline.exit_code(10) == 0
    assert "Traceback" not in pipeline.log
