"""On logs of real JVMs: a Flink TaskManager and a Spark driver of a run (JDK 17), a small program (JDK 25)."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from places import DATA

from rtmbench.experiment import event_timeline
from rtmbench.platform.gc_log import read_pauses

GC = DATA / "gc"


@pytest.mark.parametrize("name", ["flink-taskmanager-gc.log", "spark-gc.log", "jdk25-gc.log"])
def test_every_pause_of_a_collector_is_found(name):
    text = (GC / name).read_text()
    pauses = read_pauses(GC / name)
    logged = [float(ms) for ms in re.findall(r"Pause .*? (\d+\.\d+)ms$", text, flags=re.MULTILINE)]
    found = [one for one in pauses if one.kind == "gc_pause"]
    assert logged
    # Two pauses within one safepoint are one: the threads stood still once.
    assert sum(len(re.findall(r"(?:^|, )Pause ", one.detail)) for one in found) == len(logged)
    assert sum(one.duration_ms for one in found) >= sum(logged) * 0.999
    assert len(pauses) >= text.count("Safepoint ")
    assert [one.start_us for one in pauses] == sorted(one.start_us for one in pauses)


def test_a_pause_is_as_long_as_the_threads_stood_still():
    pauses = read_pauses(GC / "flink-taskmanager-gc.log")
    longest = max(pauses, key=lambda one: one.duration_ms)
    # GC(4) took 48.826 ms by its own account; bringing the threads to a halt and going on took 13.3 ms more.
    assert (longest.kind, longest.duration_ms) == ("gc_pause", 62.162)
    assert longest.detail == "Pause Young (Concurrent Start) (G1 Evacuation Pause)"
    ended = dt.datetime(2026, 11, 25, 15, 18, 19, 179_000, tzinfo=dt.timezone.utc)
    assert abs(longest.end_us - ended.timestamp() * 1e6) <= 1


def test_the_time_zone_of_the_log_is_heeded(tmp_path):
    line = "[2026-11-25T17:16:05.500+0200][1.187s][gc       ] GC(0) Pause Young (Normal) 26M->11M(384M) 500.000ms\n"
    (tmp_path / "a-gc.log").write_text(line)
    (pause,) = read_pauses(tmp_path / "a-gc.log")
    assert pause.start_us == dt.datetime(2026, 11, 25, 15, 16, 5, tzinfo=dt.timezone.utc).timestamp() * 1e6


def test_what_is_no_log_has_no_pauses(tmp_path):
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 40)
    assert read_pauses(tmp_path / "bytes") == []
    assert read_pauses(tmp_path / "missing") == []


def test_pauses_are_timed_from_the_measuring_phase_and_named_by_their_process():
    from_us = round(dt.datetime(2026, 11, 25, 15, 18, 19, tzinfo=dt.timezone.utc).timestamp() * 1e6)
    found = event_timeline.pauses(GC, None, from_us)
    assert {one.source for one in found} == {"flink-taskmanager", "spark", "jdk25"}
    longest = max((one for one in found if one.source == "flink-taskmanager"), key=lambda one: one.duration_ms)
    assert (longest.at_ms, longest.duration_ms, longest.kind) == (116.8, 62.2, "gc_pause")
    assert event_timeline.pauses(GC / "none", GC / "none", 0) == []
