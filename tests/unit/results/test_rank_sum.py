from __future__ import annotations

import itertools

import numpy as np
import pytest

from rtmbench.results.rank_sum import chance_of_lower


def by_counting(values, others):
    """Return the p-value by looking at every way to choose which of all values are the first sample's."""
    everything = [*values, *others]

    def pairs(chosen):
        own = [everything[i] for i in chosen]
        rest = [value for i, value in enumerate(everything) if i not in chosen]
        return sum(a < b for a in own for b in rest)

    seen = pairs(range(len(values)))
    choices = list(itertools.combinations(range(len(everything)), len(values)))
    return sum(pairs(choice) >= seen for choice in choices) / len(choices)


@pytest.mark.parametrize("sizes", [(1, 1), (3, 3), (4, 4), (2, 6), (5, 4)])
def test_the_chance_is_the_share_of_all_orders(sizes):
    for seed in range(10):
        numbers = np.random.default_rng(seed).permutation(100)[: sum(sizes)].tolist()
        values, others = numbers[: sizes[0]], numbers[sizes[0] :]
        assert chance_of_lower(values, others) == pytest.approx(by_counting(values, others))


def test_two_blocks_that_do_not_overlap_are_as_unlikely_as_their_order():
    assert chance_of_lower([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(1 / 70)
    assert chance_of_lower([5, 6, 7, 8], [1, 2, 3, 4]) == 1


def test_equal_values_are_no_finding():
    assert chance_of_lower([7] * 6, [7] * 6) == 1
