"""Flag > environment > file > default: the same settings for every command that has them."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from rtmbench.cli import COMMANDS, rtmbench
from rtmbench.cli.configuration import load
from rtmbench.cli.run import Seconds
from rtmbench.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
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
    ],
)
def test_a_length_of_time_is_read(text, seconds):
    assert Seconds().convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "soon", "5 fortnights", "nan", "inf", "1 minute 30 seconds"])
def test_what_is_no_length_of_time_is_a_usage_error(text):
    with pytest.raises(click.BadParameter, match="not a length of time"):
        Seconds().convert(text, None, None)
