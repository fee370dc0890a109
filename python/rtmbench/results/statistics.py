"""From trials to a cell: its status and its headline."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from rtmbench.results.model import Headline, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.results.model import Trial

_SEVERITY = (Status.REFUSED, Status.FAILED, Status.UNSUSTAINED, Status.CONTENDED, Status.VALID)


def cell_status(trials: Sequence[Trial]) -> Status:
    """Give the status of a cell: the worst of its trials, each by its last attempt.

    Void trials count only where there is nothing else: their cause lies outside the engine. A cell
    without a trial (the run was interrupted) is void too.
    """
    seen = {trial.status for trial in last_attempts(trials).values()}
    return next((status for status in _SEVERITY if status in seen), Status.VOID)


def last_attempts(trials: Sequence[Trial]) -> dict[int, Trial]:
    """Map each trial's number to its last attempt: a void trial is superseded by its rerun."""
    return {t.trial: t for t in sorted(trials, key=lambda t: (t.trial, t.attempt))}


def headline(trials: Sequence[Trial], *, floor: bool = False) -> Headline | None:
    """Give the median over the usable trials of each percentile, in whole µs.

    `attempts` counts every trial, void ones too. Trials of less than a whole checkpoint or batch interval never
    make a headline, but those of a `floor` do: no engine, no boundary.

    Returns:
        `None` where no trial is usable.

    """
    usable = [t for t in trials if t.status.usable and (floor or t.boundaries == "whole")]
    figures = [t.latency_us for t in usable if t.latency_us is not None]
    if not figures:
        return None

    def median(name: str) -> int:
        values: list[int] = [getattr(latency, name) for latency in figures]
        return round(statistics.median(values))

    return Headline(
        p50_us=median("p50"),
        p95_us=median("p95"),
        p99_us=median("p99"),
        p99_9_us=median("p99_9"),
        max_us=median("max"),
        valid_trials=len(figures),
        attempts=len(trials),
    )


def typical(trials: Sequence[Trial]) -> Trial | None:
    """Give the trial whose p99 is the (lower) median: of the usable ones, else of all; `None` without latencies."""
    known = [(t, t.latency_us.p99) for t in trials if t.latency_us is not None]
    chosen = [(t, p99) for t, p99 in known if t.valid] or known
    if not chosen:
        return None
    middle = statistics.median_low(p99 for _, p99 in chosen)
    return next(t for t, p99 in chosen if p99 == middle)
