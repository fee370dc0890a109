"""Pattern 01's Spark pipeline on a real Kafka: that Real-Time Mode is what runs, and how it starts, fails and ends."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.pipelines import locate
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PARTITIONS = 4
EVENTS = 400
KEPT = {"click", "purchase"}

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


class Pipelines:
    """Starts pipelines as processes of a platform, each on topics and in a directory of its own."""

    def __init__(self, platform, kafka, root):
        self.platform = platform
        self.servers = kafka.bootstrap_servers
        self.root = root
        self._count = 0

    def topics(self, partitions=PARTITIONS):
        self._count += 1
        names = [f"pipeline-{self._count}-{side}" for side in ("in", "out")]
        _core.create_topics({"bootstrap.servers": self.servers}, names, partitions=partitions)
        return names

    def start(self, topics, *, version="4.1", file=None, **environment):
        directory = self.root / topics[0]
        (directory / "conf").mkdir(parents=True)
        spark = self.platform.cache.ensure(f"spark@{version}").root
        connector = self.platform.cache.ensure(f"spark-connector-kafka@{version}")
        settings = {
            "spark.master": f"local[{PARTITIONS}]",
            "spark.driver.memory": "700m",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.jars": ",".join(str(jar) for jar in connector.jars),
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        (directory / "conf" / "spark-defaults.conf").write_text("".join(lines))
        env = {
            **self.platform.environment(),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(spark), os.environ.get("PYTHONPATH")])),
            "SPARK_HOME": str(spark / "pyspark"),
            "SPARK_CONF_DIR": str(directory / "conf"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "RTMBENCH_INPUT_TOPIC": topics[0],
            "RTMBENCH_OUTPUT_TOPIC": topics[1],
            "RTMBENCH_FACTS": str(directory / "facts.json"),
            "RTMBENCH_PROGRESS": str(directory / "progress.jsonl"),
            **environment,
        }
        argv = [sys.executable, str(file or locate("01", "spark"))]
        return Pipeline(self, self.platform.spawn(topics[0], argv, env=env, cwd=directory), directory, topics)


class Pipeline:
    """One started pipeline."""

    def __init__(self, owner, process, directory, topics):
        self.owner = owner
        self.process = process
        self.progress = directory / "progress.jsonl"
        self.input_topic, self.output_topic = topics
        self._facts = directory / "facts.json"

    @property
    def facts(self):
        return json.loads(self._facts.read_text()) if self._facts.exists() else {}

    @property
    def log(self):
        return Path(self.process.log).read_text(errors="replace")

    def running(self, timeout_s=90):
        await_true(lambda: self.facts.get("state") == "running" or self.process.poll() is not None, timeout_s)
        assert self.process.poll() is None, self.log[-3000:]
        return self.facts

    def exit_code(self, timeout_s=90):
        await_true(lambda: self.process.poll() is not None, timeout_s)
        return self.process.poll()

    def send(self, count=EVENTS):
        """Send `count` events and return how many of them the pipeline has to let through."""
        workload = _core.Workload(seed=7, keys=10)
        config = {"bootstrap.servers": self.owner.servers}
        schedule = _core.Schedule.constant(2_000)
        _core.Generator(config, self.input_topic, workload, schedule, count=count).run()
        return sum(json.loads(workload.event(index, 0))["event_type"] in KEPT for index in range(count))

    def produced(self):
        return sum(_core.end_offsets({"bootstrap.servers": self.owner.servers}, self.output_topic))

    def stop(self):
        self.owner.platform.stop(self.process, grace_s=10)


def await_true(condition, timeout_s):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.1)


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
