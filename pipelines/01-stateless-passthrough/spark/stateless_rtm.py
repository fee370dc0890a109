"""Pattern 01 on Spark: Kafka to filter to Kafka. Keeps clicks and purchases, fields unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.spark import Io, main, parse_events

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import DataStreamWriter

KEPT = ("click", "purchase")


def build(spark: SparkSession, io: Io) -> DataStreamWriter:
    """Describe the query; `build(spark, io).start()` runs it."""
    from pyspark.sql.functions import col, struct, to_json  # noqa: PLC0415

    events = parse_events(io.read(spark))
    kept = events.where(col("event_type").isin(*KEPT))
    results = kept.select("key", to_json(struct("*")).alias("value"))
    return io.trigger(io.write(results))


if __name__ == "__main__":
    main(build)
