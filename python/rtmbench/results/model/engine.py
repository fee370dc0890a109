"""What a running engine reports about itself: its effective settings, read back, and its own details."""

# msgspec resolves the annotations at run time.
# ruff: noqa: TC001

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rtmbench.json_object import JsonObject
from rtmbench.results._document import OMIT
from rtmbench.results.model.values import Scalar


def _row(label: str, note: str = "") -> Any:
    """Declare a setting: `label` is its name for people, `note` is what to know where the engines differ."""
    return field(default=None, metadata={**OMIT, "label": label, "note": note})


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """The effective settings of one engine, in the order of the parity table.

    A setting that the engine does not have, or does not report, is `None`.
    """

    version: str | None = _row("engine build", "each engine has its build")
    java: str | None = _row("Java")
    slots: int | None = _row("slots", "task slots in Flink, threads in Spark")
    parallelism: int | None = _row("parallelism of the source")
    keyed_parallelism: int | None = _row(
        "parallelism of the keyed stage",
        "in Spark the shuffle partitions: a setting separate from the input's partitions",
    )
    emission: str | None = _row(
        "emission",
        "unlike emission: `batch` writes one result for a key and batch, `update` one for each event",
    )
    window_ms: int | None = _row("window (ms)")
    slide_ms: int | None = _row("slide (ms)")
    watermark_delay_ms: int | None = _row("watermark delay (ms)")
    watermark_interval_ms: int | None = _row(
        "watermark interval (ms)",
        "Flink's alone, set low: a window closes up to this long after its watermark",
    )
    idleness_ms: int | None = _row(
        "idleness of a partition (ms)",
        "Flink's watermark is the least over all partitions; Spark's is global and has no idle partitions",
    )
    memory_mb: int | None = _row("memory, all processes (MiB)")
    heap_mb: int | None = _row(
        "Java heap, all processes (MiB)",
        "part of the same total: Flink has a separate JobManager; Spark's driver does that work in its one heap",
    )
    data_plane_heap_mb: int | None = _row(
        "data-plane heap (MiB)",
        "the heap that the records go through, Flink's TaskManager and Spark's driver: equal from 1,888 MiB of "
        "memory on; below, Spark needs more, and the smaller heap collects garbage more often",
    )
    state_memory_mb: int | str | None = _row(
        "memory for RocksDB (MiB)",
        "bounded on both sides; not used where the pattern has no state, and by Flink's hashmap backend",
    )
    """`unbounded` where no limit is set."""
    collector: str | None = _row("garbage collector")
    priority: str | None = _row("priority")
    checkpoint_interval_ms: int | None = _row(
        "checkpoint interval (ms)",
        "in Spark the duration of a batch: it commits and starts the next one",
    )
    checkpoint_mode: str | None = _row("guarantee for state")
    checkpoint_storage: str | None = _row("checkpoint storage")
    local_files: str | None = _row(
        "local files of the checkpoint",
        "Hadoop without its native library starts a process for each file that Spark writes; Flink never does. "
        "plain: rtmbench's file system class, instead of the one of pip install pyspark",
    )
    state_backend: str | None = _row(
        "state backend",
        "not used where the pattern has no state; Spark has RocksDB alone",
    )
    state_changelog: str | None = _row(
        "changelog of the state",
        "in Spark a batch commits its changes and not RocksDB's files; Flink's incremental checkpoints upload new "
        "files only",
    )
    sink_guarantee: str | None = _row("guarantee of the sink")
    buffer_wait_ms: int | None = _row(
        "longest wait in a network buffer (ms)",
        "where a Spark query has one stage, or a stage waits for the batch's end, no record waits in a buffer",
    )
    allowlist_check: str | None = _row(
        "operators checked for Real-Time Mode",
        "off only in rtm-unchecked, where Spark would refuse the query; Flink has no such check",
    )
    sort_before_repartition: str | None = _row("sort before repartition", "Spark's alone; Flink never sorts")
    object_reuse: bool | None = _row(
        "object reuse",
        "Spark reuses its rows anyway; a custom job has Flink's default, which is off, unless it sets another",
    )
    restarts: str | None = _row("restarts after a failure", "neither engine may restart within a trial")
    trigger: str | None = _row("trigger", "Flink has none: records flow as they come")
    kafka_clients: dict[str, str] = field(default_factory=dict[str, str])
    """What the engine's Kafka clients logged: `kafka-clients` is their version, `source.NAME` and `sink.NAME` are
    settings in the names of Kafka's Java client."""
    others: dict[str, Scalar] = field(default_factory=dict[str, Scalar])
    """Settings that only this engine has, by name."""


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """What a running engine reports about itself."""

    settings: EngineSettings = field(default_factory=EngineSettings)
    real_time: bool | None = field(default=None, metadata=OMIT)
    """Whether records stream through every stage; `None` where the engine has no other way."""
    remark: str = ""
    """What a reader of the figures must know about this engine as it ran."""
    details: JsonObject | None = field(default=None, metadata=OMIT)
    """The engine's own answers, as it gave them: their fields differ by engine and version."""
