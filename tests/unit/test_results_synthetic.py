"""The statistics against experiments with known truth; `python tests/unit/test_results_synthetic.py` prints a table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from results_builder import cell, latency, trial
from synthetic import WORLDS, experiments

from rtmbench.results import compare
from rtmbench.results.interval import paired, unpaired

COUNT = 1_000
FIGURES = ("p50", "p99")


def seeded(world, seed):
    """Give every world draws of its own."""
    return seed + 1_000 * list(WORLDS).index(world)


def coverage(world, pairs, ratio, *, seed):
    """Give, by figure, the share of intervals that hold the true ratio, and their mean half width as a factor."""
    first = [number % 2 == 0 for number in range(pairs)]
    found = {}
    for name, (a, b) in zip(
        FIGURES,
        experiments(WORLDS[world], count=COUNT, pairs=pairs, ratio=ratio, seed=seeded(world, seed)),
        strict=True,
    ):
        bounds = np.log([paired(row, first).interval for row in np.log(b / a)])
        inside = (bounds[:, 0] <= math.log(ratio)) & (math.log(ratio) <= bounds[:, 1])
        found[name] = inside.mean(), math.exp((bounds[:, 1] - bounds[:, 0]).mean() / 2)
    return found


def false_verdicts(world, pairs, *, seed):
    """Give the share of A/A experiments in which the product itself says faster or slower of either figure."""
    (a50, b50), (a99, b99) = experiments(WORLDS[world], count=COUNT, pairs=pairs, seed=seeded(world, seed))
    wrong = 0
    for row in range(COUNT):
        found = compare(cell("a", trials(a50[row], a99[row])), cell("b", trials(b50[row], b99[row])))
        assert found.verdict != "no verdict"
        wrong += bool({found.verdict, found.verdict_p50} & {"faster", "slower"})
    return wrong / COUNT


def trials(p50s, p99s):
    return [
        trial(number, latency_us=replace(latency(), p50=int(p50), p99=int(p99)))
        for number, (p50, p99) in enumerate(zip(p50s, p99s, strict=True), 1)
    ]


@pytest.mark.parametrize("pairs", [6, 10])
@pytest.mark.parametrize("world", WORLDS)
def test_intervals_cover_the_truth(world, pairs):
    for share, _ in coverage(world, pairs, 1.2, seed=20_261_125).values():
        assert 0.93 <= share <= 0.97


@pytest.mark.parametrize("pairs", [6, 10])
@pytest.mark.parametrize("world", WORLDS)
def test_the_same_engine_twice_is_rarely_called_different(world, pairs):
    assert false_verdicts(world, pairs, seed=7) <= 0.05


@pytest.mark.parametrize("pairs", [6, 10])
def test_a_true_difference_is_found_more_often_with_more_pairs(pairs):
    (a50, b50), _ = experiments(WORLDS["independent trials"], count=COUNT, pairs=pairs, ratio=1.3, seed=3)
    first = [number % 2 == 0 for number in range(pairs)]
    shown = np.mean([paired(row, first).interval[0] > 1 for row in np.log(b50 / a50)])
    assert shown > {6: 0.85, 10: 0.99}[pairs]


@pytest.mark.parametrize("pairs", [6, 10])
def test_unpaired_intervals_cover_the_truth_where_trials_are_independent(pairs):
    (_, (a99, b99)) = experiments(WORLDS["independent trials"], count=COUNT, pairs=pairs, ratio=1.2, seed=11)
    bounds = [unpaired(a, b).interval for a, b in zip(np.log(a99), np.log(b99), strict=True)]
    assert 0.93 <= np.mean([low <= 1.2 <= high for low, high in bounds]) <= 0.97


if __name__ == "__main__":
    print(f"{COUNT:,} experiments each, true ratio 1.20; A/A: the truth is 1")  # noqa: T201
    for world in WORLDS:
        for pairs in (6, 10):
            shares = coverage(world, pairs, 1.2, seed=20_261_125)
            text = ", ".join(f"{name} {share:.1%} (± {factor - 1:.0%})" for name, (share, factor) in shares.items())
            print(f"{world}, {pairs} pairs: covered {text}; A/A {false_verdicts(world, pairs, seed=7):.1%}")  # noqa: T201
