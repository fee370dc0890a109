"""The measuring phase in whole cycles: it begins and ends with boundaries that the engine reported.

Nominal intervals do not do: Spark's period is the interval plus the boundary itself, and a job may have an interval of
its own. So the load runs for as long as it takes, and the window is cut afterwards, where the samples are all known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtmbench.results import attribution
from rtmbench.results.model import BOUNDARIES, Cycle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtmbench import _core
    from rtmbench.results.model import Interruption

PERIODIC = frozenset({"batch_boundary", "checkpoint"})
"""Kinds of interruption that a cycle begins and ends with."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The measuring phase: [from, to) in µs since the Unix epoch, and the boundaries that cut it into cycles."""

    from_us: int
    to_us: int
    edges_us: tuple[int, ...] = ()
    """Starts of the boundaries, the first and the last at the ends of the window; empty where no cycle is whole."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.to_us - self.from_us) / 1e6

    @property
    def cycles(self) -> int:
        """Whole observed cycles in it."""
        return max(0, len(self.edges_us) - 1)

    @property
    def cycle_s(self) -> float | None:
        """The longest cycle in seconds; None where none is whole."""
        spans = [(b - a) / 1e6 for a, b in zip(self.edges_us, self.edges_us[1:], strict=False)]
        return max(spans, default=None)


def observed(interruptions: Iterable[Interruption], begin_us: int, end_us: int, *, lead_us: int) -> Window:
    """Cut the phase from `begin_us` to `end_us` on the boundaries in it.

    Args:
        interruptions: what the engine reported, timed from `begin_us`.
        begin_us: when the phase was declared begun, on the news of a boundary.
        end_us: when it was declared ended, on the news of another.
        lead_us: how long before its news a boundary may have begun.

    Returns:
        From the first boundary to the last one; all of the phase, without edges, where there are fewer than two.

    """
    starts = sorted(
        {
            begin_us + round(interruption.at_ms * 1_000)
            for interruption in interruptions
            if interruption.kind in PERIODIC
        }
    )
    edges = tuple(start for start in starts if begin_us - lead_us <= start <= end_us)
    if len(edges) < 2:  # noqa: PLR2004 - one cycle has two ends
        return Window(from_us=begin_us, to_us=end_us)
    return Window(from_us=edges[0], to_us=edges[-1], edges_us=edges)


def boundaries_in(interruptions: Iterable[Interruption], seconds: float) -> int:
    """Return how many boundaries overlap the first `seconds`, which the interruptions are timed from."""
    return sum(interruption.kind in BOUNDARIES for interruption in attribution.within(interruptions, seconds))


def shifted(interruptions: Iterable[Interruption], by_ms: float) -> list[Interruption]:
    """Return interruptions whose times count from a moment `by_ms` later."""
    return [replace(interruption, at_ms=round(interruption.at_ms - by_ms, 1)) for interruption in interruptions]


def figures(verdict: _core.Verdict) -> list[Cycle]:
    """Return the percentiles of each measured cycle."""
    columns = verdict.cycles
    rows = zip(
        columns["from_us"].tolist(),
        columns["to_us"].tolist(),
        columns["count"].tolist(),
        columns["p50_us"].tolist(),
        columns["p95_us"].tolist(),
        columns["p99_us"].tolist(),
        columns["max_us"].tolist(),
        strict=True,
    )
    return [
        Cycle(
            from_ms=round(from_us / 1e3, 1),
            to_ms=round(to_us / 1e3, 1),
            count=count,
            p50_us=p50,
            p95_us=p95,
            p99_us=p99,
            max_us=most,
        )
        for from_us, to_us, count, p50, p95, p99, most in rows
    ]


__all__ = ["Window", "boundaries_in", "figures", "observed", "shifted"]
