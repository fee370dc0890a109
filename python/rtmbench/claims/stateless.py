"""Claims about queries without state, and about where they may read and write."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rtmbench.claims.lab import BATCH, FIRST_OUTPUT_S, LOAD_S, RATE, refusal, wait
from rtmbench.claims.model import BATCH_BOUND, REAL_TIME, Family, Latency, Observation

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame
    from pyspark.sql.streaming import DataStreamWriter

    from rtmbench.claims.lab import Lab

FAMILY = Family()
NOT_ALLOWED = "refused STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST"
NO_INPUT = "refused STREAMING_REAL_TIME_MODE.INPUT_STREAM_NOT_SUPPORTED"
USERS = 100


def everywhere(expected: str) -> dict[str, str]:
    """Expect the same of every version of Spark."""
    return dict.fromkeys(("4.1", "4.2", "4.3"), expected)


@FAMILY.claim(
    id="stateless",
    statement="A query without state, Kafka to Kafka, runs in Real-Time Mode as it comes.",
    engine="spark",
    feature="filter and projection",
    expected=everywhere(REAL_TIME),
    method="A filter under load with 5 s batches: the median latency of its events.",
)
def stateless(lab: Lab) -> Observation:
    """Keep every event by a filter."""
    return lab.probe(lambda events: events.where("value >= 1"))


@FAMILY.claim(
    id="python-udf",
    statement="A Python function on each row is refused with default settings.",
    engine="spark",
    feature="Python UDF",
    expected=everywhere(NOT_ALLOWED),
    method="A scalar Python UDF in a query without state, default settings: what Spark says.",
)
def python_udf(lab: Lab) -> Observation:
    """Add one in Python."""
    return lab.probe(_add_in_python)


@FAMILY.claim(
    id="python-udf-unchecked",
    statement="With the allowlist off, a Python function on each row runs, but rows wait in the buffers between JVM "
    "and Python: at 50 events/s until the batch ends.",
    engine="spark",
    feature="Python UDF, allowlist off",
    expected=everywhere(BATCH_BOUND),
    method="The same with the allowlist off under load, 5 s batches: the median latency of its events.",
)
def python_udf_unchecked(lab: Lab) -> Observation:
    """Add one in Python without the allowlist."""
    return lab.probe(_add_in_python, unchecked=True)


def _add_in_python(events: DataFrame) -> DataFrame:
    from pyspark.sql.functions import col, udf

    return events.withColumn("value", udf(_add_one, "long")(col("value")))


def _add_one(value: int) -> int:
    return value + 1


def _users(lab: Lab) -> DataFrame:
    """Return a table with one row for each key that the load may have."""
    path = str(lab.directory("users"))
    lab.spark.range(1, USERS + 1).selectExpr("concat('user_', id) key", "id * 2 score").write.parquet(path)
    return lab.spark.read.parquet(path)


@FAMILY.claim(
    id="stream-static-join",
    statement="A stream can be joined with a table that is broadcast.",
    engine="spark",
    feature="join with a table, broadcast",
    expected=everywhere(REAL_TIME),
    method="A join with a broadcast Parquet table of all keys under load: the median latency of its events.",
)
def stream_static_join(lab: Lab) -> Observation:
    """Join with a small table."""
    from pyspark.sql.functions import broadcast

    users = _users(lab)
    return lab.probe(lambda events: events.join(broadcast(users), "key"), keys=USERS)


@FAMILY.claim(
    id="stream-static-shuffle-join",
    statement="A stream cannot be joined with a table that has to be shuffled.",
    engine="spark",
    feature="join with a table, sort-merge",
    expected=everywhere(NOT_ALLOWED),
    method="The same join with the hint MERGE: what Spark says.",
)
def stream_static_shuffle_join(lab: Lab) -> Observation:
    """Join with a table that is not broadcast."""
    users = _users(lab)
    return lab.probe(lambda events: events.join(users.hint("merge"), "key"), keys=USERS)


@FAMILY.claim(
    id="union",
    statement="Two streams can be united.",
    engine="spark",
    feature="union of two streams",
    expected=everywhere(REAL_TIME),
    method="A union of two topics that both have events, under load: the median latency.",
)
def union(lab: Lab) -> Observation:
    """Unite two topics."""
    topics = lab.topics
    source, other, sink = topics.create(), topics.create(), topics.create()
    extra = topics.generator(other, topics.workload(), rate=1000, seconds=0.05).join(10).acked
    writer = lab.to_kafka(lab.events(source).union(lab.events(other)), sink).outputMode("update")
    return lab.observe(writer, source, sink, expected=lambda sent: sent + extra)


@FAMILY.claim(
    id="repartition",
    statement="Before 4.3 there is no shuffle that streams, so that rows cannot be redistributed by key.",
    engine="spark",
    feature="repartition by key",
    expected={"4.1": NOT_ALLOWED, "4.2": NOT_ALLOWED, "4.3": REAL_TIME},
    method="`repartition(2, key)` under load.",
)
def repartition(lab: Lab) -> Observation:
    """Redistribute by key."""
    return lab.probe(lambda events: events.repartition(2, "key"))


@FAMILY.claim(
    id="repartition-by-range",
    statement="Rows cannot be redistributed by range in any version.",
    engine="spark",
    feature="repartition by range",
    expected=everywhere(NOT_ALLOWED),
    method="`repartitionByRange(2, key)`: what Spark says.",
)
def repartition_by_range(lab: Lab) -> Observation:
    """Redistribute by range."""
    return lab.probe(lambda events: events.repartitionByRange(2, "key"))


@FAMILY.claim(
    id="append-mode",
    statement="Real-Time Mode knows the output mode update and no other: append is refused even without state.",
    engine="spark",
    feature="output mode append",
    expected=everywhere("refused STREAMING_REAL_TIME_MODE.OUTPUT_MODE_NOT_SUPPORTED"),
    method="A query without state in append mode: what Spark says.",
)
def append_mode(lab: Lab) -> Observation:
    """Ask for append mode."""
    return lab.probe(lambda events: events, mode="append")


@FAMILY.claim(
    id="complete-mode",
    statement="Real-Time Mode knows the output mode update and no other: complete is refused.",
    engine="spark",
    feature="output mode complete",
    expected=everywhere("refused STREAMING_REAL_TIME_MODE.OUTPUT_MODE_NOT_SUPPORTED"),
    method="A running count in complete mode, allowlist off: what Spark says.",
)
def complete_mode(lab: Lab) -> Observation:
    """Ask for complete mode."""
    return lab.probe(lambda events: events.groupBy("key").count(), mode="complete", unchecked=True)


def _refused_sink(lab: Lab, prepare: str, **options: str) -> Observation:
    """Start a query whose sink is not Kafka, and wait for Spark's answer."""
    source = lab.topics.create()
    writer = lab.events(source).writeStream.outputMode("update")
    writer = writer.option("checkpointLocation", str(lab.directory("checkpoint")))
    writer = writer.foreachBatch(_nothing) if prepare == "foreachBatch" else writer.format(prepare).options(**options)
    try:
        with lab.running(writer) as query:
            lab.topics.generator(source, lab.topics.workload(), rate=100, seconds=1).join(10)
            query.awaitTermination(10)
    except Exception as error:  # noqa: BLE001 - Spark's error is the observation
        return refusal(error)
    return Observation(verdict="accepted", detail="the query ran for 10 s")


def _nothing(_rows: DataFrame, _batch: int) -> None:
    return None


@FAMILY.claim(
    id="foreach-batch",
    statement="`foreachBatch` does not exist in Real-Time Mode.",
    engine="spark",
    feature="sink: foreachBatch",
    expected=everywhere(NOT_ALLOWED),
    method="A query without state with an empty `foreachBatch`: what Spark says.",
)
def foreach_batch(lab: Lab) -> Observation:
    """Write by foreachBatch."""
    return _refused_sink(lab, "foreachBatch")


@FAMILY.claim(
    id="file-sink",
    statement="Files cannot be written in Real-Time Mode: it knows only update, and a sink of files only append.",
    engine="spark",
    feature="sink: Parquet files",
    expected=everywhere("refused STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE"),
    method="A query without state into Parquet files: what Spark says.",
)
def file_sink(lab: Lab) -> Observation:
    """Write files."""
    return _refused_sink(lab, "parquet", path=str(lab.directory("files")))


@FAMILY.claim(
    id="rate-source",
    statement="The rate source cannot be read in Real-Time Mode.",
    engine="spark",
    feature="source: rate",
    expected=everywhere(NO_INPUT),
    method="A query that reads `rate` and writes to Kafka: what Spark says.",
)
def rate_source(lab: Lab) -> Observation:
    """Read the rate source."""
    rows = lab.spark.readStream.format("rate").load().selectExpr("'k' key", "value")
    try:
        with lab.running(lab.to_kafka(rows, lab.topics.create()).outputMode("update")) as query:
            query.awaitTermination(10)
    except Exception as error:  # noqa: BLE001 - Spark's error is the observation
        return refusal(error)
    return Observation(verdict="accepted", detail="the query ran for 10 s")


@FAMILY.claim(
    id="console-sink",
    statement="The console sink prints nothing before its batch commits.",
    engine="spark",
    feature="sink: console",
    expected=everywhere(BATCH_BOUND),
    method="The console sink under load with 5 s batches: when each event's value is in the program's output.",
)
def console_sink(lab: Lab) -> Observation:
    """Print the time at which each event was due, and look when it is printed."""
    from pyspark.sql.functions import concat, lit

    source = lab.topics.create()
    mark = f"console{time.monotonic_ns()}at"
    rows = lab.events(source).select(concat(lit(mark), "scheduled_at_us").alias("printed"))
    writer = rows.writeStream.format("console").outputMode("update")
    writer = writer.option("numRows", "100000").option("truncate", "false")
    writer = writer.option("checkpointLocation", str(lab.directory("checkpoint")))
    return _observe_lines(lab, writer, source, lab.log, mark)


@FAMILY.claim(
    id="foreach",
    statement="`foreach` with a Python function is accepted, but rows wait in the buffers between JVM and Python: at "
    "50 events/s until the batch ends.",
    engine="spark",
    feature="sink: foreach (Python)",
    expected=everywhere(BATCH_BOUND),
    method="A Python function that appends each event to a file, under load with 5 s batches: when it stands there.",
)
def foreach(lab: Lab) -> Observation:
    """Append each event to a file."""
    source, file = lab.topics.create(), lab.directory("rows")
    file.touch()
    mark, path = "at", str(file)

    def append(row: object) -> None:
        with open(path, "a") as lines:  # noqa: PTH123 - runs in a worker, which should import nothing
            lines.write(f"{mark}{row.scheduled_at_us}\n")  # type: ignore[attr-defined]

    try:
        writer = lab.events(source).writeStream.foreach(append).outputMode("update")
    except Exception as error:  # noqa: BLE001 - Spark's error is the observation
        return refusal(error)
    writer = writer.option("checkpointLocation", str(lab.directory("checkpoint")))
    return _observe_lines(lab, writer, source, file, mark)


class _Lines(threading.Thread):
    """Notes when each line that carries an event's intended time came into a file."""

    def __init__(self, file: Path, mark: str) -> None:
        super().__init__(daemon=True)
        self._file, self._mark = file, mark
        self._ended = threading.Event()
        self.latencies_us: list[int] = []

    def run(self) -> None:
        """Follow the file from its present end."""
        from rtmbench import _core

        with self._file.open(encoding="utf-8", errors="replace") as file:
            file.seek(0, 2)
            rest = ""
            while not self._ended.wait(0.005):
                rest += file.read()
                now = _core.now_us()
                *lines, rest = rest.split("\n")
                for line in lines:
                    _, separator, tail = line.partition(self._mark)
                    digits = tail.split("|")[0].strip()
                    if separator and digits.isdigit():
                        self.latencies_us.append(now - int(digits))

    def end(self) -> None:
        """Stop following."""
        self._ended.set()
        self.join()


def _observe_lines(lab: Lab, writer: DataStreamWriter, source: str, file: Path, mark: str) -> Observation:
    """Run a query whose results are lines of a file, and time them as `Lab.observe` times those in a topic."""
    lines = _Lines(file, mark)
    lines.start()
    workload = lab.topics.workload()
    try:
        with lab.running(writer) as query:
            first = lab.topics.generator(source, workload, rate=RATE)
            wait(lambda: bool(lines.latencies_us) or not query.isActive, FIRST_OUTPUT_S)
            first.stop()
            sent = first.join(10).generated
            wait(lambda: len(lines.latencies_us) >= sent or not query.isActive, 10)
            start = len(lines.latencies_us)
            sent += lab.topics.generator(source, workload, rate=RATE, seconds=LOAD_S, first=sent).join(30).generated
            wait(lambda: len(lines.latencies_us) >= sent or not query.isActive, 15)
            if not query.isActive:
                query.awaitTermination(1)
    except Exception as error:  # noqa: BLE001 - whatever Spark throws is the observation
        return refusal(error)
    finally:
        lines.end()
    measured = sorted(lines.latencies_us[start:])
    if len(lines.latencies_us) != sent or not measured:
        return Observation(verdict="incomplete", detail=f"{len(lines.latencies_us)} of {sent} events were received")
    latency = Latency(
        count=len(measured), p50=measured[len(measured) // 2], p99=measured[int((len(measured) - 1) * 0.99)]
    )
    verdict = REAL_TIME if latency.p50 < 1_000_000 else BATCH_BOUND  # noqa: PLR2004 - as in the lab
    return Observation(verdict=verdict, detail=f"{sent} events, batches of {BATCH}", latency=latency)
