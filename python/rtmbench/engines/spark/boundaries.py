"""When Spark stopped between two batches to make its work durable."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING

from rtmbench.results.model import Interruption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LAUNCH_S = 2.0
"""How long after the end of a batch the tasks of the next one may start."""
CLOCKS_US = 20_000
"""How far Spark's own account of a batch may be behind its log."""
_BEFORE_THE_TASKS = ("latestOffset", "getBatch", "queryPlanning")
_TASK = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT[\d:.]+) .*- (?P<what>Running|Starting|Finished) task \d")


def batch_boundaries(progress: Sequence[str], log: Iterable[str], from_us: int) -> list[Interruption]:
    """Return the time from the end of each Spark batch's tasks until the tasks of the next batch ran.

    Args:
        progress: Spark's progress events, a JSON document each, one for each batch that has ended.
        log: lines of Spark's log, by which the end of a batch's tasks and the start of the next ones are known to
            1 ms; without them a boundary lasts from the end of the batch's work to its own, some 0.1 s less.
        from_us: start of the measuring phase, µs since the Unix epoch.

    """
    tasks = [match for match in map(_TASK.match, log) if match is not None]
    moments = [(_local_us(task["time"]), task["what"] != "Finished") for task in tasks]
    boundaries = []
    for line in progress:
        event = json.loads(line)
        durations: Mapping[str, int] = event.get("durationMs", {})
        if "addBatch" not in durations or "triggerExecution" not in durations:
            continue
        started_us = _iso_us(event["timestamp"])
        worked_ms = durations["addBatch"] + sum(durations.get(name, 0) for name in _BEFORE_THE_TASKS)
        ended_us = started_us + 1_000 * durations["triggerExecution"]
        stopped_us = _stopped(moments, min(started_us + 1_000 * worked_ms, ended_us))
        resumed_us = _resumed(moments, ended_us)
        boundaries.append(
            Interruption(
                kind="batch_boundary",
                source="spark",
                at_ms=round((stopped_us - from_us) / 1e3, 1),
                duration_ms=round((resumed_us - stopped_us) / 1e3, 1),
                detail=f"after batch {event['batchId']}",
            )
        )
    return boundaries


def _stopped(moments: list[tuple[int, bool]], worked_us: int) -> int:
    """Return when the first of a batch's last tasks had ended; `worked_us`, which is somewhat later, without a log."""
    stopped_us = worked_us
    for at_us, running in reversed(moments):
        if at_us > worked_us + CLOCKS_US:
            continue
        if running or at_us < worked_us - LAUNCH_S * 1e6:
            break
        stopped_us = min(stopped_us, at_us)
    return stopped_us


def _resumed(moments: list[tuple[int, bool]], ended_us: int) -> int:
    """Return when the last of the next batch's first tasks had been started; `ended_us` where the log has none."""
    resumed_us = ended_us
    for at_us, running in moments:
        if not ended_us <= at_us < ended_us + LAUNCH_S * 1e6:
            continue
        if not running:
            break
        resumed_us = at_us
    return resumed_us


def _iso_us(text: str) -> int:
    return round(dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1e6)


def _local_us(text: str) -> int:
    # The engines' logs have the machine's own time zone, as this process has.
    return round(dt.datetime.fromisoformat(text).timestamp() * 1e6)


__all__ = ["batch_boundaries"]
