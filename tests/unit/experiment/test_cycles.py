from __future__ import annotations

from rtmbench.experiment import cycles
from rtmbench.results.model import Interruption

START = 1_700_000_000_000_000


def boundary(at_ms, duration_ms=200.0, kind="batch_boundary"):
    return Interruption(kind=kind, source="spark", at_ms=at_ms, duration_ms=duration_ms)


def cut(interruptions, length_s=20.0):
    return cycles.observed(interruptions, START, START + round(length_s * 1e6), lead_us=2_500_000)


def test_the_window_begins_and_ends_with_observed_boundaries():
    # The news of a boundary comes after its start, so the first one begins before the phase was declared begun.
    found = cut([boundary(at) for at in (-6_000.0, -700.0, 4_700.0, 10_100.0, 15_500.0, 20_900.0)])
    assert found.edges_us == tuple(START + 1_000 * at for at in (-700, 4_700, 10_100, 15_500))
    assert (found.from_us, found.to_us) == (found.edges_us[0], found.edges_us[-1])
    assert (found.cycles, found.seconds, found.cycle_s) == (3, 16.2, 5.4)


def test_two_boundaries_make_one_cycle_not_three():
    # A nominal 15 s hold 2.7 of Spark's cycles: what was seen counts.
    found = cut([boundary(3_000.0), boundary(8_400.0)], 15.0)
    assert (found.cycles, found.seconds) == (1, 5.4)


def test_without_two_boundaries_no_cycle_is_whole():
    for interruptions in ([], [boundary(3_000.0)]):
        found = cut(interruptions, 15.0)
        assert (found.cycles, found.edges_us, found.seconds, found.cycle_s) == (0, (), 15.0, None)


def test_a_savepoint_is_no_end_of_a_cycle():
    found = cut([boundary(0.0, kind="checkpoint"), boundary(2_000.0, kind="savepoint"), boundary(5_000.0)])
    assert found.cycles == 1


def test_boundaries_that_overlap_the_phase_are_counted():
    inside = [
        boundary(-100.0),
        boundary(4_000.0, kind="checkpoint"),
        boundary(9_000.0),
        boundary(1_000.0, 50.0, "stall"),
    ]
    assert cycles.boundaries_in(inside, 5.0) == 2


def test_times_follow_the_start_of_the_window():
    (moved,) = cycles.shifted([boundary(4_700.0)], -700.0)
    assert moved.at_ms == 5_400.0
