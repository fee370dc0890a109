"""Pattern 04 on Spark: a running count and sum for each key, three times over.

In the JVM (mode `rtm`): transformWithState by its JVM API, with the processor in KeyedCounter.java.
    One result for each event. Real-time from Spark 4.3 on.
In Python (`microbatch`): transformWithState as PySpark has it, in micro-batches: one result for
    each event, emitted when its batch is done. `rtm-unchecked` tries the same in Real-Time Mode.
By aggregate (`rtm-aggregate`): RTM's own running count. Spark keeps the state, and the code says
    what to count but not how; it can neither set a timer nor emit anything but the totals.
    Real-time from Spark 4.3 on; where it waits for its batch, one result a key and batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtmbench.spark import Io, jvm_class, main, parse_events, require_stateful_python

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter

TOTALS = "count bigint, sum bigint, produced_at bigint, scheduled_at_us bigint"
RESULT = f"key string, {TOTALS}"


def build(spark: SparkSession, io: Io) -> DataStreamWriter:
    """Describe the query; `build(spark, io).start()` runs it."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    variants = {"rtm": in_the_jvm, "microbatch": in_python, "rtm-unchecked": in_python, "rtm-aggregate": by_aggregate}
    counts = io.variant(variants)(parse_events(io.read(spark)))
    result = f.struct("key", "count", "sum", "produced_at", "scheduled_at_us")
    return io.trigger(io.write(counts.select("key", f.to_json(result).alias("value"))))


def in_the_jvm(events: DataFrame) -> DataFrame:
    """Count with transformWithState by its JVM API, which a DataFrame enters and leaves as it is."""
    from pyspark.sql import DataFrame  # noqa: PLC0415

    spark = events.sparkSession
    counter = jvm_class(spark, "io.rtmbench.pipelines.KeyedCounter", jar="keyed-counter.jar")
    return DataFrame(counter.apply(events._jdf), spark)  # noqa: SLF001 - the JVM's side of a DataFrame


def in_python(events: DataFrame) -> DataFrame:
    """Count with PySpark's transformWithState."""
    require_stateful_python()
    from pyspark.sql import Row  # noqa: PLC0415
    from pyspark.sql.streaming import StatefulProcessor  # noqa: PLC0415

    class Counter(StatefulProcessor):
        def init(self, handle: Any) -> None:
            self.state = handle.getValueState("totals", TOTALS)

        def handleInputRows(self, key: tuple[str], rows: Iterator[Row], timerValues: Any) -> Iterator[Row]:  # noqa: ARG002, N802, N803
            count, total, produced_at, scheduled_at_us = self.state.get() or (0, 0, 0, 0)
            for row in rows:
                count += 1
                total += row.value
                if row.scheduled_at_us >= scheduled_at_us:
                    produced_at, scheduled_at_us = row.produced_at, row.scheduled_at_us
                yield Row(key=key[0], count=count, sum=total, produced_at=produced_at, scheduled_at_us=scheduled_at_us)
            self.state.update((count, total, produced_at, scheduled_at_us))

        def close(self) -> None:
            pass

    counted = events.select("key", "value", "produced_at", "scheduled_at_us").groupBy("key")
    return counted.transformWithState(Counter(), RESULT, "Update", "None")


def by_aggregate(events: DataFrame) -> DataFrame:
    """Count with a streaming aggregate."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    return events.groupBy("key").agg(
        f.count("*").alias("count"),
        f.sum("value").alias("sum"),
        f.max_by("produced_at", "scheduled_at_us").alias("produced_at"),
        f.max("scheduled_at_us").alias("scheduled_at_us"),
    )


if __name__ == "__main__":
    main(build)
