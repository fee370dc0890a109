"""Claims on real engines: two cheap ones as part of every test run, all of them where there is time."""

from __future__ import annotations

import json

import pytest
from commandline import running

pytestmark = pytest.mark.e2e


def test_two_claims_hold_and_are_stored(tmp_path):
    arguments = ("claims", "python-trigger", "tumbling-window", "--spark", "4.1", "--json")
    with running(*arguments, cwd=tmp_path) as run:
        code = run.wait(110)
    assert code == 0, run.stderr
    document = json.loads(run.stdout)
    assert {one["claim"]: one["status"] for one in document["outcomes"]} == {
        "python-trigger": "holds",
        "tumbling-window": "holds",
    }
    refused = next(one for one in document["outcomes"] if one["claim"] == "tumbling-window")["observation"]
    assert refused["code"] == "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST"
    assert "AggregateExec" in refused["detail"]
    (stored,) = tmp_path.glob("results/*/claims.json")
    assert json.loads(stored.read_text()) == document
    assert "claims.json" in json.loads((stored.parent / "manifest.json").read_text())["files"]


@pytest.mark.full
@pytest.mark.timeout(2400)
def test_every_claim_holds(tmp_path):
    with running("claims", cwd=tmp_path) as run:
        code = run.wait(2300)
    assert code == 0, run.stderr
