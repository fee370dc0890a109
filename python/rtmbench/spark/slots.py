"""Whether Spark has enough slots for a query in Real-Time Mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtmbench.errors import PreflightError
from rtmbench.spark.io import SOURCE_DEFAULTS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from rtmbench.spark.io import Io

ANSWER_S = 20


def check(spark: SparkSession, io: Io) -> None:
    """Refuse a start that would starve: a real-time task holds its slot for the whole batch, one per input partition.

    Spark itself starts such a query without a word, and the partitions without a slot never come out.

    Raises `PreflightError` where slots are fewer than the input topic's partitions, or the topic cannot be found.
    """
    partitions = _partitions(spark, io)
    slots = spark.sparkContext.defaultParallelism
    if slots < partitions:
        raise PreflightError(
            f"Topic {io.input_topic} has {partitions} partitions, but Spark has {slots} slots, and in Real-Time Mode"
            " each partition needs one of its own; the others would never be read. Start with"
            f" --master 'local[{partitions}]' or more cores on the cluster, or use a topic of at most {slots}"
            " partitions."
        )


def _partitions(spark: SparkSession, io: Io) -> int:
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - the Kafka client beside the connector is the one with the right settings
    properties = jvm.java.util.Properties()
    for name, value in {**io.source_properties, "bootstrap.servers": io.bootstrap_servers}.items():
        if name not in SOURCE_DEFAULTS:
            properties.put(name, value)
    try:
        admin = jvm.org.apache.kafka.clients.admin.Admin.create(properties)
    except TypeError as error:
        raise PreflightError(
            "Spark has no Kafka connector on its class path. Give it one: --packages"
            f" org.apache.spark:spark-sql-kafka-0-10_2.13:{spark.version}, or run the pipeline through `rtmbench run`."
        ) from error
    topics = jvm.java.util.List.of(io.input_topic)
    try:
        described = admin.describeTopics(topics).allTopicNames()
        described = described.get(ANSWER_S, jvm.java.util.concurrent.TimeUnit.SECONDS)
        return int(described.get(io.input_topic).partitions().size())
    except Exception as error:
        cause = getattr(error, "java_exception", None)
        reason = str(cause.getCause() or cause.toString()) if cause is not None else str(error)
        raise PreflightError(
            f"Topic {io.input_topic} cannot be read from {io.bootstrap_servers}: {reason} Create the topic before the"
            " query starts, and see that the address is right (KAFKA_BOOTSTRAP_SERVERS, RTMBENCH_INPUT_TOPIC)."
        ) from error
    finally:
        admin.close()
