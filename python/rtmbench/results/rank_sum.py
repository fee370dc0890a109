"""Whether the values of one block lie below those of another by more than chance: the exact rank-sum test."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def chance_of_lower(values: Sequence[float], others: Sequence[float]) -> float:
    """Return how likely `values` lie as far below `others` as they do if both come from one distribution.

    This is the one-sided p-value of the rank-sum test of Wilcoxon, Mann and Whitney (Annals of Mathematical Statistics
    18, 1947), exact for samples without ties. A tie counts against the finding.
    """
    lower = sum(value < other for value in values for other in others)
    ways = _ways(len(values), len(others))
    return sum(ways[lower:]) / math.comb(len(values) + len(others), len(values))


@functools.cache
def _ways(n: int, m: int) -> tuple[int, ...]:
    """Return in how many orders of n values and m others exactly 0, 1, … n·m pairs have the value below the other."""
    ways = [1] + [0] * (n * m)
    for i in range(1, n + 1):
        for pairs in range(n * m, m + i - 1, -1):
            ways[pairs] -= ways[pairs - m - i]
        for pairs in range(i, n * m + 1):
            ways[pairs] += ways[pairs - i]
    return tuple(ways)


__all__ = ["chance_of_lower"]
