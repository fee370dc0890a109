"""Two cells side by side, and a cell next to a target."""

# msgspec resolves the annotations at run time.
# ruff: noqa: TC001

from __future__ import annotations

from dataclasses import dataclass, field

from rtmbench.results._document import OMIT
from rtmbench.results.model.values import Bounds, ComparisonVerdict, Count, Factor, Positive, TargetVerdict


@dataclass(frozen=True, kw_only=True)
class NoiseBand:
    """How far a ratio may be from 1 on this machine without a cause: factors of 1 or more."""

    p50: Factor
    p99: Factor | None
    """`None` if it was not measured: then the comparison has no verdict on p99."""
    measured: bool
    """Whether A/A runs of both cells on this machine with these settings gave it; else that of p50 is assumed."""


@dataclass(frozen=True, kw_only=True)
class Failures:
    """How many trials of two compared cells failed or did not sustain the rate, of those that are not void."""

    baseline: Count
    baseline_trials: Count
    other: Count
    other_trials: Count


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two cells side by side; ratios are other divided by baseline.

    Paired by trial number within a run. From 6 pairs on, and in an early verdict, a ratio is the geometric mean that
    its interval is around; else, without an interval, the median over the pairs.
    """

    baseline: str
    other: str
    pairs: Count
    """Pairs whose two trials are both of status valid."""
    ratio_p50: Positive | None
    """Of p50(other) / p50(baseline); above 1: other is slower."""
    ratio_p99: Positive | None
    verdict: ComparisonVerdict
    """Of other, on p99: `faster`, `slower`, `no difference shown`, or `no verdict`. `worse`, `better`: other fails, or
    does not sustain the rate, in clearly more or clearly fewer trials, which no latency outweighs."""
    note: str = ""
    """Why the verdict is missing, what is withheld, or what makes the two unlike."""
    interval: Bounds | None = field(default=None, metadata=OMIT)
    """Lower and upper bound of the p99 ratio, 95 %; in an early verdict, after 4 or 5 pairs, 99.5 %."""
    verdict_p50: ComparisonVerdict | None = field(default=None, metadata=OMIT)
    """The same on p50; left out without a verdict."""
    interval_p50: Bounds | None = field(default=None, metadata=OMIT)
    """The same of the p50 ratio."""
    noise_band: NoiseBand | None = field(default=None, metadata=OMIT)
    """What the near bound of an interval had to exceed to be called a difference; left out where nothing was judged."""
    ratio_engine_p50: Positive | None = field(default=None, metadata=OMIT)
    """Of the engines' own hops (input appended to output appended), without harness and broker; `None` where a trial's
    hop is below 1 ms, since Kafka stamps whole milliseconds."""
    ratio_engine_p99: Positive | None = field(default=None, metadata=OMIT)
    failures: Failures | None = field(default=None, metadata=OMIT)
    """Where a trial of either cell failed or did not sustain the rate."""


@dataclass(frozen=True, kw_only=True)
class TargetOutcome:
    """The outcome of a cell for one target of `--slo`."""

    target: str
    """As written, e.g. `p99<100ms@10000/s`."""
    cell: str
    outcome: TargetVerdict
    detail: str
