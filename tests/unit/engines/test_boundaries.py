"""On what real engines said: Spark 4.1's progress and log, Flink 1.20's REST API, of a run recorded for the tests."""

from __future__ import annotations

import datetime as dt
import itertools
import json

import pytest
from places import DATA

from rtmbench.engines.flink.rest import checkpoints
from rtmbench.engines.spark.boundaries import batch_boundaries

BOUNDARIES = DATA / "boundaries"


@pytest.fixture
def utc(monkeypatch):
    import time  # noqa: PLC0415 - only here

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def us(text):
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=dt.timezone.utc).timestamp() * 1e6)


@pytest.mark.usefixtures("utc")
def test_a_boundary_lasts_from_the_end_of_the_tasks_to_the_start_of_the_next_ones():
    progress = (BOUNDARIES / "spark-progress.jsonl").read_text().splitlines()
    log = (BOUNDARIES / "spark-tasks.log").read_text().splitlines()
    from_us = us(json.loads(progress[0])["timestamp"].rstrip("Z"))
    found = batch_boundaries(progress, log, from_us)
    assert len(found) == len(progress)
    for one, line in zip(found, progress, strict=True):
        finished, running = _around(log, one, from_us)
        assert one.at_ms == pytest.approx(finished, abs=1), one
        if running is not None:
            assert one.at_ms + one.duration_ms == pytest.approx(running, abs=1), one
        assert one.detail == f"after batch {json.loads(line)['batchId']}"
    assert all(20 < one.duration_ms < 1_500 for one in found[1:-1])


def _around(log, boundary, from_us):
    """Give the first end of a task after the last start before it, and the last start up to the boundary's end, ms."""
    moments = [(line.split()[0], line.rsplit(" - ", 1)[1]) for line in log]
    times = [((us(at) - from_us) / 1e3, text) for at, text in moments]
    end = boundary.at_ms + boundary.duration_ms
    started = max(at for at, text in times if text.startswith("Running task") and at < boundary.at_ms - 1)
    finished = [at for at, text in times if text.startswith("Finished task") and at > started]
    running = [at for at, text in times if text.startswith("Running task") and boundary.at_ms < at <= end + 1]
    return min(finished), max(running, default=None)


@pytest.mark.usefixtures("utc")
def test_without_a_log_a_boundary_is_shorter():
    progress = (BOUNDARIES / "spark-progress.jsonl").read_text().splitlines()
    with_log = batch_boundaries(progress, (BOUNDARIES / "spark-tasks.log").read_text().splitlines(), 0)
    without = batch_boundaries(progress, [], 0)
    for by_progress, by_log in zip(without, with_log, strict=True):
        assert by_log.at_ms <= by_progress.at_ms
        assert by_progress.at_ms + by_progress.duration_ms <= by_log.at_ms + by_log.duration_ms
        assert 0 <= by_progress.duration_ms < by_log.duration_ms


def test_events_without_times_are_no_boundary():
    idle = {"batchId": 3, "timestamp": "2026-11-25T15:19:25.302Z", "durationMs": {"latestOffset": 2}}
    assert batch_boundaries([json.dumps(idle)], [], 0) == []


def test_flinks_checkpoints():
    statistics = json.loads((BOUNDARIES / "flink-checkpoints.json").read_text())
    first = min(one["trigger_timestamp"] for one in statistics["history"])
    found = checkpoints(statistics, first * 1_000)
    assert len(found) == len(statistics["history"]) >= 4
    assert found[0].at_ms == 0
    # Every 5 s, as asked for.
    gaps = [b.at_ms - a.at_ms for a, b in itertools.pairwise(found)]
    assert gaps == pytest.approx([5_000] * len(gaps), abs=250)
    assert all(one.kind == "checkpoint" and 0 < one.duration_ms < 2_000 for one in found)
    assert "completed" in found[0].detail
