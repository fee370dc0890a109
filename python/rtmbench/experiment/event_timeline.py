"""The records of a trial that show the origin of its latency: its seconds, its stalls, the pauses of the JVMs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.platform import gc_log
from rtmbench.results.model import Interruption, Timeline

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench import _core

KAFKA_LOG = f"kafka{gc_log.SUFFIX}"


def timeline(verdict: _core.Verdict, from_us: int) -> Timeline | None:
    """Return the seconds of the measuring phase, which began at `from_us`; `None` if there are none."""
    seconds = verdict.seconds
    if not len(seconds["count"]):
        return None
    return Timeline(
        from_us=from_us,
        count=seconds["count"].tolist(),
        p50_us=seconds["p50_us"].tolist(),
        p99_us=seconds["p99_us"].tolist(),
        max_us=seconds["max_us"].tolist(),
        backlog=seconds["backlog"].tolist(),
    )


def stalls(verdict: _core.Verdict) -> list[Interruption]:
    """Return the times in which the engine emitted nothing although input was waiting."""
    table = verdict.stalls
    return [
        Interruption(kind="stall", source="output", at_ms=round(at / 1e3, 1), duration_ms=round(length / 1e3, 1))
        for at, length in zip(table["from_us"].tolist(), table["length_us"].tolist(), strict=True)
    ]


def pauses(logs: Path, kafka_logs: Path | None, from_us: int) -> list[Interruption]:
    """Return the pauses of all JVMs that logged to `logs` and of rtmbench's broker, timed from `from_us` (µs)."""
    files = sorted(logs.glob(f"*{gc_log.SUFFIX}"))
    if kafka_logs is not None:
        files.append(kafka_logs / KAFKA_LOG)
    return [
        Interruption(
            kind=pause.kind,
            source=file.name.removesuffix(gc_log.SUFFIX),
            at_ms=round((pause.start_us - from_us) / 1e3, 1),
            duration_ms=round(pause.duration_ms, 1),
            detail=pause.detail,
        )
        for file in files
        for pause in gc_log.read_pauses(file)
    ]


__all__ = ["pauses", "stalls", "timeline"]
