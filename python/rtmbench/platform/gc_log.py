"""Pauses of a JVM, read from its unified log (`-Xlog:gc,safepoint` with the decorations time, uptime and tags).

Two kinds of line report a pause, and both are written at its end (JDK 17 and 21, any collector):

    [2026-11-25T15:16:05.178+0000][1.187s][gc       ] GC(0) Pause Young (Normal) (…) 26M->11M(384M) 28.832ms
    [2026-11-25T15:16:05.178+0000][1.187s][safepoint] Safepoint "G1CollectForAllocation", …, Total: 29111044 ns

The second one is what the program's threads saw, the time to bring them to a halt included; where it contains a
collector's pause, its times count and the collector's words describe it.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = "-gc.log"
"""What follows the name of a process in the name of its collector's log."""
_LINE = re.compile(
    r"\[(?P<time>\d{4}-\d\d-\d\dT[\d:.]+[+-]\d{4})\]\[[\d.,]+m?s\]\[(?P<tag>gc|safepoint)[^\]]*\] (?P<text>.*)"
)
_PAUSE = re.compile(r"(?:GC\(\d+\) )?(?P<what>Pause .*?)(?: \d+[KMG]->\d+[KMG]\(\d+[KMG]\))? (?P<ms>\d+\.\d+)ms$")
_SAFEPOINT = re.compile(r"Safepoint \"(?P<what>[^\"]+)\",.* Total: *(?P<ns>\d+) ns")
_LOGGED_MS = 2.0
"""How far the times of two lines about one pause may lie apart: they are written in whole ms, by two threads."""


@dataclass(frozen=True, kw_only=True)
class Pause:
    """The JVM stood still. `kind` is `gc_pause`, or `safepoint` where no collector was at work."""

    kind: str
    start_us: int
    """µs since the Unix epoch; the log has whole ms."""
    duration_ms: float
    detail: str

    @property
    def end_us(self) -> int:
        """The end, µs since the Unix epoch."""
        return self.start_us + round(self.duration_ms * 1_000)


def read_pauses(path: Path) -> list[Pause]:
    """Return all pauses of a log in order of time; none if the file is missing or is not a GC log."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    events = list(_lines(lines))
    collector = [event for event in events if event.kind == "gc_pause"]
    pauses = []
    for safepoint in (event for event in events if event.kind == "safepoint"):
        inside = [pause for pause in collector if _contains(safepoint, pause)]
        for pause in inside:
            collector.remove(pause)
        pauses.append(
            Pause(
                kind="gc_pause" if inside else "safepoint",
                start_us=safepoint.start_us,
                duration_ms=safepoint.duration_ms,
                detail=", ".join(pause.detail for pause in inside) or safepoint.detail,
            )
        )
    return sorted([*pauses, *collector], key=lambda pause: pause.start_us)


def _lines(lines: list[str]) -> Iterator[Pause]:
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        end_us = round(dt.datetime.strptime(match["time"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp() * 1e6)
        if match["tag"] == "gc" and (pause := _PAUSE.match(match["text"])):
            duration_ms, kind = float(pause["ms"]), "gc_pause"
        elif match["tag"] == "safepoint" and (pause := _SAFEPOINT.match(match["text"])):
            duration_ms, kind = int(pause["ns"]) / 1e6, "safepoint"
        else:
            continue
        start_us = end_us - round(duration_ms * 1_000)
        yield Pause(kind=kind, start_us=start_us, duration_ms=round(duration_ms, 3), detail=pause["what"])


def _contains(outer: Pause, inner: Pause) -> bool:
    slack_us = _LOGGED_MS * 1_000
    return outer.start_us - slack_us <= inner.start_us and inner.end_us <= outer.end_us + slack_us


__all__ = ["Pause", "read_pauses"]
