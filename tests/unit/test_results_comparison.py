from __future__ import annotations

from dataclasses import replace

import pytest
from results_builder import cell, latency, trial

from rtmbench.results import NoiseBand, Status, compare, compare_all
from rtmbench.results.model import CloseLatency, Happening
from rtmbench.results.verdict import ratio_text


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


@pytest.mark.parametrize(("factor", "verdict"), [(1.2, "slower"), (0.8, "faster"), (1.0, "no difference shown")])
def test_six_pairs_make_a_verdict(factor, verdict):
    found = compare(cell("a", trials(*SIX)), cell("b", scaled(factor)))
    assert (found.pairs, found.verdict, found.verdict_p50) == (6, verdict, verdict)
    assert found.interval[0] <= found.ratio_p99 <= found.interval[1]
    assert found.interval[0] < factor < found.interval[1]
    assert not found.noise_band.measured
    assert "no noise band was measured" in found.note


def test_a_cell_beside_itself_shows_no_difference():
    found = compare(cell("a", trials(*SIX)), cell("a", trials(*SIX)))
    assert (found.verdict, found.ratio_p99, found.interval) == ("no difference shown", 1.0, [1.0, 1.0])


def test_a_difference_within_the_noise_of_the_machine_is_not_called_one():
    a, b = cell("a", trials(*SIX)), cell("b", scaled(1.2))
    wide, narrow = (NoiseBand(p50=width, p99=width, measured=True) for width in (1.25, 1.15))
    inside = compare(a, b, wide)
    assert inside.verdict == "no difference shown"
    assert "no more than this machine's noise" in inside.note
    outside = compare(a, b, narrow)
    assert outside.verdict == "slower"
    assert "noise band of this machine: p50 ±15.0%" in outside.note


def test_an_assumed_band_hides_a_small_certain_difference():
    found = compare(cell("a", trials(*SIX)), cell("b", trials(*(n + n // 20 for n in SIX))))
    assert found.interval[0] > 1
    assert found.verdict == "no difference shown"


def test_many_comparisons_need_more_than_one_does():
    quiet = (0.03, -0.03, 0.16, 0.2, 0.19, 0.19)
    a, b = cell("a", trials(*SIX)), cell("b", scaled(1.08, noise=quiet))
    band = NoiseBand(p50=1.0, p99=1.0, measured=True)
    alone = compare(a, b, band)
    assert alone.verdict == "slower"
    same = [cell(name, scaled(1.0, noise=quiet[i:] + quiet[:i])) for i, name in enumerate("cdefg", 1)]
    (together,) = [c for c in compare_all([a, b, *same], lambda *_: band) if (c.baseline, c.other) == ("a", "b")]
    assert together.interval == alone.interval
    assert together.verdict == "no difference shown"
    assert "p99 is not significant among all comparisons (Holm)" in together.note


def test_more_than_a_quarter_void_is_no_verdict():
    void = [trial(n, Status.VOID) for n in (1, 2, 3)]
    again = [trial(n, attempt=2, latency_us=latency(p50)) for n, p50 in enumerate(SIX[:3], 1)]
    rest = [trial(n, latency_us=latency(p50)) for n, p50 in enumerate(SIX[3:], 4)]
    found = compare(cell("a", trials(*SIX)), cell("b", [*void, *again, *rest]))
    assert (found.pairs, found.verdict) == (6, "no verdict")
    assert found.note.startswith("3 of 9 attempts of b are void")
    assert found.interval is not None
    fewer = compare(cell("a", trials(*SIX)), cell("b", [*void[:2], *again, *rest]))
    assert fewer.verdict == "no difference shown"


def test_pairs_in_one_order_are_no_verdict():
    at = "2026-11-23T09:{:02}:00Z"
    a = [trial(n, latency_us=latency(p50), started_at=at.format(2 * n)) for n, p50 in enumerate(SIX, 1)]
    b = [trial(n, latency_us=latency(9 * p50), started_at=at.format(2 * n + 1)) for n, p50 in enumerate(SIX, 1)]
    found = compare(cell("a", a), cell("b", b))
    assert (found.verdict, found.interval) == ("no verdict", None)
    assert "the same order" in found.note


def test_drift_within_trials_is_remarked():
    drifting = [replace(t, reasons=["drift: p50 went from 1 ms to 2 ms"]) for t in trials(*SIX[:2])]
    found = compare(cell("a", trials(*SIX)), cell("b", [*drifting, *trials(*SIX)[2:]]))
    assert "drift within 2 of 6 trials of b" in found.note


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
    with_one = Happening(kind="checkpoint", source="flink", at_ms=41_230.7, duration_ms=566.0)
    cut = cell("b", [trial(1, cycles=0, happenings=[with_one])])
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
