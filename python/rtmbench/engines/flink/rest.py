"""What the answers of Flink's REST API mean for a trial: slots, restarts, offsets, checkpoints."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rtmbench.results.model import Interruption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WAITING = ("CREATED", "SCHEDULED")
"""States of a task that has no slot yet."""
PLACED = ("RUNNING", "FINISHED")
"""States of a task that runs or, with a bounded input, has run."""
NEVER_S = 10 * 365 * 86_400.0
"""Flink reports a very long interval if a job has no interval."""
_OFFSET = re.compile(r"\.topic\.(?P<topic>.+)\.partition\.(?P<partition>\d+)\.currentOffsets?$")


def all_running(vertices: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether every task of a job runs; a vertex counts as running as soon as one of its tasks does."""
    return all(sum(vertex["tasks"].get(state, 0) for state in PLACED) == vertex["parallelism"] for vertex in vertices)


def waiting_tasks(vertices: Iterable[Mapping[str, Any]]) -> int:
    """Return how many tasks of a job have no slot."""
    return sum(vertex["tasks"].get(state, 0) for vertex in vertices for state in WAITING)


def needed_slots(vertices: Iterable[Mapping[str, Any]]) -> tuple[int, str]:
    """Return how many slots a job takes, and the arithmetic in words.

    Tasks of one slot sharing group share slots: a group takes as many as its widest vertex has tasks.
    """
    groups: dict[str, int] = defaultdict(int)
    for vertex in vertices:
        group = str(vertex.get("slotSharingGroupId"))
        groups[group] = max(groups[group], int(vertex["parallelism"]))
    need = sum(groups.values())
    if len(groups) == 1:
        return need, f"its parallelism is {need}"
    return need, f"{' + '.join(map(str, groups.values()))} for its {len(groups)} slot sharing groups"


def slot_shortage(vertices: Sequence[Mapping[str, Any]], slots: int) -> str:
    """Return the message about a job that needs more than the cluster's `slots`; empty where they are enough."""
    need, arithmetic = needed_slots(vertices)
    if need <= slots:
        return ""
    tasks = sum(int(vertex["parallelism"]) for vertex in vertices)
    return (
        f"Flink's job needs {need} slots ({arithmetic}), and the cluster has {slots}: {tasks} tasks of {tasks} need a "
        f"slot, and input partitions whose task has none are never read. Use --slots {need} or more, or a lower "
        "parallelism in the job."
    )


def interval_s(settings: Mapping[str, Any]) -> float | None:
    """Return the checkpoint interval in seconds from `/jobs/ID/checkpoints/config`; None if there is none."""
    interval_ms = settings.get("interval")
    if not interval_ms or interval_ms / 1000 > NEVER_S:
        return None
    return float(interval_ms) / 1000


def finished_checkpoints(statistics: Mapping[str, Any]) -> int:
    """Return how many checkpoints have completed or failed, from `/jobs/ID/checkpoints`.

    Failed ones are counted in the history: Flink's own count has those too that failed before they reached any task,
    such as while the job starts, and so stopped nothing.
    """
    failed = sum(1 for checkpoint in statistics.get("history", ()) if checkpoint["status"] == "FAILED")
    return int(statistics.get("counts", {}).get("completed", 0)) + failed


def restarts(job: Mapping[str, Any], metrics: Iterable[Mapping[str, Any]]) -> int:
    """Return how often a job was restarted, from `/jobs/ID` and its metric `numRestarts`.

    The time stamp is there at once, the metric a moment later: where only the former is, that is one restart.
    """
    counted = 0
    for metric in metrics:
        if metric.get("id") == "numRestarts":
            counted = int(float(metric.get("value", 0)))
    stamped = int(job.get("timestamps", {}).get("RESTARTING", 0)) > 0
    return max(counted, int(stamped))


def offset_metrics(names: Iterable[str], topic: str) -> dict[str, int]:
    """Return the metrics that hold a source's offsets in `topic`: name → partition."""
    expected_topic = _plain(topic)
    partitions: dict[str, int] = {}
    for name in names:
        match = _OFFSET.search(name)
        if match is not None and _plain(match["topic"]) == expected_topic:
            partitions[name] = int(match["partition"])
    return partitions


def _plain(topic: str) -> str:
    """Spell a topic as a name of a metric does, which has no room for some characters."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", topic)


def checkpoints(statistics: Mapping[str, Any], from_us: int) -> list[Interruption]:
    """Return Flink's checkpoints, from the answer of `/jobs/ID/checkpoints`: trigger to last acknowledgement."""
    interruptions = []
    for checkpoint in statistics.get("history", []):
        detail = f"{str(checkpoint['status']).lower()}, {checkpoint.get('state_size', 0):,} bytes"
        interruptions.append(
            Interruption(
                kind="savepoint" if checkpoint.get("is_savepoint") else "checkpoint",
                source="flink",
                at_ms=round(checkpoint["trigger_timestamp"] - from_us / 1e3, 1),
                duration_ms=float(checkpoint["end_to_end_duration"]),
                detail=f"{checkpoint['id']}: {detail}",
            )
        )
    return sorted(interruptions, key=lambda interruption: interruption.at_ms)


__all__ = [
    "all_running",
    "checkpoints",
    "finished_checkpoints",
    "interval_s",
    "needed_slots",
    "offset_metrics",
    "restarts",
    "slot_shortage",
    "waiting_tasks",
]
