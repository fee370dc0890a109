"""The registry of claims, how outcomes are judged and told, and the document that is written from them. No JVM."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from machines import MACHINE
from places import ROOT

from rtmbench import _core
from rtmbench.claims import matrix, recovery, registry, runner
from rtmbench.claims.document import NAME, ClaimsRun, latest
from rtmbench.claims.model import Latency, Observation, Outcome
from rtmbench.claims.registry import CLAIMS, find, select
from rtmbench.claims.runner import Plan
from rtmbench.cli import rtmbench
from rtmbench.errors import ConfigurationError

LIMITATIONS = ROOT / "docs" / "limitations.md"
EVIDENCE = ROOT / "docs" / "claims.json"
MS = Latency(count=250, p50=2_100, p99=9_000)
SECONDS = Latency(count=250, p50=3_300_000, p99=5_900_000)


def outcome(claim="stateless", version="4.1", *, verdict="real time", code="", latency=MS):
    seen = Observation(verdict=verdict, code=code, detail="250 results of 250 events", latency=latency)
    return Outcome.judge(find(claim), version, f"{version}.9", seen, 8.04)


def run_of(*outcomes, run_id="20261125T150000000Z-claims-aa0000", created_at="2026-11-25T15:00:00+00:00"):
    run = ClaimsRun.new(run_id, MACHINE)
    run.created_at = created_at
    for one in outcomes:
        run.add(one)
    run.complete = True
    return run


def test_every_claim_is_whole():
    for name, claim in CLAIMS.items():
        assert claim.id == name
        assert claim.statement.endswith("."), name
        assert claim.method.endswith("."), name
        assert claim.expected, name
        assert claim.engine in {"spark", "flink", "kafka"}


def test_ids_are_unique():
    families = (registry.stateless, registry.stateful, registry.shuffle, registry.triggers)
    families += (registry.recovery, registry.flink)
    ids = [claim.id for family in families for claim in family.FAMILY.claims]
    assert len(ids) == len(set(ids)) == len(CLAIMS)


@pytest.mark.parametrize(
    "covered",
    [
        # The five findings of the guide that this tool goes back to.
        *("aggregate", "python-trigger", "current-timestamp", "console-sink", "transform-with-state-rocksdb"),
        # Joins, duplicates, sessions, union, foreachBatch, output modes, minimum duration, slots.
        *("stream-static-join", "stream-stream-join", "drop-duplicates", "drop-duplicates-within-watermark"),
        *("session-window", "union", "foreach-batch", "append-mode", "complete-mode"),
        *("minimum-batch-duration", "starved-partitions"),
    ],
)
def test_what_the_guide_has_to_state_is_among_them(covered):
    assert covered in CLAIMS


def test_every_claim_is_stated_where_it_says():
    for claim in CLAIMS.values():
        assert claim.documents
        for name in claim.documents:
            text = (ROOT / name).read_text(encoding="utf-8")
            assert f"`{claim.id}`" in text or claim.statement in text, f"{name} does not state {claim.id}"


def test_the_document_states_no_claim_that_is_not_there():
    ids = {line.split("`")[1] for line in LIMITATIONS.read_text("utf-8").splitlines() if line.startswith("**`")}
    assert ids == set(CLAIMS)


def test_the_document_says_what_the_stored_run_says(tmp_path):
    """Anything else would be a document ahead of its evidence."""
    copy = tmp_path / "limitations.md"
    copy.write_text(LIMITATIONS.read_text("utf-8"), encoding="utf-8")
    run = ClaimsRun.load(EVIDENCE)
    matrix.write(run, copy)
    assert copy.read_text("utf-8") == LIMITATIONS.read_text("utf-8")
    assert run.complete
    assert not [one.claim for one in run.outcomes if one.failed]


def test_the_stored_run_has_every_claim_at_every_version_as_it_is_expected_today():
    stored = {(one.claim, one.version): one.expected for one in ClaimsRun.load(EVIDENCE).outcomes}
    wanted = {(claim.id, version): text for claim in CLAIMS.values() for version, text in claim.expected.items()}
    assert stored == wanted


def test_what_was_never_observed_is_said_to_be_so():
    text = matrix.markdown(run_of(outcome()))
    assert "- spark@4.1: real time" in text
    assert "- spark@4.3: not observed yet" in text


def test_an_observation_that_is_expected_holds():
    assert outcome().status == "holds"
    refused = outcome(
        "tumbling-window",
        verdict="refused",
        code="STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST",
        latency=None,
    )
    assert refused.status == "holds"
    assert runner.exit_code([outcome(), refused]) == 0


@pytest.mark.parametrize(
    "seen",
    [
        {"verdict": "real time"},
        {"verdict": "refused", "code": "ANOTHER_CODE", "latency": None},
        {"verdict": "fails", "code": "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST", "latency": None},
        {"verdict": "incomplete"},
    ],
)
def test_another_observation_breaks_the_claim(seen):
    broken = outcome("tumbling-window", **seen)
    assert broken.status == "broken"
    assert runner.exit_code([outcome(), broken]) == 1
    said = runner.complaint(broken)
    assert "tumbling-window (spark@4.1, build 4.1.9) no longer holds" in said
    assert "docs/limitations.md" in said
    assert seen["verdict"] in said


def test_what_could_not_be_observed_is_no_success():
    lost = Outcome.without(find("stateless"), "4.1", "4.1.9", "the session ended within it")
    assert runner.exit_code([lost]) == 1
    assert "could not be observed: the session ended within it" in runner.complaint(lost)
    skipped = Outcome.without(find("stateless"), "4.1", "4.1.9", "no network", status="not observable")
    assert runner.exit_code([skipped]) == 0


def test_a_wrong_expectation_is_caught_by_the_command(tmp_path, monkeypatch):
    """The whole way from a wrong expectation to the exit code; only the engine's answer is recorded."""
    wrong = replace(find("stateless"), expected={"4.1": "batch-bound"})
    monkeypatch.setitem(CLAIMS, "stateless", wrong)

    def answer(plan, cache, results, *, say):  # noqa: ARG001
        assert [(engine, version, claim.id) for engine, version, claim in plan.steps] == [("spark", "4.1", "stateless")]
        return run_of(outcome())

    monkeypatch.setattr("rtmbench.claims.execution.execute", answer)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(rtmbench, ["claims", "stateless", "--spark", "4.1"], standalone_mode=False)
    assert result.return_value == 1
    assert "stateless (spark@4.1, build 4.1.9) no longer holds" in result.stderr
    assert "Expected: batch-bound. Observed: real time" in result.stderr
    assert "Stated in docs/limitations.md, docs/api-mapping.md, docs/patterns.md." in result.stderr

    monkeypatch.setitem(CLAIMS, "stateless", replace(wrong, expected={"4.1": "real time"}))
    result = CliRunner().invoke(rtmbench, ["claims", "stateless", "--spark", "4.1"], standalone_mode=False)
    assert result.return_value == 0
    assert "no longer" not in result.stderr


def test_the_list_is_the_contract():
    result = CliRunner().invoke(rtmbench, ["claims", "--list", "--json"], standalone_mode=False)
    assert result.return_value == 0
    document = json.loads(result.stdout)
    assert list(document) == ["claims"]
    assert [one["id"] for one in document["claims"]] == list(CLAIMS)
    first = document["claims"][0]
    assert list(first) == ["id", "statement", "engine", "versions", "expected"]
    assert first["versions"] == list(first["expected"])


def test_an_unknown_claim_or_version_names_what_there_is():
    with pytest.raises(ConfigurationError, match="Did you mean tumbling-window"):
        select(["tumbling-windw"])
    with pytest.raises(ConfigurationError, match=r"No claim is about spark@3.5.*4.1, 4.2, 4.3"):
        Plan.of((), {"spark": ("3.5",)})
    with pytest.raises(ConfigurationError, match="None of these claims"):
        Plan.of(("shuffle-slots",), {"spark": ("4.1",)})


def test_a_plan_takes_claims_at_the_versions_they_are_about():
    plan = Plan.of(("stateless", "shuffle-slots", "flink-join"), {"spark": ("4.1", "4.3")})
    found = {(engine, version, claim.id) for engine, version, claim in plan.steps if engine == "spark"}
    assert found == {("spark", "4.1", "stateless"), ("spark", "4.3", "stateless"), ("spark", "4.3", "shuffle-slots")}
    assert {claim.id for engine, _, claim in plan.steps if engine == "flink"} == {"flink-join"}
    assert {"kafka@4.1", "spark@4.1", "spark-connector-kafka@4.3", "flink@1.20"} <= set(plan.bundles())


@pytest.mark.parametrize(
    ("p50", "magnitude"), [(9_999, "ms"), (10_000, "10s of ms"), (100_000, "100s of ms"), (1_000_000, "seconds")]
)
def test_the_latency_class_is_that_of_the_median(p50, magnitude):
    assert Latency(count=1, p50=p50, p99=10_000_000).magnitude == magnitude


def test_a_run_is_read_as_it_was_stored(tmp_path):
    run = run_of(outcome(), Outcome.without(find("union"), "4.1", "4.1.9", "no answer"))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / NAME).write_text(run.to_json(), encoding="utf-8")
    assert ClaimsRun.load(tmp_path / "one") == run
    assert latest(tmp_path) == tmp_path / "one"
    assert "available_mb" not in run.to_json()


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "rtmbench.result/2"}', "[1]"])
def test_what_is_no_run_of_claims_is_refused(tmp_path, text):
    (tmp_path / NAME).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=NAME):
        ClaimsRun.load(tmp_path)


def test_of_several_runs_the_newest_outcome_counts():
    old = run_of(outcome(verdict="batch-bound", latency=SECONDS), outcome("union"))
    new = run_of(outcome(), created_at="2026-11-25T16:00:00+00:00")
    merged = ClaimsRun.merged([new, old])
    assert {(one.claim, one.status) for one in merged.outcomes} == {("stateless", "holds"), ("union", "holds")}
    lost = run_of(Outcome.without(find("stateless"), "4.1", "4.1.9", "it hung"), created_at="2026-11-25T17:00:00+00:00")
    assert {one.status for one in ClaimsRun.merged([new, lost]).outcomes} == {"holds"}
    other = replace(new, host={**new.host, "cores": 64})
    with pytest.raises(ConfigurationError, match="different machines"):
        ClaimsRun.merged([old, other])


def test_the_matrix_has_a_row_for_each_feature_and_a_column_for_each_version():
    run = run_of(
        outcome("tumbling-window-unchecked", "4.1", verdict="batch-bound", latency=SECONDS),
        outcome("tumbling-window-unchecked", "4.3"),
        outcome("tumbling-window", "4.1", verdict="refused", code="A.CODE", latency=None),
        outcome("flink-window-each-event", "1.20"),
    )
    assert matrix.columns(run) == [("flink", "1.20"), ("spark", "4.1"), ("spark", "4.3")]
    rows = {name: [matrix.cell(one) for one in row] for name, row in matrix.features(run)}
    assert rows["tumbling window"] == ["works in real time, ms", "refused `A.CODE`", "–"]
    assert rows["tumbling window, allowlist off"] == ["–", "works batch-bound, seconds", "works in real time, ms"]
    text = matrix.markdown(run)
    assert "| feature | Flink 1.20 | Spark 4.1 | Spark 4.3 |" in text
    assert "median 3,300 ms, p99 5,900 ms of 250 events" in text
    assert "**expected refused STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST**" in text


def test_only_what_stands_between_the_markers_is_written(tmp_path):
    document = tmp_path / "page.md"
    document.write_text(f"before\n{matrix.BEGIN}\nwritten before\n{matrix.END}\nafter\n", encoding="utf-8")
    matrix.write(run_of(outcome()), document)
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith(f"{matrix.END}\nafter\n")
    assert "written before" not in text
    assert "`stateless`" in text
    matrix.write(run_of(outcome()), document)
    assert document.read_text(encoding="utf-8") == text
    document.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="has no place for the claims"):
        matrix.write(run_of(outcome()), document)


@pytest.mark.parametrize(
    ("changes", "legal", "verdict"),
    [
        ({}, 0, "exactly once"),
        ({"duplicate": 5}, 5, "duplicates, nothing lost"),
        ({"duplicate": 5}, 4, "repeats what was committed"),
        ({"duplicate": 5, "missing": 1}, 5, "loses"),
        ({"duplicate": 5, "missing": 1, "altered": 1}, 5, "alters"),
    ],
)
def test_a_kill_is_judged_by_the_worst_that_it_did(changes, legal, verdict):
    counts = {"missing": 0, "altered": 0, "duplicate": 0} | changes
    assert recovery.after_a_kill(**counts, legal_duplicates=legal) == verdict


@pytest.mark.parametrize(
    "shape", ['{"in":{"0":7,"1":9}}', '{"0":{"in":{"0":7,"1":9}}}', r'{"0":"{\"in\":{\"0\":7,\"1\":9}}"}']
)
def test_the_committed_offsets_are_those_of_the_last_commit(tmp_path, shape):
    assert recovery.committed_offsets(tmp_path, "in") == {}
    for name in ("commits/0", "commits/1", "commits/.2.tmp", "offsets/0", "offsets/1", "offsets/2"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('v1\n{"batchWatermarkMs":0,"conf":{"a":"b"}}\n{"in":{"0":99}}')
    (tmp_path / "offsets" / "1").write_text(f'v1\n{{"batchWatermarkMs":0}}\n{shape}')
    assert recovery.committed_offsets(tmp_path, "in") == {0: 7, 1: 9}


def test_the_restart_window_goes_from_the_first_uncommitted_event_to_the_kill(monkeypatch):
    def read(_config, _topic, *, from_offsets):
        assert from_offsets == [7, 0]
        return [(0, 7, None, b'{"scheduled_at_us":700}', None), (1, 0, None, b'{"scheduled_at_us":650}', None)]

    monkeypatch.setattr(_core, "end_offsets", lambda *_: [9, 3])
    monkeypatch.setattr(_core, "read_topic", read)
    assert recovery.restart_window({}, "in", {0: 7}, 900) == [(650, 900)]
    assert recovery.restart_window({}, "in", {0: 7}, 600) == [], "all until the kill was committed"
