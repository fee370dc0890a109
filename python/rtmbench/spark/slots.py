"""Whether Spark has enough slots for a query in Real-Time Mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtmbench.errors import PreflightError
from rtmbench.kafka.clients import SOURCE
from rtmbench.spark import cluster

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import DataStreamWriter

    from rtmbench.spark.io import Io

ANSWER_S = 20


FIRST_STREAMING_SHUFFLE = (4, 3)
"""The first Spark whose shuffle streams in Real-Time Mode; before, a stage waits until the one ahead has ended."""

SHUFFLING = frozenset({"Aggregate", "Deduplicate", "Distinct", "TransformWithState", "TransformWithStateInPySpark"})
"""The operators of a logical plan that bring equal keys together: each takes one shuffle."""


def check(spark: SparkSession, io: Io, writer: DataStreamWriter) -> None:
    """Refuse a start that would starve: a real-time task holds its slot for the whole batch.

    There is one task for each input partition and, where a shuffle streams, one for each of its partitions at the same
    time. Without a shuffle Spark starts with fewer slots silently and never reads some partitions; with one
    that streams it counts as is done here and ends the query with CONCURRENT_SCHEDULER_INSUFFICIENT_SLOT, unless
    `spark.scheduler.pipelinedGroup.slotCheck.enabled` is off.

    Raises `PreflightError` where slots are fewer than that, or the topic cannot be found.
    """
    partitions = _partitions(spark, io)
    shuffles = _shuffles(writer) if _version(spark) >= FIRST_STREAMING_SHUFFLE else 0
    slots = cluster.slots(spark)
    if not shuffles:
        if slots < partitions:
            raise PreflightError(
                f"Topic {io.input_topic} has {partitions} partitions, but Spark has {slots} slots, and in Real-Time"
                f" Mode each partition needs a slot; Spark would never read the others. {_more(spark, partitions)},"
                f" or use a topic of at most {slots} partitions."
            )
        return
    shuffled = int(str(spark.conf.get("spark.sql.shuffle.partitions")))
    needed = partitions + shuffles * shuffled
    if slots < needed:
        times = f"{shuffles} × " if shuffles > 1 else ""
        raise PreflightError(
            f"In Real-Time Mode this query needs {needed} slots at once, and Spark has {slots}: {partitions} partitions"
            f" of topic {io.input_topic} + {times}{shuffled} shuffle partitions = {needed}. {_more(spark, needed)},"
            " or lower spark.sql.shuffle.partitions."
        )


def _more(spark: SparkSession, slots: int) -> str:
    """Return how to get so many slots."""
    if cluster.is_local(spark):
        return f"Start with --master 'local[{slots}]'"
    configuration = spark.sparkContext.getConf()
    cores, memory = (configuration.get(f"spark.executor.{name}") for name in ("cores", "memory"))
    size = f", for executors of {cores} cores and {memory} of memory each" if cores and memory else ""
    return f"Free {slots} cores of the cluster{size}"


def _version(spark: SparkSession) -> tuple[int, ...]:
    return tuple(int(part) for part in spark.version.split(".")[:2])


def _shuffles(writer: DataStreamWriter) -> int:
    """Count the operators of a query that need a shuffle."""
    count = 0
    plans = [writer._df._jdf.queryExecution().analyzed()]  # noqa: SLF001 - PySpark shows a plan as text only
    while plans:
        plan = plans.pop()
        count += plan.nodeName() in SHUFFLING
        children = plan.children()
        plans += [children.apply(index) for index in range(children.size())]
    return count


def _partitions(spark: SparkSession, io: Io) -> int:
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - the Kafka client of the connector is the one with the right settings
    properties = jvm.java.util.Properties()
    for name, value in {**io.source_properties, "bootstrap.servers": io.bootstrap_servers}.items():
        if name not in SOURCE:
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
            " query starts, and check the address (KAFKA_BOOTSTRAP_SERVERS, RTMBENCH_INPUT_TOPIC)."
        ) from error
    finally:
        admin.close()
