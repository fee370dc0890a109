"""The Python API on real engines: cancelled, interrupted in a notebook, from a pipeline, around a user's own query."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition
from jupyter_client.manager import start_new_kernel
from pipeline_runs import Pipelines, await_true

import rtmbench
from rtmbench import _core, aio
from rtmbench.artifacts import Cache
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.full, pytest.mark.timeout(300)]

GENTLE = {"rate": 300, "partitions": 2, "warmup_s": 3, "duration_s": 15, "quick": True}
SHORT = {**GENTLE, "warmup_s": 1, "duration_s": 5}
STOPPED_WITHIN_S = 10
PIPELINES = Path(__file__).parents[2] / "pipelines"


def below(pid):
    """Every process below one."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def alive(processes):
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline())[:120])
    return found


def measuring(results):
    """Whether a run is past its first floor and has a trial of an engine under way: its log is there."""
    for document in results.glob("*/result.json"):
        floors = json.loads(document.read_text())["floors"]
        if any(floor["trials"] for floor in floors) and any(document.parent.rglob("*taskmanager*")):
            return True
    return False


def test_a_cancelled_run_leaves_no_engine_and_a_document(tmp_path):
    results = tmp_path / "results"

    async def cancelled():
        task = asyncio.create_task(aio.run("01", engines=["flink@1.20"], results=results, **GENTLE))
        while not measuring(results):
            assert not task.done(), task
            await asyncio.sleep(0.2)
        await asyncio.sleep(8)
        started = below(os.getpid())
        assert len(started) >= 6, "worker, and supervisors with broker, job manager and task manager"
        before = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return started, time.monotonic() - before

    started, seconds = asyncio.run(cancelled())
    assert alive(started) == []
    assert seconds < STOPPED_WITHIN_S
    (run,) = rtmbench.runs(results)
    assert not run.complete
    (cut,) = run.trials["flink@1.20"]
    assert not cut.valid
    assert "interrupted" in cut.reasons[0]

    again = asyncio.run(aio.run("01", engines=["relay"], results=results, **SHORT))
    assert again.complete
    assert again.latency("relay").count > 0


class Notebook:
    """A kernel of its own, and what its cells said."""

    def __init__(self, directory):
        env = {**os.environ, "IPYTHONDIR": str(directory / "ipython"), "JUPYTER_CONFIG_DIR": str(directory / "jupyter")}
        # With it, a kernel leaves the output of child processes to pytest.
        env.pop("PYTEST_CURRENT_TEST", None)
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(directory), env=env)
        self.pid = self.manager.provisioner.pid

    def start(self, code):
        """Run a cell; return without waiting for it."""
        self._cell, self._said, self._error = self.client.execute(code), "", None

    def end(self, timeout_s=120):
        """Wait for the cell's end; return what it said and the name of its error."""
        self._until(lambda kind, content: kind == "status" and content["execution_state"] == "idle", timeout_s)
        return self._said, self._error

    def says(self, text, timeout_s=120):
        self._until(lambda *_: text in self._said, timeout_s)

    def run(self, code):
        self.start(code)
        return self.end()

    def _until(self, condition, timeout_s):
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.client.get_iopub_msg(timeout=deadline - time.monotonic())
            if message["parent_header"].get("msg_id") != self._cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                self._said += content["text"]
            if kind == "error":
                self._error = content["ename"]
            if condition(kind, content):
                return
            assert kind != "status" or content["execution_state"] != "idle", f"the cell has ended: {self._said}"

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture
def notebook(tmp_path):
    notebook = Notebook(tmp_path)
    yield notebook
    notebook.close()


@pytest.mark.parametrize("call", ["rtmbench.run", "await rtmbench.aio.run"])
def test_an_interrupted_cell_stops_the_engines_and_the_next_one_works(notebook, call):
    notebook.start(f"import rtmbench\n{call}('01', quick=True, engines=['flink@1.20'], rate=300)")
    notebook.says("flink@1.20 trial 1/1 · measure")
    started = below(notebook.pid)
    assert len(started) >= 6
    before = time.monotonic()
    notebook.manager.interrupt_kernel()
    _, error = notebook.end(STOPPED_WITHIN_S)
    assert error in ({"KeyboardInterrupt"} if call == "rtmbench.run" else {"KeyboardInterrupt", "CancelledError"})
    while alive(started) and time.monotonic() < before + STOPPED_WITHIN_S:
        time.sleep(0.1)
    assert alive(started) == []

    said, error = notebook.run("(run,) = rtmbench.runs(); print(run.complete, run.trials['flink@1.20'][0].reasons)")
    assert error is None
    assert said.startswith("False [")
    assert "interrupted in the phase `measure`" in said
    said, error = notebook.run(f"print(({call}('01', engines=['relay'], **{SHORT})).complete)")
    assert error is None, said
    assert said.endswith("True\n")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", ["01", "02", "03", "04"])
def test_a_pipeline_compares_itself_with_its_twin(number, tmp_path):
    (file,) = PIPELINES.glob(f"{number}-*/spark/*.py")
    settings = "--quick --rate 200 --partitions 2 --warmup 8 --duration 15 --engines flink@1.20,spark@4.3"
    seen = subprocess.run(
        [sys.executable, str(file), "--compare", *settings.split(), "--results", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=380,
    )
    assert seen.returncode == 0, seen.stderr
    (run,) = rtmbench.runs(tmp_path)
    assert run.complete
    assert run.pattern == number
    assert run.engines[0] == "flink@1.20"
    assert run.engines[1].startswith("spark@4.3")
    for name in run.engines:
        (trial,) = run.trials[name]
        assert trial.counts.missing == trial.counts.wrong == trial.counts.unexpected == 0
        assert name in seen.stdout
    assert "verdict on p99" in str(run.compare_all())
    assert "Traceback" not in seen.stderr


OWN_PROGRAM = """
import json, os, sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from rtmbench.errors import RtmbenchError
from rtmbench.spark import measured, real_time_trigger

servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
output = os.environ["RTMBENCH_OUTPUT_TOPIC"]
spark = SparkSession.builder.appName("large-orders").getOrCreate()
orders = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", servers)
    .option("subscribe", os.environ["RTMBENCH_INPUT_TOPIC"])
    .option("startingOffsets", "earliest")
    .load()
)
order = f.from_json(f.col("value").cast("string"), "key STRING, value LONG, produced_at LONG")
large = orders.select(order.alias("order")).where("order.value > 500")
writer = (
    large.select("order.key", f.to_json("order").alias("value"))
    .writeStream.format("kafka")
    .option("kafka.bootstrap.servers", servers)
    .option("topic", output)
    .option("checkpointLocation", "checkpoint")
    .outputMode("update")
)
with measured(real_time_trigger(writer, "5 seconds"), output, "FIELD", bootstrap_servers=servers) as query:
    open("started", "w").close()
    query.follow(SECONDS)
print(query, flush=True)
try:
    latency = query.latency()
except RtmbenchError as error:
    print(error, file=sys.stderr, flush=True)
    os._exit(1)
found = {"received": query.received, "count": latency.count, "p50_us": latency.percentile(50)}
with open("measured.json", "w") as file:
    json.dump({**found, "html": query._repr_html_()}, file)
spark.stop()
"""


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    root = tmp_path_factory.mktemp("own-query")
    with LocalPlatform(java=find_java(), cache=Cache(), logs=root / "logs", kafka_heap_mb=256) as platform:
        yield Pipelines(platform, platform.kafka(), root)


def own_query(pipelines, tmp_path, field, seconds, *, feed_s):
    """Run a program that is nobody's but the user's, with events at 200/s from its query's start on."""
    program = tmp_path / "large_orders.py"
    program.write_text(OWN_PROGRAM.replace("FIELD", field).replace("SECONDS", str(seconds)))
    topics = pipelines.topics(partitions=2)
    pipeline = pipelines.start(topics, slots=2, file=program)
    directory = pipelines.root / topics[1]
    await_true(lambda: (directory / "started").exists() or pipeline.process.poll() is not None, 90)
    assert pipeline.process.poll() is None, pipeline.log[-3000:]
    config = {"bootstrap.servers": pipelines.servers}
    schedule = _core.Schedule.constant(200)
    _core.Generator(config, topics[0], _core.Workload(seed=7, keys=10), schedule, duration_s=feed_s).run()
    return pipeline, directory


def ages_at_the_sink(servers, topic):
    """How long before Spark's producer made each record its event was due, ms: by the record's own time stamps."""
    ends = _core.end_offsets({"bootstrap.servers": servers}, topic)
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "ages", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(len(ends))])
    ages = []
    while len(ages) < sum(ends):
        found = consumer.consume(1000, timeout=1)
        ages += [message.timestamp()[1] - json.loads(message.value())["produced_at"] for message in found]
    consumer.close()
    return ages


def test_a_users_own_query_is_measured_as_it_is(pipelines, tmp_path):
    pipeline, directory = own_query(pipelines, tmp_path, "produced_at", 25, feed_s=15)
    assert pipeline.exit_code() == 0, pipeline.log[-3000:]
    found = json.loads((directory / "measured.json").read_text())
    ages = ages_at_the_sink(pipelines.servers, pipeline.output_topic)
    assert found["received"] == found["count"] == len(ages) > 1000
    # Receipt comes after the producer's own time stamp, by what Kafka takes.
    age_us = 1000 * statistics.median(ages)
    assert age_us - 5_000 < found["p50_us"] < age_us + 300_000
    assert f"{pipeline.output_topic}: {found['count']:,} records in 2" in pipeline.log
    assert "Real-Time Mode" in pipeline.log
    assert "resolution: ±1 ms, since produced_at is in ms" in pipeline.log
    assert "<th>p99</th>" in found["html"]


def test_a_users_query_without_a_time_stamp_is_told(pipelines, tmp_path):
    pipeline, directory = own_query(pipelines, tmp_path, "ordered_at", 12, feed_s=5)
    assert pipeline.exit_code() == 1
    assert not (directory / "measured.json").exists()
    assert "No time stamp 'ordered_at' in the output" in pipeline.log
    assert "missing field `ordered_at`" in pipeline.log
    assert "produced_at" in pipeline.log, "a record is shown"
