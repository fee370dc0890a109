from __future__ import annotations

from dataclasses import replace

import pytest
from results_builder import cell, latency, trial

from rtmbench.experiment.rate_search import FAILED, HARNESS, PASSED, RateSearch, judge_floor, judge_trial, rate_point
from rtmbench.results import Backlog, Rate, Status
from rtmbench.results.slo import Target


def searched(capacity, *, start=1_000.0, most=5e6, resolution=1.1, budget=12, harness=float("inf")):
    """Search on an engine that sustains `capacity` and a harness that is good up to `harness` events/s."""
    search = RateSearch(start=start, most=most, resolution=resolution, budget=budget)
    tried = []
    while (rate := search.next()) is not None:
        tried.append(rate)
        search.record(rate, HARNESS if rate > harness else PASSED if rate <= capacity else FAILED)
    return search, tried


@pytest.mark.parametrize("capacity", [15, 130, 999, 1_000, 1_001, 3_300, 47_000, 210_000])
@pytest.mark.parametrize("start", [1_000.0, 10_000.0])
def test_the_bounds_close_in_on_the_truth(capacity, start):
    search, tried = searched(capacity, start=start, budget=30)
    assert search.passed <= capacity < search.failed
    assert search.failed / search.passed <= 1.3 if capacity < 100 else 1.1
    assert len(set(tried)) == len(tried)
    assert search.limit == "within 10%"


def test_the_number_of_rates_is_bounded():
    search, tried = searched(5_000, budget=6)
    assert len(tried) == 6
    assert search.limit == "6 rates tried"
    assert search.passed <= 5_000 < search.failed


def test_doubling_then_bisection():
    assert searched(5_000)[1] == [1_000, 2_000, 4_000, 8_000, 5_700, 4_800, 5_200]


def test_an_engine_that_sustains_nothing():
    search, tried = searched(0)
    assert search.passed is None
    assert tried[-1] == 10
    assert search.failed == 10
    assert "lowest rate" in search.limit


def test_the_harness_ends_a_search_without_a_failure_of_the_engine():
    search, _ = searched(1e9, harness=30_000, budget=30)
    assert search.failed is None
    assert 27_000 <= search.passed <= 30_000
    assert search.limit.startswith("the harness, at 3")


def test_the_highest_rate_allowed_ends_a_search():
    search, tried = searched(1e9, most=5_000)
    assert tried == [1_000, 2_000, 4_000, 5_000]
    assert (search.passed, search.failed) == (5_000, None)
    assert "highest rate allowed" in search.limit


def test_a_rate_above_one_that_failed_does_not_count_as_passed():
    search = RateSearch(start=1_000, most=1e6, resolution=1.1, budget=9)
    for rate, outcome in ((1_000, PASSED), (4_000, PASSED), (2_000, FAILED)):
        search.record(rate, outcome)
    assert (search.passed, search.failed) == (1_000, 2_000)


def at(status=Status.VALID, *, upper=0.5, achieved=999.0, **changes):
    return trial(
        1,
        status,
        ["why"],
        seconds=50.0,
        backlog=None if upper is None else Backlog(start=1, end=1, slope=0.0, slope_upper=upper),
        rate=Rate(requested=1_000, achieved=achieved),
        **changes,
    )


@pytest.mark.parametrize(
    ("one", "outcome", "why"),
    [
        (at(), PASSED, ""),
        (at(upper=1.0), PASSED, ""),
        (at(upper=1.1), FAILED, "the backlog may grow by 1.1 events/s, 1.0 are allowed"),
        (at(Status.UNSUSTAINED), FAILED, "why"),
        (at(Status.FAILED), FAILED, "why"),
        (at(Status.CONTENDED), HARNESS, "why"),
        (at(Status.VOID), HARNESS, "why"),
        (at(achieved=950.0), HARNESS, "the generator reached 950 of 1,000 events/s"),
        (at(upper=None), HARNESS, "too short"),
    ],
)
def test_one_trial_at_a_rate(one, outcome, why):
    found = judge_trial(one, cell("a", [one]), [])
    assert found[0] == outcome
    assert why in found[1]


def test_the_target_belongs_to_the_definition():
    one = at(latency_us=latency(1_000))
    assert judge_trial(one, cell("a", [one]), [Target.parse("p99<5ms")])[0] == PASSED
    assert judge_trial(one, cell("a", [one]), [Target.parse("p99<3ms")]) == (FAILED, "p99<3ms: trial 1 3.70 ms")


def test_the_floor_has_to_be_good_for_half_as_much_again():
    good = trial(rate=Rate(requested=1_500, achieved=1_495.0))
    assert judge_floor(good, 1_000) == ""
    assert "reached 1,400 of 1,500" in judge_floor(replace(good, rate=Rate(requested=1_500, achieved=1_400.0)), 1_000)
    busy = trial(1, Status.CONTENDED, ["slip"])
    assert judge_floor(busy, 1_000) == "the harness alone at 1,500 events/s is contended: slip"


def test_a_point_has_no_figure_where_a_trial_has_none_or_only_a_bound():
    trials = [at(latency_us=latency(p50)) for p50 in (1_000, 3_000, 2_000)]
    found = rate_point(1_000, "run", (PASSED, ""), trials)
    assert (found.p50_us, found.p99_us, found.passed) == (2_000, 7_400, True)
    behind = at(Status.UNSUSTAINED, latency_us=latency(9_000, censored=2, censored_percentiles=["max"]))
    for other in (behind, at(Status.FAILED)):
        found = rate_point(1_000, "run", (FAILED, "why"), [*trials, other])
        assert (found.p50_us, found.p99_us, found.reason) == (None, None, "why")
