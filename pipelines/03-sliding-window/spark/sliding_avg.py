"""Pattern 03 on Spark: the average of the last five minutes for each key, every minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.spark import Io, main, parse_events

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import DataStreamWriter


def build(spark: SparkSession, io: Io) -> DataStreamWriter:
    """Describe the query; `build(spark, io).start()` runs it."""
    from pyspark.sql import functions as f  # noqa: PLC0415

    events = parse_events(io.read(spark)).withColumn("event_time", f.timestamp_millis("produced_at"))
    averages = (
        events.withWatermark("event_time", io.watermark_delay)
        .groupBy("key", f.window("event_time", io.window or "5 minutes", io.slide or "1 minute"))
        .agg(
            f.count("*").alias("count"),
            f.sum("value").alias("sum"),
            # That of the newest event, which need not be the greatest where events arrive out of order.
            f.max_by("produced_at", "scheduled_at_us").alias("produced_at"),
            f.max("scheduled_at_us").alias("scheduled_at_us"),
        )
    )
    result = f.struct(
        "key",
        f.unix_millis("window.start").alias("window_start"),
        f.unix_millis("window.end").alias("window_end"),
        # The sum is a whole number, so that the order of events leaves no trace in the average.
        (f.col("sum") / f.col("count")).alias("avg"),
        "count",
        "produced_at",
        "scheduled_at_us",
    )
    return io.trigger(io.write(averages.select("key", f.to_json(result).alias("value"))))


if __name__ == "__main__":
    main(build)
