"""Exact tests that assume no distribution: signs flipped pair by pair, labels exchanged, failures counted.

They guard the intervals of `results.interval`, whose Student distribution does not fit every latency (the p99 of JVMs
of which some are cold has two humps), and take trials without a figure: an outcome may be infinite.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EXACT_PAIRS = 12
"""Up to this many pairs every assignment of signs is tried; beyond, `SAMPLES` of them, always the same ones."""
EXACT_EXCHANGES = 13_000
SAMPLES = 20_000
_SEED = 20_261_130
_ROUNDING = 1e-9


def sign_flip(outcomes: Sequence[float]) -> float:
    """Give the two-sided p-value of paired outcomes, which are as likely positive as negative where sides are equal.

    Args:
        outcomes: ln(other / baseline) of each pair; +∞ where only the other failed, -∞ where only the baseline did,
            0 where both did. With an infinite one, ranks are flipped instead of values: those without a figure rank
            above all others.

    Returns:
        The share of sign assignments that would give a sum at least as far from 0; 1 without outcomes.

    """
    values = np.asarray(outcomes, dtype=float)
    if np.isinf(values).any():
        values = values[values != 0]
        values = np.sign(values) * _ranks(np.abs(values))
    if not values.any():
        return 1.0
    signs = _signs(len(values))
    limit = abs(float(values.sum())) - _ROUNDING * float(np.abs(values).sum())
    as_far = int((np.abs(signs @ values) >= limit).sum())
    return as_far / len(signs) if len(values) <= EXACT_PAIRS else (as_far + 1) / (len(signs) + 1)


def exchange(baseline: Sequence[float], other: Sequence[float]) -> float:
    """Give the two-sided p-value of two samples of log-latencies whose labels may be exchanged where sides are equal.

    Args:
        baseline: one value for each trial, +∞ for one that failed; then ranks are exchanged instead of values.
        other: the same of the other side.

    """
    values = np.asarray([*baseline, *other], dtype=float)
    if np.isinf(values).any():
        values = _ranks(values)
    size = len(other)
    if size in (0, len(values)):
        return 1.0
    center = float(values.mean()) * size
    limit = abs(float(values[len(baseline) :].sum()) - center) - _ROUNDING * float(np.abs(values).sum())
    chosen = _choices(len(values), size)
    as_far = int((np.abs(values[chosen].sum(axis=1) - center) >= limit).sum())
    exact = math.comb(len(values), size) <= EXACT_EXCHANGES
    return as_far / len(chosen) if exact else (as_far + 1) / (len(chosen) + 1)


def sign_test(wins: int, losses: int) -> float:
    """Give the two-sided p-value of so many wins and losses, were each as likely as the other; ties do not count."""
    count = wins + losses
    tail = sum(math.comb(count, k) for k in range(min(wins, losses) + 1))
    return min(1.0, math.ldexp(tail, 1 - count))


def fisher(baseline: int, baseline_trials: int, other: int, other_trials: int) -> float:
    """Give the two-sided p-value of failures among two sides' trials, were they equally likely on both (Fisher)."""
    total, failed = baseline_trials + other_trials, baseline + other

    def ways(here: int) -> int:
        return math.comb(baseline_trials, here) * math.comb(other_trials, failed - here)

    possible = range(max(0, failed - other_trials), min(failed, baseline_trials) + 1)
    return sum(ways(here) for here in possible if ways(here) <= ways(baseline)) / math.comb(total, failed)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the rank of each value from 1 on; equal values share the mean of their ranks."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[where], dtype=float)


@functools.lru_cache(maxsize=32)
def _signs(count: int) -> NDArray[np.float64]:
    if count <= EXACT_PAIRS:
        # The first sign may stay: its opposite mirrors all sums.
        return np.array([(1.0, *rest) for rest in itertools.product((1.0, -1.0), repeat=count - 1)])
    rng = np.random.default_rng(_SEED)
    return rng.choice(np.array([1.0, -1.0]), size=(SAMPLES, count))


@functools.lru_cache(maxsize=32)
def _choices(count: int, size: int) -> NDArray[np.intp]:
    if math.comb(count, size) <= EXACT_EXCHANGES:
        return np.array(list(itertools.combinations(range(count), size)), dtype=np.intp)
    rng = np.random.default_rng(_SEED)
    return np.argsort(rng.random((SAMPLES, count)), axis=1)[:, :size]


__all__ = ["EXACT_PAIRS", "exchange", "fisher", "sign_flip", "sign_test"]
