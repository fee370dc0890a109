"""The recording of the documents' figures: its steps are commands that exist, and it continues where it stopped."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest
from places import ROOT

from rtmbench.cli.run import run as run_command


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("record", ROOT / "tools" / "record.py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules["record"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["record"]


@pytest.fixture
def quiet(tool, monkeypatch):
    monkeypatch.setattr(tool, "_await_quiet", lambda: "idle (1 % busy)")
    monkeypatch.setattr(tool, "_commit", lambda: "c0ffee")


def test_every_step_is_a_command_that_exists(tool):
    names = [step.name for step in tool.STEPS]
    assert len(set(names)) == len(names)
    for step in tool.STEPS:
        kind, *arguments = step.command.split()
        assert kind in ("run", "claims", "make")
        if kind == "run":
            assert run_command.make_context("run", arguments).params["engines"]


def scripted(tool, monkeypatch, code):
    """Let every step be a program that ends with `code` and leaves its arguments."""
    script = "import sys, pathlib; pathlib.Path('seen').open('a').write(' '.join(sys.argv[1:]) + '\\n'); sys.exit(CODE)"
    commands = {}

    def command(step, _results, experiment):
        commands[step.name] = experiment
        return [sys.executable, "-c", script.replace("CODE", str(code)), step.name]

    monkeypatch.setattr(tool, "_command", command)
    monkeypatch.setattr(tool, "_place", lambda _step, directory: directory)
    return commands


@pytest.mark.usefixtures("quiet")
def test_what_is_done_is_not_repeated(tool, monkeypatch, tmp_path):
    scripted(tool, monkeypatch, 0)
    assert tool.run(tmp_path, ["aa-01", "claims"]) == 0
    assert tool.run(tmp_path, ["aa-01", "bench"]) == 0
    assert (tmp_path / "seen").read_text().split() == ["aa-01", "claims", "bench"]
    state = json.loads((tmp_path / "record.json").read_text())
    assert set(state["done"]) == {"aa-01", "claims", "bench"}
    assert state["commit"] == "c0ffee"


@pytest.mark.usefixtures("quiet")
def test_a_step_that_failed_is_not_done(tool, monkeypatch, tmp_path):
    scripted(tool, monkeypatch, 2)
    assert tool.run(tmp_path, []) == 2
    assert (tmp_path / "seen").read_text().split() == ["aa-01"]
    assert json.loads((tmp_path / "record.json").read_text())["done"] == {}


@pytest.mark.usefixtures("quiet")
def test_an_interrupted_step_goes_on_with_its_experiment(tool, monkeypatch, tmp_path):
    commands = scripted(tool, monkeypatch, 0)
    recording = tool._open(tmp_path)
    recording.experiments["aa-01"] = "experiment-1"
    tool._write(tmp_path, recording)
    assert tool.run(tmp_path, ["aa-01"]) == 0
    assert commands == {"aa-01": "experiment-1"}


def test_a_resumed_step_resumes(tool, tmp_path):
    step = tool.STEPS[0]
    assert tool._command(step, tmp_path, None)[3:5] == ["run", "01"]
    assert tool._command(step, tmp_path, "experiment-1")[3:6] == ["run", "--resume", "experiment-1"]


@pytest.mark.usefixtures("quiet")
def test_another_commit_does_not_continue_it(tool, monkeypatch, tmp_path):
    scripted(tool, monkeypatch, 0)
    assert tool.run(tmp_path, ["aa-01"]) == 0
    monkeypatch.setattr(tool, "_commit", lambda: "another")
    with pytest.raises(SystemExit, match="c0ffee"):
        tool.run(tmp_path, [])


def test_a_busy_machine_records_nothing(tool, monkeypatch, tmp_path):
    monkeypatch.setattr(tool, "_commit", lambda: "c0ffee")
    monkeypatch.setattr(tool, "_await_quiet", lambda: None)
    scripted(tool, monkeypatch, 0)
    assert tool.run(tmp_path, []) == 3
    assert not (tmp_path / "seen").exists()
