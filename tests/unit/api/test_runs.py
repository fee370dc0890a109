"""The Python API: runs that were recorded or built, read and compared; new ones with the experiment stubbed."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import doctest
import os
import shutil
import sys
import textwrap
import types
import warnings
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import results_builder as build
from places import RECORDED, ROOT

import rtmbench
from rtmbench import aio, spark
from rtmbench.api import functions
from rtmbench.errors import ConfigurationError
from rtmbench.experiment import runner
from rtmbench.experiment.progress import Progress
from rtmbench.live_view import LiveView
from rtmbench.patterns import PATTERNS
from rtmbench.patterns.pipelines import locate
from rtmbench.results.model import Status, Timeline
from rtmbench.spark import twin

WORKER = """
import os, sys, time
from pathlib import Path
from rtmbench.api import worker
from rtmbench.experiment import runner
from rtmbench.results import load
here = Path({here!r})

def run(request, options, view):
{body}

runner.run = run
sys.exit(worker.main())
"""
STUBBORN = """
(here / "started").touch()
while True:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        (here / "interrupted").touch()
"""
LATENCIES = ["min", "p50", "p90", "p95", "p99", "p99_9", "max"]


@pytest.fixture
def run():
    return rtmbench.load(RECORDED)


@pytest.fixture
def stubbed(monkeypatch, tmp_path):
    """Calls of the experiment; each gives a built document for each pattern."""
    calls = []

    def give(request, options, _view):
        calls.append((request, options))
        cells = [build.cell(name) for name in request.engines]
        return [build.result(*cells, pattern=pattern) for pattern in request.patterns]

    monkeypatch.setattr(runner, "run", give)
    monkeypatch.chdir(tmp_path)
    return calls


def test_every_public_name_is_there_and_documented():
    for name in rtmbench.__all__:
        assert getattr(rtmbench, name)
        assert name in dir(rtmbench)
        assert name == "__version__" or getattr(rtmbench, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rtmbench.nothing


def test_the_page_of_the_documentation_gives_what_it_says(monkeypatch, broker, config):
    monkeypatch.chdir(ROOT)
    broker.create_topic("orders")
    page = str(ROOT / "docs" / "python-api.md")
    found = doctest.testfile(page, module_relative=False, globs={"kafka": config})
    assert found.failed == 0
    assert found.attempted > 20


def test_a_table_has_one_row_for_each_trial_with_the_documents_figures(run):
    table = run.table()
    trials = [trial for trials in run.trials.values() for trial in trials]
    assert table.num_rows == len(trials) == 7
    assert list(table["cell"][:4]) == ["flink@1.20"] * 2 + ["spark@4.1"] * 2
    assert list(table["status"]) == [trial.status.value for trial in trials]
    for name in LATENCIES:
        column = "latency_" + name + "_us"
        assert list(table[column]) == [getattr(trial.latency_us, name) for trial in trials]
    assert list(table["stall_share"]) == [trial.stall_share for trial in trials]
    assert list(table["count_received"]) == [trial.counts.received for trial in trials]


def test_data_frames_and_sql_read_a_table(run):
    trials = run.table()
    expected = [trial.latency_us.p99 for trial in run.trials["spark@4.1"]]
    frame = pl.DataFrame(trials).filter(pl.col("cell") == "spark@4.1")
    assert frame["latency_p99_us"].to_list() == expected
    arrow = pa.table(trials)
    assert arrow.num_rows == 7
    assert arrow.schema.field("latency_p99_us").type == pa.float64()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pandas' own, of PyArrow
        pandas = arrow.to_pandas()
    assert pandas[pandas["cell"] == "spark@4.1"]["latency_p99_us"].tolist() == expected
    assert arrow.schema.field("cell").type in (pa.string(), pa.large_string(), pa.string_view())
    rows = duckdb.sql("SELECT latency_p99_us FROM trials WHERE cell = 'spark@4.1' ORDER BY trial")
    assert [row[0] for row in rows.fetchall()] == expected


def test_what_does_not_exist_is_not_0_in_a_table():
    failed = build.trial(1, Status.FAILED, ["crashed"], counts=None, stall_share=None)
    table = rtmbench.Run(build.result(build.cell(trials=[failed]), floors=[])).table()
    assert table["status"][0] == "failed"
    assert table["valid"][0] == 0
    assert np.isnan(table["latency_p99_us"][0])
    assert np.isnan(table["count_missing"][0])


def test_a_run_without_trials_has_no_table():
    with pytest.raises(ConfigurationError, match="no trial yet"):
        rtmbench.Run(build.result(build.cell(trials=[]), floors=[])).table()


def test_a_distribution_is_merged_from_the_samples_of_the_usable_trials(run):
    one, other, both = run.latency("flink", 1), run.latency("flink", 2), run.latency("flink@1.20")
    assert one.count == run.trials["flink@1.20"][0].latency_us.count
    assert one.percentile(99) == run.trials["flink@1.20"][0].latency_us.p99
    assert both.count == one.count + other.count
    assert both.max == max(one.max, other.max)
    one.merge(other)
    assert one == both
    mean = (run.latency("flink", 1).percentile(99) + other.percentile(99)) / 2
    assert both.percentile(99) != pytest.approx(mean, rel=0.1)


def test_a_missing_or_changed_log_is_no_smaller_distribution(tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(RECORDED, copy)
    (copy / "flink-1.20-2.latency.hlog").unlink()
    with pytest.raises(ConfigurationError, match=r"flink@1\.20 trial 2 .* 0 of 9,086 samples"):
        rtmbench.load(copy).latency("flink")
    assert rtmbench.load(copy).latency("flink", 1).count == 9_077
    shutil.copy(copy / "flink-1.20-1.latency.hlog", copy / "flink-1.20-2.latency.hlog")
    with pytest.raises(ConfigurationError, match="9,077 of 9,086 samples"):
        rtmbench.load(copy).latency("flink")


def test_trials_that_may_not_be_used_are_not_merged(run):
    cell = run.result.cells[0]
    bad = dataclasses.replace(cell.trials[1], status=Status.UNSUSTAINED, valid=False)
    ours = dataclasses.replace(cell, trials=[cell.trials[0], bad])
    changed = rtmbench.Run(dataclasses.replace(run.result, cells=[ours]), RECORDED)
    assert changed.latency("flink") == run.latency("flink", 1)
    assert changed.latency("flink", 2) == run.latency("flink", 2)
    nothing = dataclasses.replace(cell, trials=[bad])
    with pytest.raises(ConfigurationError, match="no usable trial"):
        rtmbench.Run(dataclasses.replace(run.result, cells=[nothing]), RECORDED).latency("flink")


def test_a_document_alone_has_no_distributions(tmp_path):
    shutil.copy(RECORDED / "result.json", tmp_path / "other.json")
    with pytest.raises(ConfigurationError, match="Load the run by its directory"):
        rtmbench.load(tmp_path / "other.json").latency("flink")


def test_a_timeline_has_one_row_for_each_second(run):
    table = run.timeline("spark", 2)
    line = run.trials["spark@4.1"][1].timeline
    assert list(table["p99_us"]) == line.p99_us
    assert list(table["second"]) == list(range(len(line.count)))
    assert run.timeline("spark").num_rows == sum(len(t.timeline.count) for t in run.trials["spark@4.1"])
    with pytest.raises(ConfigurationError, match="has no timeline"):
        rtmbench.Run(build.result(build.cell())).timeline("flink")


def test_a_wrong_name_is_told_with_those_that_exist(run):
    for call in (run.latency, run.timeline, lambda name: run.compare("flink", name)):
        with pytest.raises(ConfigurationError, match=r"no cell 'beam'.* flink@1\.20, spark@4\.1, transport"):
            call("beam")
    with pytest.raises(ConfigurationError, match="no trial 7; there are: 1, 2"):
        run.latency("flink", 7)


def test_a_comparison_prints_a_table_and_a_verdict(run):
    printed = str(run.compare("flink@1.20", "spark@4.1"))
    assert "verdict on p99" in printed
    assert "Pattern 01: spark@4.1 against flink@1.20: no verdict" in printed
    assert "\x1b" not in printed


def test_a_comparison_of_enough_trials_is_decided():
    slow = [build.trial(n, latency_us=build.latency(9_000 + n)) for n in range(1, 9)]
    fast = [build.trial(n, latency_us=build.latency(3_000 + n)) for n in range(1, 9)]
    cells = (build.cell(trials=fast), build.cell("spark@4.3", trials=slow))
    run = rtmbench.Run(build.result(*cells, settings={"rate": 1_000, "quick": False}))
    found = run.compare("flink@1.20", "spark@4.3")
    # Without a measured noise band there is a verdict on p50 alone.
    assert found.verdict == "no verdict"
    assert found.entries[0].comparison.ratio_p99 == pytest.approx(3, rel=0.01)
    assert found.to_dict()["comparisons"][0]["verdict_p50"] == "slower"
    assert "slower at p50 × 3.00" in " ".join(str(found).split())
    quick = rtmbench.Run(build.result(*cells)).compare("flink@1.20", "spark@4.3")
    assert (quick.verdict, quick.entries[0].comparison.verdict_p50) == ("no verdict", None)
    assert len(run.against(run).entries) == 2
    with pytest.raises(ConfigurationError, match="2 pairs"):
        _ = run.against(run).verdict


def test_targets_are_judged_as_the_command_line_does():
    cells = [build.cell(name, [build.trial(n) for n in (1, 2, 3)]) for name in ("flink@1.20", "spark@4.3")]
    run = rtmbench.Run(build.result(*cells, settings={"rate": 1_000, "quick": False}))
    met = run.verdict("p99<100ms")
    assert not rtmbench.Run(build.result(*cells)).verdict("p99<100ms").met
    assert met.met
    assert str(met).startswith("✓ flink@1.20 p99<100ms: met")
    assert not run.verdict(["p99<100ms", "p50<1ms"]).met
    with pytest.raises(ConfigurationError, match="cannot be read"):
        run.verdict("fast")
    with pytest.raises(ConfigurationError, match="No target"):
        run.verdict([])


def test_a_report_goes_to_the_run_or_where_it_is_told(run, tmp_path):
    written = run.report(tmp_path / "page.md")
    assert written.read_text(encoding="utf-8").startswith("#")
    assert "<html" in run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    shutil.copytree(RECORDED, tmp_path / "run")
    assert rtmbench.load(tmp_path / "run").report(format="md") == tmp_path / "run" / "report.md"
    with pytest.raises(ConfigurationError, match="html or md"):
        run.report(format="pdf")


def test_foreign_text_is_inert_in_a_notebook():
    hostile = "<script>alert(1)</script>"
    run = rtmbench.Run(build.result(build.cell(hostile), build.cell("b" + hostile), run_id=hostile, pattern=hostile))
    shown = [run, run.compare_all(), run.verdict("p99<1s"), functions.RunList([run], {Path(hostile): hostile})]
    for each in shown:
        assert "<script" not in each._repr_html_()
        assert "&lt;script" in each._repr_html_()


def test_a_lower_bound_stays_one_in_a_notebook():
    censored = build.latency(censored=3, censored_percentiles=["p99_9", "max"])
    run = rtmbench.Run(build.result(build.cell(trials=[build.trial(1, Status.UNSUSTAINED, latency_us=censored)])))
    assert "≥" in run._repr_html_()
    assert "unsustained" in run._repr_html_()
    assert run.table()["lower_bounds"][0] == "p99_9 max"


def test_runs_are_listed_newest_first_and_broken_ones_with_their_problem(tmp_path):
    for name in ("20260101T000000000Z-01-aaaaaa", "20260102T000000000Z-01-bbbbbb"):
        shutil.copytree(RECORDED, tmp_path / name)
    broken = tmp_path / "20260103T000000000Z-01-cccccc"
    broken.mkdir()
    (broken / "result.json").write_text("{", encoding="utf-8")
    found = rtmbench.runs(tmp_path)
    assert [run.directory.name[-6:] for run in found] == ["bbbbbb", "aaaaaa"]
    assert "is not JSON" in found.problems[broken]
    assert broken.name in repr(found)
    assert broken.name in found._repr_html_()
    assert repr(rtmbench.runs(tmp_path / "none")) == "no runs"


def test_a_run_asks_for_what_it_was_told(stubbed):
    run = rtmbench.run("02", engines=["flink@1.20", "spark@4.3"], slo="p99<1s", results="here", rate=500, quick=True)
    request, options = stubbed[0]
    assert (request.patterns, request.engines) == (("02",), ("flink@1.20", "spark@4.3"))
    assert (request.rate, request.quick, request.results) == (500, True, Path("here"))
    assert [target.text for target in options.targets] == ["p99<1s"]
    assert run.pattern == "02"
    assert run.directory == Path("here") / run.run_id
    assert [run.pattern for run in rtmbench.run_all(["01", "04"])] == ["01", "04"]
    assert stubbed[1][0].engines == functions.DEFAULT_ENGINES


def test_an_unknown_setting_is_told_with_the_nearest(stubbed):
    with pytest.raises(ConfigurationError, match="did you mean 'duration_s'"):
        rtmbench.run("01", duration=3)
    with pytest.raises(ConfigurationError, match=r"the settings are: .*rate"):
        rtmbench.run("01", xyz=3)
    with pytest.raises(ConfigurationError, match="run_all"):
        rtmbench.run("all")
    assert not stubbed


def test_an_interrupt_reaches_the_caller(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rtmbench.run("01")


def test_a_notebook_compares_a_pattern_with_its_twin(stubbed):
    found = rtmbench.run("02", engines=["flink@1.20", "spark@4.3"], quick=True).compare_all()
    assert stubbed[0][0].quick
    assert "Pattern 02: spark@4.3 against flink@1.20" in " ".join(str(found).split())


@pytest.mark.parametrize("pattern", list(PATTERNS))
def test_a_pipeline_with_compare_runs_its_own_pattern(pattern, monkeypatch):
    calls = []

    def stop(_program, command):
        calls.append(command)
        raise SystemExit(4)

    monkeypatch.setattr(os, "execv", stop)
    pipeline = spark.pipeline(pattern)
    monkeypatch.setattr(sys, "argv", [str(locate(pattern, "spark")), "--quick", "--compare", "--engines", "relay"])
    with pytest.raises(SystemExit) as exit_info:
        spark.main(pipeline.build)
    assert exit_info.value.code == 4
    assert calls == [[sys.executable, "-m", "rtmbench", "run", pattern, "--quick", "--engines", "relay"]]


def test_a_checkouts_pipeline_is_the_installed_one_while_both_are_the_same(tmp_path):
    copy = tmp_path / "mine.py"
    text = locate("02", "spark").read_text(encoding="utf-8")
    for content, found in ((text, "02"), (text + "# changed\n", None)):
        copy.write_text(content, encoding="utf-8")
        module = types.ModuleType("mine")
        exec(compile(content, str(copy), "exec"), module.__dict__)  # noqa: S102
        if found:
            assert twin.pattern_of(module.build) == found
        else:
            with pytest.raises(ConfigurationError, match=r"mine\.py is not one of rtmbench's pipelines"):
                twin.pattern_of(module.build)


def test_another_query_has_no_twin(capsys):
    def mine(_spark, _io):
        return None

    with pytest.raises(SystemExit) as exit_info:
        twin.run_with_twin(mine, ["--compare"])
    assert exit_info.value.code == 2
    assert "not one of rtmbench's pipelines" in capsys.readouterr().err


def test_a_timeline_is_kept_for_an_attempt_that_counts():
    line = Timeline(from_us=0, count=[5], p50_us=[1], p99_us=[2], max_us=[3], backlog=[0])
    trials = [build.trial(1, timeline=line), build.trial(2)]
    table = rtmbench.Run(build.result(build.cell(trials=trials))).timeline("flink")
    assert list(table["trial"]) == [1]


def test_a_notebooks_console_takes_nothing_away(run, monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    # As a kernel does, which is no terminal for it.
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-color")
    for shown in (repr(run), repr(run.compare_all())):
        assert "Pattern 01" in shown
        assert "\x1b" not in shown


def test_progress_in_a_notebook_is_plain_lines(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-color")
    with LiveView() as view:
        view.say("starting Kafka")
        view.update(Progress(engine="relay", trial=1, trials=1, phase="measure"))
    said = capsys.readouterr().err
    assert "starting Kafka\n" in said
    assert "relay trial 1/1 · measure" in said
    assert "\x1b" not in said


def _worker(monkeypatch, tmp_path, body):
    """Let the process of a run do `body` instead of the experiment."""
    script = tmp_path / "worker.py"
    script.write_text(
        WORKER.format(here=str(tmp_path), body=textwrap.indent(textwrap.dedent(body).strip(), "    ")), encoding="utf-8"
    )
    monkeypatch.setattr(aio, "WORKER", (sys.executable, str(script)))


def test_an_awaited_run_is_read_when_it_has_ended(monkeypatch, tmp_path, capsys):
    name = rtmbench.load(RECORDED).run_id
    shutil.copytree(RECORDED, tmp_path / "results" / name)
    _worker(
        monkeypatch,
        tmp_path,
        """
        assert request.patterns == ("01",) and request.rate == 500
        print("floor · measure …", file=sys.stderr)
        return [load(request.results / "RUN")]
        """.replace("RUN", name),
    )
    found = asyncio.run(aio.run("01", rate=500, results=tmp_path / "results"))
    assert found.run_id == name
    assert found.latency("flink").count > 0
    assert capsys.readouterr().err == "floor · measure …\n"


def test_an_awaited_run_raises_what_the_run_raises(tmp_path):
    with pytest.raises(ConfigurationError, match="did you mean 'duration_s'"):
        asyncio.run(aio.run("01", duration=5, results=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_cancellation_interrupts_the_run_and_waits_for_its_end(monkeypatch, tmp_path):
    _worker(
        monkeypatch,
        tmp_path,
        """
        (here / "started").touch()
        try:
            time.sleep(60)
        finally:
            time.sleep(0.3)
            (here / "cleaned").touch()
        """,
    )

    async def cancelled():
        task = asyncio.create_task(aio.run("01", results=tmp_path))
        while not (tmp_path / "started").exists():  # noqa: ASYNC110 - the other side is a process
            await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return task.cancelled(), (tmp_path / "cleaned").exists()

    assert asyncio.run(cancelled()) == (True, True)


def test_a_second_cancellation_does_not_wait(monkeypatch, tmp_path):
    _worker(monkeypatch, tmp_path, STUBBORN)

    async def until(name):
        while not (tmp_path / name).exists():  # noqa: ASYNC110 - the other side is a process
            await asyncio.sleep(0.05)

    async def cancelled_twice():
        task = asyncio.create_task(aio.run("01", results=tmp_path))
        await until("started")
        task.cancel()
        await until("interrupted")
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancelled_twice(), 20))


def test_what_ignores_its_interrupt_is_killed_and_still_a_cancellation(monkeypatch, tmp_path):
    _worker(monkeypatch, tmp_path, STUBBORN)
    monkeypatch.setattr(aio, "END_WITHIN_S", 0.5)

    async def cancelled():
        task = asyncio.create_task(aio.run("01", results=tmp_path))
        while not (tmp_path / "started").exists():  # noqa: ASYNC110 - the other side is a process
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancelled(), 20))


def test_what_cannot_go_to_another_process_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot be sent there. Use rtmbench\.run"):
        asyncio.run(aio.run("01", results=tmp_path, rate=print))


def test_a_process_that_breaks_off_is_told(monkeypatch, tmp_path):
    _worker(monkeypatch, tmp_path, "os._exit(9)")
    with pytest.raises(rtmbench.errors.RunFailedError, match="ended with code 9"):
        asyncio.run(aio.run("01", results=tmp_path))
