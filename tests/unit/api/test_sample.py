"""The recorded sample as it is installed: whole, small, without a trace of where it was made, and readable by all."""

from __future__ import annotations

import importlib.util
import re
import warnings

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from places import ROOT

import rtmbench
from rtmbench.api import functions
from rtmbench.errors import ConfigurationError, RtmbenchError
from rtmbench.patterns import PATTERNS
from rtmbench.results import sample as stored
from rtmbench.results.verdict import NO_VERDICT

ENGINES = ("flink@1.20", "spark@4.1", "spark@4.3")


@pytest.fixture(scope="module")
def sample():
    return rtmbench.sample()


@pytest.fixture(scope="module")
def tool():
    path = ROOT / "tools" / "sample.py"
    spec = importlib.util.spec_from_file_location("sample", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_has_every_pattern_on_every_engine(sample):
    assert [run.pattern for run in sample] == list(PATTERNS)
    for run in sample:
        assert run.complete
        assert tuple(name.partition(":")[0] for name in run.engines) == ENGINES
        assert run.floors == ["transport"]
        assert run.result.settings["quick"]


def test_its_logs_hold_every_sample_that_the_documents_count(sample):
    read = 0
    for run in sample:
        for name, trials in run.trials.items():
            for trial in trials:
                if trial.latency_us is not None:
                    assert run.latency(name, trial.trial).count == trial.latency_us.count
                    read += 1
    assert read >= len(PATTERNS) * len(ENGINES)


def test_it_prints_a_table_and_says_why_a_quick_run_has_no_verdict(sample):
    comparison = sample.compare("flink@1.20", "spark@4.3")
    assert [entry.pattern for entry in comparison.entries] == list(PATTERNS)
    printed = str(comparison)
    assert "verdict on p99" in printed
    decided = sample["02"].compare("flink@1.20", "spark@4.3")
    assert decided.verdict == NO_VERDICT
    assert decided.entries[0].comparison.interval is not None
    assert f"Pattern 02: spark@4.3 against flink@1.20: {NO_VERDICT}" in printed
    assert "a quick run: too short and too cold for a verdict" in " ".join(printed.split())
    shown = comparison._repr_html_()
    assert shown.count("<tr>") == 1 + len(PATTERNS)
    assert decided.verdict in shown


def test_its_documents_and_its_page_have_no_verdict_from_a_cold_run(sample, tool):
    for run in sample:
        assert {found.verdict for found in run.result.comparisons} == {NO_VERDICT}
        assert all(found.verdict_p50 is None and found.noise_band is None for found in run.result.comparisons)
    text = tool.PAGE.read_text(encoding="utf-8")
    assert not re.search(r"\b(faster|slower)\b", text)


def test_its_documents_follow_from_their_trials_by_the_rules_of_today(sample, tool):
    for run in sample:
        assert tool.rejudged(run.result) == run.result


def test_data_frames_and_sql_read_its_table(sample):
    trials = sample.table()
    expected = sum(len(found) for run in sample for found in run.trials.values())
    assert trials.num_rows == expected
    p99 = [trial.latency_us.p99 for trial in sample["02"].trials["spark@4.3"]]
    own = (pl.col("pattern") == "02") & (pl.col("cell") == "spark@4.3")
    read = pl.from_arrow(trials)
    # By the stream's schema it is one column of structs, and polars 2 leaves it so.
    unnested = read.struct.unnest() if isinstance(read, pl.Series) else read
    for frame in (unnested, pl.DataFrame(trials)):
        assert frame.filter(own)["latency_p99_us"].to_list() == p99
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pandas' own, of PyArrow
        pandas = pa.table(trials).to_pandas()
    chosen = pandas[(pandas["pattern"] == "02") & (pandas["cell"] == "spark@4.3")]
    assert chosen["latency_p99_us"].tolist() == p99
    rows = duckdb.sql("SELECT latency_p99_us FROM trials WHERE pattern = '02' AND cell = 'spark@4.3' ORDER BY trial")
    assert [row[0] for row in rows.fetchall()] == p99


def test_it_is_small_and_tells_nothing_of_where_it_was_made():
    files = [path for path in stored.DIRECTORY.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".hlog"}
    assert sum(path.stat().st_size for path in files) < 3_000_000
    for path in files:
        if path.suffix == ".json":
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?:file:|(?<![\w.]))/(?:[\w.+-]+/)+|\w://|\b\d{1,3}(?:\.\d{1,3}){3}\b", text)


def test_its_report_goes_into_the_working_directory(sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sample["02"].report(format="md").absolute() == tmp_path / "report.md"
    assert not list(stored.DIRECTORY.rglob("report.*"))
    assert stored.holds(sample["02"].directory)
    assert not stored.holds(tmp_path)


def test_a_run_is_found_by_its_pattern_or_its_id(sample):
    assert sample["03"] is sample[2]
    assert sample[sample[1].run_id] is sample[1]
    assert [run.pattern for run in sample[1:3]] == ["02", "03"]
    with pytest.raises(ConfigurationError, match=r"Unknown run '05': none of these 4 runs.* 01, 02, 03, 04"):
        sample["05"]


def test_engines_that_some_runs_lack_are_compared_in_the_others(sample):
    found = sample.compare("flink", "spark@4.1:rtm-unchecked")
    assert {entry.pattern for entry in found.entries} == {"02", "03"}
    assert sum("left out" in warning for warning in found.report.warnings) == 2
    assert "left out" in str(found)
    with pytest.raises(ConfigurationError, match="None of these 4 runs has both 'flink' and 'beam'"):
        sample.compare("flink", "beam")


def test_a_list_without_trials_has_no_table():
    with pytest.raises(ConfigurationError, match="None of these 0 runs"):
        rtmbench.RunList([]).table()


def test_the_page_of_the_documentation_shows_it(tool):
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page()


def test_a_damaged_installation_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(functions, "DIRECTORY", tmp_path)
    with pytest.raises(RtmbenchError, match=r"not complete.*Install rtmbench again"):
        rtmbench.sample()
