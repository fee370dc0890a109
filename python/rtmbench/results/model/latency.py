"""Latency figures, read from a histogram."""

# msgspec resolves the annotations at run time.

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from rtmbench.results._document import OMIT
from rtmbench.results.model.values import Count, PercentileName

if TYPE_CHECKING:
    from collections.abc import Callable

PERCENTILES: dict[PercentileName, float] = {
    "p50": 0.50,
    "p90": 0.90,
    "p95": 0.95,
    "p99": 0.99,
    "p99_9": 0.999,
}
"""Field names of `Latency` and the quantiles that they hold."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Latency of one metric over the measuring phase, in µs, one sample per covered input event.

    An event that was not covered by the drain deadline is a sample at the deadline: its true
    latency is at least that. `censored` counts those samples and `censored_percentiles` names the
    fields that reach them: such a value is a LOWER BOUND, to be shown with `≥`. With one censored
    sample or more, `max` is always among them.
    """

    count: Count
    """Samples, censored ones included."""
    censored: Count
    min: int
    """Negative where a sample was, see `negative`."""
    p50: Count
    p90: Count
    p95: Count
    p99: Count
    p99_9: Count
    max: int
    negative: Count
    """Samples received before their scheduled time; they are clamped to 1 µs in the percentiles."""
    censored_percentiles: list[PercentileName] = field(default_factory=list[PercentileName])
    intervals: dict[str, Annotated[list[int], Meta(min_length=2, max_length=2)]] | None = field(
        default=None, metadata=OMIT
    )
    """95 % interval [low, high] in µs by field name, from resampling whole cycles; `None` below 5 cycles."""

    @classmethod
    def measured(
        cls,
        *,
        count: int,
        minimum: int,
        maximum: int,
        quantile: Callable[[float], int],
        censored: int = 0,
        reaches_censored: Callable[[float], bool] = lambda _: False,
        negative: int = 0,
    ) -> Latency:
        """Read the figures from a histogram; `quantile` takes 0 … 1 and gives µs.

        `reaches_censored` returns whether a quantile falls on a censored sample. `count`
        includes the censored samples.
        """
        reached: list[PercentileName] = [name for name, q in PERCENTILES.items() if censored and reaches_censored(q)]
        if censored:
            reached.append("max")
        percentiles: dict[str, Any] = {name: int(quantile(q)) for name, q in PERCENTILES.items()}
        return cls(
            count=count,
            censored=censored,
            min=minimum,
            max=maximum,
            negative=negative,
            censored_percentiles=reached,
            **percentiles,
        )

    def is_lower_bound(self, name: str) -> bool:
        """Whether the field `name` (`p99`, `max`, …) is only a lower bound of the true value."""
        return name in self.censored_percentiles


WINDOWS_FOR_A_TAIL = 30
"""Below this many closed windows a close latency has a median and no other percentile."""


@dataclass(frozen=True, kw_only=True)
class CloseLatency:
    """Latency of final results, in µs: receipt minus (window end + watermark delay).

    One sample per window: keys that close together are one observation. `count` is the number of windows; under
    `WINDOWS_FOR_A_TAIL` of them everything but the median is null.
    """

    count: Count
    """Windows."""
    p50: Count
    min: int | None = None
    p90: Count | None = None
    p95: Count | None = None
    p99: Count | None = None
    p99_9: Count | None = None
    max: int | None = None

    @classmethod
    def measured(cls, *, count: int, minimum: int, maximum: int, quantile: Callable[[float], int]) -> CloseLatency:
        """Read the figures from a histogram; `quantile` takes 0 … 1 and gives µs."""
        if count < WINDOWS_FOR_A_TAIL:
            return cls(count=count, p50=int(quantile(0.5)))
        figures = {name: int(quantile(q)) for name, q in PERCENTILES.items()}
        return cls(count=count, min=minimum, max=maximum, **figures)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Figures of a distribution; unit by the field that holds it (`slip_us`, `hops_ms`)."""

    p50: float
    p99: float
    max: float
    mean: float | None = field(default=None, metadata=OMIT)
    """Of the signed values: the means of the hops add up to the mean latency of the same outputs."""
