"""The statistics against experiments with known truth; as a program it prints a table (docs/statistics.md)."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from results_builder import cell, latency, trial
from synthetic import WORLDS, experiments

from rtmbench.results import Latency, NoiseBand, Status, Trial, compare, compare_all
from rtmbench.results.confidence import paired, unpaired
from rtmbench.results.noise import Spread, predicted
from rtmbench.results.verdict import decides

COUNT = 1_000
FIGURES = ("p50", "p99")
PAIRS = (6, 10)
NO_BAND = NoiseBand(p50=1.0, p99=1.0, measured=True)
"""The statistics have to hold what they promise without a band that hides what they get wrong."""
DECIDED = {"faster", "slower", "worse", "better"}
COVERED = [name for name, world in WORLDS.items() if not world.loses_trials]
CONSERVATIVE = {("one JVM in ten is cold", 6, "p99")}
"""Where a hump is rare, few pairs hold one: the intervals are wider than they need be."""
CASES = [(name, pairs) for name, world in WORLDS.items() for pairs in ((10, 16) if world.loses_trials else PAIRS)]
"""Of 6 pairs few are left where trials drop out."""


@functools.cache
def made(world, pairs, ratio, seed):
    """Give every world draws of its own."""
    seed += 1_000 * list(WORLDS).index(world)
    return experiments(WORLDS[world], count=COUNT, pairs=pairs, ratio=ratio, seed=seed)


def coverage(world, pairs, ratio, *, seed):
    """Give, by figure, the share of intervals that hold the true ratio, and their mean half width as a factor."""
    first = [number % 2 == 0 for number in range(pairs)]
    found = {}
    for name in FIGURES:
        a, b = getattr(made(world, pairs, ratio, seed), name)
        bounds = np.log([paired(row, first).interval for row in np.log(b / a)])
        inside = (bounds[:, 0] <= math.log(ratio)) & (math.log(ratio) <= bounds[:, 1])
        found[name] = inside.mean(), math.exp((bounds[:, 1] - bounds[:, 0]).mean() / 2)
    return found


TRIAL, LATENCY, CELL = (vars(one) for one in (trial(), latency(), cell()))


def cells(found, row):
    """Give A and B of one experiment as the product has them."""
    columns = (found.p50, found.p99, found.failed, found.contended)
    return [
        type(cell())(**{**CELL, "name": name, "trials": [made_trial(n, *one) for n, one in enumerate(trials, 1)]})
        for side, name in enumerate("ab")
        for trials in [zip(*(column[side][row] for column in columns), strict=True)]
    ]


def made_trial(number, p50, p99, failed, contended):
    status = Status.FAILED if failed else Status.CONTENDED if contended else Status.VALID
    known = None if failed else Latency(**{**LATENCY, "p50": int(p50), "p99": int(p99)})
    return Trial(**{**TRIAL, "trial": number, "status": status, "valid": status.usable, "latency_us": known})


def verdicts(world, pairs, *, ratio=1.0, seed=7, band=NO_BAND):
    """Give the words on each experiment, as the product itself decides: of p99 (or of failures) and of p50."""
    found = made(world, pairs, ratio, seed)
    decided = [compare(*cells(found, row), band) for row in range(COUNT)]
    return [{one.verdict, one.verdict_p50} for one in decided]


def share(words, of):
    return sum(bool(one & of) for one in words) / len(words)


LOOKS = (4, 5, 6)
"""The pairs after which `run --until-verdict` looks at two engines."""


@functools.cache
def stops(world, *, ratio, seed, band=NO_BAND):
    """Give, for each experiment, the comparison with which it ends: the first that decides, else the last."""
    found = made(world, LOOKS[-1], ratio, seed)
    ends = []
    for row in range(COUNT):
        full = cells(found, row)
        for pairs in LOOKS:
            comparison = compare(*(replace(one, trials=one.trials[:pairs]) for one in full), band)
            if decides(comparison):
                break
        ends.append((pairs, comparison))
    return ends


def false_words(world):
    """Give the words that are wrong of B: an engine that alone fails is worse indeed."""
    return DECIDED - {"worse"} if WORLDS[world].failing and WORLDS[world].only_b else DECIDED


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("world", COVERED)
def test_intervals_cover_the_truth(world, pairs):
    for name, (covered, _) in coverage(world, pairs, 1.2, seed=20_261_125).items():
        assert 0.93 <= covered <= (0.99 if (world, pairs, name) in CONSERVATIVE else 0.97)


@pytest.mark.parametrize(("world", "pairs"), CASES)
def test_the_same_engine_twice_is_rarely_called_different(world, pairs):
    assert share(verdicts(world, pairs), false_words(world)) <= 0.05


@pytest.mark.parametrize("world", WORLDS)
def test_a_run_that_looks_three_times_rarely_calls_the_same_engine_different(world):
    words = [{one.verdict, one.verdict_p50} for _, one in stops(world, ratio=1.0, seed=9)]
    assert share(words, false_words(world)) <= 0.05


@pytest.mark.parametrize("ratio", [1.2, 3.0])
@pytest.mark.parametrize("world", COVERED)
def test_the_interval_at_the_end_of_such_a_run_covers_the_truth(world, ratio):
    bounds = [one.interval for _, one in stops(world, ratio=ratio, seed=10)]
    assert np.mean([low <= ratio <= high for low, high in bounds]) >= 0.93


def test_a_clear_difference_ends_a_run_after_four_pairs():
    ends = stops("periodic stalls", ratio=10.0, seed=12, band=NoiseBand(p50=1.05, p99=1.5, measured=True))
    assert np.mean([pairs == LOOKS[0] for pairs, _ in ends]) > 0.95
    assert {one.verdict for pairs, one in ends if pairs < LOOKS[-1]} == {"slower"}


@pytest.mark.parametrize("world", ["drifting machine", "some JVMs are cold"])
def test_three_engines_alike_are_rarely_called_different(world):
    ours, more = made(world, 10, 1.0, 7), made(world, 10, 1.0, 8)
    wrong = 0
    for row in range(COUNT):
        third = cells(more, row)[0]
        found = compare_all([*cells(ours, row), third], lambda *_: NO_BAND)
        wrong += any({one.verdict, one.verdict_p50} & DECIDED for one in found)
    assert wrong / COUNT <= 0.05


def test_an_engine_whose_slow_trials_fail_is_never_called_faster():
    # What is left of it is a fifth faster, and more than that for want of its slow trials.
    words = verdicts("slow trials of one engine fail", 16, ratio=0.8)
    failing = made("slow trials of one engine fail", 16, 0.8, 7).failed[1].any(axis=1)
    assert 0.8 < failing.mean() < 1
    assert {word for one, fails in zip(words, failing, strict=True) if fails for word in one} == {
        "no verdict",
        "worse",
        None,
    }


@pytest.mark.parametrize("aa_pairs", [6, 24])
@pytest.mark.parametrize("world", ["independent trials", "periodic stalls", "some JVMs are cold"])
def test_a_noise_band_predicts_the_next_experiment(world, aa_pairs):
    for name in FIGURES:
        seen, after = (
            [paired(row, [n % 2 == 0 for n in range(pairs)]) for row in np.log(b / a)]
            for pairs, seed in ((aa_pairs, 5), (6, 6))
            for a, b in [getattr(made(world, pairs, 1.0, seed), name)]
        )
        bands = [predicted([Spread(mean=one.log_ratio, spread=one.spread, pairs=aa_pairs)]) for one in seen]
        inside = [abs(one.log_ratio) <= math.log(band) for one, band in zip(after, bands, strict=True)]
        assert 0.93 <= np.mean(inside) <= 0.99


@pytest.mark.parametrize(("pairs", "found"), [(6, 0.8), (10, 0.97)])
def test_a_true_difference_is_found_more_often_with_more_pairs(pairs, found):
    band = NoiseBand(p50=1.05, p99=1.05, measured=True)
    words = verdicts("independent trials", pairs, ratio=1.4, seed=3, band=band)
    assert share(words, {"slower"}) > found
    assert share(words, {"faster"}) == 0


@pytest.mark.parametrize("pairs", PAIRS)
def test_unpaired_intervals_cover_the_truth_where_trials_are_independent(pairs):
    a99, b99 = made("independent trials", pairs, 1.2, 11).p99
    bounds = [unpaired(a, b).interval for a, b in zip(np.log(a99), np.log(b99), strict=True)]
    assert 0.93 <= np.mean([low <= 1.2 <= high for low, high in bounds]) <= 0.97


if __name__ == "__main__":
    print(f"{COUNT:,} experiments each, true ratio 1.20; false verdicts: the truth is 1")  # noqa: T201
    for world, pairs in CASES:
        if world in COVERED:
            shares = coverage(world, pairs, 1.2, seed=20_261_125)
            text = ", ".join(f"{name} {inside:.1%} (± {factor - 1:.0%})" for name, (inside, factor) in shares.items())
        else:
            text = "nothing, trials drop out"
        wrong = share(verdicts(world, pairs), false_words(world))
        print(f"{world}, {pairs} pairs: covered {text}; false verdicts {wrong:.1%}")  # noqa: T201
    print("up to three looks, after 4, 5 and 6 pairs")  # noqa: T201
    for world in WORLDS:
        words = [{one.verdict, one.verdict_p50} for _, one in stops(world, ratio=1.0, seed=9)]
        wrong = share(words, false_words(world))
        clear = {
            ratio: np.mean([pairs == LOOKS[0] for pairs, _ in stops(world, ratio=ratio, seed=10)])
            for ratio in (1.5, 3.0)
        }
        text = ", ".join(f"× {ratio} in {part:.0%}" for ratio, part in clear.items())
        print(f"{world}: false verdicts {wrong:.1%}; decided after 4 pairs: {text}")  # noqa: T201
