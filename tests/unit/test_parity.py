from __future__ import annotations

import io
from dataclasses import replace

import pytest
from click.testing import CliRunner
from results_builder import cell, result, trial

from rtmbench.cli import rtmbench
from rtmbench.experiment import runner
from rtmbench.experiment.settings import RunRequest
from rtmbench.parity import parity
from rtmbench.report.parity import print_parity
from rtmbench.results import CloseLatency, Status
from rtmbench.results.model import EngineFacts, EngineSettings, ParityRow
from rtmbench.results.parity import Parity
from rtmbench.results.store import RunDirectory, new_run_id

FACTS = {
    "flink@1.20": EngineFacts(settings=EngineSettings(slots=4, buffer_wait_ms=1, emission="update")),
    "spark@4.3": EngineFacts(
        settings=EngineSettings(slots=8, buffer_wait_ms=1, emission="update", others={"new_one": "x"})
    ),
}


def stored(root, *, engines=("flink@1.20", "spark@4.3"), complete=True):
    directory = RunDirectory.create(root, new_run_id("02"))
    facts = {name: FACTS[name] for name in engines}
    found = replace(
        result(*(cell(name) for name in engines)),
        pattern="02",
        run_id=directory.run_id,
        complete=complete,
        parity=parity(facts),
    )
    directory.write(found)
    return directory.run_id


def request(root, *engines):
    return RunRequest(patterns=("02",), engines=engines, results=root)


def test_the_newest_complete_run_of_just_these_engines_answers(tmp_path, monkeypatch):
    run_id = stored(tmp_path)
    stored(tmp_path, engines=("flink@1.20",))
    stored(tmp_path, complete=False)
    found = runner.effective_settings(request(tmp_path, "flink@1.20", "spark@4.3"))
    assert found.source == f"run {run_id}"
    rows = {row.setting: row for row in found.rows}
    assert rows["slots"].same is False
    assert rows["emission"].same is True

    def started(*_):
        raise LookupError

    monkeypatch.setattr(runner.doctor, "checks", started)
    for wanted, fresh in ((("flink@1.20", "spark@4.3"), True), (("spark@4.1",), False)):
        with pytest.raises(LookupError):
            runner.effective_settings(request(tmp_path, *wanted), fresh=fresh)


def test_what_differs_comes_first_with_what_it_means():
    shown = io.StringIO()
    found = Parity(pattern="02", source="run x", rows=parity(FACTS), refused={"spark@4.1:rtm": "CODE.OF_SPARK"})
    print_parity(found, shown)
    text = shown.getvalue()
    assert text.index("2 differences") < text.index("2 the same")
    assert "task slots in Flink, threads in Spark" in " ".join(text.split())
    assert "spark@4.1:rtm refused the query (CODE.OF_SPARK)" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_command_prints_the_stored_settings(tmp_path):
    run_id = stored(tmp_path)
    arguments = ["parity", "02", "--engines", "flink@1.20,spark@4.3", "--results", str(tmp_path)]
    printed = CliRunner().invoke(rtmbench, [*arguments, "--json"], standalone_mode=False)
    assert printed.exception is None
    assert f'"source": "run {run_id}"' in printed.stdout
    assert CliRunner().invoke(rtmbench, arguments, standalone_mode=False).stdout.startswith("Pattern 02 · settings of")


@pytest.mark.parametrize(
    ("arguments", "environment", "fresh"),
    [
        ([], {}, False),
        (["--fresh"], {}, True),
        (["--profile", "spec"], {}, True),
        (["--buffer-wait", "1"], {}, True),
        # What holds for every command speaks of no run in particular.
        ([], {"RTMBENCH_PARTITIONS": "8"}, False),
    ],
)
def test_a_setting_that_is_asked_for_here_is_not_answered_by_a_stored_run(
    monkeypatch, tmp_path, arguments, environment, fresh
):
    asked = []

    def effective_settings(request, *, fresh, **_):
        asked.append((request, fresh))
        return Parity(pattern="02", source="run x", rows=[], refused={})

    monkeypatch.setattr(runner, "effective_settings", effective_settings)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(rtmbench, ["parity", "02", *arguments], env=environment, standalone_mode=False)
    assert done.exception is None
    ((request, seen),) = asked
    assert seen is fresh
    assert request.profile == ("spec" if "spec" in arguments else None)
    assert request.quick is ("spec" not in arguments)
    assert request.partitions == (8 if environment else None)


def test_a_cell_of_final_results_has_something_to_show_without_a_headline():
    closed = trial(latency_us=None, close_latency_us=CloseLatency(count=3, p50=900))
    close = replace(cell("flink@1.20:close", [closed]), emit="close", headline=None)
    assert runner.exit_code([result(close)]) == 0
    nothing = replace(close, trials=[replace(closed, close_latency_us=None)])
    assert runner.exit_code([result(nothing)]) == 4
    failed = replace(close, status=Status.FAILED)
    assert runner.exit_code([result(failed)]) == 1


def test_parity_shows_equal_different_missing_and_unknown_settings():
    flink = EngineSettings(slots=4, java="17.0.1", object_reuse=True, others={"new": 1})
    spark = EngineSettings(slots=4, java="17.0.2", others={"new": "1"})
    rows = parity(
        {
            "flink@1.20": EngineFacts(settings=flink),
            "spark@4.1": EngineFacts(settings=spark),
            "transport": EngineFacts(),
        }
    )
    by_name = {row.setting: row for row in rows}
    assert by_name["slots"] == ParityRow(setting="slots", values={"flink@1.20": 4, "spark@4.1": 4}, same=True)
    assert by_name["Java"].same is False
    assert by_name["object reuse"].values["spark@4.1"] is None
    assert by_name["object reuse"].same is False
    assert by_name["object reuse"].note.startswith("Spark reuses its rows anyway; a custom job has Flink's default")
    assert by_name["new"].same is True
    assert "transport" not in by_name["slots"].values
