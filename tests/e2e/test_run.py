"""`rtmbench run 01` on real Kafka, Flink and Spark: the main job, and that nothing is left behind."""

from __future__ import annotations

import json

import jsonschema
import pytest
from commandline import await_nothing_alive, running

from rtmbench.results.model import Result, json_schema
from rtmbench.results.store import verify_manifest

pytestmark = [pytest.mark.e2e, pytest.mark.smoke, pytest.mark.timeout(400)]

# Half of what a 2-core machine is given by default: these tests are about what came out, not about how fast.
GENTLE = ["--quick", "--rate", "500", "--partitions", "4"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One quick run on both engines, as JSON."""
    results = tmp_path_factory.mktemp("results")
    with running("run", "01", *GENTLE, "--json", "--results", str(results), cwd=results) as run:
        code = run.wait(380)
        left = run.alive()
    assert code == 0, run.stderr
    return json.loads(run.stdout), results, left, run


def test_the_document_validates_against_the_published_schema(finished):
    document = finished[0]
    jsonschema.Draft202012Validator(json_schema()).validate(document)
    assert document["complete"] is True
    assert document["pattern"] == "01"


def test_nothing_is_missing_unexpected_or_wrong(finished):
    document = finished[0]
    names = [cell["name"] for cell in document["cells"]]
    assert names == ["flink@1.20", "spark@4.1"]
    for cell in document["cells"] + document["floors"]:
        for trial in cell["trials"]:
            counts = trial["counts"]
            assert counts["missing"] == counts["unexpected"] == counts["wrong"] == counts["duplicate"] == 0
            assert counts["received"] == counts["expected"]
            assert trial["valid"], trial["reasons"]


def test_every_event_of_the_measuring_phase_that_passes_the_filter_is_a_sample(finished):
    document = finished[0]
    for cell in document["cells"]:
        trial = cell["trials"][0]
        measured = trial["rate"]["requested"] * trial["seconds"]
        # Clicks and purchases are 60 % of the events; five standard deviations of a binomial either way.
        margin = 5 * (measured * 0.6 * 0.4) ** 0.5
        assert abs(trial["latency_us"]["count"] - 0.6 * measured) < margin
        assert trial["counts"]["produced"] > measured


def test_spark_ran_in_real_time_mode(finished):
    spark = finished[0]["cells"][1]
    assert spark["mode"] == "rtm"
    assert spark["facts"]["real_time"] is True
    assert spark["build"].startswith("4.1.")


def test_floor_trials_bracket_the_engines(finished):
    (floor,) = finished[0]["floors"]
    assert floor["name"] == "transport"
    engines = [trial["started_at"] for cell in finished[0]["cells"] for trial in cell["trials"]]
    floors = [trial["started_at"] for trial in floor["trials"]]
    assert len(floors) == 2
    assert floors[0] < min(engines)
    assert floors[1] > max(engines)


def test_the_run_is_on_disk_and_whole(finished):
    document, results, _, _ = finished
    directory = results / document["run_id"]
    assert verify_manifest(directory) == []
    stored = json.loads((directory / "result.json").read_text())
    assert stored == document
    Result.from_dict(stored)
    logs = {path.name for path in directory.rglob("*.log")}
    assert any("kafka" in name for name in logs)
    assert len(list(directory.glob("*.hlog"))) == 4


def test_nothing_is_left_after_success(finished):
    _, _, left, run = finished
    assert run.started >= 8, "four engine processes, each with a supervisor"
    assert left == []


def test_standard_output_is_the_document_alone(finished):
    run = finished[3]
    assert run.stdout.startswith("{")
    assert "Traceback" not in run.stderr


def test_the_run_says_where_its_latency_came_from(finished):
    cells = {cell["engine"]: cell["trials"][0] for cell in finished[0]["cells"]}
    for engine, kind in (("flink", "checkpoint"), ("spark", "batch_boundary")):
        trial = cells[engine]
        marks = [one for one in trial["interruptions"] if one["kind"] == kind]
        # As many as there are intervals in the measurement, give or take the one that lies across its edge.
        assert abs(len(marks) - trial["cycles"]) <= 1, marks
        assert all(one["duration_ms"] < 5_000 for one in marks)
        assert kind in {one["kind"] for one in trial["attribution"]["coincidences"]}
        assert sum(trial["timeline"]["count"]) == trial["latency_us"]["count"]


def test_the_run_ends_with_a_report(finished):
    document, results, _, run = finished
    report = results / document["run_id"] / "report.html"
    assert f"report: {report}" in run.stderr
    text = report.read_text()
    assert "Content-Security-Policy" in text
    assert text.count("<svg") == 7


def test_two_runs_at_the_same_time(tmp_path):
    arguments = ["run", "01", "--engines", "transport", *GENTLE, "--warmup", "1", "--duration", "5", "--json"]
    with (
        running(*arguments, "--results", "a", cwd=tmp_path) as first,
        running(*arguments, "--results", "b", cwd=tmp_path) as second,
    ):
        assert [first.wait(120), second.wait(120)] == [0, 0], first.stderr + second.stderr
        for run in (first, second):
            (cell,) = json.loads(run.stdout)["cells"]
            assert cell["trials"][0]["counts"]["missing"] == 0
            await_nothing_alive(run, 5)


def test_the_comparison_is_printed_within_100_columns(tmp_path):
    arguments = ["run", "1", "--engines", "transport", *GENTLE, "--warmup", "1", "--duration", "5"]
    with running(*arguments, cwd=tmp_path, env={"NO_COLOR": "1", "COLUMNS": "100"}) as run:
        assert run.wait(120) == 0, run.stderr
    assert "transport" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 100
    assert "\x1b" not in run.stdout
