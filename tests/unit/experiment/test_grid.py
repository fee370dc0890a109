from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from rtmbench.cli.configuration import load
from rtmbench.cli.options import Duration, Listed
from rtmbench.cli.run import run
from rtmbench.errors import ConfigurationError
from rtmbench.experiment.options import Options
from rtmbench.experiment.settings import RunRequest
from rtmbench.experiment.sweep import points

REQUEST = RunRequest(patterns=("01",), quick=True)


def test_without_axes_there_is_one_point_and_no_grid():
    assert [(p.request, p.grid) for p in points(REQUEST, {})] == [(REQUEST, None)]


def test_a_grid_is_every_combination_and_each_point_says_where_it_is():
    found = points(REQUEST, {"rate": (1_000.0, 5_000.0), "checkpoint-interval": (5.0, 30.0, 300.0)})
    assert [(p.request.rate, p.request.checkpoint_interval_s) for p in found] == [
        (rate, interval) for rate in (1_000, 5_000) for interval in (5, 30, 300)
    ]
    assert found[4].grid.point == {"rate": 5_000.0, "checkpoint-interval": 30.0}
    assert {str(p.grid.axes) for p in found} == {
        "{'rate': [1000.0, 5000.0], 'checkpoint-interval': [5.0, 30.0, 300.0]}"
    }
    assert all(p.request.quick for p in found)


def test_both_state_backends_make_a_grid_with_the_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(
        "rtmbench.experiment.runner.run", lambda request, options, _view: asked.append((request, options)) or []
    )
    monkeypatch.setattr("rtmbench.cli.run._report", lambda *_: None)
    arguments = ["04", "--engines", "flink", "--state-backend", "rocksdb,hashmap", "--keys", "100,10000"]
    assert CliRunner().invoke(run, arguments, standalone_mode=False).exception is None
    ((request, options),) = asked
    assert [(p.request.state_backend, p.request.keys) for p in points(request, options.axes)] == [
        ("rocksdb", 100),
        ("hashmap", 100),
        ("rocksdb", 10_000),
        ("hashmap", 10_000),
    ]


@pytest.mark.parametrize(
    ("axes", "problem"),
    [
        ({"rate": (1.0, 1.0)}, "twice"),
        ({"seed": (1, 2)}, "--seed takes one value"),
        ({"rate": tuple(range(1, 12)), "keys": tuple(range(1, 11))}, "110 points"),
    ],
)
def test_what_makes_no_grid_is_refused(axes, problem):
    with pytest.raises(ConfigurationError, match=problem):
        points(REQUEST, axes)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (float, "1000", 1_000.0),
        (int, "4, 16", (4, 16)),
        (float, "1000,5000,", (1_000.0, 5_000.0)),
        (Duration(), "5s,30s,5m", (5.0, 30.0, 300.0)),
        (Duration(), 5.0, 5.0),
        (int, (1, 2), (1, 2)),
        (click.Choice(["rocksdb", "hashmap"]), "rocksdb,hashmap", ("rocksdb", "hashmap")),
    ],
)
def test_values_with_commas_are_several(kind, text, value):
    assert Listed(kind).convert(text, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [(int, "4,x"), (int, ","), (Duration(), "5s,soon"), (float, ""), (click.Choice(["rocksdb"]), "rocksdb,disk")],
)
def test_a_value_that_is_none_is_a_usage_error(kind, text):
    with pytest.raises(click.BadParameter):
        Listed(kind).convert(text, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"aa": True, "find_rate": True},
        {"aa": True, "until_verdict": True},
        {"aa": True, "until_verdict": True, "axes": {"rate": (1, 2)}},
        {"resume": "x", "until_verdict": True},
        {"resume": "x", "axes": {"rate": (1, 2)}},
        {"find_rate": True, "axes": {"rate": (1, 2)}},
        {"retry_failed": True},
    ],
)
def test_options_that_exclude_each_other(changes):
    with pytest.raises(ConfigurationError):
        Options(**changes).check()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aa": True, "axes": {"rate": (1, 2)}},
        {"until_verdict": True, "axes": {"rate": (1, 2)}},
        {"resume": "x", "retry_failed": True},
    ],
)
def test_options_that_go_together(changes):
    Options(**changes).check()


@pytest.mark.parametrize("text", ['slo = "p99<1s"', 'slo = ["p99<1s"]'])
def test_targets_and_several_values_may_stand_in_the_file(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtmbench.toml").write_text(f"{text}\nrate = [1000, 5000]\n")
    context = run.make_context("run", ["01"], default_map=load({})["run"])
    assert context.params["slo"] == ("p99<1s",)
    assert context.params["rate"] == (1_000.0, 5_000.0)
