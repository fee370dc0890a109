"""The executors of a Spark that does not run in one process: how many slots they have, and on which hosts they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from rtmbench.json_object import JsonObject

LATECOMERS_S = 5
"""How much longer executors may take to register than the driver waited for them when it started."""
POLL_S = 0.2


def is_local(spark: SparkSession) -> bool:
    """Whether all tasks are threads of the driver."""
    context: Any = spark.sparkContext
    return str(context.master).startswith("local")


def slots(spark: SparkSession) -> int:
    """Return how many tasks run at once. On a cluster: when all requested cores are there, or will not come.

    Without a limit (`spark.cores.max`) nobody knows how many will come, so those count that are there.
    """
    context: Any = spark.sparkContext
    if is_local(spark):
        return int(context.defaultParallelism)
    wanted = int(context.getConf().get("spark.cores.max", "1") or 1)
    deadline = time.monotonic() + LATECOMERS_S
    while (registered := _registered(context)) < wanted and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return registered


def facts(spark: SparkSession) -> JsonObject:
    """Return the host of each executor; nothing where there are none besides the driver."""
    return {} if is_local(spark) else {"executors": _hosts(spark.sparkContext)}


def _registered(context: Any) -> int:
    # Before the first executor is there, Spark reports a parallelism of 2.
    return int(context.defaultParallelism) if context._jsc.sc().getExecutorIds().size() else 0  # noqa: SLF001 - see below


def _hosts(context: Any) -> list[str]:
    jvm_context = context._jsc.sc()  # noqa: SLF001 - PySpark does not show the executors
    hosts = [str(info.host()) for info in jvm_context.statusTracker().getExecutorInfos()]
    if len(hosts) > jvm_context.getExecutorIds().size():
        # The driver is among them.
        hosts.remove(str(context.getConf().get("spark.driver.host")))
    return sorted(hosts)


def remove(spark: SparkSession, uri: str) -> None:
    """Remove a directory, wherever Spark can write."""
    context: Any = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(uri)  # noqa: SLF001 - PySpark has no access to file systems
    path.getFileSystem(context._jsc.hadoopConfiguration()).delete(path, True)  # noqa: SLF001


__all__ = ["LATECOMERS_S", "facts", "is_local", "remove", "slots"]
