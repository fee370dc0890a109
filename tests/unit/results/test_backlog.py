"""Synthetic backlogs with known truth: what grows, and what only looks like growth."""

from __future__ import annotations

import random

import pytest

from rtmbench.results.backlog import trend

RATE = 1_000
CYCLE = 5.0


def grew(series, **changes):
    found = trend(series, rate=RATE, **{"cycle_s": CYCLE, **changes})
    assert found is not None
    return found.grew


def steady(seconds, seed=0, level=5.0):
    rng = random.Random(seed)
    return [max(0.0, rng.gauss(level, level / 3)) for _ in range(seconds)]


def batches(seconds, period, phase, *, jitter=0.0, seed=0):
    """The saw of an engine that takes what has come every `period` s and keeps up with it."""
    rng = random.Random(seed)
    series, last = [], -phase
    following = last + period
    for second in range(1, seconds + 1):
        while following <= second:
            last = following
            following = last + period * (1 + rng.uniform(-jitter, jitter))
        series.append((second - last + 0.1) * RATE)
    return series


@pytest.mark.parametrize("seconds", [15, 25, 60])
@pytest.mark.parametrize("seed", range(20))
def test_a_steady_backlog_did_not_grow(seconds, seed):
    assert not grew(steady(seconds, seed))
    assert not grew(steady(seconds, seed, level=3_000.0))


@pytest.mark.parametrize("seconds", [15, 25, 60])
@pytest.mark.parametrize("deficit", [0.05, 0.3, 0.9])
def test_growth_is_seen(seconds, deficit):
    series = [b + deficit * RATE * t for t, b in enumerate(steady(seconds), 1)]
    found = trend(series, rate=RATE, cycle_s=CYCLE)
    assert found.grew
    assert found.slope == pytest.approx(deficit * RATE, rel=0.05)
    assert grew(series, cycle_s=None)


def test_a_slow_leak_is_seen_in_a_minute():
    assert grew([b + 0.005 * RATE * t for t, b in enumerate(steady(60))])


@pytest.mark.parametrize("period", [2.0, 4.7, 5.0, 5.1, 5.6, 6.5, 7.5, 10.0, 10.5])
@pytest.mark.parametrize("seconds", [15, 20, 25, 60])
def test_batches_are_not_growth(period, seconds):
    wrong = 0
    for seed in range(100):
        phase = period * seed / 100
        wrong += grew(batches(seconds, period, phase))
        wrong += grew(batches(seconds, period, phase, jitter=0.1, seed=seed))
    assert wrong <= 4


def test_batches_that_fall_behind_are_growth():
    growing = [b + 0.2 * RATE * t for t, b in enumerate(batches(60, 5.0, 1.3))]
    assert grew(growing)


@pytest.mark.parametrize("seconds", [15, 25, 60])
@pytest.mark.parametrize("start", [0, 4, 9])
def test_a_stall_that_recovers_is_not_growth(seconds, start):
    series = steady(seconds)
    for second in range(start, start + 4):
        series[second] += RATE * (second - start + 1)
    assert not grew(series)


@pytest.mark.parametrize("seconds", [15, 25, 60])
def test_a_stall_in_the_last_cycle_is_left_to_the_drain(seconds):
    series = steady(seconds)
    series[-5:] = [RATE * i for i in range(1, 6)]
    assert not grew(series)


@pytest.mark.parametrize("seconds", [15, 25, 60])
def test_a_cold_start_that_catches_up_is_not_growth(seconds):
    series = [b + 20_000 * 0.8**t for t, b in enumerate(steady(seconds))]
    found = trend(series, rate=RATE, cycle_s=CYCLE)
    assert not found.grew
    assert found.slope < 0


def test_a_backlog_that_rises_and_stays_is_growth():
    series = steady(60)
    series[30:] = [b + 250 * (t + 1) for t, b in enumerate(series[30:])]
    assert grew(series)


def test_a_few_events_more_are_not_growth_at_a_low_rate():
    assert not trend([0.1 * t for t in range(60)], rate=10, cycle_s=CYCLE).grew


@pytest.mark.parametrize("series", [[], [1.0], [1.0] * 14])
def test_too_short_to_tell(series):
    assert trend(series, rate=RATE, cycle_s=CYCLE) is None


def test_without_a_rate_there_is_nothing_to_compare_with():
    assert trend([1.0] * 60, rate=0, cycle_s=CYCLE) is None


@pytest.mark.parametrize("cycle", [0.5, 1.0, 3.3, 7.0])
def test_cycles_need_not_be_whole_seconds(cycle):
    assert not grew(steady(60), cycle_s=cycle)
    assert grew([100.0 * t for t in range(60)], cycle_s=max(cycle, 1.0))
