from __future__ import annotations

from dataclasses import replace

import pytest
from results_builder import cell, latency, trial

from rtmbench.results import Spread, Status
from rtmbench.results.contention import judged
from rtmbench.results.model import Interference


def hops(into=1.0, out=1.5):
    return {
        "scheduled_to_input": Spread(p50=0.4, p99=into, max=9),
        "output_to_received": Spread(p50=0.6, p99=out, max=9),
    }


def ledger(other_cpu_s=0.2, steal_s=0.0):
    return Interference(seconds=15.0, cores=2, roles={}, other_cpu_s=other_cpu_s, steal_s=steal_s)


def one(number=1, p99=20_000, **changes):
    sound = {"hops_ms": hops(), "interference": ledger(), "latency_us": latency(p99 // 10, factor=10)}
    return trial(number, **{**sound, **changes})


def floors(*into):
    return [cell("transport", [one(n, p99=2_000, hops_ms=hops(value)) for n, value in enumerate(into, 1)], floor=True)]


def statuses(trials, floor_trials=None):
    (found,), _ = judged([cell("flink@1.20", trials)], floor_trials or floors(1.0, 1.0, 1.0, 1.0))
    return [trial.status for trial in found.trials], found


def test_a_quiet_machine_is_not_blamed():
    found, labelled = statuses([one(n) for n in (1, 2, 3)])
    assert found == [Status.VALID] * 3
    assert labelled.status is Status.VALID


def test_a_disturbance_on_the_way_into_kafka_contends():
    found, labelled = statuses([one(1), one(2, hops_ms=hops(into=72.2)), one(3)])
    assert found == [Status.VALID, Status.CONTENDED, Status.VALID]
    assert labelled.status is Status.CONTENDED
    assert (
        labelled.trials[1]
        .reasons[0]
        .startswith(
            "contended: from the intended time to the append in Kafka: p99 72.2 ms, and 1.0 ms in the floor next to it"
        )
    )


@pytest.mark.parametrize(
    "disturbed", [{"hops_ms": hops(out=14.3)}, {"slip_us": Spread(p50=40, p99=14_300, max=20_000)}]
)
def test_the_way_out_and_the_slip_count_too(disturbed):
    found, _ = statuses([one(1), one(2, **disturbed), one(3)])
    assert found == [Status.VALID, Status.CONTENDED, Status.VALID]


def test_the_more_a_disturbance_inflates_a_trial_the_less_it_is_excused():
    # 186 ms of lag beside a p99 of 1,488 ms was valid while 67 ms beside 200 ms was not.
    worst = one(1, p99=1_488_000, hops_ms=hops(into=757, out=186))
    found, _ = statuses([worst, one(2, p99=30_000), one(3, p99=28_000)])
    assert found == [Status.CONTENDED, Status.VALID, Status.VALID]


def test_a_slow_cell_is_not_disturbed_by_what_is_small_beside_it():
    found, _ = statuses([one(n, p99=400_000, hops_ms=hops(into=9.6)) for n in (1, 2, 3)])
    assert found == [Status.VALID] * 3


def test_a_hop_is_held_against_the_quieter_of_its_own_floors():
    found, _ = statuses([one(1, hops_ms=hops(into=9)), one(2, hops_ms=hops(into=9))], floors(8.5, 9.0, 1.0))
    assert found == [Status.VALID, Status.CONTENDED]


def test_other_programs_contend_whatever_the_figures_are():
    found, labelled = statuses([one(1), one(2, interference=ledger(other_cpu_s=14.0)), one(3)])
    assert found == [Status.VALID, Status.CONTENDED, Status.VALID]
    assert "took 14.0 CPU seconds during the measurement, 47% of the machine" in labelled.trials[1].reasons[0]


def test_stolen_time_contends():
    assert statuses([one(1, interference=ledger(steal_s=3.0))])[0] == [Status.CONTENDED]


def test_judging_again_comes_to_the_same_and_takes_labels_back():
    cells = [cell("flink@1.20", [one(1, hops_ms=hops(into=9)), one(2)])]
    once, _ = judged(cells, floors(1.0))
    assert once[0].trials[0].status is Status.CONTENDED
    again, _ = judged(once, floors(1.0))
    assert again == once
    # The second floor, measured later, shows that it was the broker.
    cleared, _ = judged(once, floors(8.0, 8.0))
    assert [t.status for t in cleared[0].trials] == [Status.VALID, Status.VALID]
    assert cleared[0].trials[0].reasons == []


def test_a_worse_status_stays():
    failed = trial(1, Status.FAILED, ["7 events never came out"])
    unsustained = replace(one(2, hops_ms=hops(into=90)), status=Status.UNSUSTAINED)
    assert statuses([failed, unsustained])[0] == [Status.FAILED, Status.UNSUSTAINED]


def test_an_engine_that_falls_behind_because_others_take_the_machine_is_contended():
    behind = replace(one(2), status=Status.UNSUSTAINED, valid=False, reasons=["the backlog grew"])
    starved = replace(behind, interference=ledger(other_cpu_s=23.0))
    assert statuses([one(1), behind])[0] == [Status.VALID, Status.UNSUSTAINED]
    found, labelled = statuses([one(1), starved])
    assert found == [Status.VALID, Status.CONTENDED]
    assert labelled.trials[1].valid
    assert labelled.trials[1].reasons[1:] == ["the backlog grew"]
    again, _ = judged([labelled], floors(1.0))
    assert again == [labelled]


def test_floors_are_judged_by_the_machine():
    _, (floor,) = judged([], [cell("transport", [one(1, interference=ledger(other_cpu_s=20.0)), one(2)], floor=True)])
    assert [trial.status for trial in floor.trials] == [Status.CONTENDED, Status.VALID]
