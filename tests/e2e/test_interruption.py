"""SIGINT, SIGTERM and SIGKILL at any point of a run: nothing stays alive, and what was measured is on disk."""

from __future__ import annotations

import json
import signal

import pytest
from commandline import await_nothing_alive, running

from rtmbench.results.model import Result

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

POINTS = {
    "broker starting": "starting Kafka",
    "floor": "transport trial 1/2 · measure",
    "engine starting": "1/1 · start",
    "probing": "1/1 · ready",
    "warm-up": "1/1 · warm-up",
    "measuring": "1/1 · measure",
    "draining": "1/1 · drain",
}
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def point(engine: str, name: str) -> str:
    return POINTS[name] if POINTS[name].startswith(("starting", "transport")) else f"{engine} trial {POINTS[name]}"


def start(tmp_path, engine):
    return running(
        *("run", "01", "--quick", "--engines", engine, "--rate", "300", "--partitions", "2"),
        *("--warmup", "3", "--duration", "15", "--results", "results"),
        cwd=tmp_path,
    )


# Both signals, both engines, early and late, are in `make test-e2e`; the whole grid is in `make test-full`.
QUICK = [
    ("flink@1.20", "broker starting", signal.SIGTERM),
    ("flink@1.20", "floor", signal.SIGINT),
    ("flink@1.20", "measuring", signal.SIGINT),
    ("spark@4.1", "engine starting", signal.SIGINT),
]
GRID = [
    pytest.param(engine, name, number, marks=[] if (engine, name, number) in QUICK else pytest.mark.full)
    for engine in ("flink@1.20", "spark@4.1")
    for name in POINTS
    for number in CODES
]


@pytest.mark.parametrize(("engine", "name", "number"), GRID)
def test_interrupted(tmp_path, engine, name, number):
    with start(tmp_path, engine) as run:
        run.wait_for(point(engine, name))
        run.send(number)
        assert run.wait(10) == CODES[number], run.stderr
        await_nothing_alive(run, 0.5)
    assert "Traceback" not in run.stderr
    (stored,) = (tmp_path / "results").glob("*/result.json")
    result = Result.from_dict(json.loads(stored.read_text()))
    assert result.complete is False
    trials = {cell.name: cell.trials for cell in (*result.cells, *result.floors)}
    if name in {"measuring", "draining", "warm-up"}:
        assert [trial.status.value for trial in trials["transport"]] in (["valid"], ["contended"])
        (cut,) = trials[engine]
        assert not cut.valid
        assert cut.latency_us is None
        assert "interrupted" in cut.reasons[0]


@pytest.mark.parametrize("engine", ["flink@1.20", pytest.param("spark@4.1", marks=pytest.mark.full)])
def test_killed(tmp_path, engine):
    with start(tmp_path, engine) as run:
        run.wait_for(point(engine, "warm-up"))
        run.send(signal.SIGKILL)
        assert run.wait(5) == -signal.SIGKILL
        await_nothing_alive(run, 10)
    (stored,) = (tmp_path / "results").glob("*/result.json")
    result = Result.from_dict(json.loads(stored.read_text()))
    assert result.complete is False
    assert result.floors[0].trials[0].counts is not None
