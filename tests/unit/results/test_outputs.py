"""Bytes written: per expected event where both owe the same results, else per record."""

from __future__ import annotations

import pytest
from results_builder import cell, counts, trial

from rtmbench.results import Status
from rtmbench.results.outputs import bytes_per_event, bytes_per_record, output_bytes_note


def written(name, number, emit="update", **changes):
    return cell(name, [trial(output_bytes=number, **changes)], emit=emit)


@pytest.mark.parametrize(("number", "differs"), [(109, False), (111, True), (91, False), (90, True)])
def test_more_than_a_tenth_is_named(number, differs):
    found = output_bytes_note(written("a", 15_020 * 100), written("b", 15_020 * number))
    assert bool(found) == differs


def test_the_note_names_both_and_the_factor():
    note = output_bytes_note(written("a", 15_020 * 100), written("b", 15_020 * 30))
    assert note == "b writes 0.30 × the bytes of a for each expected event (30 against 100)"


def test_cells_that_owe_different_numbers_of_results_are_compared_by_the_record():
    few = counts(received=150)
    same = written("b", 150 * 100, emit="batch", counts=few)
    assert output_bytes_note(written("a", 15_020 * 100), same) == ""
    note = output_bytes_note(written("a", 15_020 * 100), written("b", 150 * 120, emit="batch", counts=few))
    assert note == "b writes 1.2 × the bytes of a for each output record (120 against 100)"


def test_without_bytes_or_figures_there_is_no_note():
    assert output_bytes_note(written("a", None), written("b", 9)) == ""
    failed = cell("b", [trial(1, Status.FAILED, output_bytes=9)])
    assert output_bytes_note(written("a", 15_020 * 100), failed) == ""
    assert bytes_per_record(trial(counts=counts(received=0), output_bytes=9)) is None
    assert bytes_per_event(trial(counts=None, outputs=None, output_bytes=9)) is None
