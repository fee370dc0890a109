"""What a query gets: the settings of its session, and the variables that a pipeline reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.engines import storage
from rtmbench.engines.spark.master import BOUNDED, ROCKSDB, STORE

if TYPE_CHECKING:
    from rtmbench.engines.base import TrialIo, Variant

CHANGELOG = "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled"
PLAIN_LOCAL_FILES = {
    "spark.hadoop.fs.file.impl": "io.rtmbench.spark.PlainLocalFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "io.rtmbench.spark.PlainLocalFs",
}
BUFFER_WAIT = "spark.shuffle.streaming.networkBufferMaxWaitTimeMs"


def shuffle_partitions(io: TrialIo) -> int:
    """Return the partitions of a shuffle: as many as the input's, unless the run has another number."""
    return io.settings.shuffle_partitions or io.partitions


def settings(variant: Variant, io: TrialIo, *, custom: bool) -> dict[str, str]:
    """Return Spark's settings for a variant; a `custom` query sets its own, but for what the trial needs."""
    values = {
        "spark.sql.shuffle.partitions": str(shuffle_partitions(io)),
        "spark.sql.execution.sortBeforeRepartition": "false",
        STORE: ROCKSDB,
        # As Flink's managed memory bounds it there.
        BOUNDED: "true",
    }
    if custom:
        # For a query that names no directory: a checkpoint must not outlive its trial.
        values["spark.sql.streaming.checkpointLocation"] = io.checkpoint_dir
    else:
        # Real-Time Mode with state switches it on by itself; micro-batches would upload RocksDB's files each time.
        values[CHANGELOG] = "true"
    if io.settings.local_files != "hadoop":
        values.update(PLAIN_LOCAL_FILES)
    if io.slow_storage:
        values.update(storage.SPARK_CLASSES)
    if variant.unchecked:
        values["spark.sql.streaming.realTimeMode.allowlistCheck"] = "false"
    if variant.streams_shuffle:
        values[BUFFER_WAIT] = str(io.settings.buffer_wait_ms)
    return values


def variables(io: TrialIo, *, mode: str) -> dict[str, str]:
    """Return the variables that a pipeline reads (`rtmbench.spark.Io`); a custom query has no `mode`."""
    values = {
        **io.variables(),
        "RTMBENCH_CHECKPOINT_DIR": io.checkpoint_dir,
        "RTMBENCH_WATERMARK_DELAY": f"{io.watermark_delay_ms} milliseconds",
    }
    if mode:
        values["RTMBENCH_MODE"] = mode
    if io.window_ms is not None:
        values["RTMBENCH_WINDOW"] = f"{io.window_ms} milliseconds"
    if io.slide_ms is not None:
        values["RTMBENCH_SLIDE"] = f"{io.slide_ms} milliseconds"
    return values


__all__ = ["BUFFER_WAIT", "CHANGELOG", "PLAIN_LOCAL_FILES", "settings", "shuffle_partitions", "variables"]
