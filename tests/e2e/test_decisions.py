"""Going on after a kill, a sweep with a target, and a regression that was made, on real engines."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time

import jsonschema
import psutil
import pytest
from commandline import await_nothing_alive, running

from rtmbench.results import noise
from rtmbench.results.fingerprint import machine_id, settings_id
from rtmbench.results.model import Result, json_schema

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SHORT = ["--quick", "--engines", "flink@1.20", "--partitions", "2", "--warmup", "2", "--duration", "5"]


@pytest.mark.full
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path):
    with running("run", "01", *SHORT, "--rate", "300", "--trials", "2", cwd=tmp_path) as run:
        run.wait_for("flink@1.20 trial 2/2 · measure")
        run.send(signal.SIGKILL)
        run.wait(5)
        await_nothing_alive(run, 10)
    (stored,) = (tmp_path / "results").glob("*/result.json")
    before = json.loads(stored.read_text())
    assert [trial["trial"] for trial in before["cells"][0]["trials"]] == [1]
    with running("run", "--resume", before["run_id"], "--json", cwd=tmp_path) as run:
        assert run.wait(180) == 0, run.stderr
    after = json.loads(run.stdout)
    jsonschema.Draft202012Validator(json_schema()).validate(after)
    assert after["complete"] is True
    assert after["settings"] == before["settings"]
    assert after["cells"][0]["trials"][0] == before["cells"][0]["trials"][0]
    assert [trial["trial"] for trial in after["cells"][0]["trials"]] == [1, 2]
    assert all(trial["valid"] for trial in after["cells"][0]["trials"])
    assert after.keys() == before.keys()


@pytest.mark.full
def test_a_sweep_judges_a_target_at_its_rate(tmp_path):
    targets = ["--slo", "p99<10s@600/s", "--slo", "p50<1us@300/s"]
    with running("run", "01", *SHORT, "--rate", "300,600", *targets, "--json", cwd=tmp_path) as run:
        assert run.wait(300) == 5, run.stderr
    runs = json.loads(run.stdout)["runs"]
    assert [found["grid"]["point"] for found in runs] == [{"rate": 300.0}, {"rate": 600.0}]
    assert len({found["experiment_id"] for found in runs}) == 1
    outcomes = [(o["target"], o["outcome"]) for found in runs for o in found["slo"]]
    assert outcomes == [("p50<1us@300/s", "missed"), ("p99<10s@600/s", "inconclusive")]


PERIOD_S = 1.0


@contextlib.contextmanager
def held_up(run, module, hold_s):
    """Suspend the process of a run that runs `module` for `hold_s` of each second."""
    done = threading.Event()

    def hold_up():
        process = None
        while not done.is_set():
            time.sleep(PERIOD_S - time.monotonic() % PERIOD_S)
            try:
                if process is None:
                    found = (one for one in run.processes() if one.is_running())
                    process = next((one for one in found if one.cmdline()[1:3] == ["-m", module]), None)
                if process is not None:
                    process.suspend()
                    time.sleep(hold_s)
                    process.resume()
            except psutil.Error:
                process = None

    thread = threading.Thread(target=hold_up)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def keep_a_narrow_band(result, root):
    """Keep what an A/A run would have, which takes as long as the run itself: a verdict on p99 needs a noise band."""
    spread = noise.Spread(mean=0.0, spread=0.01, pairs=6)
    key = {"pattern": result.pattern, "machine": machine_id(result.host), "settings": settings_id(result)}
    bands = [noise.Measured(cell=c.name, p50=spread, p99=spread, created_at="2026", **key) for c in result.cells]
    noise.save(result, bands, root)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_delay_that_is_a_fifth_longer_is_a_regression(tmp_path):
    # With waits this long, what else the machine does is small beside them. A quick run would get no verdict.
    arguments = ["run", "01", "--engines", "relay", "--partitions", "2", "--warmup", "2", "--duration", "5"]
    arguments += ["--rate", "300", "--trials", "6", "--json"]
    runs = []
    for hold_s in (0.2, 0.24):
        with (
            running(*arguments, cwd=tmp_path) as run,
            held_up(run, "rtmbench.engines.floor.relay_job", hold_s),
        ):
            assert run.wait(400) == 0, run.stderr
        document = json.loads(run.stdout)
        runs.append(document["run_id"])
        keep_a_narrow_band(Result.from_dict(document), tmp_path / "results")
    for pair, code, verdict in ((runs, 5, "slower"), ([runs[0]] * 2, 0, "no difference shown")):
        with running("compare", *pair, "--fail-on", "regression", "--json", cwd=tmp_path) as compare:
            assert compare.wait(60) == code, compare.stderr
        (found,) = json.loads(compare.stdout)["comparisons"]
        assert found["verdict"] == verdict, found
        assert bool(found["paired"]) is (pair[0] == pair[1])
