from __future__ import annotations

import numpy as np
import pytest
from results_builder import RATE, counts, observation

from rtmbench.results import Status, classify
from rtmbench.results.model import Cycle, WarmUp

QUICK = ("short warm-up", "few cycles")


def cycles(p50s, p99s):
    return [
        Cycle(
            from_ms=5_000.0 * n,
            to_ms=5_000.0 * (n + 1),
            count=5_000,
            p50_us=p50,
            p95_us=p99 // 2,
            p99_us=p99,
            max_us=p99,
        )
        for n, (p50, p99) in enumerate(zip(p50s, p99s, strict=True))
    ]


def halves(first, last):
    """Twelve cycles, six of (p50, p99) each."""
    return cycles([first[0]] * 6 + [last[0]] * 6, [first[1]] * 6 + [last[1]] * 6)


def growing(by=400.0):
    return [by * second for second in range(15)]


def test_nothing_amiss_is_valid_without_a_word():
    assert classify(observation()) == (Status.VALID, [])


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"refusal": "NOT_IN_ALLOWLIST", "counts": None}, Status.REFUSED, "NOT_IN_ALLOWLIST"),
        ({"harness_error": "the consumer lost its broker"}, Status.VOID, "lost its broker"),
        ({"delivery_failures": 3}, Status.VOID, "did not take 3 of"),
        ({"clock_jump_us": -1_500}, Status.VOID, "jumped by -1.5 ms"),
        ({"samples": 100, "negative": 51}, Status.VOID, "the clocks disagree: 51 of 100 samples"),
        ({"samples": 100, "negative": 50, "censored": 1}, Status.UNSUSTAINED, "1 measured events"),
        ({"counts": None}, Status.VOID, "not checked"),
        ({"counts": counts(expected=0)}, Status.VOID, "of 25,000 events produced"),
        ({"engine_error": "exit code 137", "counts": None}, Status.FAILED, "exit code 137"),
        ({"engine_restarted": True}, Status.FAILED, "restarted"),
        ({"counts": counts(missing=7)}, Status.FAILED, "7 of 15,020 expected events are missing from the output"),
        ({"counts": counts(wrong=2)}, Status.FAILED, "2 of 15,020 output events were wrong"),
        ({"counts": counts(unexpected=1)}, Status.FAILED, "not expected"),
        ({"counts": counts(duplicate=9)}, Status.FAILED, "9 of 15,020"),
        ({"counts": counts(late_dropped=4)}, Status.FAILED, "dropped 4 events as late"),
        ({"backlog": growing()}, Status.UNSUSTAINED, "grew by 400 events/s"),
        ({"censored": 12}, Status.UNSUSTAINED, "12 measured events"),
        (
            {"counts": counts(missing=900), "drained": False, "censored": 800},
            Status.UNSUSTAINED,
            "800 measured events",
        ),
        ({"unread_partitions": [2, 3]}, Status.FAILED, "input partitions 2, 3 hold records without any output"),
        ({"acknowledged": 25_003}, Status.VOID, "acknowledged 25,003 events, and the input topic holds 25,000"),
    ],
)
def test_status_and_deciding_reason(changes, status, words):
    found, reasons = classify(observation(**changes))
    assert found is status
    assert words in reasons[0]


def test_late_drops_are_no_fault_where_late_events_were_sent():
    status, (note,) = classify(observation(counts=counts(late=9, late_dropped=7), late_expected=9))
    assert status is Status.VALID
    assert note == (
        "late: 9 events were sent too late for any window, and none was counted; the engine reports 7 late drops"
    )
    wrong = observation(counts=counts(late=9, late_dropped=7, wrong=2), late_expected=9)
    assert classify(wrong)[0] is Status.FAILED


@pytest.mark.parametrize("jump", [1_000, -1_000, 0])
def test_a_millisecond_of_clock_is_let_pass(jump):
    assert classify(observation(clock_jump_us=jump))[0] is Status.VALID


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        # A dead broker explains what the engine did after it.
        ({"harness_error": "broker died", "engine_error": "timeout"}, Status.VOID),
        ({"delivery_failures": 1, "counts": counts(missing=1)}, Status.VOID),
        # A clock explains latencies, never content.
        ({"clock_jump_us": 9_000, "counts": counts(wrong=1)}, Status.FAILED),
        ({"clock_jump_us": 9_000, "backlog": growing()}, Status.VOID),
        # Lost events are lost, however the backlog went; late ones are not.
        ({"counts": counts(missing=1), "backlog": growing()}, Status.FAILED),
        ({"counts": counts(missing=1), "backlog": growing(), "drained": False}, Status.UNSUSTAINED),
        ({"counts": counts(missing=1, wrong=1), "drained": False}, Status.FAILED),
        ({"backlog": growing(), "unread_partitions": [1]}, Status.FAILED),
        ({"refusal": "CODE", "engine_error": "exit 64"}, Status.REFUSED),
    ],
)
def test_the_graver_finding_decides_and_none_is_lost(changes, status):
    found, reasons = classify(observation(**changes))
    assert found is status
    assert len(reasons) >= len(changes) - ("drained" in changes)


def test_remarks_come_last_and_change_nothing():
    found, reasons = classify(
        observation(cycle_figures=halves((2_000, 9_000), (4_000, 30_000)), cycles=0, shared_cores=True, shortened=QUICK)
    )
    assert found is Status.VALID
    assert [reason.split(" ")[0] for reason in reasons] == [
        "drift:",
        "drift:",
        "boundary-free:",
        "shared-cores:",
        "quick:",
    ]
    assert "p50 of a cycle went from 2.00 ms in the first 6 cycles" in reasons[0]


def test_an_engine_that_waits_for_processors_is_labelled():
    _, reasons = classify(observation(waiting_threads=1.28, cores=2))
    (reason,) = reasons
    assert reason.startswith("crowded cores: on average 1.3 threads of the engine waited for one of the 2 processors")
    for calm in (None, 0.0, 0.97):
        assert classify(observation(waiting_threads=calm, cores=2)) == (Status.VALID, [])


def test_uneven_cycles_without_a_trend_are_rarely_drift():
    def labelled(seed):
        p99s = (9_000 * np.random.default_rng(seed).lognormal(0, 0.6, 12)).astype(int).tolist()
        _, reasons = classify(observation(cycle_figures=cycles([2_000] * 12, p99s)))
        return any(reason.startswith("drift:") for reason in reasons)

    assert sum(map(labelled, range(1_000))) <= 50


def test_a_drift_that_may_be_warm_up_names_the_way_out():
    _, cooling = classify(observation(cycle_figures=halves((2_000, 55_000), (2_000, 9_000))))
    _, heating = classify(observation(cycle_figures=halves((2_000, 9_000), (2_000, 55_000))))
    assert "--warmup" in cooling[0]
    assert "--warmup" not in heating[0]


def test_the_teeth_of_a_batch_bound_engine_are_no_drift():
    # Halves that cut a cycle saw p50 go from 2,253 to 3,643 ms; whole cycles are alike.
    assert classify(observation(cycle_figures=cycles([2_600_000] * 12, [5_100_000] * 12))) == (Status.VALID, [])


def test_a_warm_up_that_ended_while_the_percentiles_fell_is_drift():
    warm_up = WarmUp(seconds=360.0, boundaries=40, ended_by="bound", falling=True)
    _, (reason,) = classify(observation(warm_up=warm_up))
    assert reason.startswith("drift: the percentiles of the cycles were still falling after a warm-up of 360 s")


def test_the_interval_of_the_running_job_decides_and_is_named():
    _, reasons = classify(observation(interval_s=300.0, requested_interval_s=5.0, cycles=0))
    assert reasons[0].startswith("the job's own checkpoint or batch interval is 300 s, not the 5 s of this run")
    assert reasons[1].startswith("boundary-free:")
    assert classify(observation(interval_s=5.0, requested_interval_s=5.0)) == (Status.VALID, [])


def test_fewer_cycles_than_wanted_are_named():
    _, (reason,) = classify(observation(cycles=2, wanted_cycles=3))
    assert reason == "few cycles: 2 whole cycles were observed, 3 were to be measured"


def test_a_short_measurement_with_a_boundary_inside_is_not_called_free_of_it():
    _, (reason,) = classify(observation(cycles=0, boundaries_seen=1))
    assert reason.startswith("less than a cycle: 1 checkpoint")


@pytest.mark.parametrize(
    ("first", "last"),
    [((2_000, 8_000), (2_400, 12_000)), ((100, 400), (400, 1_400)), ((2_000, 8_000),) * 2],
)
def test_halves_that_differ_a_little_are_no_drift(first, last):
    assert classify(observation(cycle_figures=halves(first, last))) == (Status.VALID, [])


def test_a_trial_without_figures_carries_no_remarks_about_them():
    _, reasons = classify(observation(counts=counts(wrong=1), shared_cores=True, shortened=QUICK))
    assert len(reasons) == 1


def test_a_short_measurement_is_not_blamed_for_its_backlog():
    assert classify(observation(backlog=[500.0] * 8, rate=RATE))[0] is Status.VALID
