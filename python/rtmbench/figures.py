"""What stands in a document of what the oracle has found: the figures of a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.results.model import CloseLatency, Latency, Spread

if TYPE_CHECKING:
    from rtmbench import _core


def update_latency(verdict: _core.Verdict) -> Latency:
    """Return the update latency."""
    return Latency.measured(
        count=verdict.latency.count,
        minimum=verdict.min_us,
        maximum=verdict.max_us,
        quantile=lambda q: verdict.latency.percentile(100 * q),
        censored=verdict.censored,
        reaches_censored=lambda q: verdict.ge(100 * q),
        negative=verdict.negative,
    )


def close_latency(closed: _core.Histogram) -> CloseLatency:
    """Return the latency of final results."""
    return CloseLatency.measured(
        count=closed.count,
        minimum=closed.min,
        maximum=closed.max,
        quantile=lambda q: closed.percentile(100 * q),
    )


def halves(verdict: _core.Verdict) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return p50 and p99 of each half of the measuring phase, µs; None where one half has no sample."""
    first, second = verdict.halves
    if not first.count or not second.count:
        return None
    return (
        (first.percentile(50), first.percentile(99)),
        (second.percentile(50), second.percentile(99)),
    )


def spread(histogram: _core.Histogram | _core.SignedHistogram, divisor: float = 1) -> Spread:
    """Return figures of a distribution in µs, divided by `divisor`."""
    return Spread(
        mean=histogram.mean / divisor,
        p50=histogram.percentile(50) / divisor,
        p99=histogram.percentile(99) / divisor,
        max=histogram.max / divisor,
    )


__all__ = ["close_latency", "halves", "spread", "update_latency"]
