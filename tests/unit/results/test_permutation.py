from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rtmbench.results.permutation import exchange, fisher, sign_flip, sign_test

INF = math.inf


def by_hand(values):
    total = abs(sum(values))
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    return sum(found >= total - 1e-9 for found in sums) / len(sums)


@pytest.mark.parametrize(
    "values", [[0.1] * 6, [0.3, 0.1, -0.2, 0.4], [0.1, -0.1], [0.5, 0.4, 0.3, 0.2, 0.1, -0.1, 0.2, 0.3]]
)
def test_all_assignments_of_signs_are_tried(values):
    assert sign_flip(values) == pytest.approx(by_hand(values))


def test_six_pairs_of_one_sign_are_the_least_that_is_significant():
    assert sign_flip([0.1] * 6) == 2 / 64
    assert sign_flip([-0.1] * 5) == 2 / 32
    assert sign_flip([]) == sign_flip([0.0] * 6) == 1.0


def test_beyond_twelve_pairs_a_sample_of_assignments_is_tried_and_always_the_same():
    rng = np.random.default_rng(3)
    values = rng.normal(0.3, 0.6, 13)
    found = sign_flip(values)
    assert found == sign_flip(values)
    assert found == pytest.approx(by_hand(values.tolist()), abs=0.01)
    assert 0 < sign_flip([1.0] * 30) < 0.001


def test_outcomes_without_a_figure_rank_above_all_others():
    # Ranks 1, 2, 3 against 4.5 and 4.5, which nothing but their signs can outweigh.
    assert sign_flip([-0.5, -0.1, -0.2, INF, INF]) == pytest.approx(by_hand([-3, -1, -2, 4.5, 4.5]))
    assert sign_flip([INF] * 6) == 2 / 64
    # A tie says nothing.
    assert sign_flip([INF] * 6 + [0.0] * 6) == 2 / 64
    # Half failed, half faster: neither side has shown anything.
    assert sign_flip([INF] * 6 + [-0.2] * 6) > 0.05


def test_labels_are_exchanged_between_samples():
    assert exchange([1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]) == 2 / math.comb(12, 6)
    assert exchange([1, 2], [1, 2]) == 1.0
    assert exchange([], [1.0]) == 1.0
    rng = np.random.default_rng(4)
    a, b = rng.normal(0, 1, 6), rng.normal(0.8, 1, 6)
    pool = [*a, *b]
    apart = [abs(sum(chosen) - sum(pool) / 2) for chosen in itertools.combinations(pool, 6)]
    assert exchange(a, b) == pytest.approx(np.mean([x >= abs(sum(b) - sum(pool) / 2) - 1e-9 for x in apart]))
    many = exchange(rng.normal(0, 1, 20), rng.normal(2, 1, 20))
    assert 0 < many < 0.001
    assert exchange([1, 2, 3, INF, INF, INF], [1, 2, 3, 4, 5, 6]) > 0.05
    assert exchange([1, 2, 3, 4, 5, 6], [INF] * 6) == 2 / math.comb(12, 6)


@pytest.mark.parametrize(
    ("wins", "losses", "expected"), [(6, 0, 2 / 64), (0, 6, 2 / 64), (5, 1, 14 / 64), (3, 3, 1.0), (0, 0, 1.0)]
)
def test_wins_against_losses(wins, losses, expected):
    assert sign_test(wins, losses) == pytest.approx(expected)


def test_failures_of_unpaired_sides():
    assert fisher(0, 6, 6, 6) == pytest.approx(2 / math.comb(12, 6))
    assert fisher(0, 3, 3, 3) == pytest.approx(0.1)
    assert fisher(3, 6, 3, 6) == pytest.approx(1.0)
    assert fisher(0, 6, 0, 6) == fisher(0, 0, 2, 3) == pytest.approx(1.0)
    # Fisher's own tea: 3 of 4 right.
    assert fisher(3, 4, 1, 4) == pytest.approx(34 / 70)
