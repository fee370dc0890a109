"""Where a run's broker and engines are: on this machine, or on what the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.platform.base import FlinkAddress
from rtmbench.platform.existing import ExistingPlatform
from rtmbench.platform.local import LocalPlatform
from rtmbench.platform.spark_address import SparkAddress, read_properties

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.artifacts import Cache
    from rtmbench.experiment.settings import Settings
    from rtmbench.platform.base import Platform
    from rtmbench.platform.cpus import CpuSets
    from rtmbench.platform.java import Java


def open_platform(
    settings: Settings, *, java: Java, cache: Cache, logs: Path, cpu_sets: CpuSets | None = None
) -> Platform:
    """Return the platform of a run with these settings; the caller closes it.

    Raises ConfigurationError where a file that they name cannot be used.
    """
    connection, heap_mb = settings.connection(), settings.kafka_heap_mb
    if connection is None:
        return LocalPlatform(java=java, cache=cache, logs=logs, kafka_heap_mb=heap_mb, cpu_sets=cpu_sets)
    engines = {spec.engine for spec in settings.specs}
    flink = spark = None
    if settings.flink_url is not None and "flink" in engines:
        flink = FlinkAddress(url=settings.flink_url, bootstrap_servers=settings.flink_bootstrap_servers)
    if settings.spark_master is not None and "spark" in engines:
        conf = settings.spark_remote_conf
        spark = SparkAddress(
            master=settings.spark_master,
            executors=settings.spark_executors,
            properties={} if conf is None else read_properties(conf),
        )
    return ExistingPlatform(
        connection=connection, flink=flink, spark=spark, java=java, cache=cache, logs=logs, cpu_sets=cpu_sets
    )


__all__ = ["open_platform"]
