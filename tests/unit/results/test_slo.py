from __future__ import annotations

from dataclasses import replace

import pytest
from results_builder import cell, latency, trial

from rtmbench.errors import ConfigurationError
from rtmbench.results import Rate, Status
from rtmbench.results.slo import Target, judge, judge_all


@pytest.mark.parametrize(
    ("text", "field", "limit_us", "rate"),
    [
        ("p99<100ms@10000/s", "p99", 100_000, 10_000),
        ("p99.9 < 1.5s", "p99_9", 1_500_000, None),
        ("p50<900us@500", "p50", 900, 500),
        ("p95<900µs", "p95", 900, None),
        ("max<2s@1000.5/s", "max", 2_000_000, 1000.5),
    ],
)
def test_targets_are_read(text, field, limit_us, rate):
    found = Target.parse(text)
    assert (found.text, found.field, found.limit_us, found.rate) == (text, field, limit_us, rate)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p99",
        "p99>1s",
        "p98<1s",
        "p99<100",
        "p99<1min",
        "p99<0ms",
        "p99<1ms@0",
        "p99<1ms@9/m",
        "p99<-1ms",
        "x" * 999,
    ],
)
def test_what_is_no_target_is_refused_with_the_way_to_write_one(text):
    with pytest.raises(ConfigurationError, match="target") as caught:
        Target.parse(text)
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) < 400


def at(p99, number=1, status=Status.VALID, rate=1_000, **changes):
    figures = replace(latency(1_000), p99=p99, **changes) if status.has_figures else None
    return trial(number, status, ["why"], latency_us=figures, rate=Rate(requested=rate, achieved=rate))


def outcome(text, *trials):
    found = judge(Target.parse(text), cell("spark@4.1", list(trials)))
    assert (found.target, found.cell) == (text, "spark@4.1")
    return found.outcome, found.detail


def test_under_the_limit_is_met_and_at_it_missed():
    assert outcome("p99<5ms@1000/s", *three(4_999)) == ("met", "trial 1 5.00 ms; trial 2 5.00 ms; trial 3 5.00 ms")
    assert outcome("p99<5ms", *three(5_000))[0] == "missed"
    assert outcome("p99<5ms", at(5_000)) == ("missed", "trial 1 5.00 ms")


def three(*p99s):
    return [at(p99, number) for number, p99 in enumerate(p99s * 3 if len(p99s) == 1 else p99s, 1)]


def test_a_target_is_met_by_the_interval_of_its_trials_and_not_by_their_luck():
    assert outcome("p99<5ms", *three(4_000, 4_100, 4_050))[0] == "met"
    found = outcome("p99<5ms", *three(4_900, 3_000, 4_000))
    assert found[0] == "inconclusive"
    assert found[1].startswith("under the limit, but the 95 % interval of 3 trials reaches 7.17 ms: trial 1 4.90 ms")
    assert outcome("p99<5ms", *three(4_900, 3_000, 4_000, 3_500, 4_200, 3_800, 3_900))[0] == "met"


def test_fewer_than_three_trials_meet_no_target():
    assert outcome("p99<5s", at(4_000), at(3_000, 2)) == (
        "inconclusive",
        "under the limit in 2 of 3 required trials: trial 1 4.00 ms; trial 2 3.00 ms",
    )


def quick(text, *trials):
    found = judge(Target.parse(text), cell("spark@4.1", list(trials)), quick=True)
    return found.outcome, found.detail


def test_a_quick_run_meets_no_target_and_misses_one_only_by_far():
    assert quick("p99<5ms", *three(4_000))[0] == "inconclusive"
    assert quick("p99<5ms", *three(49_000)) == (
        "inconclusive",
        "a quick run is short and cold: trial 1 49.00 ms; trial 2 49.00 ms; trial 3 49.00 ms",
    )
    assert quick("p99<5ms", *three(50_000))[0] == "missed"
    assert quick("p99<5ms", at(0, status=Status.FAILED))[0] == "missed"
    assert quick("p99<5ms", at(4_000, status=Status.UNSUSTAINED))[0] == "missed"


def test_a_failure_that_was_retried_still_counts():
    retried = [at(0, status=Status.FAILED), replace(at(4_000), attempt=2), at(4_000, 2), at(4_000, 3)]
    assert outcome("p99<5ms", *retried)[0] == "inconclusive"


def test_trials_that_disagree_are_inconclusive():
    found = outcome("p99<5ms", at(4_000), at(6_000, 2), at(3_000, 3))
    assert found[0] == "inconclusive"
    assert found[1].startswith("met in 2 of 3 trials: trial 1 4.00 ms; trial 2 6.00 ms")


def test_contended_figures_decide_nothing():
    assert outcome("p99<5ms", at(4_000, status=Status.CONTENDED))[0] == "inconclusive"
    assert outcome("p99<5ms", at(9_000, status=Status.CONTENDED))[0] == "inconclusive"


def test_a_lower_bound_can_miss_a_target_but_not_meet_it():
    censored = {"censored": 3, "censored_percentiles": ["p99", "p99_9", "max"]}
    assert outcome("p99<5ms", at(4_000, status=Status.UNSUSTAINED, **censored)) == (
        "inconclusive",
        "trial 1 ≥4.00 ms, a lower bound",
    )
    assert outcome("p99<5ms", at(6_000, status=Status.UNSUSTAINED, **censored))[0] == "missed"
    assert outcome("p50<5ms", at(6_000, status=Status.UNSUSTAINED, **censored)) == (
        "missed",
        "trial 1 1.00 ms, and the rate was not sustained",
    )


def test_another_rate_decides_nothing():
    assert outcome("p99<5ms@2000/s", at(4_000)) == ("inconclusive", "measured at 1,000 events/s")
    behind = replace(at(4_000), rate=Rate(requested=1_000, achieved=950.0))
    assert outcome("p99<5ms@1000/s", behind) == ("inconclusive", "measured at 950 events/s")


def test_a_failure_misses_and_a_refusal_or_nothing_decides_nothing():
    assert outcome("p99<5ms", at(0, status=Status.FAILED)) == ("missed", "trial 1 failed")
    assert outcome("p99<5ms", at(0, status=Status.REFUSED))[0] == "inconclusive"
    assert outcome("p99<5ms", at(0, status=Status.VOID))[0] == "inconclusive"
    assert outcome("p99<5ms")[0] == "inconclusive"
    assert outcome("p99<5ms", at(0, status=Status.VOID), *(replace(one, attempt=2) for one in three(4_000)))[0] == "met"


def test_every_cell_is_judged_by_every_target():
    targets = [Target.parse(text) for text in ("p50<2ms", "p99<5ms")]
    found = judge_all(targets, [cell("a", three(4_000)), cell("b", three(6_000))])
    assert [(o.target, o.cell, o.outcome) for o in found] == [
        ("p50<2ms", "a", "met"),
        ("p50<2ms", "b", "met"),
        ("p99<5ms", "a", "met"),
        ("p99<5ms", "b", "missed"),
    ]
