"""Intervals and p-values for log-ratios of latencies: paired, unpaired, and corrected for their number.

All arithmetic is on natural logarithms: a latency that is 20 % higher is as far away as one that is 20 % lower, and
trials differ by factors rather than by milliseconds. An `Estimate` gives the way back to ratios.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95
_NODES = 200
_LEAST_DEGREES = 1.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean log-ratio with its standard error; ratios and their interval by property."""

    log_ratio: float
    error: float
    """Standard error of `log_ratio`; 0 if all observations are equal."""
    degrees: float
    """Degrees of freedom of Student's distribution; a fraction for unpaired samples."""
    spread: float = 0.0
    """Standard deviation of the log-ratio of one pair, without the order's share; 0 for unpaired samples."""
    confidence: float = CONFIDENCE
    """Of the interval, as a share."""

    @property
    def ratio(self) -> float:
        """The geometric mean of the ratios."""
        return math.exp(self.log_ratio)

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound of the ratio."""
        half = self.error * student_quantile(self.degrees, self.confidence)
        return math.exp(self.log_ratio - half), math.exp(self.log_ratio + half)

    @property
    def p_value(self) -> float:
        """Two-sided: how often equal sides would differ by this much or more."""
        if self.error == 0:
            return 1.0 if self.log_ratio == 0 else 0.0
        return student_tails(abs(self.log_ratio) / self.error, self.degrees)


def paired(log_ratios: Sequence[float], baseline_first: Sequence[bool]) -> Estimate:
    """Estimate the mean log-ratio of pairs of trials that ran one right after the other.

    Each pair is `ratio + order`, where the order term has the one sign where the baseline ran first and the other
    where it ran second. It takes up what ran second (a machine that warms or wears), which would otherwise either
    shift the ratio or, in turns, widen its interval. It costs one degree of freedom.

    Args:
        log_ratios: ln(other / baseline), one per pair, at least 4, both orders among them.
        baseline_first: which trial of each pair ran first.

    Raises:
        ValueError: fewer than 4 pairs, or all in one order.

    """
    values = np.asarray(log_ratios, dtype=float)
    sign = np.where(np.asarray(baseline_first, dtype=bool), 1.0, -1.0)
    count = len(values)
    if count < 4 or abs(sign.sum()) == count:  # noqa: PLR2004 - two parameters and two degrees of freedom
        raise ValueError("an interval on pairs needs 4 of them or more, in both orders")
    # Least squares with two columns, ones and signs.
    tilt = float(sign.mean())
    order = (float((values * sign).mean()) - float(values.mean()) * tilt) / (1 - tilt**2)
    mean = float(values.mean()) - order * tilt
    residuals = values - mean - order * sign
    variance = float(residuals @ residuals) / (count - 2)
    # What is left of equal observations is rounding.
    variance = 0.0 if variance < (1e-9 * max(1e-6, float(np.abs(values).max()))) ** 2 else variance
    inflation = count / (count**2 - float(sign.sum()) ** 2)
    return Estimate(
        log_ratio=_settled(float(mean), float(np.abs(values).max())),
        error=math.sqrt(variance * inflation),
        degrees=float(count - 2),
        spread=math.sqrt(variance),
    )


def unpaired(baseline: Sequence[float], other: Sequence[float]) -> Estimate:
    """Estimate the difference of two samples of log-latencies that were not taken in turns (Welch).

    Raises:
        ValueError: a sample has fewer than 2 values.

    """
    a, b = np.asarray(baseline, dtype=float), np.asarray(other, dtype=float)
    if min(len(a), len(b)) < 2:  # noqa: PLR2004 - a variance needs two
        raise ValueError("an interval on two samples needs 2 values or more in each")
    shares = [float(values.var(ddof=1)) / len(values) for values in (a, b)]
    total = sum(shares)
    squares = sum(share**2 / (len(values) - 1) for share, values in zip(shares, (a, b), strict=True))
    degrees = total**2 / squares if squares > 0 else float(len(a) + len(b) - 2)
    return Estimate(
        log_ratio=_settled(float(b.mean() - a.mean()), float(max(np.abs(a).max(), np.abs(b).max()))),
        error=math.sqrt(total),
        degrees=max(_LEAST_DEGREES, degrees),
    )


def holm(p_values: Sequence[float], level: float = 1 - CONFIDENCE) -> list[bool]:
    """Return which of several p-values are significant together, at a family-wide `level` (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    significant = [False] * len(p_values)
    for rank, index in enumerate(order):
        if p_values[index] > level / (len(p_values) - rank):
            break
        significant[index] = True
    return significant


def student_tails(t: float, degrees: float) -> float:
    """Give the probability beyond ±t under Student's distribution, for t of 0 or more and 1 degree or more."""
    # With t = √n · tan θ the density is cosⁿ⁻¹ θ on a finite range, which a quadrature takes exactly enough.
    theta = math.atan(t / math.sqrt(degrees))
    nodes, weights = _quadrature()
    angles = theta * (nodes + 1) / 2
    inside = theta / 2 * float(weights @ np.cos(angles) ** (degrees - 1))
    scale = 2 * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(math.pi)
    return min(1.0, max(0.0, 1 - scale * inside))


@functools.lru_cache(maxsize=512)
def student_quantile(degrees: float, confidence: float = CONFIDENCE) -> float:
    """Give the t within ±t of which Student's distribution has the share `confidence`."""
    low, high = 0.0, 1.0
    while 1 - student_tails(high, degrees) < confidence:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - student_tails(middle, degrees) < confidence else (low, middle)
    return (low + high) / 2


@functools.cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def _settled(value: float, scale: float) -> float:
    """Give 0 for what is nothing but the rounding of numbers of size `scale`."""
    return 0.0 if abs(value) < 1e-12 * max(1.0, scale) else value
