"""What the files that a Spark process leaves mean for a trial: its trigger, slots, progress, failed tasks."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

REAL_TIME = "RealTimeTrigger"
_MILLISECONDS = re.compile(r"\((\d+)\)")
_LOST = re.compile(r"\bLost task \d")
_ENDED = '"addBatch"'


def interval_ms(trigger: str) -> int | None:
    """Return the interval that a trigger names, such as 5000 for `RealTimeTrigger(5000)`; None where it names none."""
    match = _MILLISECONDS.search(trigger)
    return int(match[1]) if match else None


def interval_s(trigger: str) -> float | None:
    """Return the trigger's interval in seconds; None without one, and for 0: batches that follow each other at once."""
    milliseconds = interval_ms(trigger)
    return milliseconds / 1000 if milliseconds else None


def lost_tasks(log: Iterable[str]) -> int:
    """Count the tasks that failed, by Spark's log; those that were killed because their stage ended do not count."""
    return sum(1 for line in log if _LOST.search(line) and "TaskKilled" not in line)


def consumed(progress: Sequence[Mapping[str, Any]], topic: str) -> dict[int, int] | None:
    """Return the next offset of each partition of `topic` after the last batch that ended.

    None where no batch has ended yet, or no source reads the topic. Where several sources do, a partition counts as far
    as the furthest of them.
    """
    offsets: dict[int, int] = {}
    for source in progress[-1].get("sources", ()) if progress else ():
        ends = source.get("endOffset")
        # Spark writes it as an object, or as the text of one.
        ends = json.loads(ends) if isinstance(ends, str) and ends.startswith("{") else ends
        if not isinstance(ends, dict):
            continue
        for partition, offset in ends.get(topic, {}).items():
            offsets[int(partition)] = max(int(offset), offsets.get(int(partition), 0))
    return offsets or None


def slot_shortage(facts: Mapping[str, Any], *, file: str, configured_master: str) -> str:
    """Return the message about a query in Real-Time Mode with fewer slots than tasks; empty where they are enough.

    All tasks of a real-time batch hold a slot until the batch ends. Those without one are not started, their partitions
    are not read, and Spark reports nothing.

    Args:
        facts: what the running query has: `trigger`, `slots`, `tasks`, `settings`.
        file: the name of the script.
        configured_master: the master that rtmbench has configured, which a script may override.

    """
    tasks = facts.get("tasks") or {}
    sources, shuffles = list(tasks.get("sources", ())), list(tasks.get("shuffles", ()))
    slots, need = int(facts["slots"]), sum(sources) + sum(shuffles)
    if not str(facts["trigger"]).startswith(REAL_TIME) or not sources or slots >= need:
        return ""
    parts = [f"{' + '.join(map(str, sources))} input partitions"]
    if shuffles:
        parts.append(f"{' + '.join(map(str, shuffles))} shuffle partitions")
    master = str(facts.get("settings", {}).get("spark.master", ""))
    if master and master != configured_master:
        cause = f"The script sets the master {master}, which overrides rtmbench's {configured_master}"
        way_out = f"Remove .master(…) from the script, or give it {need} slots or more"
    else:
        cause = f"rtmbench set the master {configured_master}"
        way_out = f"Use --slots {need} or more, or fewer --partitions"
    return (
        f"{file} runs with {slots} slots and needs {need} at once in Real-Time Mode: {' + '.join(parts)} = {need}. The "
        f"partitions without a slot would never be read. {cause}. {way_out}."
    )


class ProgressCount:
    """Counts the batches that have ended, by Spark's progress file; each call reads only what is new."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._batches = 0

    def value(self) -> int:
        """Return how many batches have ended; an event without a batch (nothing to read) does not count."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
        except FileNotFoundError:
            return 0
        # A line that is still being written is read with the next call.
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        self._batches += sum(_ENDED.encode() in line for line in whole.splitlines())
        return self._batches


__all__ = [
    "ProgressCount",
    "consumed",
    "interval_ms",
    "interval_s",
    "lost_tasks",
    "slot_shortage",
]
