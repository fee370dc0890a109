from __future__ import annotations

from dataclasses import replace

import pytest
from results_builder import cell, latency, trial

from rtmbench.results import NoiseBand, Status, compare, compare_all
from rtmbench.results.model import CloseLatency, Failures, Interruption, Spread, WarmUp
from rtmbench.results.verdict import interval_percent, least_pairs, ratio_text, sentence


def trials(*p50s):
    return [trial(n, latency_us=latency(p50)) for n, p50 in enumerate(p50s, 1)]


def test_ratios_are_medians_of_paired_ratios_other_over_baseline():
    # Paired: 3, 1, 2.5. The ratio of the two medians would be 3.
    found = compare(cell("a", trials(10_000, 90_000, 8_000)), cell("b", trials(30_000, 90_000, 20_000)))
    assert (found.baseline, found.other, found.pairs) == ("a", "b", 3)
    assert found.ratio_p50 == 2.5
    assert found.ratio_p99 == 2.5
    assert found.verdict == "no verdict"
    assert found.note == "3 of 6 pairs, 3 missing"
    assert (found.interval, found.verdict_p50, found.noise_band) == (None, None, None)


SIX = (1_000, 1_040, 980, 1_010, 1_030, 990)


def scaled(factor, numbers=SIX, noise=(0.01, -0.02, 0.015, -0.01, 0.0, 0.01)):
    return trials(*(round(n * factor * (1 + e)) for n, e in zip(numbers, noise, strict=True)))


QUIET = NoiseBand(p50=1.05, p99=1.1, measured=True)


@pytest.mark.parametrize(("factor", "verdict"), [(1.2, "slower"), (0.8, "faster"), (1.0, "no difference shown")])
def test_six_pairs_make_a_verdict(factor, verdict):
    found = compare(cell("a", trials(*SIX)), cell("b", scaled(factor)), QUIET)
    assert (found.pairs, found.verdict, found.verdict_p50) == (6, verdict, verdict)
    assert found.interval[0] <= found.ratio_p99 <= found.interval[1]
    assert found.interval[0] < factor < found.interval[1]
    assert "noise band of this machine: p50 ±5.0%, p99 ±10.0%" in found.note


FOUR = SIX[:4]
NOISE = (0.01, -0.02, 0.015, -0.01)


def four(factor, noise=NOISE):
    return scaled(factor, FOUR, noise)


@pytest.mark.parametrize(("factor", "verdict"), [(3, "slower"), (0.3, "faster")])
def test_a_clear_difference_is_a_verdict_after_four_pairs(factor, verdict):
    found = compare(cell("a", trials(*FOUR)), cell("b", four(factor)), QUIET)
    assert (found.pairs, found.verdict, found.verdict_p50) == (4, verdict, verdict)
    assert found.note.startswith("decided early, after 4 of 6 pairs: the intervals are of 99.5%")
    # Two samples of 4 trials, of 6 degrees of freedom, at 99.5 %: a wide interval.
    assert found.interval[0] < found.ratio_p99 * 0.95 < found.ratio_p99 * 1.05 < found.interval[1]
    assert interval_percent(found) == "99.5 %"
    assert interval_percent(compare(cell("a", trials(*SIX)), cell("b", scaled(factor)), QUIET)) == "95 %"


def test_after_four_pairs_nothing_less_is_a_verdict():
    found = compare(cell("a", trials(*FOUR)), cell("b", four(1.05)), NO_BAND)
    assert (found.verdict, found.verdict_p50, found.interval, found.noise_band) == ("no verdict", None, None, None)
    assert found.note == "4 of 6 pairs, 2 missing"
    # One trial of a is slower than one of b: the labels of eight trials do not show it.
    crossed = compare(cell("a", trials(1_000, 1_040, 980, 9_000)), cell("b", four(3)), NO_BAND)
    assert (crossed.verdict, crossed.note) == ("no verdict", "4 of 6 pairs, 2 missing")


def test_an_early_verdict_of_one_percentile_leaves_the_other_open():
    # p99 differs, p50 does not.
    b = [trial(n, latency_us=latency(p50, factor=12)) for n, p50 in enumerate((1_010, 1_020, 990, 1_000), 1)]
    found = compare(cell("a", trials(*FOUR)), cell("b", b), QUIET)
    assert (found.verdict, found.verdict_p50) == ("slower", None)
    assert "p50 needs 6 pairs" in found.note


@pytest.mark.parametrize("status", [Status.CONTENDED, Status.FAILED, Status.UNSUSTAINED, Status.VOID])
def test_an_early_verdict_needs_all_trials_valid(status):
    figures = {} if status.usable else {"latency_us": None}
    b = [*scaled(3, SIX[:4], NOISE), trial(5, status, **figures)]
    found = compare(cell("a", trials(*SIX[:5])), cell("b", b), QUIET)
    assert found.verdict == "no verdict"
    assert found.pairs == 4


def test_early_verdicts_and_others_stand_in_one_family():
    three = [cell("a", trials(*FOUR)), cell("b", four(3)), cell("c", four(9))]
    # Three comparisons: 2 of 70 exchanges are more than a third of 5 %.
    assert {one.verdict for one in compare_all(three, lambda *_: QUIET)} == {"no verdict"}
    five = SIX[:5]
    noise = (*NOISE, 0.0)
    enough = [cell("a", trials(*five)), cell("b", scaled(3, five, noise)), cell("c", scaled(9, five, noise))]
    assert {one.verdict for one in compare_all(enough, lambda *_: QUIET)} == {"slower"}


@pytest.mark.parametrize(("comparisons", "pairs"), [(1, 6), (3, 7), (6, 8), (10, 9), (28, 11)])
def test_more_comparisons_need_more_pairs(comparisons, pairs):
    assert least_pairs(comparisons) == pairs


def test_without_a_measured_band_there_is_no_verdict_on_p99():
    found = compare(cell("a", trials(*SIX)), cell("b", scaled(3)))
    assert (found.verdict, found.verdict_p50) == ("no verdict", "slower")
    assert found.noise_band == NoiseBand(p50=1.1, p99=None, measured=False)
    assert "p50 is compared with an assumed ±10%, and p99 has no verdict" in found.note
    assert "no verdict at p99 × 3.0" in sentence(found)
    assert "slower at p50 × 3.0" in sentence(found)


def test_a_quick_run_never_gets_a_verdict_but_a_ratio():
    found = compare(cell("a", trials(*SIX)), cell("b", scaled(3)), QUIET, quick=True)
    assert (found.verdict, found.verdict_p50, found.noise_band) == ("no verdict", None, None)
    assert found.ratio_p99 == pytest.approx(3, rel=0.01)
    assert found.note.startswith("a quick run: too short and too cold for a verdict")
    twice = [cell("a", trials(*SIX)), cell("b", scaled(3))]
    assert compare_all(twice, lambda *_: QUIET, quick=True) == [found]


def test_a_cell_beside_itself_shows_no_difference():
    found = compare(cell("a", trials(*SIX)), cell("a", trials(*SIX)), QUIET)
    assert (found.verdict, found.ratio_p99, found.interval) == ("no difference shown", 1.0, [1.0, 1.0])


def test_a_difference_within_the_noise_of_the_machine_is_not_called_one():
    a, b = cell("a", trials(*SIX)), cell("b", scaled(1.2))
    wide, narrow = (NoiseBand(p50=width, p99=width, measured=True) for width in (1.25, 1.15))
    inside = compare(a, b, wide)
    assert inside.verdict == "no difference shown"
    assert "no more than this machine's noise" in inside.note
    assert compare(a, b, narrow).verdict == "slower"


def test_the_near_bound_has_to_lie_beyond_the_band_and_not_the_ratio():
    # The review's run: a ratio of 1.12, of which the interval begins below the band.
    noise = (0.03, 0.03, -0.03, -0.03, 0.02, -0.02)
    found = compare(cell("a", trials(*SIX)), cell("b", scaled(1.123, noise=noise)), QUIET)
    assert found.interval[0] < 1.1 < found.ratio_p99
    assert found.verdict == "no difference shown"
    assert "the interval overlaps the band" in found.note
    assert found.verdict_p50 == "slower"


def test_an_assumed_band_hides_a_small_certain_difference():
    found = compare(cell("a", trials(*SIX)), cell("b", trials(*(n + n // 20 for n in SIX))))
    assert found.interval_p50[0] > 1
    assert found.verdict_p50 == "no difference shown"


NO_BAND = NoiseBand(p50=1.0, p99=1.0, measured=True)


def test_many_comparisons_need_more_than_one_does():
    quiet = (0.03, -0.03, 0.16, 0.2, 0.19, 0.19)
    a, b = cell("a", trials(*SIX)), cell("b", scaled(1.08, noise=quiet))
    alone = compare(a, b, NO_BAND)
    assert alone.verdict == "slower"
    same = [cell(name, scaled(1.0, noise=quiet[i:] + quiet[:i])) for i, name in enumerate("cdefg", 1)]
    (together,) = [c for c in compare_all([a, b, *same], lambda *_: NO_BAND) if (c.baseline, c.other) == ("a", "b")]
    assert together.interval == alone.interval
    assert together.verdict == "no difference shown"
    assert "p99 is not significant among all comparisons (Holm)" in together.note


@pytest.mark.parametrize(("engines", "pairs"), [(2, 6), (3, 7), (4, 8)])
def test_each_further_engine_takes_more_pairs(engines, pairs):
    def cells(count):
        noise = [0.002 * (n % 3 - 1) for n in range(count)]
        return [
            cell(name, trials(*(round(1_000 * 2**i * (1 + e * (i + 1))) for e in noise)))
            for i, name in enumerate("abcd"[:engines])
        ]

    assert {c.verdict for c in compare_all(cells(pairs), lambda *_: QUIET)} == {"slower"}
    if pairs > 6:
        fewer = compare_all(cells(pairs - 1), lambda *_: QUIET)
        assert {c.verdict for c in fewer} == {"no difference shown"}
        assert all("permutation test (p = 0.0" in c.note for c in fewer)


def test_one_pair_of_six_the_other_way_is_no_difference():
    # Student's interval excludes 1; of 64 assignments of signs, 4 are as far away.
    noise = (-0.13, 0.09, 0.1, 0.11, 0.09, 0.1)
    found = compare(cell("a", trials(*SIX)), cell("b", scaled(1.12, noise=noise)), NO_BAND)
    assert found.interval[0] > 1
    assert found.verdict == "no difference shown"


def of(statuses, p50s):
    return [
        trial(n, status, ["why"], **({"latency_us": latency(p50)} if status.has_figures else {}))
        for n, (status, p50) in enumerate(zip(statuses, p50s, strict=True), 1)
    ]


V, C, U, F = Status.VALID, Status.CONTENDED, Status.UNSUSTAINED, Status.FAILED
TWELVE = SIX * 2


@pytest.mark.parametrize(("bad", "words"), [(F, "b fails in 6 of 12 trials"), (U, "b not sustained in 6 of 12 trials")])
@pytest.mark.parametrize("band", [QUIET, NO_BAND])
def test_an_engine_that_fails_in_half_of_its_trials_is_not_faster(bad, words, band):
    # The review's reproduction: a fifth faster in 6 trials, and failed or unsustained in the other 6.
    fast = of([V, bad] * 6, [round(0.8 * n) for n in TWELVE])
    found = compare(cell("a", trials(*TWELVE)), cell("b", fast), band)
    assert (found.verdict, found.verdict_p50, found.noise_band) == ("worse", None, None)
    assert found.ratio_p99 == pytest.approx(0.8, rel=0.01)
    assert found.note.startswith(f"{words}, a in none of 12")
    assert found.failures == Failures(baseline=0, baseline_trials=12, other=6, other_trials=12)
    assert sentence(found).startswith("b against a: worse, p99 × 0.80")
    back = compare(cell("b", fast), cell("a", trials(*TWELVE)), band)
    assert (back.verdict, back.verdict_p50) == ("better", None)


def test_fewer_failures_withhold_the_verdict_on_latency():
    fast = of([F, F, *[V] * 10], [round(0.8 * n) for n in TWELVE])
    found = compare(cell("a", trials(*TWELVE)), cell("b", fast), QUIET)
    assert (found.verdict, found.verdict_p50) == ("no verdict", None)
    assert found.note.startswith("b fails in 2 of 12 trials, a in none of 12; the trials that are left do not show")
    both = compare(cell("a", of([V, V, F, F, *[V] * 8], TWELVE)), cell("b", fast), QUIET)
    assert (both.verdict, both.verdict_p50) == ("no verdict", None)


def test_a_failure_does_not_save_a_slow_engine_from_the_verdict():
    slow = of([F, *[V] * 11], [round(1.2 * n * (1 + 0.01 * (i % 3))) for i, n in enumerate(TWELVE)])
    found = compare(cell("a", trials(*TWELVE)), cell("b", slow), QUIET)
    assert (found.verdict, found.verdict_p50) == ("slower", "slower")
    assert found.note.startswith("b fails in 1 of 12 trials, a in none of 12")
    back = compare(cell("b", slow), cell("a", trials(*TWELVE)), QUIET)
    assert (back.verdict, back.verdict_p50) == ("faster", "faster")


def test_where_both_fail_alike_nobody_is_worse():
    a, b = (cell(name, of([F, U] * 6, TWELVE)) for name in "ab")
    found = compare(a, b, QUIET)
    assert (found.verdict, found.pairs) == ("no verdict", 0)
    assert "fails in 6 and not sustained in 6 of 12" in found.note


def test_a_failure_that_was_retried_on_request_is_the_outcome_of_its_pair():
    retried = [*of([F] * 6, SIX), *(replace(t, attempt=2) for t in scaled(0.8))]
    found = compare(cell("a", trials(*SIX)), cell("b", retried), QUIET)
    assert (found.verdict, found.pairs) == ("worse", 0)


def test_many_comparisons_of_failures_need_more_than_one_does():
    cells = [cell("a", trials(*SIX)), cell("b", trials(*SIX)), cell("c", of([F] * 6, SIX))]
    assert {c.verdict for c in compare_all(cells, lambda *_: QUIET) if c.other == "c"} == {"no verdict"}
    eight = [*SIX, 1_000, 1_010]
    more = [cell("a", trials(*eight)), cell("b", trials(*eight)), cell("c", of([F] * 8, eight))]
    assert {c.verdict for c in compare_all(more, lambda *_: QUIET) if c.other == "c"} == {"worse"}


def test_more_than_a_quarter_contended_is_no_verdict():
    eight = (*SIX, 1_000, 1_010)
    for contended, verdict in ((2, "slower"), (3, "no verdict")):
        busy = of([C] * contended + [V] * (9 - contended), [2 * n for n in (*eight, 1_000)])
        found = compare(cell("a", trials(*eight, 1_000)), cell("b", busy), QUIET)
        assert found.verdict == verdict
        assert f"withheld as contended: {contended} of 9" in found.note
    assert found.note.startswith("3 of 9 trials of b are contended")


def test_more_than_a_quarter_drifting_is_no_verdict_on_latency():
    falling = WarmUp(seconds=120.0, boundaries=24, ended_by="bound", falling=True)
    for marked in ({"reasons": ["drift: p50 went from 1 ms to 2 ms"]}, {"warm_up": falling}):
        for drifting, verdict in ((2, "slower"), (3, "no verdict")):
            b = [
                replace(t, **(marked if t.trial <= drifting else {}))
                for t in trials(*(2 * n for n in (*SIX, *SIX[:3])))
            ]
            found = compare(cell("a", trials(*SIX, *SIX[:3])), cell("b", b), QUIET)
            assert found.verdict == verdict
            assert found.note.startswith(f"drift within {drifting} of 9 trials of b")


def test_drift_does_not_hide_that_an_engine_fails():
    drifting = [replace(t, reasons=["drift: p50 fell"]) for t in of([V, F] * 6, TWELVE)]
    assert compare(cell("a", trials(*TWELVE)), cell("b", drifting), QUIET).verdict == "worse"


def hops(own, number, p50=1_000):
    return trial(number, latency_us=latency(p50), hops_ms={"input_to_output": own})


def test_the_engines_own_hops_are_compared_too():
    a = [hops(Spread(p50=1, p99=10 + n, max=99), n) for n in range(1, 7)]
    b = [hops(Spread(p50=2, p99=30 + 3 * n, max=99), n) for n in range(1, 7)]
    for count in (2, 6):
        found = compare(cell("a", a[:count]), cell("b", b[:count]), QUIET)
        assert (found.ratio_engine_p50, found.ratio_engine_p99) == (2.0, 3.0)
        assert "; engine's own hop p99 × 3.00, p50 × 2.00 (" in sentence(found)


@pytest.mark.parametrize("short", [0, -1, 0.001])
def test_a_hop_below_its_resolution_has_no_ratio(short):
    a, b = (cell(name, [hops(Spread(p50=short, p99=p99, max=99), 1)]) for name, p99 in (("a", 4), ("b", 8)))
    found = compare(a, b)
    assert (found.ratio_engine_p50, found.ratio_engine_p99) == (None, 2.0)
    assert "the engine's own hop is below its resolution of 1 ms at p50" in found.note
    without = compare(cell("a", [trial(hops_ms=None)]), b)
    assert (without.ratio_engine_p50, without.ratio_engine_p99) == (None, None)


def test_more_than_a_quarter_void_is_no_verdict():
    void = [trial(n, Status.VOID) for n in (1, 2, 3)]
    again = [trial(n, attempt=2, latency_us=latency(p50)) for n, p50 in enumerate(SIX[:3], 1)]
    rest = [trial(n, latency_us=latency(p50)) for n, p50 in enumerate(SIX[3:], 4)]
    found = compare(cell("a", trials(*SIX)), cell("b", [*void, *again, *rest]), QUIET)
    assert (found.pairs, found.verdict) == (6, "no verdict")
    assert found.note.startswith("3 of 9 attempts of b are void")
    assert found.interval is not None
    fewer = compare(cell("a", trials(*SIX)), cell("b", [*void[:2], *again, *rest]), QUIET)
    assert fewer.verdict == "no difference shown"


def test_pairs_in_one_order_are_no_verdict():
    at = "2026-11-23T09:{:02}:00Z"
    a = [trial(n, latency_us=latency(p50), started_at=at.format(2 * n)) for n, p50 in enumerate(SIX, 1)]
    b = [trial(n, latency_us=latency(9 * p50), started_at=at.format(2 * n + 1)) for n, p50 in enumerate(SIX, 1)]
    found = compare(cell("a", a), cell("b", b))
    assert (found.verdict, found.interval) == ("no verdict", None)
    assert "the same order" in found.note


def test_a_little_drift_is_remarked():
    drifting = [replace(t, reasons=["drift: p50 went from 1 ms to 2 ms"]) for t in trials(*SIX[:1])]
    found = compare(cell("a", trials(*SIX)), cell("b", [*drifting, *trials(*SIX)[1:]]), QUIET)
    assert "drift within 1 of 6 trials of b" in found.note
    assert found.verdict == "no difference shown"


def test_only_trials_of_the_same_number_pair():
    late = [trial(2, latency_us=latency(5_000)), trial(3, latency_us=latency(1_000))]
    found = compare(cell("a", trials(1_000, 1_000)), cell("b", late))
    assert (found.pairs, found.ratio_p50) == (1, 5.0)


def test_the_rerun_stands_for_a_void_trial():
    again = [trial(1, Status.VOID), trial(1, attempt=2, latency_us=latency(4_000))]
    found = compare(cell("a", trials(1_000)), cell("b", again))
    assert (found.pairs, found.ratio_p50) == (1, 4.0)
    assert "1 of 2 attempts of b are void" in found.note


def test_contended_pairs_are_withheld():
    busy = [trial(1, Status.CONTENDED), trial(2, latency_us=latency(4_200))]
    found = compare(cell("a", trials(2_100, 2_100)), cell("b", busy))
    assert (found.pairs, found.ratio_p50) == (1, 2.0)
    assert "withheld as contended: 1 of 2" in found.note


@pytest.mark.parametrize("status", [Status.UNSUSTAINED, Status.FAILED, Status.REFUSED, Status.VOID, Status.CONTENDED])
def test_without_a_clean_pair_there_is_no_ratio(status):
    found = compare(cell("a"), cell("b", [trial(1, status)]))
    assert (found.pairs, found.ratio_p50, found.ratio_p99) == (0, None, None)


def test_unlike_emission_is_remarked():
    found = compare(cell("a", emit="update"), cell("b", emit="batch"))
    assert found.pairs == 1
    assert "the batch side writes fewer results" in found.note


def test_close_is_compared_with_close_only():
    assert compare(cell("a", emit="close"), cell("b", emit="update")).ratio_p50 is None
    assert compare(cell("a", emit="close"), cell("b", emit="close")).pairs == 1


def test_close_cells_are_compared_by_their_close_latency():
    few = [CloseLatency(count=5, p50=p50) for p50 in (1_000, 3_000)]
    a, b = (cell(name, [trial(1, close_latency_us=us)], emit="close") for name, us in zip("ab", few, strict=True))
    found = compare(a, b)
    assert (found.ratio_p50, found.ratio_p99) == (3.0, None)
    assert "p99 of the close needs 30 windows" in found.note


def test_six_closes_of_few_windows_make_a_verdict_on_p50_alone():
    a, b = (
        cell(
            name,
            [trial(n, close_latency_us=CloseLatency(count=5, p50=p50 * f)) for n, p50 in enumerate(SIX, 1)],
            emit="close",
        )
        for name, f in (("a", 1), ("b", 2))
    )
    found = compare(a, b)
    assert (found.verdict, found.verdict_p50, found.interval) == ("no verdict", "slower", None)


def test_boundary_free_is_compared_with_its_like_only():
    free = cell("b", [trial(1, cycles=0)])
    found = compare(cell("a"), free)
    assert found.ratio_p50 is None
    assert "boundary-free" in found.note
    assert compare(free, free).pairs == 1
    with_one = Interruption(kind="checkpoint", source="flink", at_ms=41_230.7, duration_ms=566.0)
    cut = cell("b", [trial(1, cycles=0, interruptions=[with_one])])
    assert compare(cut, free).ratio_p50 is None
    assert compare(cut, cell("a")).ratio_p50 is None
    assert compare(cut, cut).pairs == 1


def test_every_cell_meets_each_later_one():
    found = compare_all([cell("a"), cell("b"), cell("c")])
    assert [(c.baseline, c.other) for c in found] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_a_small_ratio_keeps_its_digits():
    assert ratio_text(2.0405) == "2.04"
    assert ratio_text(0.151, [0.1, 0.2]) == "0.15 [0.10, 0.20]"
    assert ratio_text(1 / 1927, [0.00048, 0.5]) == "0.00052 [0.00048, 0.50]"
    slow, fast = (
        cell(trials=[trial(1, latency_us=latency(9_000_000))]),
        cell(trials=[trial(1, latency_us=latency(900))]),
    )
    assert compare(slow, fast).ratio_p99 == pytest.approx(1e-4)


def test_custom_jobs_with_unlike_intervals_get_no_verdict():
    own = {"emit": "output"}
    minutely = [replace(one, seconds=60.0, cycles=1) for one in scaled(1.2)]
    found = compare(cell("flink@1.20", trials(*SIX), **own), cell("spark@4.3", minutely, **own), QUIET)
    assert found.verdict == "no verdict"
    assert "unlike intervals between checkpoints or batches: flink@1.20 5 s, spark@4.3 60 s" in found.note
    alike = compare(cell("flink@1.20", trials(*SIX), **own), cell("spark@4.3", scaled(1.2), **own), QUIET)
    assert alike.verdict == "slower"


def test_a_side_that_writes_more_bytes_is_remarked():
    small = [replace(one, output_bytes=1_000_000) for one in trials(*SIX)]
    large = [replace(one, output_bytes=1_400_000) for one in scaled(1.2)]
    found = compare(cell("a", small), cell("b", large), QUIET)
    assert "1.4" in found.note
    assert "bytes" in found.note
    assert found.verdict == "slower"
