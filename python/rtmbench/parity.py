"""The effective settings of the engines side by side: what is equal, what differs, and what a difference means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtmbench.kafka import clients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtmbench.experiment.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row: the key in an engine's facts, what people call it, and what to know where the engines differ."""

    key: str
    label: str
    note: str = ""


SETTINGS = (
    Setting(key="version", label="engine build", note="each engine has its build"),
    Setting(key="java", label="Java"),
    Setting(key="slots", label="slots", note="task slots in Flink, threads in Spark"),
    Setting(key="parallelism", label="parallelism of the source"),
    Setting(
        key="keyed_parallelism",
        label="parallelism of the keyed stage",
        note="in Spark the shuffle partitions: a setting separate from the input's partitions",
    ),
    Setting(
        key="emission",
        label="emission",
        note="unlike emission: `batch` writes one result for a key and batch, `update` one for each event",
    ),
    Setting(key="window_ms", label="window (ms)"),
    Setting(key="slide_ms", label="slide (ms)"),
    Setting(
        key="watermark_delay_ms",
        label="watermark delay (ms)",
    ),
    Setting(
        key="watermark_interval_ms",
        label="watermark interval (ms)",
        note="Flink's alone, set low: a window closes up to this long after its watermark",
    ),
    Setting(
        key="idleness_ms",
        label="idleness of a partition (ms)",
        note="Flink's watermark is the least over all partitions; Spark's is global and has no idle partitions",
    ),
    Setting(key="memory_mb", label="memory, all processes (MiB)"),
    Setting(
        key="heap_mb",
        label="Java heap, all processes (MiB)",
        note="part of the same total: Flink has a separate JobManager; Spark's driver does that work in its one heap",
    ),
    Setting(
        key="data_plane_heap_mb",
        label="data-plane heap (MiB)",
        note="the heap that the records go through, Flink's TaskManager and Spark's driver: equal from 1,888 MiB of "
        "memory on; below, Spark needs more, and the smaller heap collects garbage more often",
    ),
    Setting(
        key="state_memory_mb",
        label="memory for RocksDB (MiB)",
        note="bounded on both sides; not used where the pattern has no state, and by Flink's hashmap backend",
    ),
    Setting(key="collector", label="garbage collector"),
    Setting(key="priority", label="priority"),
    Setting(
        key="checkpoint_interval_ms",
        label="checkpoint interval (ms)",
        note="in Spark the duration of a batch: it commits and starts the next one",
    ),
    Setting(key="checkpoint_mode", label="guarantee for state"),
    Setting(key="checkpoint_storage", label="checkpoint storage"),
    Setting(
        key="local_files",
        label="local files of the checkpoint",
        note="Hadoop without its native library starts a process for each file that Spark writes; Flink never does. "
        "plain: rtmbench's file system class, instead of the one of pip install pyspark",
    ),
    Setting(
        key="state_backend",
        label="state backend",
        note="not used where the pattern has no state; Spark has RocksDB alone",
    ),
    Setting(
        key="state_changelog",
        label="changelog of the state",
        note="in Spark a batch commits its changes and not RocksDB's files; Flink's incremental checkpoints upload new "
        "files only",
    ),
    Setting(key="sink_guarantee", label="guarantee of the sink"),
    Setting(
        key="buffer_wait_ms",
        label="longest wait in a network buffer (ms)",
        note="where a Spark query has one stage, or a stage waits for the batch's end, no record waits in a buffer",
    ),
    Setting(
        key="allowlist_check",
        label="operators checked for Real-Time Mode",
        note="off only in rtm-unchecked, where Spark would refuse the query; Flink has no such check",
    ),
    Setting(key="sort_before_repartition", label="sort before repartition", note="Spark's alone; Flink never sorts"),
    Setting(
        key="object_reuse",
        label="object reuse",
        note="Spark reuses its rows anyway; a custom job has Flink's default, which is off, unless it sets another",
    ),
    Setting(key="restarts", label="restarts after a failure", note="neither engine may restart within a trial"),
    Setting(key="trigger", label="trigger", note="Flink has none: records flow as they come"),
    Setting(
        key="kafka-clients",
        label="Kafka client",
        note="each engine's connector is built for one; the settings below are explicit on both sides",
    ),
    *(
        Setting(key=key, label=key.replace(".", " ", 1))
        for key in (
            "source.fetch.min.bytes",
            "source.fetch.max.wait.ms",
            "sink.acks",
            "sink.enable.idempotence",
            "sink.linger.ms",
            "sink.batch.size",
            "sink.compression.type",
            "sink.max.in.flight.requests.per.connection",
        )
    ),
)


def load_rows(settings: Settings) -> dict[str, Any]:
    """Return the load of a run, by label: the same for every engine."""
    fixed = clients.generator_settings()
    found: dict[str, Any] = {
        "arrivals": settings.arrivals,
        "keys": "uniform" if settings.zipf is None else f"zipf {settings.zipf:g}",
        "events out of order": settings.out_of_order,
        "late events": settings.late,
        "precision": fixed.pop("precision"),
        "linger.ms": settings.linger_ms,
        **fixed,
    }
    return {f"load generator: {label}": value for label, value in found.items() if value is not None}


def parity(facts: Mapping[str, Mapping[str, Any]], common: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Put the settings of several engines side by side.

    `facts` is what each engine reported (`Engine.facts()`), by the name of its column; engines without
    settings get no column. `common` are rows in which all engines are the same. Returns one dictionary for each setting
    that some engine has: `setting`, one value by engine name (None where it has none), `same`, and `note` (empty where
    no difference has to be explained).
    """
    columns = {name: dict(found.get("settings", {})) for name, found in facts.items()}
    columns = {name: values for name, values in columns.items() if values}
    rows = []
    for setting in (*SETTINGS, *_unknown(columns)):
        values = {name: known.get(setting.key) for name, known in columns.items()}
        present = [value for value in values.values() if value is not None]
        if not present:
            continue
        same = len(present) == len(values) and len({_plain(value) for value in present}) == 1
        rows.append(
            {
                "setting": setting.label,
                **values,
                "same": same,
                "note": "" if same else setting.note,
            }
        )
    if columns:
        rows += [
            {"setting": label, **dict.fromkeys(columns, value), "same": True, "note": ""}
            for label, value in (common or {}).items()
        ]
    return rows


def _unknown(columns: Mapping[str, Mapping[str, Any]]) -> list[Setting]:
    """Return rows for settings that this file does not know: better shown without a note than lost."""
    known = {setting.key for setting in SETTINGS}
    keys = dict.fromkeys(key for values in columns.values() for key in values)
    return [Setting(key=key, label=key) for key in keys if key not in known]


def _plain(value: Any) -> str:
    """Spell equal values in the same way: of the values read back, some are numbers and some are text."""
    return str(value).lower()


__all__ = ["SETTINGS", "Setting", "load_rows", "parity"]
