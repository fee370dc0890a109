"""From trials to a cell: its status and its headline."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from rtmbench.results.model import Headline, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.results.model import FigureName, Trial

_SEVERITY = (Status.REFUSED, Status.FAILED, Status.UNSUSTAINED, Status.CONTENDED, Status.VALID)
_HEADLINE: dict[FigureName, str] = {
    "p50_us": "p50",
    "p95_us": "p95",
    "p99_us": "p99",
    "p99_9_us": "p99_9",
    "max_us": "max",
}


def cell_status(trials: Sequence[Trial]) -> Status:
    """Give the status of a cell: the worst of its trials, each by its last attempt.

    Void trials count only where there is nothing else: their cause lies outside the engine. A cell
    without a trial (the run was interrupted) is void too.
    """
    statuses = {trial.status for trial in last_attempts(trials).values()}
    return next((status for status in _SEVERITY if status in statuses), Status.VOID)


def last_attempts(trials: Sequence[Trial]) -> dict[int, Trial]:
    """Map each trial's number to its last attempt: a void trial is superseded by its rerun."""
    return {t.trial: t for t in sorted(trials, key=lambda t: (t.trial, t.attempt))}


def decisive_attempts(trials: Sequence[Trial]) -> dict[int, Trial]:
    """Map each trial's number to the attempt that counts: the last one, but a failure even where it was retried.

    Otherwise trials could be repeated on request until none has failed.
    """
    failed = {trial.trial: trial for trial in trials if trial.status is Status.FAILED}
    return last_attempts(trials) | failed


def headline(trials: Sequence[Trial], *, floor: bool = False) -> Headline | None:
    """Give the median over all trials that are not void of each percentile, in whole µs.

    A trial that did not sustain the rate counts with its figures as lower bounds, as do the censored percentiles of
    any trial; a failed trial counts as infinite. `attempts` counts every trial, void ones too. Trials of less than a
    whole checkpoint or batch interval never make a headline, but those of a `floor` do: no engine, no boundary.

    Returns:
        `None` where no trial has figures.

    """
    counted = [
        trial
        for trial in decisive_attempts(trials).values()
        if (floor or trial.boundaries == "whole") and (trial.latency_us is not None or trial.status is Status.FAILED)
    ]
    if all(trial.latency_us is None for trial in counted):
        return None
    medians: dict[FigureName, tuple[int | None, bool]] = {
        figure: _median(counted, name) for figure, name in _HEADLINE.items()
    }
    lower_bounds: list[FigureName] = [name for name, (_, bound) in medians.items() if bound]
    return Headline(
        **{str(name): value for name, (value, _) in medians.items()},
        valid_trials=sum(trial.status.usable for trial in counted),
        attempts=len(trials),
        trials=len(counted),
        failed=sum(trial.status is Status.FAILED for trial in counted) or None,
        lower_bounds=lower_bounds or None,
    )


def _median(trials: Sequence[Trial], name: str) -> tuple[int | None, bool]:
    """Give the median of a percentile, `None` where it is infinite, and whether it is a lower bound."""
    known = [(t.latency_us, t.status is Status.UNSUSTAINED) for t in trials]
    least = [math.inf if latency is None else getattr(latency, name) for latency, _ in known]
    # Where every lower bound might be infinite and the median stays, it is exact.
    most = [
        math.inf if latency is None or behind or latency.is_lower_bound(name) else getattr(latency, name)
        for latency, behind in known
    ]
    value = statistics.median(least)
    return (None, False) if math.isinf(value) else (round(value), statistics.median(most) != value)


def typical(trials: Sequence[Trial]) -> Trial | None:
    """Give the trial whose p99 is the (lower) median: of the usable ones, else of all; `None` without latencies."""
    known = [(t, t.latency_us.p99) for t in trials if t.latency_us is not None]
    chosen = [(t, p99) for t, p99 in known if t.valid] or known
    if not chosen:
        return None
    middle = statistics.median_low(p99 for _, p99 in chosen)
    return next(t for t, p99 in chosen if p99 == middle)
