"""Flag > environment > file > default: the same settings for every command that has them."""

from __future__ import annotations

import importlib.util
import re

import click
import pytest
from click.testing import CliRunner
from places import ROOT

from rtmbench.cli import COMMANDS, rtmbench
from rtmbench.cli.configuration import load
from rtmbench.cli.options import Duration
from rtmbench.errors import ConfigurationError
from rtmbench.run_settings import SETTINGS, RunArguments

VARIABLE = re.compile(r"\bRTMBENCH_[A-Z]+(?:_[A-Z]+)*\b")


def command(name):
    return rtmbench.get_command(click.Context(rtmbench), name)


def with_results():
    return [name for name in COMMANDS if any(parameter.name == "results" for parameter in command(name).params)]


@pytest.mark.parametrize("name", with_results())
def test_runs_are_looked_for_where_they_are_kept(name, tmp_path, monkeypatch):
    (results,) = (parameter for parameter in command(name).params if parameter.name == "results")
    assert "RTMBENCH_RESULTS" in results.envvar
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtmbench.toml").write_text('results = "elsewhere"\n')
    assert load({})[name]["results"] == "elsewhere"


def test_commands_that_keep_or_find_runs_are_among_them():
    assert {"run", "compare", "history", "report", "parity", "claims", "doctor"} <= set(with_results())


def test_every_variable_that_the_tree_names_is_known():
    places = ("python/rtmbench/**/*.py", "pipelines/**/*.py", "docs/*.md", "*.md", "pipelines/**/*.md", "Makefile")
    files = {path for place in places for path in ROOT.glob(place)} | {ROOT / "build.rs"}
    browser = ROOT / "tests" / "e2e" / "test_report_browser.py"
    named = {name for path in (*files, browser) for name in VARIABLE.findall(path.read_text("utf-8"))}
    assert {"RTMBENCH_CACHE", "RTMBENCH_RATE", "RTMBENCH_TEST_CHROMIUM"} <= named
    load(dict.fromkeys(named, "1"))


@pytest.mark.parametrize("row", [row for row in SETTINGS.values() if row.configurable], ids=lambda row: row.name)
def test_a_setting_is_honoured_by_each_of_its_commands_wherever_it_comes_from(row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in sorted(row.commands):
        group, _, sub = name.partition(" ")
        found = command(group)
        found = found.get_command(click.Context(found), sub) if sub else found
        (parameter,) = [parameter for parameter in found.params if parameter.name == row.parameter]
        assert row.flag in parameter.opts
        assert row.variable in parameter.envvar
        (tmp_path / "rtmbench.toml").write_text(f'{row.name} = "x"\n')
        defaults = load({})[group]
        assert (defaults[sub] if sub else defaults)[row.parameter] == "x"


def test_a_setting_that_a_command_does_not_take_is_an_error_on_its_command_line_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtmbench.toml").write_text("trials = 5\n")
    assert "trials" not in load({"RTMBENCH_KEYS": "3"}).get("parity", {})
    refused = CliRunner().invoke(rtmbench, ["parity", "01", "--trials", "5"], standalone_mode=False)
    assert isinstance(refused.exception, click.NoSuchOption)


def test_the_page_of_settings_is_the_table():
    page = ROOT / "docs" / "settings.md"
    spec = importlib.util.spec_from_file_location("settings_page", ROOT / "tools" / "settings_page.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert page.read_text(encoding="utf-8") == tool.page()


def test_arguments_in_python_are_the_settings():
    assert set(RunArguments.__annotations__) == {row.field for row in SETTINGS.values()} - {"engines", "results"}


def test_another_variable_is_an_error_that_guesses():
    with pytest.raises(ConfigurationError, match=r"RTMBENCH_RTE .*did you mean RTMBENCH_RATE"):
        load({"RTMBENCH_RTE": "5"})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("5m", 300.0),
        ("1h", 3_600.0),
        ("1.5m", 90.0),
        # As the pipelines take the same variables, and Spark after them.
        ("10 seconds", 10.0),
        ("1 minute", 60.0),
        ("500 milliseconds", 0.5),
        ("250ms", 0.25),
        ("1 minute 30 seconds", 90.0),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert Duration().convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "soon", "5 fortnights", "nan", "inf", "1h 30", "-5s"])
def test_another_text_is_a_usage_error(text):
    with pytest.raises(click.BadParameter, match="not a duration"):
        Duration().convert(text, None, None)
