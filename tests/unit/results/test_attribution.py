from __future__ import annotations

import numpy as np
import pytest

from rtmbench.results import attribution
from rtmbench.results.model import Interruption


def interruption(at_ms, duration_ms, kind="batch_boundary", source="spark"):
    return Interruption(kind=kind, source=source, at_ms=at_ms, duration_ms=duration_ms)


def attribute(interruptions, samples, seconds=10.0):
    """Attribute samples of (due, latency) in ms."""
    due, latency = np.array(samples, dtype=np.int64).reshape(-1, 2).T * 1_000
    return attribution.attribute(interruptions, seconds=seconds, scheduled_us=due, latency_us=latency)


def test_a_sample_that_waits_through_a_boundary_coincides_with_it():
    found = attribute([interruption(1_000, 200)], [(950, 300), (1_100, 150), (1_240, 20), (1_251, 30), (700, 301)])
    (boundary,) = found.coincidences
    # Before, within and just after it, but neither 51 ms after its end nor all but 1 ms before its start.
    assert boundary.tail_share == pytest.approx(3 / 5)
    assert found.unexplained == pytest.approx(2 / 5)
    assert (boundary.count, boundary.total_ms, boundary.time_share) == (1, 200, 0.025)
    assert found.tail_samples == 5


def test_a_long_wait_does_not_coincide_with_all_that_happens_meanwhile():
    pauses = [interruption(at, 20, "gc_pause", "kafka") for at in range(0, 10_000, 500)]
    found = attribute([interruption(2_000, 1_500), *pauses], [(2_000 + at, 1_600) for at in range(100)])
    shares = {one.kind: one.tail_share for one in found.coincidences}
    assert shares == {"batch_boundary": 1.0, "gc_pause": 0.0}
    # 70 ms of every 500: what little each pause covers does not add up to half of a wait.
    assert attribute(pauses, [(at, 1_600) for at in range(8_000)]).unexplained == 1.0


def test_several_short_interruptions_together_may_fill_a_wait():
    found = attribute(
        [interruption(0, 10), interruption(70, 10), interruption(140, 10, "gc_pause", "kafka")], [(0, 200)]
    )
    assert {one.kind: one.tail_share for one in found.coincidences} == {"batch_boundary": 1.0, "gc_pause": 0.0}


def test_what_is_random_coincides_as_often_as_chance_gives():
    random = np.random.default_rng(7)
    interruptions = [interruption(at, 150) for at in range(0, 100_000, 1_000)]
    due = random.integers(0, 100_000, 20_000)
    found = attribute(interruptions, [(at, 1) for at in due], seconds=100.0)
    (boundary,) = found.coincidences
    assert boundary.tail_share == pytest.approx(boundary.time_share, abs=0.01)


def test_kinds_overlap_and_each_is_told():
    interruptions = [
        interruption(0, 100),
        interruption(50, 100, "gc_pause", "kafka"),
        interruption(5_000, 5, "gc_pause", "spark"),
    ]
    found = attribute(interruptions, [(20, 100), (5_001, 80), (8_000, 90)])
    shares = {(one.kind, one.source): one.tail_share for one in found.coincidences}
    third = pytest.approx(1 / 3, abs=1e-4)
    assert shares == {("batch_boundary", "spark"): third, ("gc_pause", "kafka"): third, ("gc_pause", "spark"): third}
    assert found.unexplained == third


def test_a_stall_is_explained_by_what_overlaps_it_and_explains_nothing_itself():
    stall = [interruption(1_000, 400, attribution.STALL, "output")]
    found = attribute([interruption(900, 150), *stall], [(1_000, 400)])
    (boundary,) = found.coincidences
    # 1000 to 1100 of 1000 to 1400 ms: the 50 ms after the boundary count.
    assert boundary.stall_share == pytest.approx(0.25)
    assert found.stall_unexplained == pytest.approx(0.75)
    assert attribute(stall, [(1_000, 400)]).unexplained == 1.0


def test_overlapping_interruptions_count_their_time_once():
    found = attribute([interruption(0, 1_000), interruption(500, 1_000), interruption(100, 50)], [(9_000, 1)])
    assert found.coincidences[0].time_share == pytest.approx(0.155)
    assert found.coincidences[0].tail_share == 0.0


def test_without_a_tail_there_is_no_share():
    found = attribute([interruption(0, 10)], [])
    assert (found.coincidences[0].tail_share, found.unexplained, found.stall_unexplained) == (None, None, None)


def test_only_the_measuring_phase_and_what_lasts_counts():
    ones = [
        interruption(-500, 100),
        interruption(-120, 100),
        interruption(9_999, 10),
        interruption(10_000, 10),
        interruption(5, 0.5),
    ]
    assert [one.at_ms for one in attribution.within(ones, 10.0)] == [-120, 9_999]


def test_a_document_keeps_the_longest():
    many = [interruption(at, 1 + at % 7) for at in range(attribution.KEPT + 10)]
    kept = attribution.kept(many)
    assert len(kept) == attribution.KEPT
    assert [one.at_ms for one in kept] == sorted(one.at_ms for one in kept)
    assert sum(one.duration_ms == 7 for one in kept) == sum(one.duration_ms == 7 for one in many)
