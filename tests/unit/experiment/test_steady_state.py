from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from rtmbench.experiment.boundary_watch import BoundaryWatch
from rtmbench.experiment.steady_state import CHANCE, WarmUpRecord, WarmUpRule

SECOND = 1_000_000
FULL = WarmUpRule(seconds=480, boundaries=60)


def record(p99s, p50=2_000):
    found = WarmUpRecord(FULL)
    for p99 in p99s:
        found.add(p50, p99)
    return found


@pytest.mark.parametrize(
    ("rule", "elapsed_s", "boundaries", "ended_by"),
    [
        (WarmUpRule(seconds=20), 19.9, 99, None),
        (WarmUpRule(seconds=20), 20.0, 0, "time"),
        (FULL, 300.0, 59, None),
        (FULL, 300.0, 60, "boundaries"),
        (FULL, 480.0, 12, "bound"),
    ],
)
def test_a_warm_up_ends_with_its_boundaries_or_its_time(rule, elapsed_s, boundaries, ended_by):
    assert WarmUpRecord(rule).ended_by(elapsed_s, boundaries) == ended_by


def test_a_warm_up_in_which_the_percentiles_still_fall_goes_on_for_a_block_of_cycles():
    found = record([20_000] * 47 + [10_000] * 12)
    assert found.falling
    assert found.ended_by(300.0, 60) is None
    for boundaries in range(61, 72):
        found.add(2_000, 10_000)
        assert found.ended_by(5.0 * boundaries, boundaries) is None
    found.add(2_000, 10_000)
    assert found.ended_by(360.0, 72) == "boundaries"
    assert not found.result(seconds=360.0, boundaries=72, ended_by="boundaries").falling


def test_a_warm_up_that_still_falls_at_its_bound_says_so():
    found = record([1_000 * (100 - cycle) for cycle in range(95)])
    assert [found.ended_by(5.0 * n, n) for n in (60, 72, 84, 95)] == [None] * 4
    assert found.ended_by(480.0, 95) == "bound"
    assert found.result(seconds=480.0, boundaries=95, ended_by="bound").falling


@pytest.mark.parametrize(
    ("p99s", "falling"),
    [
        # Spark's p99 by pieces of a warm-up: a plateau, then a further fall.
        ([867, 867, 555, 555, 382, 382, 340, 340, 250, 250, 192, 192], True),
        ([192, 210, 200, 195, 205, 198] * 4, False),
        ([400] * 6 + [390] * 6, False),
        ([900] * 11, False),
        ([200] * 12 + [900] * 12, False),
    ],
)
def test_percentiles_fall_if_the_last_cycles_lie_clearly_below_those_before(p99s, falling):
    assert record([1_000 * value for value in p99s]).falling is falling


def noisy(seed, *medians_ms, cycles=12, spread=0.5):
    """Return the p99 of so many cycles around each median, µs, as uneven as those of a warm Flink job were."""
    noise = np.random.default_rng(seed).lognormal(0, spread, (len(medians_ms), cycles))
    return (1_000 * np.array(medians_ms)[:, None] * noise).ravel().astype(int).tolist()


def test_uneven_cycles_of_a_warm_engine_rarely_seem_to_fall():
    falling = sum(record(noisy(seed, 8, 8, 8, 8, 8)).falling for seed in range(1_000))
    assert falling <= 1_000 * CHANCE * 1.5


def test_a_halving_within_uneven_cycles_is_seen_to_fall():
    assert sum(record(noisy(seed, 64, 32, 16, 8)).falling for seed in range(200)) > 160


def test_a_fall_below_the_resolution_is_none():
    assert not record([2_500] * 8 + [900] * 8, p50=500).falling


class Clock:
    """A load that runs in no time: every wait moves the clock, and an engine reports a boundary each `period_s`."""

    def __init__(self, period_s: float | None) -> None:
        self.us = 0
        self.period_s = period_s
        self.resets = 0

    def wait(self, then_us: int, _end_us: int) -> None:
        self.us = max(self.us, then_us)

    def boundaries(self) -> int | None:
        return None if self.period_s is None else int(self.us / SECOND / self.period_s)

    def snapshot(self):
        return SimpleNamespace(live_count=100, p50_us=2_000, p99_us=9_000)

    def reset_live(self) -> None:
        self.resets += 1

    def watch(self) -> BoundaryWatch:
        return BoundaryWatch(boundaries=self.boundaries, wait=self.wait, interval_s=5.0, now_us=lambda: self.us)


@pytest.mark.parametrize("period_s", [5.0, 5.4])
def test_every_engine_waits_for_as_many_boundaries(period_s):
    clock = Clock(period_s)
    found = clock.watch().warm_up(FULL, clock, 0)
    assert (found.boundaries, found.ended_by, found.falling) == (60, "boundaries", False)
    assert 60 * period_s <= found.seconds <= 60 * period_s + 1
    assert clock.resets == 60


@pytest.mark.parametrize("period_s", [None, 300.0])
def test_the_wait_for_boundaries_is_bounded(period_s):
    clock = Clock(period_s)
    found = clock.watch().warm_up(FULL, clock, 0)
    assert (found.ended_by, found.seconds) == ("bound", 480.0)
    assert found.boundaries == (None if period_s is None else 1)


@pytest.mark.parametrize("period_s", [5.0, 5.4])
def test_a_measurement_holds_its_cycles_whatever_the_period(period_s):
    clock = Clock(period_s)
    watch = clock.watch()
    before = watch.next_boundary()
    begin_us = clock.us
    watch.cycles(12, after=before, least_s=60, longest_s=110)
    assert clock.boundaries() - before == 12
    assert clock.us - begin_us <= (12 * period_s + 2) * SECOND


def test_short_batches_do_not_shorten_a_measurement():
    clock = Clock(0.5)
    clock.watch().cycles(12, after=0, least_s=60, longest_s=110)
    assert clock.us >= 57 * SECOND


def test_an_engine_without_boundaries_does_not_hold_a_measurement_up():
    clock = Clock(None)
    watch = clock.watch()
    assert watch.next_boundary() == 0
    assert clock.us == 10 * SECOND
    watch.cycles(12, after=0, least_s=60, longest_s=110)
    assert clock.us == 120 * SECOND
