from __future__ import annotations

import pytest
from results_builder import latency, trial

from rtmbench.results import Status, cell_status, headline
from rtmbench.results.model import Happening

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


def test_headline_is_the_median_of_each_percentile_over_usable_trials():
    trials = [
        trial(1, latency_us=latency(1_000)),
        trial(2, Status.CONTENDED, latency_us=latency(9_000)),
        trial(3, latency_us=latency(3_000)),
        trial(4, Status.VOID),
        trial(5, Status.UNSUSTAINED, latency_us=latency(900_000)),
    ]
    found = headline(trials)
    assert (found.p50_us, found.p99_us, found.max_us) == (3_000, 11_100, 44_400)
    assert (found.valid_trials, found.attempts) == (3, 5)


def test_two_trials_meet_in_the_middle():
    trials = [trial(1, latency_us=latency(1_001)), trial(2, latency_us=latency(2_000))]
    assert headline(trials).p50_us == 1_500


@pytest.mark.parametrize("statuses", [[], [F], [O, R], [U]])
def test_no_usable_trial_no_headline(statuses):
    assert headline([trial(n, status) for n, status in enumerate(statuses, 1)]) is None


def test_boundary_free_trials_make_no_headline_but_a_floor():
    trials = [trial(1, cycles=0)]
    assert headline(trials) is None
    assert headline(trials, floor=True).valid_trials == 1
    checkpoint = Happening(kind="checkpoint", source="flink", at_ms=41_230.7, duration_ms=566.0)
    assert headline([trial(1, cycles=0, happenings=[checkpoint])]) is None
