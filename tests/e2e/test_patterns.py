"""`rtmbench run` on patterns with state: every engine, every emission, and what is refused."""

from __future__ import annotations

import json

import jsonschema
import pytest
from commandline import running

from rtmbench.results.model import json_schema

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

# These tests are about what came out, not about how fast.
GENTLE = ["--quick", "--rate", "300", "--partitions", "2", "--json"]


def documents(run):
    """Return the documents of a finished run, each valid by the published schema."""
    printed = json.loads(run.stdout)
    found = printed.get("runs", [printed])
    for document in found:
        jsonschema.Draft202012Validator(json_schema()).validate(document)
    return found


def assert_right(cell):
    for trial in cell["trials"]:
        counts = trial["counts"]
        assert counts["expected"] > 0
        assert counts["missing"] == counts["unexpected"] == counts["wrong"] == counts["late_dropped"] == 0, counts
        assert trial["status"] in {"valid", "contended", "unsustained"}, trial["reasons"]


def test_running_results_on_both_engines_are_right(tmp_path):
    arguments = ["run", "02", *GENTLE, "--engines", "flink@1.20,spark@4.3", "--warmup", "5", "--window", "5s"]
    with running(*arguments, cwd=tmp_path) as run:
        assert run.wait(380) == 0, run.stderr
    (document,) = documents(run)
    flink, spark = document["cells"]
    assert [(cell["name"], cell["mode"], cell["emit"]) for cell in (flink, spark)] == [
        ("flink@1.20", "update", "update"),
        ("spark@4.3", "rtm", "update"),
    ]
    for cell in (flink, spark):
        assert_right(cell)
    assert spark["facts"]["real_time"] is True
    rows = {row["setting"]: row for row in document["parity"]}
    assert rows["slots"]["values"] == {"flink@1.20": 2, "spark@4.3": 4}
    assert rows["window (ms)"]["same"] is True
    assert rows["longest wait in a network buffer (ms)"]["same"] is True


@pytest.mark.full
def test_a_window_in_real_time_is_refused_by_4_1_in_its_own_words(tmp_path):
    arguments = ["run", "02", *GENTLE, "--engines", "spark@4.1:rtm"]
    with running(*arguments, cwd=tmp_path) as run:
        assert run.wait(300) == 0, run.stderr
    ((cell,),) = [document["cells"] for document in documents(run)]
    assert cell["status"] == "refused"
    assert cell["refusal"]["code"] == "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST"
    assert "headline" not in cell


def test_slots_that_would_starve_a_shuffle_are_refused_before_anything_starts(tmp_path):
    arguments = ["run", "02", *GENTLE, "--engines", "spark@4.3", "--slots", "3"]
    with running(*arguments, cwd=tmp_path) as run:
        assert run.wait(60) == 3, run.stderr
    assert "2 input partitions + 2 shuffle partitions = 4 slots" in run.stderr


def test_a_mode_that_the_pattern_does_not_have_is_a_configuration_error(tmp_path):
    with running("run", "04", *GENTLE, "--engines", "flink@1.20:close", cwd=tmp_path) as run:
        assert run.wait(60) == 2, run.stderr
    assert "no mode 'close' for pattern 04" in run.stderr


@pytest.mark.full
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("pattern", ["02", "03"])
def test_final_results_are_right_and_have_a_close_latency(pattern, tmp_path):
    arguments = ["run", pattern, *GENTLE, "--engines", "flink@1.20:close,spark@4.1:close", "--window", "10s"]
    with running(*arguments, cwd=tmp_path) as run:
        assert run.wait(600) == 0, run.stderr
    (document,) = documents(run)
    for cell in document["cells"]:
        assert_right(cell)
        (trial,) = cell["trials"]
        assert trial["latency_us"] is None
        assert trial["close_latency_us"]["count"] >= 1
        assert trial["close_latency_us"]["p99"] is None


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_every_pattern_on_every_default_engine(tmp_path):
    arguments = ["run", "all", "--quick", "--json", "--engines", "flink@1.20,flink@2.2,spark@4.1,spark@4.2,spark@4.3"]
    with running(*arguments, cwd=tmp_path) as run:
        assert run.wait(1450) == 0, run.stderr
    found = documents(run)
    assert [document["pattern"] for document in found] == ["01", "02", "03", "04"]
    for document in found:
        for cell in document["cells"]:
            assert_right(cell)
