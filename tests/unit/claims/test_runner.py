"""How claims are run one after the other, with sessions that answer, break or hang. No JVM."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from rtmbench.claims.lab import Load, failed, verdict_on
from rtmbench.claims.model import Latency, NotObservableError, Observation
from rtmbench.claims.registry import find
from rtmbench.claims.runner import Runner
from rtmbench.errors import RunFailedError
from rtmbench.spark.failures import Failure

SEEN = Observation(verdict="real time").to_dict()


class Session:
    """A process that has written what it had to say, and has ended unless it hangs."""

    def __init__(self, *, hangs=False):
        self.log = Path("spark.log")
        self._hangs = hangs

    def poll(self):
        return None if self._hangs else 0


class Bench:
    """Starts sessions that say what the test wants; each start takes the next script."""

    engine, version, build = "spark", "4.1", "4.1.9"

    def __init__(self, *scripts):
        self._scripts = list(scripts)
        self.started = []

    def spark(self, _name, arguments, *, slots):
        _, _, file, *ids = arguments
        self.started.append((slots, ids))
        script = self._scripts.pop(0)
        hangs = script[-1:] == ["hang"]
        lines = [json.dumps(line) + "\n" for line in script if line != "hang"]
        Path(file).write_text("".join(lines), encoding="utf-8")
        return Session(hangs=hangs), Path()


@pytest.fixture
def runner(tmp_path):
    outcomes = []
    numbers = iter(range(100))

    def scratch(name):
        path = tmp_path / f"{name}-{next(numbers)}"
        path.mkdir()
        return path

    platform = SimpleNamespace(scratch=scratch, stop=lambda *_, **__: None)
    made = Runner(platform=platform, report=outcomes.append)
    made.outcomes = outcomes
    return made


def start(name):
    return {"event": "start", "id": name}


def end(name, **rest):
    return {"event": "end", "id": name, "seconds": 1.0, **rest}


def statuses(runner):
    return [(one.claim, one.status) for one in runner.outcomes]


def test_a_session_answers_for_each_of_its_claims(runner):
    script = [{"event": "ready"}]
    script += [start("stateless"), end("stateless", observation=SEEN)]
    script += [start("union"), end("union", not_observable="no union here")]
    script += [start("repartition"), end("repartition", problem="KafkaError: gone")]
    bench = Bench(script)
    runner._share(bench, [find("stateless"), find("union"), find("repartition")], 8)
    assert statuses(runner) == [("stateless", "holds"), ("union", "not observable"), ("repartition", "not observed")]
    assert runner.outcomes[2].problem == "KafkaError: gone"
    assert bench.started == [(8, ["stateless", "union", "repartition"])]


def test_after_a_claim_that_kills_its_session_the_rest_is_tried_in_another(runner):
    bench = Bench(
        [start("stateless"), end("stateless", observation=SEEN), start("union")],
        [start("repartition"), end("repartition", observation=SEEN)],
    )
    runner._share(bench, [find("stateless"), find("union"), find("repartition")], 8)
    assert statuses(runner) == [("stateless", "holds"), ("union", "not observed"), ("repartition", "broken")]
    assert "the session ended within it" in runner.outcomes[1].problem
    assert [ids for _, ids in bench.started] == [["stateless", "union", "repartition"], ["repartition"]]


def test_a_claim_that_hangs_is_given_up(runner):
    hasty = replace(find("stateless"), timeout_s=0.3)
    runner._share(Bench([start("stateless"), "hang"]), [hasty], 8)
    assert statuses(runner) == [("stateless", "not observed")]
    assert "not observed within 0 s" in runner.outcomes[0].problem


def test_a_session_that_does_not_start_is_not_tried_for_ever(runner):
    bench = Bench([])
    runner._share(bench, [find("stateless"), find("union")], 8)
    assert statuses(runner) == [("stateless", "not observed"), ("union", "not observed")]
    assert len(bench.started) == 1


def test_a_claim_with_processes_of_its_own_breaks_nothing_else(runner):
    def fails(_bench):
        raise RunFailedError("it ended")

    def cannot(_bench):
        raise NotObservableError("no network")

    for run in (fails, cannot, lambda _bench: Observation(verdict="real time")):
        runner._alone(Bench(), replace(find("stateless"), run=run))
    assert [status for _, status in statuses(runner)] == ["not observed", "not observable", "holds"]


@pytest.mark.parametrize(
    ("received", "p50", "interval", "real_time", "verdict"),
    [
        (100, 5_000, "5 seconds", True, "real time"),
        (100, 2_600_000, "5 seconds", True, "batch-bound"),
        (100, 5_000, "5 seconds", False, "not in Real-Time Mode"),
        (100, 2_600_000, None, False, "micro-batch"),
        (99, 5_000, "5 seconds", True, "incomplete"),
        (101, 5_000, "5 seconds", True, "incomplete"),
    ],
)
def test_how_a_query_ran_is_told_by_what_came_out(received, p50, interval, real_time, verdict):
    load = Load(sent=100, received=received, latency=Latency(count=90, p50=p50, p99=2 * p50))
    assert verdict_on(load, 100, interval=interval, real_time=real_time).verdict == verdict


def test_an_engines_message_keeps_no_path_of_this_machine():
    message = "Failed to read checkpointLocation=file:/tmp/rtmbench-x1/spark/tmp/30-checkpoint and batchId=0."
    seen = failed(Failure(code="STDS_FAILED_TO_READ_OPERATOR_METADATA", message=message))
    assert (seen.verdict, seen.code) == ("fails", "STDS_FAILED_TO_READ_OPERATOR_METADATA")
    assert seen.detail == "Failed to read checkpointLocation=(a path) and batchId=0."


def test_a_refusal_is_told_from_a_failure_by_its_code():
    code = "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST"
    assert failed(Failure(code=code, message="no")).text == f"refused {code}"
