"""The experiment on the harness alone, against an in-process mock broker: no JVM, and latencies mean nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import jsonschema
import mock_runs
import pytest

from rtmbench.errors import ConfigurationError
from rtmbench.experiment import pattern_run
from rtmbench.experiment.options import Options
from rtmbench.experiment.progress import Silent
from rtmbench.experiment.runner import exit_code, run
from rtmbench.experiment.settings import RunRequest
from rtmbench.experiment.trial import TrialRunner
from rtmbench.platform.local import LocalPlatform
from rtmbench.platform.scheduling import SchedulingGroup, probe
from rtmbench.results.model import EnginePriority, json_schema
from rtmbench.results.slo import Target
from rtmbench.results.store import list_runs, load

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@pytest.fixture
def request_(broker, tmp_path, monkeypatch):
    """A request for short trials of the harness alone on a mock broker."""
    mock_runs.install(monkeypatch, broker, drain_s=5.0)
    return RunRequest(
        patterns=("01",),
        engines=("transport",),
        bootstrap_servers=broker.bootstrap_servers,
        results=tmp_path,
        **mock_runs.SHORT,
    )


def problems(results):
    return [error.message for result in results for error in VALIDATOR.iter_errors(json.loads(result.to_json()))]


def interrupt(monkeypatch, *, trial, phase):
    """Press Ctrl-C in a phase of a trial of the cell; the floor before it has the same number."""
    update, entered = Silent.update, []

    def pressed(view, state):
        if not entered or entered[-1] != (state.trial, state.phase):
            entered.append((state.trial, state.phase))
        if entered.count((trial, phase)) == 2:
            raise KeyboardInterrupt
        update(view, state)

    monkeypatch.setattr(Silent, "update", pressed)


def test_a_run_that_was_cut_in_trial_2_of_3_goes_on_there(request_, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, trial=2, phase="measure")
        with pytest.raises(KeyboardInterrupt):
            run(replace(request_, trials=3))
    (entry,) = list_runs(request_.results)
    before = entry.result
    assert [(t.trial, t.status.value) for t in before.cells[0].trials] == [(1, "valid"), (2, "void")]
    assert not before.complete
    resumed = RunRequest(patterns=(), results=request_.results, bootstrap_servers=request_.bootstrap_servers)
    (after,) = run(resumed, Options(resume=before.run_id))
    assert after.complete
    assert (after.run_id, after.created_at, after.settings) == (before.run_id, before.created_at, before.settings)
    assert after.cells[0].trials[:2] == before.cells[0].trials
    assert [(t.trial, t.attempt) for t in after.cells[0].trials[2:]] == [(2, 2), (3, 1)]
    assert [t.trial for t in after.floors[0].trials] == [1, 2, 3, 4]
    assert after.to_dict().keys() == before.to_dict().keys()
    assert problems([before, after]) == []
    assert load(after.run_id, request_.results) == after
    # A second time there is nothing left to do.
    assert run(resumed, Options(resume=before.run_id)) == [after]


def test_a_sweep_is_a_run_for_each_point_in_turns(request_):
    options = Options(axes={"rate": (200.0, 400.0)}, targets=[Target.parse("p99<10s@400/s")])
    results = run(replace(request_, trials=2), options)
    assert [r.grid.point for r in results] == [{"rate": 200.0}, {"rate": 400.0}]
    assert len({r.experiment_id for r in results}) == 1
    assert problems(results) == []
    for result in results:
        assert {t.rate.requested for t in result.cells[0].trials} == {result.grid.point["rate"]}
    started = sorted((t.started_at, r.grid.point["rate"]) for r in results for t in r.cells[0].trials)
    assert [rate for _, rate in started] == [200, 400, 400, 200]
    assert results[0].slo is None
    (outcome,) = results[1].slo
    assert outcome.cell == "transport"
    # On a busy machine a cell may be left without a valid trial, and that is the only other end.
    shown = [any(t.valid for t in cell.trials) for r in results for cell in (*r.cells, *r.floors)]
    assert exit_code(results) == (0 if all(shown) else 4)


def test_an_engine_against_itself_makes_twins(request_):
    (result,) = run(request_, Options(aa=True))
    assert [cell.name for cell in result.cells] == ["transport", "transport-again"]
    (comparison,) = result.comparisons
    assert (comparison.baseline, comparison.other) == ("transport", "transport-again")
    assert result.settings["aa"] is True
    assert problems([result]) == []


def test_a_verdict_ends_a_run_before_its_last_trial(request_, monkeypatch):
    monkeypatch.setattr(pattern_run, "EARLY_PAIRS", (1, 2))
    monkeypatch.setattr(pattern_run, "decides", lambda comparison: comparison.pairs >= 2)
    compared = replace(request_, engines=("transport", "relay"), quick=False, trials=None)
    (result,) = run(compared, Options(until_verdict=True))
    assert [[t.trial for t in cell.trials] for cell in result.cells] == [[1, 2], [1, 2]]
    assert [t.trial for t in result.floors[0].trials] == [1, 2, 3]
    assert (result.complete, result.settings["trials"], result.settings["until_verdict"]) == (True, 6, True)
    assert problems([result]) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"engines": ("transport",)}, "compares engines"),
        ({"quick": True}, "a quick run has no verdict"),
        ({"trials": 5}, "needs --trials 6 or more"),
    ],
)
def test_a_run_until_its_verdict_needs_what_a_verdict_needs(request_, changes, message):
    requested = {"engines": ("transport", "relay"), "quick": False, "trials": None, **changes}
    with pytest.raises(ConfigurationError, match=message):
        run(replace(request_, **requested), Options(until_verdict=True))


@pytest.mark.full
def test_a_search_ties_its_rates_together(request_):
    results = run(replace(request_, rate=100), Options(find_rate=True))
    assert problems(results) == []
    (found,) = results[0].sustained
    assert all(result.sustained == [found] for result in results)
    assert [point.run_id for point in found.points] == [
        r.run_id for r in sorted(results, key=lambda result: result.grid.point["rate"])
    ]
    assert results[0].grid.axes["rate"] == sorted(r.grid.point["rate"] for r in results)
    assert found.quick
    for result in results:
        assert result.floors[0].trials[0].rate.requested == 1.5 * result.grid.point["rate"]
        assert load(result.run_id, request_.results) == result


def test_an_engine_is_lowered_before_its_load_and_leaves_no_group(request_, monkeypatch):
    made, seen = [], []
    group_of, lower, load_of = LocalPlatform.group, SchedulingGroup.lower, TrialRunner._load

    def group(platform, name, **options):
        made.append(group_of(platform, name, **options))
        return made[-1]

    def load(runner):
        seen.append(("load", runner.engine.spec.engine))
        return load_of(runner)

    monkeypatch.setattr(LocalPlatform, "group", group)
    monkeypatch.setattr(SchedulingGroup, "lower", lambda made: (seen.append(("lower", "")), lower(made))[1])
    monkeypatch.setattr(TrialRunner, "_load", load)
    probe.cache_clear()
    (result,) = run(replace(request_, engines=("relay",)))
    relay = seen.index(("load", "relay"))
    assert seen[relay - 1] == ("lower", "")
    (row,) = [row for row in result.parity if row.setting == "priority"]
    expected = probe()
    assert row.values["relay"] == expected.text
    assert result.host.priority == EnginePriority(
        mechanism=expected.mechanism, effective=expected.effective, detail=expected.detail
    )
    assert result.host.filesystems.keys() == {"work"}
    assert all(one.control is None and one.session is None for one in made)
    trial = result.cells[0].trials[0]
    if sys.platform.startswith("linux"):
        assert trial.interference.roles.keys() == {"engine", "harness"}
    assert problems([result]) == []
