"""Claims about the real-time trigger, its batches, and what happens at their boundaries."""

from __future__ import annotations

import inspect
import json
import os
import signal
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psutil

from rtmbench.claims.lab import FIRST_OUTPUT_S, wait
from rtmbench.claims.model import REAL_TIME, Family, NotObservableError, Observation
from rtmbench.claims.stateless import everywhere
from rtmbench.spark.trigger import execution_of, plan_of

if TYPE_CHECKING:
    from pyspark.sql.streaming import StreamingQuery

    from rtmbench.claims.lab import Lab

FAMILY = Family()
LONG_BATCH = "30 seconds"
MINIMUM = "spark.sql.streaming.realTimeMode.minBatchDuration"


@FAMILY.claim(
    id="python-trigger",
    statement="PySpark has no `trigger(realTime=…)` in 4.1; it arrives in 4.2. The JVM has had the trigger since 4.1.",
    engine="spark",
    expected={"4.1": "absent", "4.2": "present", "4.3": "present"},
    method="The signature of `DataStreamWriter.trigger`, and the JVM's `Trigger.RealTime`.",
)
def python_trigger(lab: Lab) -> Observation:
    """Look at the signature of `trigger`."""
    from pyspark.sql.streaming import DataStreamWriter

    parameters = list(inspect.signature(DataStreamWriter.trigger).parameters)
    trigger = lab.jvm.org.apache.spark.sql.streaming.Trigger.RealTime("5 seconds").toString()
    word = "present" if "realTime" in parameters else "absent"
    return Observation(verdict=word, detail=f"parameters {', '.join(parameters[1:])}; the JVM's trigger is {trigger}")


@FAMILY.claim(
    id="default-batch-duration",
    statement="Without a duration, the real-time trigger's batches take 5 minutes.",
    engine="spark",
    expected=everywhere("5 minutes"),
    method="The JVM's `Trigger.RealTime()` says its own duration.",
)
def default_batch_duration(lab: Lab) -> Observation:
    """Ask the trigger for its default."""
    text = str(lab.jvm.org.apache.spark.sql.streaming.Trigger.RealTime().toString())
    return Observation(verdict="5 minutes" if text == "RealTimeTrigger(300000)" else text, detail=text)


@FAMILY.claim(
    id="minimum-batch-duration",
    statement="Batches below 5 s are refused.",
    engine="spark",
    expected=everywhere("refused INVALID_STREAMING_REAL_TIME_MODE_TRIGGER_INTERVAL"),
    method="A query without state with batches of 1 s: what Spark says.",
)
def minimum_batch_duration(lab: Lab) -> Observation:
    """Ask for batches of a second."""
    return lab.probe(lambda events: events, interval="1 second")


@FAMILY.claim(
    id="minimum-batch-duration-lowered",
    statement=f"`{MINIMUM}` lowers the minimum.",
    engine="spark",
    feature="batches of 1 s, minimum lowered",
    expected=everywhere(REAL_TIME),
    method="The same with the minimum set to 1 s: it runs.",
)
def minimum_batch_duration_lowered(lab: Lab) -> Observation:
    """Lower the minimum and ask again."""
    return lab.probe(lambda events: events, interval="1 second", conf={MINIMUM: "1000ms"})


@FAMILY.claim(
    id="current-timestamp",
    statement="`current_timestamp()` is evaluated once a batch: it is older than the events that it is put into.",
    engine="spark",
    expected=everywhere("stale"),
    method="`current_timestamp()` beside events that are sent for 5 s into one batch: how many values it has, and "
    "how many events were sent after it.",
)
def current_timestamp(lab: Lab) -> Observation:
    """Add the current time to events."""
    from pyspark.sql.functions import current_timestamp as now
    from pyspark.sql.functions import expr

    source, sink = lab.topics.create(), lab.topics.create()
    stamped = lab.events(source).withColumn("now", now()).select("key", "scheduled_at_us", expr("unix_micros(now) now"))
    with lab.running(lab.to_kafka(stamped, sink).outputMode("update"), interval=LONG_BATCH) as query:
        load = lab.load(query, source, sink, lab.topics.workload())
    rows = _read(lab, sink, "scheduled_at_us bigint, now bigint").collect()
    values = {row.now for row in rows}
    early = [row.scheduled_at_us - row.now for row in rows if row.now < row.scheduled_at_us]
    worst = max(early, default=0) / 1e6
    detail = (
        f"{len(values)} value(s) for {len(rows)} of {load.sent} events, {len(early)} of which were sent after it, "
        f"up to {worst:.1f} s"
    )
    stale = len(values) <= 2 and len(early) > load.sent // 2  # noqa: PLR2004 - a batch may have ended meanwhile
    return Observation(verdict="stale" if stale else "current", detail=detail)


def _read(lab: Lab, topic: str, schema: str) -> Any:
    from pyspark.sql.functions import col, from_json

    records = lab.spark.read.format("kafka").option("kafka.bootstrap.servers", lab.topics.servers)
    records = records.option("subscribe", topic).load()
    return records.select(from_json(col("value").cast("string"), schema).alias("row")).select("row.*")


@FAMILY.claim(
    id="progress-at-batch-end",
    statement="A query reports progress when a batch ends, not while it runs, even if it has emitted results.",
    engine="spark",
    expected=everywhere("holds"),
    method="A batch of 30 s with load for 5 s: results that were emitted, and progress events, before its end.",
)
def progress_at_batch_end(lab: Lab) -> Observation:
    """Look for progress while results are emitted."""
    source, sink = lab.topics.create(), lab.topics.create()
    with lab.running(lab.to_kafka(lab.events(source), sink).outputMode("update"), interval=LONG_BATCH) as query:
        load = lab.load(query, source, sink, lab.topics.workload())
        rows = sum(int(event.numInputRows()) for event in _progress(query))
    return Observation.judged(
        load.received == load.sent and rows == 0,
        f"{load.received} results of {load.sent} events, {rows} rows reported",
        load.latency,
    )


def _progress(query: StreamingQuery) -> list[Any]:
    return list(query._jsq.recentProgress())  # noqa: SLF001 - PySpark copies every field


@FAMILY.claim(
    id="progress-without-latencies",
    statement="Open-source Spark's progress reports no latency; `latencies` and `rtmMetrics` are Databricks'.",
    engine="spark",
    expected=everywhere("holds"),
    method="The JSON of a progress event of a batch with rows: its keys.",
)
def progress_without_latencies(lab: Lab) -> Observation:
    """Look for latencies in a progress event."""
    source, sink = lab.topics.create(), lab.topics.create()
    with lab.running(lab.to_kafka(lab.events(source), sink).outputMode("update")) as query:
        lab.topics.generator(source, lab.topics.workload(), rate=50, seconds=2).join(10)
        wait(lambda: any(event.numInputRows() for event in _progress(query)), FIRST_OUTPUT_S)
        events = [event for event in _progress(query) if event.numInputRows()]
        if not events:
            return Observation(verdict="no progress", detail=f"within {FIRST_OUTPUT_S:.0f} s")
        text = str(events[0].json())
    keys = sorted(json.loads(text))
    return Observation.judged("latencies" not in text and "rtmMetrics" not in text, f"keys {', '.join(keys)}")


@FAMILY.claim(
    id="adaptive-execution-off",
    statement="Adaptive query execution is off in Real-Time Mode, whatever the session says.",
    engine="spark",
    expected=everywhere("off"),
    method="With `spark.sql.adaptive.enabled=true` in the session: the setting of the running query, and its plan.",
)
def adaptive_execution_off(lab: Lab) -> Observation:
    """Switch it on, and look at the running query."""
    source, sink = lab.topics.create(), lab.topics.create()
    with (
        lab.conf({"spark.sql.adaptive.enabled": "true"}),
        lab.running(lab.to_kafka(lab.events(source), sink).outputMode("update")) as query,
    ):
        wait(lambda: bool(plan_of(query)) or not query.isActive, FIRST_OUTPUT_S)
        used = str(execution_of(query).sparkSessionForStream().conf().get("spark.sql.adaptive.enabled"))
        adaptive = "AdaptiveSparkPlan" in plan_of(query)
    off = used == "false" and not adaptive
    return Observation(
        verdict="off" if off else "on",
        detail=f"session true, query {used}, adaptive plan {'yes' if adaptive else 'no'}",
    )


@FAMILY.claim(
    id="batch-boundary",
    statement="Nothing is emitted while a batch commits and the next one starts: the boundary makes the tail.",
    engine="spark",
    expected=everywhere("holds"),
    method="5 s batches, 200 events/s: the longest pause in the output around each boundary, against the longest in "
    "the middle of the batches before it.",
    timeout_s=120,
)
def batch_boundary(lab: Lab) -> Observation:
    """Compare pauses at the boundaries with pauses between them."""
    source, sink = lab.topics.create(), lab.topics.create()
    workload = lab.topics.workload()
    receipts: list[int] = []
    consumer = lab.topics.consumer(sink)
    with lab.running(lab.to_kafka(lab.events(source), sink).outputMode("update")) as query:
        generator = lab.topics.generator(source, workload, rate=200)
        deadline = time.monotonic() + 45
        # Seven batches have begun: the first is still cold, the last may not have ended.
        while len(_starts(query)) < 7 and time.monotonic() < deadline and query.isActive:  # noqa: PLR2004
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                newest = consumer.snapshot().newest_received_us
                if newest and (not receipts or newest > receipts[-1]):
                    receipts.append(newest)
                time.sleep(0.002)
        starts = _starts(query)[1:]
        generator.stop()
        generator.join(10)
    consumer.stop()
    consumer.join(10)
    boundaries = [_longest(receipts, start - 500_000, start + 1_500_000) for start in starts[1:]]
    middles = [_longest(receipts, start + 2_000_000, start + 4_000_000) for start in starts[:-1]]
    if not boundaries or not middles:
        return Observation(verdict="no boundary", detail=f"{len(starts)} batches")
    at, between = sorted(boundaries)[len(boundaries) // 2], sorted(middles)[len(middles) // 2]
    detail = (
        f"median of the longest pauses: {at / 1000:.0f} ms at {len(boundaries)} boundaries, "
        f"{between / 1000:.0f} ms between them"
    )
    return Observation.judged(at > 2 * between, detail)


def _starts(query: StreamingQuery) -> list[int]:
    """Return when the batches that have ended began, µs since the epoch."""
    from datetime import datetime

    texts = [str(event.timestamp()) for event in _progress(query)]
    return [int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6) for text in texts]


def _longest(receipts: list[int], start: int, end: int) -> int:
    """Return the longest pause between receipts within a time, µs; one that reaches out of it counts whole."""
    pauses = [after - before for before, after in pairwise(receipts) if after > start and before < end]
    return max(pauses, default=0)


@FAMILY.claim(
    id="leftover-checkpoint",
    statement="A file that a killed driver left in `offsets/` can keep a stateful query from starting again.",
    engine="spark",
    expected=everywhere("fails STATE_STORE_CHECKPOINT_LOCATION_NOT_EMPTY"),
    method="A checkpoint directory that holds nothing but a temporary file such as a killed driver leaves: a count "
    "by key (allowlist off) is started on it.",
)
def leftover_checkpoint(lab: Lab) -> Observation:
    """Start on a directory with a left-over file."""
    from pyspark.sql.functions import max as newest

    checkpoint = lab.directory("checkpoint")
    (checkpoint / "offsets").mkdir(parents=True)
    (checkpoint / "offsets" / ".0.5a1bb1a0-6f0e-4f3c-9a44-1b6b8f2f9a10.tmp").write_text("v1\n")
    source, sink = lab.topics.create(), lab.topics.create()
    counted = lab.events(source).groupBy("key").agg(newest("scheduled_at_us").alias("scheduled_at_us"))
    writer = lab.to_kafka(counted, sink, checkpoint=checkpoint).outputMode("update")
    return lab.observe(writer, source, sink, unchecked=True, keys=1_000_000)


@FAMILY.claim(
    id="checkpoint-of-microbatch",
    statement="A query without state that ran in micro-batches with default settings goes on in Real-Time Mode on its "
    "checkpoint in 4.1; 4.3 refuses the checkpoint's format.",
    engine="spark",
    feature="continue a micro-batch checkpoint",
    expected={
        "4.1": REAL_TIME,
        "4.2": REAL_TIME,
        "4.3": "refused STREAMING_REAL_TIME_MODE.CHECKPOINT_FORMAT_V1_NOT_SUPPORTED",
    },
    method="A query without state, one micro-batch, stopped, then started again in Real-Time Mode on its checkpoint.",
)
def checkpoint_of_microbatch(lab: Lab) -> Observation:
    """Go on in Real-Time Mode where micro-batches stopped."""
    source, sink = lab.topics.create(), lab.topics.create()
    checkpoint = lab.directory("checkpoint")

    def writer() -> Any:
        return lab.to_kafka(lab.events(source), sink, checkpoint=checkpoint).outputMode("update")

    workload = lab.topics.workload()
    before = lab.topics.generator(source, workload, rate=100, seconds=0.5).join(10).acked
    with lab.running(writer(), interval=None) as query:
        wait(lambda: lab.topics.count(sink) >= before or not query.isActive, FIRST_OUTPUT_S)
        query.processAllAvailable()
    first = lab.topics.count(sink)
    if first != before:
        return Observation(verdict="incomplete", detail=f"{first} of {before} results in micro-batches")
    # The second run's consumer reads the topic from its beginning.
    return lab.observe(writer(), source, sink, expected=lambda sent: sent + before)


@FAMILY.claim(
    id="sigint",
    statement="PySpark's JVM ignores SIGINT.",
    engine="spark",
    expected=everywhere("holds"),
    method="SIGINT to the session's JVM: it lives on and answers.",
)
def sigint(lab: Lab) -> Observation:
    """Interrupt the JVM."""
    jvms = [process for process in psutil.Process().children(recursive=True) if process.name() == "java"]
    if len(jvms) != 1:
        raise NotObservableError(f"{len(jvms)} Java processes below the session, not one")
    os.kill(jvms[0].pid, signal.SIGINT)
    time.sleep(3)
    alive = jvms[0].is_running() and jvms[0].status() != psutil.STATUS_ZOMBIE
    answer = lab.spark.range(3).count() if alive else 0
    return Observation.judged(alive and answer == 3, f"alive after 3 s, counts range(3) as {answer}")  # noqa: PLR2004


__all__ = ["FAMILY"]
