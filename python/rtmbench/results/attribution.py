"""What the tail of a trial coincides with: batch boundaries, checkpoints, pauses of the JVMs.

A sample is a stretch of time, from the moment an event was due to the receipt of its result. It coincides with a kind
of interruption if half of that time or more lies within interruptions of the kind, or within the `RECOVERY_MS` after
one, while what had piled up was being worked off. (To overlap would not do: a wait of two seconds overlaps whatever
happens every second.) That is not yet a cause: next to each share is the share of the time that the interruptions of
the kind take, and chance alone would give no more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtmbench.results.model import RECOVERY_MS, Attribution, Coincidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rtmbench.results.model import Interruption

HALF = 0.5
ROUNDING_MS = 1e-6
STALL = "stall"
MINIMUM_MS = 1.0
"""Shorter pauses are left out: they are below the resolution of the logs, and explain no tail."""
KEPT = 2_000
"""Interruptions that a document holds at most for a trial: the longest ones, and no fewer are counted."""


def within(interruptions: Iterable[Interruption], seconds: float) -> list[Interruption]:
    """Return those that overlap the measuring phase of `seconds` and last 1 ms or more, in order of time."""
    length_ms = seconds * 1_000
    overlapping = [
        interruption
        for interruption in interruptions
        if interruption.duration_ms >= MINIMUM_MS
        and interruption.at_ms < length_ms
        and interruption.at_ms + interruption.duration_ms + RECOVERY_MS > 0
    ]
    return sorted(overlapping, key=lambda interruption: (interruption.at_ms, interruption.kind, interruption.source))


def kept(interruptions: Sequence[Interruption]) -> list[Interruption]:
    """Return the `KEPT` longest interruptions in order of time, for the document."""
    if len(interruptions) <= KEPT:
        return list(interruptions)
    longest = sorted(interruptions, key=lambda interruption: -interruption.duration_ms)[:KEPT]
    return sorted(longest, key=lambda interruption: (interruption.at_ms, interruption.kind, interruption.source))


def attribute(
    interruptions: Sequence[Interruption],
    *,
    seconds: float,
    scheduled_us: NDArray[np.int64],
    latency_us: NDArray[np.int64],
) -> Attribution:
    """Return what the samples above p99 coincide with, for each kind and source of interruption.

    Args:
        interruptions: what happened within the measuring phase, stalls among them.
        seconds: length of the measuring phase.
        scheduled_us: when each sample of the tail was due, µs since the measuring phase began.
        latency_us: the latency of each, µs.

    """
    due_ms = scheduled_us / 1e3
    # A wait of no time at all has no half.
    out_ms = due_ms + np.maximum(latency_us, 1) / 1e3
    stalled = _spans([interruption for interruption in interruptions if interruption.kind == STALL], 0.0)
    causes = [interruption for interruption in interruptions if interruption.kind != STALL]
    groups: dict[tuple[str, str], list[Interruption]] = {}
    for interruption in causes:
        groups.setdefault((interruption.kind, interruption.source), []).append(interruption)
    coincidences = []
    for (kind, source), group in groups.items():
        spans = _spans(group, RECOVERY_MS)
        share = _covered(spans, np.array([[0.0, seconds * 1_000]])) / (seconds * 1_000)
        coincidences.append(
            Coincidence(
                kind=kind,
                source=source,
                count=len(group),
                total_ms=round(sum(interruption.duration_ms for interruption in group), 1),
                time_share=round(share, 4),
                tail_share=_share(spans, due_ms, out_ms),
                stall_share=_stall_share(spans, stalled),
            )
        )
    every = _spans(causes, RECOVERY_MS)
    together, stalls_together = _share(every, due_ms, out_ms), _stall_share(every, stalled)
    return Attribution(
        tail_samples=len(due_ms),
        coincidences=sorted(
            coincidences, key=lambda coincidence: (-(coincidence.tail_share or 0), coincidence.kind, coincidence.source)
        ),
        unexplained=None if together is None else round(1 - together, 4),
        stall_unexplained=None if stalls_together is None else round(1 - stalls_together, 4),
    )


def _spans(interruptions: Sequence[Interruption], recovery_ms: float) -> NDArray[np.float64]:
    """Return the union of the interruptions' times as rows of (start, end), ms, in order and disjoint."""
    spans: list[list[float]] = []
    for interruption in sorted(interruptions, key=lambda item: item.at_ms):
        start, end = interruption.at_ms, interruption.at_ms + interruption.duration_ms + recovery_ms
        if spans and start <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([start, end])
    return np.array(spans, dtype=np.float64).reshape(-1, 2)


def _share(spans: NDArray[np.float64], due_ms: NDArray[np.float64], out_ms: NDArray[np.float64]) -> float | None:
    """Return the share of the samples of which half the time or more lies within the spans; `None` without samples."""
    if len(due_ms) == 0:
        return None
    if len(spans) == 0:
        return 0.0
    # How much of the spans lies before each of their ends; between two ends it grows with the time, or not at all.
    covered = np.concatenate([[0.0, 0.0], np.repeat(np.cumsum(spans[:, 1] - spans[:, 0]), 2)])[1:-1]
    inside = np.interp(out_ms, spans.ravel(), covered) - np.interp(due_ms, spans.ravel(), covered)
    return round(float(np.mean(inside >= HALF * (out_ms - due_ms) - ROUNDING_MS)), 4)


def _stall_share(spans: NDArray[np.float64], stalled: NDArray[np.float64]) -> float | None:
    total = float(np.sum(stalled[:, 1] - stalled[:, 0]))
    return round(_covered(spans, stalled) / total, 4) if total > 0 else None


def _covered(spans: NDArray[np.float64], within_spans: NDArray[np.float64]) -> float:
    """Return how much of the second spans' time lies within the first, ms."""
    total = 0.0
    for start, end in within_spans:
        overlap = np.minimum(spans[:, 1], end) - np.maximum(spans[:, 0], start)
        total += float(np.sum(np.clip(overlap, 0.0, None)))
    return total


__all__ = ["attribute", "kept", "within"]
