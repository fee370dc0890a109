from __future__ import annotations

import pytest
from results_builder import RATE, counts, observation

from rtmbench.results import Status, classify

QUICK = ("short warm-up", "few cycles")


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
        ({"counts": None}, Status.VOID, "not checked"),
        ({"counts": counts(expected=0)}, Status.VOID, "of 25,000 events produced"),
        ({"engine_error": "exit code 137", "counts": None}, Status.FAILED, "exit code 137"),
        ({"engine_restarted": True}, Status.FAILED, "restarted"),
        ({"counts": counts(missing=7)}, Status.FAILED, "7 of 15,020 expected events never"),
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
        ({"slip_p99_us": 9_000, "engine_p99_us": 12_000}, Status.CONTENDED, "slip"),
        ({"consumer_lag_p99_us": 9_000}, Status.CONTENDED, "lag of the consumer: p99 9.0 ms"),
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


@pytest.mark.parametrize(
    ("slip", "engine", "status"),
    [
        (5_000, 7_000, Status.VALID),
        (5_001, 25_005, Status.VALID),
        (5_001, 25_000, Status.CONTENDED),
        (90_000, 500_000, Status.VALID),
        (110_000, 500_000, Status.CONTENDED),
        (110_000, None, Status.VALID),
    ],
)
def test_contention_needs_5_ms_and_a_fifth_of_the_engine(slip, engine, status):
    found, _ = classify(observation(slip_p99_us=slip, engine_p99_us=engine))
    assert found is status


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
        ({"backlog": growing(), "slip_p99_us": 90_000}, Status.UNSUSTAINED),
        ({"refusal": "CODE", "engine_error": "exit 64"}, Status.REFUSED),
    ],
)
def test_the_graver_finding_decides_and_none_is_lost(changes, status):
    found, reasons = classify(observation(**changes))
    assert found is status
    assert len(reasons) >= len(changes) - ("drained" in changes)


def test_remarks_come_last_and_change_nothing():
    found, reasons = classify(
        observation(halves_us=((2_000, 9_000), (4_000, 30_000)), cycles=0, shared_cores=True, shortened=QUICK)
    )
    assert found is Status.VALID
    assert [reason.split(" ")[0] for reason in reasons] == [
        "drift:",
        "drift:",
        "boundary-free:",
        "shared-cores:",
        "quick:",
    ]
    assert "p50 went from 2.00 ms" in reasons[0]


def test_a_drift_that_may_be_warm_up_names_the_way_out():
    _, cooling = classify(observation(halves_us=((2_000, 55_000), (2_000, 9_000))))
    _, heating = classify(observation(halves_us=((2_000, 9_000), (2_000, 55_000))))
    assert "--warmup" in cooling[0]
    assert "--warmup" not in heating[0]


def test_a_short_measurement_with_a_boundary_inside_is_not_called_free_of_it():
    _, (reason,) = classify(observation(cycles=0, boundaries_seen=1))
    assert reason.startswith("less than a cycle: 1 checkpoint")


@pytest.mark.parametrize(
    "halves",
    [((2_000, 8_000), (2_400, 12_000)), ((100, 400), (400, 1_400)), ((2_000, 8_000),) * 2],
)
def test_halves_that_differ_a_little_are_no_drift(halves):
    assert classify(observation(halves_us=halves)) == (Status.VALID, [])


def test_a_trial_without_figures_carries_no_remarks_about_them():
    _, reasons = classify(observation(counts=counts(wrong=1), shared_cores=True, shortened=QUICK))
    assert len(reasons) == 1


def test_a_short_measurement_is_not_blamed_for_its_backlog():
    assert classify(observation(backlog=[500.0] * 8, rate=RATE))[0] is Status.VALID
