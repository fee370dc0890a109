"""The figures of a trial in a document, from the results of the oracle."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.results.model import CloseLatency, Latency, Spread

if TYPE_CHECKING:
    from rtmbench import _core


RESAMPLED = {"p95": 95.0, "p99": 99.0}
"""Percentiles that whole cycles are resampled for. Beyond them so few cycles decide that an interval would mislead."""


def update_latency(verdict: _core.Verdict) -> Latency:
    """Return the update latency, with the intervals of its tail where cycles were observed."""
    latency = Latency.measured(
        count=verdict.latency.count,
        minimum=verdict.min_us,
        maximum=verdict.max_us,
        quantile=lambda q: verdict.latency.percentile(100 * q),
        censored=verdict.censored,
        reaches_censored=lambda q: verdict.ge(100 * q),
        negative=verdict.negative,
    )
    named_bounds = zip(RESAMPLED, verdict.intervals(list(RESAMPLED.values())), strict=True)
    intervals = {name: list(bounds) for name, bounds in named_bounds if bounds is not None}
    return replace(latency, intervals=intervals or None)


def close_latency(closed: _core.Histogram) -> CloseLatency:
    """Return the latency of final results."""
    return CloseLatency.measured(
        count=closed.count,
        minimum=closed.min,
        maximum=closed.max,
        quantile=lambda q: closed.percentile(100 * q),
    )


def spread(histogram: _core.Histogram | _core.SignedHistogram, divisor: float = 1) -> Spread:
    """Return figures of a distribution in µs, divided by `divisor`."""
    return Spread(
        mean=histogram.mean / divisor,
        p50=histogram.percentile(50) / divisor,
        p99=histogram.percentile(99) / divisor,
        max=histogram.max / divisor,
    )


__all__ = ["close_latency", "spread", "update_latency"]
