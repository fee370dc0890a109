from __future__ import annotations

import math

import pytest

from rtmbench.results.confidence import holm, paired, student_quantile, student_tails, unpaired

ALTERNATING = [True, False] * 5


# Two-sided 95 % points, from printed tables of Student's distribution.
@pytest.mark.parametrize(
    ("degrees", "t"),
    [(1, 12.706), (2, 4.303), (4, 2.776), (5, 2.571), (8, 2.306), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_quantiles_are_those_of_the_tables(degrees, t):
    assert student_quantile(float(degrees)) == pytest.approx(t, abs=6e-4)
    assert student_tails(t, degrees) == pytest.approx(0.05, abs=1e-4)


def test_a_fraction_of_a_degree_lies_between_its_neighbours():
    assert student_quantile(6.0) < student_quantile(5.5) < student_quantile(5.0)
    assert student_tails(0.0, 5.5) == 1.0
    assert student_tails(60.0, 4) < 1e-6


def test_a_paired_estimate_by_hand():
    # Mean 0.2; around the order term the residuals are ±0.1, so the variance is 6 · 0.01 / 4.
    logs = [0.3 + 0.05, 0.1 - 0.05, 0.1 + 0.05, 0.3 - 0.05, 0.2 + 0.05, 0.2 - 0.05]
    found = paired(logs, ALTERNATING[:6])
    assert found.log_ratio == pytest.approx(0.2)
    assert found.degrees == 4
    assert found.error == pytest.approx(math.sqrt(0.04 / 4 / 6))
    low, high = found.interval
    assert math.log(high) == pytest.approx(0.2 + 2.7764 * found.error, abs=1e-4)
    assert low * high == pytest.approx(found.ratio**2)


def test_what_runs_second_is_not_put_down_to_the_engine():
    found = paired([0.2 if first else -0.2 for first in ALTERNATING[:6]], ALTERNATING[:6])
    assert found.ratio == pytest.approx(1.0)
    assert found.error == 0.0
    assert found.p_value == 1.0


def test_equal_observations_are_no_difference_and_one_difference_is_certain():
    same = paired([0.0] * 6, ALTERNATING[:6])
    assert (same.interval, same.p_value, same.spread) == ((1.0, 1.0), 1.0, 0.0)
    apart = paired([math.log(1.2)] * 6, ALTERNATING[:6])
    assert apart.p_value == 0.0
    assert apart.interval == pytest.approx((1.2, 1.2))


@pytest.mark.parametrize("first", [[True] * 6, [False] * 6, [True, False, True]])
def test_pairs_in_one_order_or_too_few_make_no_interval(first):
    with pytest.raises(ValueError, match="both orders"):
        paired([0.1] * len(first), first)


def test_an_unpaired_estimate_by_hand():
    # Welch: variances 1 and 4, four values each; degrees (1/4 + 1)² / ((1/16 + 1) / 3).
    found = unpaired([-1, -1, 1, 1], [8, 8, 12, 12])
    assert found.log_ratio == 10
    variances = (4 / 3, 16 / 3)
    assert found.error == pytest.approx(math.sqrt(sum(variances) / 4))
    shares = [v / 4 for v in variances]
    assert found.degrees == pytest.approx(sum(shares) ** 2 / sum(s**2 / 3 for s in shares))


def test_unpaired_equal_samples():
    assert unpaired([5.0] * 6, [5.0] * 6).p_value == 1.0
    assert unpaired([5.0] * 6, [5.2] * 6).p_value == 0.0
    with pytest.raises(ValueError, match="2 values"):
        unpaired([1.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("p_values", "significant"),
    [
        ([], []),
        ([0.04], [True]),
        ([0.04, 0.04], [False, False]),
        ([0.04, 0.02], [True, True]),
        ([0.001, 0.03, 0.04], [True, False, False]),
        ([0.01, 0.02, 0.04], [True, True, True]),
        ([0.06, 0.0], [False, True]),
    ],
)
def test_holm(p_values, significant):
    assert holm(p_values) == significant
