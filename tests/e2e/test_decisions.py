"""Going on after a kill, and a sweep with a target, on a real engine."""

from __future__ import annotations

import json
import signal

import jsonschema
import pytest
from commandline import await_nothing_alive, running

from rtmbench.results.model import json_schema

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SHORT = ["--quick", "--engines", "flink@1.20", "--partitions", "2", "--warmup", "2", "--duration", "5"]


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
    assert outcomes == [("p50<1us@300/s", "missed"), ("p99<10s@600/s", "met")]
