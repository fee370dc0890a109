from __future__ import annotations

from dataclasses import replace

import pytest
from results_builder import latency, trial

from rtmbench.results import Status, cell_status, headline
from rtmbench.results.model import Interruption

V, C, U, F, R, O = (  # noqa: E741 - a legend for the table below
    Status.VALID,
    Status.CONTENDED,
    Status.UNSUSTAINED,
    Status.FAILED,
    Status.REFUSED,
    Status.VOID,
)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], O),
        ([O, O], O),
        ([O, V], V),
        ([V, C, V], C),
        ([C, U, V], U),
        ([U, F, O], F),
        ([R], R),
        ([V], V),
    ],
)
def test_the_worst_trial_speaks_for_the_cell(statuses, expected):
    assert cell_status([trial(n, status) for n, status in enumerate(statuses, 1)]) is expected


def test_headline_is_the_median_over_all_trials_that_are_not_void():
    trials = [
        trial(1, latency_us=latency(1_000)),
        trial(2, Status.CONTENDED, latency_us=latency(9_000)),
        trial(3, latency_us=latency(3_000)),
        trial(4, Status.VOID),
        trial(5, Status.UNSUSTAINED, latency_us=latency(900_000)),
        trial(6, Status.FAILED),
    ]
    found = headline(trials)
    # 1, 3, 9, at least 900, and a failure above everything.
    assert (found.p50_us, found.p99_us, found.max_us) == (9_000, 33_300, 133_200)
    assert (found.valid_trials, found.trials, found.failed, found.attempts) == (3, 5, 1, 6)
    assert found.lower_bounds is None


def bounds(*trials):
    found = headline(trials)
    return found.p99_us, found.is_lower_bound("p99_us")


def at(number, p99, status=Status.VALID, **changes):
    return trial(number, status, ["why"], latency_us=replace(latency(), p99=p99, **changes))


def test_a_median_that_may_be_higher_is_a_lower_bound():
    behind = Status.UNSUSTAINED
    # The middle one did not sustain the rate.
    assert bounds(at(1, 10), at(2, 20, behind), at(3, 30)) == (20, True)
    # Its value is low, but the true one may be above the others.
    assert bounds(at(1, 5, behind), at(2, 20), at(3, 30)) == (20, True)
    # Wherever it lies above 30, the median is 20.
    assert bounds(at(1, 10), at(2, 20), at(3, 30, behind)) == (20, False)
    assert bounds(at(1, 10), at(2, 20), at(3, 30, behind), at(4, 40, behind)) == (25, True)
    assert bounds(at(1, 10, behind)) == (10, True)


def test_a_censored_percentile_of_a_valid_trial_is_a_lower_bound():
    censored = {"censored": 3, "censored_percentiles": ["p99", "p99_9", "max"]}
    assert bounds(at(1, 10), at(2, 20, **censored), at(3, 30)) == (20, True)
    assert headline([at(1, 10, **censored)]).lower_bounds == ["p99_us", "p99_9_us", "max_us"]


def test_a_median_on_a_failed_trial_does_not_exist():
    failed = [trial(n, Status.FAILED, ["why"]) for n in (1, 2)]
    assert bounds(*failed, at(3, 30)) == (None, False)
    assert bounds(failed[0], at(3, 30)) == (None, False)
    assert bounds(failed[0], at(2, 20), at(3, 30)) == (30, False)
    assert headline([*failed, at(3, 30)]).failed == 2


def test_a_failure_that_was_retried_on_request_still_counts():
    retried = [trial(1, Status.FAILED, ["why"]), replace(at(1, 10), attempt=2), at(2, 20), at(3, 30)]
    assert (bounds(*retried), headline(retried).failed) == ((30, False), 1)
    assert cell_status(retried) is V
    again = [trial(1, Status.VOID, ["why"]), replace(at(1, 10), attempt=2), at(2, 20), at(3, 30)]
    assert (bounds(*again), headline(again).failed) == ((20, False), None)


def test_two_trials_meet_in_the_middle():
    trials = [trial(1, latency_us=latency(1_001)), trial(2, latency_us=latency(2_000))]
    assert headline(trials).p50_us == 1_500


@pytest.mark.parametrize("statuses", [[], [F], [O, R], [F, F]])
def test_no_trial_with_figures_no_headline(statuses):
    assert headline([trial(n, status) for n, status in enumerate(statuses, 1)]) is None


def test_an_unsustained_cell_has_lower_bounds_and_no_valid_trial():
    found = headline([trial(1, U, ["why"])])
    assert (found.valid_trials, found.trials) == (0, 1)
    assert found.lower_bounds == ["p50_us", "p95_us", "p99_us", "p99_9_us", "max_us"]


def test_boundary_free_trials_make_no_headline_but_a_floor():
    trials = [trial(1, cycles=0)]
    assert headline(trials) is None
    assert headline(trials, floor=True).valid_trials == 1
    checkpoint = Interruption(kind="checkpoint", source="flink", at_ms=41_230.7, duration_ms=566.0)
    assert headline([trial(1, cycles=0, interruptions=[checkpoint])]) is None
