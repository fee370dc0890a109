from __future__ import annotations

import pytest
from results_builder import cell, latency, trial

from rtmbench.results import Status, compare, compare_all


def trials(*p50s):
    return [trial(n, latency_us=latency(p50)) for n, p50 in enumerate(p50s, 1)]


def test_ratios_are_medians_of_paired_ratios_other_over_baseline():
    # Paired: 3, 1, 2.5. The ratio of the two medians would be 3.
    found = compare(cell("a", trials(10_000, 90_000, 8_000)), cell("b", trials(30_000, 90_000, 20_000)))
    assert (found.baseline, found.other, found.pairs) == ("a", "b", 3)
    assert found.ratio_p50 == 2.5
    assert found.ratio_p99 == 2.5
    assert found.verdict == "no verdict"
    assert found.note == "3 of 6 pairs"


def test_six_pairs_still_make_no_verdict_without_intervals():
    found = compare(cell("a", trials(*[1_000] * 6)), cell("b", trials(*[9_000] * 6)))
    assert (found.pairs, found.verdict, found.interval) == (6, "no verdict", None)
    assert "6 pairs; intervals are not computed" in found.note


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


def test_boundary_free_is_compared_with_its_like_only():
    free = cell("b", [trial(1, cycles=0)])
    found = compare(cell("a"), free)
    assert found.ratio_p50 is None
    assert "boundary-free" in found.note
    assert compare(free, free).pairs == 1


def test_every_cell_meets_each_later_one():
    found = compare_all([cell("a"), cell("b"), cell("c")])
    assert [(c.baseline, c.other) for c in found] == [("a", "b"), ("a", "c"), ("b", "c")]
