"""Claims about queries with state: aggregates, windows, duplicates, joins, and custom state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtmbench.claims.lab import HDFS, ROCKSDB, STATE_STORE, refusal
from rtmbench.claims.model import BATCH_BOUND, MICRO_BATCH, REAL_TIME, Family, Observation
from rtmbench.claims.stateless import NOT_ALLOWED, everywhere
from rtmbench.spark.requirements import jvm_class

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame

    from rtmbench.claims.lab import Lab

FAMILY = Family()
STATEFUL = {"4.1": NOT_ALLOWED, "4.2": NOT_ALLOWED, "4.3": REAL_TIME}
UNCHECKED = {"4.1": BATCH_BOUND, "4.2": BATCH_BOUND, "4.3": REAL_TIME}
NO_METADATA = "fails STDS_FAILED_TO_READ_OPERATOR_METADATA"


def counted(events: DataFrame, *grouping: Any) -> DataFrame:
    """Count by `grouping` and `event_id`: one result for each event, so that each has its own latency."""
    from pyspark.sql.functions import count, first
    from pyspark.sql.functions import max as newest

    grouped = events.groupBy(*grouping, "event_id")
    return grouped.agg(
        first("key").alias("key"), count("*").alias("count"), newest("scheduled_at_us").alias("scheduled_at_us")
    )


def _tumbling(events: DataFrame) -> DataFrame:
    from pyspark.sql.functions import window

    return counted(events.withWatermark("time", "10 seconds"), window("time", "10 seconds"))


@FAMILY.claim(
    id="aggregate",
    statement="Real-Time Mode in 4.1 and 4.2 is for queries without state: an aggregate is refused; 4.3 runs it.",
    engine="spark",
    feature="groupBy().agg()",
    expected=STATEFUL,
    method="A count by key under load, default settings.",
)
def aggregate(lab: Lab) -> Observation:
    """Count by key."""
    return lab.probe(counted)


@FAMILY.claim(
    id="aggregate-unchecked",
    statement="With `allowlistCheck=false`, 4.1 and 4.2 start an aggregate, and give its results when the batch ends.",
    engine="spark",
    feature="groupBy().agg(), allowlist off",
    expected=UNCHECKED,
    method="The same with the allowlist off and 5 s batches: the median latency of its events.",
)
def aggregate_unchecked(lab: Lab) -> Observation:
    """Count by key without the allowlist."""
    return lab.probe(counted, unchecked=True)


@FAMILY.claim(
    id="tumbling-window",
    statement="A tumbling window is refused by 4.1 and 4.2; 4.3 runs it.",
    engine="spark",
    feature="tumbling window",
    expected=STATEFUL,
    method="A windowed count with a watermark of 10 s under load, default settings.",
)
def tumbling_window(lab: Lab) -> Observation:
    """Count in tumbling windows."""
    return lab.probe(_tumbling)


@FAMILY.claim(
    id="tumbling-window-unchecked",
    statement="With `allowlistCheck=false` a window runs on 4.1 and 4.2, but at batch latency: not in real time.",
    engine="spark",
    feature="tumbling window, allowlist off",
    expected=UNCHECKED,
    method="The same with the allowlist off and 5 s batches: the median latency of its events.",
)
def tumbling_window_unchecked(lab: Lab) -> Observation:
    """Count in tumbling windows without the allowlist."""
    return lab.probe(_tumbling, unchecked=True)


@FAMILY.claim(
    id="sliding-window",
    statement="A sliding window is refused by 4.1 and 4.2; 4.3 runs it, with a result for each window of an event.",
    engine="spark",
    feature="sliding window",
    expected=STATEFUL,
    method="Windows of 10 s every 5 s under load: two results an event.",
)
def sliding_window(lab: Lab) -> Observation:
    """Count in sliding windows."""
    from pyspark.sql.functions import window

    def build(events: DataFrame) -> DataFrame:
        windows = window("time", "10 seconds", "5 seconds")
        return counted(events.withWatermark("time", "10 seconds"), windows)

    return lab.probe(build, expected=lambda sent: 2 * sent)


@FAMILY.claim(
    id="session-window",
    statement="Session windows are refused in every version: Spark has them in append mode only, and Real-Time Mode "
    "knows only update.",
    engine="spark",
    feature="session window",
    expected=everywhere("refused STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION"),
    method="A count in session windows, default settings: what Spark says.",
)
def session_window(lab: Lab) -> Observation:
    """Count in session windows."""
    from pyspark.sql.functions import session_window as session

    return lab.probe(lambda events: counted(events.withWatermark("time", "10 seconds"), session("time", "5 seconds")))


@FAMILY.claim(
    id="drop-duplicates",
    statement="`dropDuplicates` is refused by 4.1 and 4.2; 4.3 runs it.",
    engine="spark",
    feature="dropDuplicates",
    expected=STATEFUL,
    method="`dropDuplicates(event_id)` under load whose first events are sent twice: each event is emitted once.",
)
def drop_duplicates(lab: Lab) -> Observation:
    """Drop events that come twice."""
    return _deduplicate(lab, lambda events: events.dropDuplicates(["event_id"]))


@FAMILY.claim(
    id="drop-duplicates-within-watermark",
    statement="`dropDuplicatesWithinWatermark` is refused in every version.",
    engine="spark",
    feature="dropDuplicatesWithinWatermark",
    expected=everywhere(NOT_ALLOWED),
    method="The same with `dropDuplicatesWithinWatermark`: what Spark says.",
)
def drop_duplicates_within_watermark(lab: Lab) -> Observation:
    """Drop events that come twice within the watermark."""

    def build(events: DataFrame) -> DataFrame:
        return events.withWatermark("time", "10 seconds").dropDuplicatesWithinWatermark(["event_id"])

    return _deduplicate(lab, build)


def _deduplicate(lab: Lab, build: Any) -> Observation:
    """Send the first events once before the query starts, so that they come twice."""
    topics = lab.topics
    source, sink = topics.create(), topics.create()
    try:
        writer = lab.to_kafka(build(lab.events(source)), sink).outputMode("update")
    except Exception as error:  # noqa: BLE001 - a refusal may come as soon as the query is written down
        return refusal(error)
    return lab.observe(
        writer,
        source,
        sink,
        also=lambda workload: topics.generator(source, workload, rate=1000, seconds=0.02).join(10),
    )


@FAMILY.claim(
    id="stream-stream-join",
    statement="Two streams cannot be joined in any version: 4.1 joins them in append mode only, which Real-Time Mode "
    "does not know, and where update mode is allowed, the allowlist has no such join.",
    engine="spark",
    feature="stream-stream join",
    expected={"4.1": "refused _LEGACY_ERROR_TEMP_3102", "4.2": NOT_ALLOWED, "4.3": NOT_ALLOWED},
    method="An inner join of two topics by event_id with watermarks, default settings: what Spark says.",
)
def stream_stream_join(lab: Lab) -> Observation:
    """Join two topics."""
    topics = lab.topics
    source, other, sink = topics.create(), topics.create(), topics.create()
    left = lab.events(source).withWatermark("time", "10 seconds")
    right = lab.events(other).withWatermark("time", "10 seconds").select("event_id", "time")
    try:
        joined = left.join(right, ["event_id", "time"])
        writer = lab.to_kafka(joined, sink).outputMode("update")
    except Exception as error:  # noqa: BLE001 - a refusal may come as soon as the query is written down
        return refusal(error)
    return lab.observe(writer, source, sink)


@FAMILY.claim(
    id="one-result-per-event",
    statement="An aggregate that streams gives a result for each event; one that is batch-bound one per key and batch.",
    engine="spark",
    expected={"4.1": "one per key and batch", "4.2": "one per key and batch", "4.3": "one per event"},
    method="A running count over 5 keys, allowlist off, 5 s batches: how many results so many events gave.",
)
def one_result_per_event(lab: Lab) -> Observation:
    """Count by few keys, and count the results."""
    from pyspark.sql.functions import count
    from pyspark.sql.functions import max as newest

    def build(events: DataFrame) -> DataFrame:
        running = events.groupBy("key").agg(count("*").alias("count"), newest("scheduled_at_us").alias("at"))
        return running.withColumnRenamed("at", "scheduled_at_us")

    observation = lab.probe(build, unchecked=True, keys=5)
    if observation.verdict == REAL_TIME:
        return Observation(verdict="one per event", detail=observation.detail)
    if observation.verdict == "incomplete" and observation.latency:
        return Observation(verdict="one per key and batch", detail=observation.detail)
    return observation


class _Schema:
    RESULT = "key string, count bigint, scheduled_at_us bigint"


def _with_state(events: DataFrame) -> DataFrame:
    """Count each key with PySpark's transformWithState; one result for each event."""
    from pyspark.sql.streaming import StatefulProcessor
    from pyspark.sql.types import Row

    class Counter(StatefulProcessor):  # type: ignore[misc]
        """Counts the events of a key."""

        def init(self, handle: Any) -> None:
            """Make the state."""
            self._count = handle.getValueState("count", "count bigint")

        def handleInputRows(self, key: Any, rows: Any, _timers: Any) -> Iterator[Row]:  # noqa: N802 - Spark's name
            """Count a row and give the count."""
            count = self._count.get()[0] if self._count.exists() else 0
            for row in rows:
                count += 1
                yield Row(key=key[0], count=count, scheduled_at_us=row.scheduled_at_us)
            self._count.update((count,))

        def close(self) -> None:
            """Close nothing."""

    return events.groupBy("key").transformWithState(Counter(), _Schema.RESULT, "Update", "None")


@FAMILY.claim(
    id="transform-with-state-python",
    statement="PySpark's `transformWithState` cannot start in Real-Time Mode, allowlist off or not.",
    engine="spark",
    feature="transformWithState in PySpark, allowlist off",
    expected=everywhere(NO_METADATA),
    method="A counter as StatefulProcessor with RocksDB and the allowlist off: what Spark says.",
)
def transform_with_state_python(lab: Lab) -> Observation:
    """Count with custom state."""
    return lab.probe(_with_state, unchecked=True, conf={STATE_STORE: ROCKSDB})


@FAMILY.claim(
    id="transform-with-state-python-checked",
    statement="With default settings, PySpark's `transformWithState` does not start in Real-Time Mode either.",
    engine="spark",
    feature="transformWithState in PySpark",
    expected=everywhere(NO_METADATA),
    method="The same with default settings: what Spark says.",
)
def transform_with_state_python_checked(lab: Lab) -> Observation:
    """Count with custom state under the allowlist."""
    return lab.probe(_with_state, conf={STATE_STORE: ROCKSDB})


@FAMILY.claim(
    id="transform-with-state-jvm",
    statement="`transformWithState` of the JVM runs in Real-Time Mode on 4.3, called from PySpark; not before.",
    engine="spark",
    feature="transformWithState in the JVM, allowlist off",
    expected={"4.1": NO_METADATA, "4.2": NO_METADATA, "4.3": REAL_TIME},
    method="Pattern 04's processor in Java, called through Py4J, with RocksDB and the allowlist off, under load.",
)
def transform_with_state_jvm(lab: Lab) -> Observation:
    """Count with a processor in Java."""
    return lab.probe(_in_the_jvm, unchecked=True, conf={STATE_STORE: ROCKSDB})


@FAMILY.claim(
    id="transform-with-state-jvm-checked",
    statement="4.3 runs the JVM's `transformWithState` in Real-Time Mode with default settings.",
    engine="spark",
    feature="transformWithState in the JVM",
    expected={"4.1": NO_METADATA, "4.2": NO_METADATA, "4.3": REAL_TIME},
    method="The same under the allowlist.",
)
def transform_with_state_jvm_checked(lab: Lab) -> Observation:
    """Count with a processor in Java under the allowlist."""
    return lab.probe(_in_the_jvm, conf={STATE_STORE: ROCKSDB})


def _in_the_jvm(events: DataFrame) -> DataFrame:
    from pyspark.sql import DataFrame as PythonFrame

    counter = jvm_class(events.sparkSession, "io.rtmbench.pipelines.KeyedCounter", jar="keyed-counter.jar")
    return PythonFrame(counter.apply(events._jdf), events.sparkSession)  # noqa: SLF001 - the JVM's side of a DataFrame


@FAMILY.claim(
    id="transform-with-state-microbatch",
    statement="PySpark's `transformWithState` works in micro-batches, in every version.",
    engine="spark",
    feature="transformWithState in PySpark, micro-batches",
    expected=everywhere(MICRO_BATCH),
    method="The same counter with RocksDB in micro-batches that follow each other at once: all results are emitted.",
)
def transform_with_state_microbatch(lab: Lab) -> Observation:
    """Count with custom state in micro-batches."""
    return lab.probe(_with_state, interval=None, conf={STATE_STORE: ROCKSDB})


@FAMILY.claim(
    id="transform-with-state-rocksdb",
    statement="`transformWithState` needs RocksDB: Spark's default state store has no column families.",
    engine="spark",
    feature="transformWithState without RocksDB, micro-batches",
    expected={
        "4.1": "fails UNSUPPORTED_FEATURE.STATE_STORE_MULTIPLE_COLUMN_FAMILIES",
        "4.2": "fails UNSUPPORTED_FEATURE.STORE_BACKEND_NOT_SUPPORTED_FOR_TWS",
        "4.3": "fails UNSUPPORTED_FEATURE.STORE_BACKEND_NOT_SUPPORTED_FOR_TWS",
    },
    method="The same counter in micro-batches with the default state store: what Spark says.",
)
def transform_with_state_rocksdb(lab: Lab) -> Observation:
    """Count with custom state in the default store."""
    return lab.probe(_with_state, interval=None, conf={STATE_STORE: HDFS})


@FAMILY.claim(
    id="apply-in-pandas-with-state",
    statement="`applyInPandasWithState`, Python's `flatMapGroupsWithState`, is refused in every version.",
    engine="spark",
    feature="applyInPandasWithState",
    expected=everywhere(NOT_ALLOWED),
    method="A counter with `applyInPandasWithState`, default settings: what Spark says.",
)
def apply_in_pandas_with_state(lab: Lab) -> Observation:
    """Count with pandas and state."""

    def count(key: Any, frames: Any, state: Any) -> Any:
        total = state.get[0] if state.exists else 0
        for frame in frames:
            total += len(frame)
            yield type(frame)({"key": [key[0]], "count": [total], "scheduled_at_us": [frame.scheduled_at_us.max()]})
        state.update((total,))

    def build(events: DataFrame) -> DataFrame:
        grouped = events.groupBy("key")
        return grouped.applyInPandasWithState(count, _Schema.RESULT, "total bigint", "update", "NoTimeout")

    return lab.probe(build)


@FAMILY.claim(
    id="aggregate-of-microbatch",
    statement="The same aggregate works in micro-batches in every version.",
    engine="spark",
    feature="groupBy().agg(), micro-batches",
    expected=everywhere(MICRO_BATCH),
    method="The count by key in micro-batches that follow each other at once.",
)
def aggregate_of_microbatch(lab: Lab) -> Observation:
    """Count by key in micro-batches."""
    return lab.probe(counted, interval=None)


__all__ = ["FAMILY", "counted"]
