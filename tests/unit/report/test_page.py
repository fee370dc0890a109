"""The HTML, Markdown and table forms of a report, of a recorded run and of documents that mean harm."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from places import RECORDED
from report_pages import HOSTILE, Page, faults, hostile
from results_builder import cell, latency, result, scenarios, trial

from rtmbench.cli.report import report as command
from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.report import export, print_result, write
from rtmbench.report.document import Code, Document, Figure, Items, Paragraph, Section, Table
from rtmbench.report.html import render
from rtmbench.report.sections import command as command_line
from rtmbench.results import Refusal, RunDirectory, Status, load
from rtmbench.results.histogram_log import merged, read_histogram_log
from rtmbench.results.model import Grid, RatePoint, Sustained, TargetOutcome


@pytest.fixture(scope="module")
def recorded():
    return [(load(RECORDED), RECORDED)]


@pytest.fixture(scope="module")
def page(recorded):
    pytest.importorskip("matplotlib")
    return write.to_html(recorded, vcpu_hour=0.048)


def test_the_page_is_safe_self_contained_and_accessible(page):
    assert faults(page) == []
    assert len(page.encode()) < 1_000_000
    assert page.count("<svg") == len(Page(page).all("figure")) == 2 + 2 * 2 + 1


def test_the_policy_admits_the_style_sheet_of_the_page(page):
    (style,) = re.findall("<style>(.*?)</style>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = (one.attributes["content"] for one in Page(page).all("meta") if "http-equiv" in one.attributes)
    assert f"style-src-elem 'sha256-{digest}';" in policy


def test_the_verdict_comes_first(page):
    (main,) = Page(page).all("main")
    (header,) = Page(page).all("header")
    (verdict,) = [p for p in header.all("p") if p.attributes.get("class") == "verdict"]
    assert "no verdict" in verdict.whole_text
    assert "p99 was" in verdict.whole_text
    assert main.all("h2")[0].whole_text == "Result"


def test_the_page_says_all_that_there_is(page, recorded):
    text = Page(page).root.whole_text
    (found, _), *_ = recorded
    for part in (
        "batch boundaries of spark",
        "checkpoints of flink",
        "no known cause",
        "cost per 10⁹ events",
        "proven equal",
        "RealTimeTrigger(5000)",
        "stall share",
        "longest stall",
        found.host.cpu,
        found.versions["kafka"],
        "rtmbench run 01 --engines flink@1.20,spark@4.1 --quick --rate 1000",
    ):
        assert part in text, part
    for one in found.cells:
        for each in one.trials:
            assert all(reason in text for reason in each.reasons)


def test_colours_come_from_the_page(page):
    colours = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))
    assert colours <= {"#000000", "#ffffff"}, "a plot has a colour of its own, which one of the two themes hides"
    assert "var(--series-1)" in page


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_makes_a_safe_and_whole_page(name, tmp_path):
    pytest.importorskip("matplotlib")
    text = HOSTILE[name]
    found = hostile(text)
    plain = faults(write.to_html([(result(cell("a"), cell("b")), None)]))
    html = write.to_html([(found, tmp_path)])
    assert faults(html) == plain == []
    assert len(html.encode("utf-8")) < 300_000
    titles = [h.whole_text for h in Page(html).all("h2")]
    assert "Environment, and how to repeat the run" in titles
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", html)
    if name == "long":
        # Reasons are shown whole, all else is cut.
        assert "A" * 10_001 not in html
        assert "AAA…" in html
    if name == "right to left":
        assert "<bdi>" in html
    if name in ("script", "template"):
        assert text in Page(html).root.whole_text


@pytest.mark.parametrize(
    "text", [HOSTILE["script"], HOSTILE["template"], 'a" onload="alert(1)', "{% include 'style.css' %}"]
)
def test_a_hostile_text_is_text_in_every_block(text):
    table = Table(caption=text, header=(text, text), rows=((text, text),), marks=(text,))
    svg = '<svg viewBox="0 0 1 1"><g id="figure_1"><use href="#figure_1"/></g></svg>'
    figure = Figure(title=text, alt=text, svg=svg, table=table)
    blocks = (table, figure, figure, Paragraph(text), Items((text,)), Code(text), figure)
    section = Section(title=text, blocks=blocks)
    html = render(Document(title=text, verdicts=(text,), sections=(section, section), footer=(text,)))
    assert faults(html) == []
    page = Page(html)
    assert {one.attributes["aria-label"] for one in page.all("svg")} == {text}
    for tag in ("title", "h1", "h2", "p", "figcaption", "th", "td", "li", "code"):
        assert {one.whole_text for one in page.all(tag)} == {text}, tag
    grids = [one for one in page.all("div") if one.attributes["class"] == "figures"]
    assert [len(one.all("figure")) for one in grids] == [2, 1, 2, 1]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_makes_safe_markdown(name):
    text = write.to_markdown([(hostile(HOSTILE[name]), None)])
    fenced = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<", fenced)
    assert not re.search(r"(?<!\\)\]\(|(?<!\\)!\[", fenced)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)
    rows = [line for line in fenced.splitlines() if line.startswith("|")]
    tables = "\n".join(line if line.startswith("|") else "" for line in fenced.splitlines()).split("\n\n")
    for table in filter(None, (t.strip() for t in tables)):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table[:300]
    assert rows
    assert "Environment, and how to repeat the run" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_makes_harmless_tables(name, tmp_path):
    text = HOSTILE[name]
    for path in export.write([(hostile(text), tmp_path)], tmp_path / "csv", "csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert not any(value.startswith(("=", "@", "+")) for row in rows for value in row.values())


def test_a_formula_in_a_name_stays_text(tmp_path):
    found = result(cell("=HYPERLINK(1)"), cell("b"))
    (path, *_) = export.write([(found, None)], tmp_path, "csv")
    assert "'=HYPERLINK(1)" in path.read_text()


def test_files_outside_of_the_run_are_not_read(tmp_path, recorded):
    (found, directory), *_ = recorded
    inside = tmp_path / "run"
    inside.mkdir()
    name = found.cells[0].trials[0].files["latency"]
    (tmp_path / "secret.hlog").write_bytes((directory / name).read_bytes())
    stolen = dataclasses.replace(found.cells[0].trials[0], files={"latency": "../secret.hlog"})
    document = dataclasses.replace(found, cells=[dataclasses.replace(found.cells[0], trials=[stolen])], floors=[])
    assert "interval logs are not here" in write.to_markdown([(document, inside)])
    assert export.tables([(document, inside)])["histogram"] == []


@pytest.mark.parametrize("name", scenarios())
def test_no_status_is_bare(name):
    text = write.to_markdown([(scenarios()[name], None)])
    for one in scenarios()[name].cells:
        assert one.status.value in text
    censored = any(t.latency_us and t.latency_us.censored for c in scenarios()[name].cells for t in c.trials)
    assert bool(re.search(r"≥\d", text)) == censored


def test_markdown_as_it_is_written(recorded, snapshot):
    assert write.to_markdown(recorded, vcpu_hour=0.048) == snapshot


def test_markdown_of_two_patterns(snapshot):
    first = result(cell("flink@1.20"), cell("spark@4.1", [trial(latency_us=latency(9_000))]))
    second = dataclasses.replace(first, pattern="02")
    assert write.to_markdown([(first, None), (second, None)]) == snapshot


def test_a_page_stays_below_its_limit(recorded, monkeypatch):
    pytest.importorskip("matplotlib")
    whole = write.to_html(recorded)
    monkeypatch.setattr(write, "LIMIT_BYTES", len(whole.encode()) - 1)
    smaller = write.to_html(recorded)
    assert len(smaller) < len(whole)
    assert smaller.count("<svg") == whole.count("<svg") - 2
    assert faults(smaller) == []
    monkeypatch.setattr(write, "LIMIT_BYTES", 60_000)
    assert write.to_html(recorded).count("<svg") == 0


def test_the_exports_hold_every_sample(recorded, tmp_path):
    (found, _), *_ = recorded
    tables = export.tables(recorded)
    trials = [t for c in (*found.cells, *found.floors) for t in c.trials]
    assert len(tables["trials"]) == len(trials)
    samples = sum(row["count"] for row in tables["histogram"])
    assert samples == sum(t.latency_us.count for t in trials) == sum(row["count"] for row in tables["timeline"])
    assert {row["kind"] for row in tables["interruptions"]} >= {"batch_boundary", "checkpoint", "gc_pause"}
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = export.write(recorded, tmp_path, "parquet")
    assert {path.stem for path in paths} == {"trials", "timeline", "interruptions", "histogram"}
    assert sum(parquet.read_table(tmp_path / "histogram.parquet")["count"].to_pylist()) == samples


def test_the_interval_log_is_the_trial(recorded):
    (found, directory), *_ = recorded
    for one in found.cells:
        for each in one.trials:
            log = read_histogram_log(directory / each.files["latency"])
            total = merged(log)
            assert total.count == each.latency_us.count
            assert total.percentile(99) == pytest.approx(each.latency_us.p99, rel=0.002)
            assert [i.histogram.count for i in log] == each.timeline.count


def test_a_broken_interval_log_is_named(tmp_path):
    path = tmp_path / "a.hlog"
    path.write_text("#[Histogram log format version 1.3]\n0.000,1.000,7.5,no base64!\n")
    with pytest.raises(ConfigurationError, match="interval 1"):
        read_histogram_log(path)
    path.write_text("0.000,1.000\n")
    with pytest.raises(ConfigurationError, match="interval 1"):
        read_histogram_log(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_histogram_log(tmp_path / "missing.hlog")


def test_the_command_line_repeats_the_run():
    found = result(cell("flink@1.20"), cell("spark@4.1"))
    settings = {"engines": ["flink@1.20", "a b"], "rate": 1000.0, "duration_s": 15.0, "bootstrap_servers": "existing"}
    text = command_line(dataclasses.replace(found, settings=settings))
    assert text == (
        "rtmbench run 01 --engines 'flink@1.20,a b' --rate 1000 --duration 15s --bootstrap-servers HOST:PORT"
    )


@pytest.mark.parametrize(("stored", "shown"), [("hdfs://", "URI"), ("slow:30ms", "slow:30ms")])
def test_the_command_line_names_clusters_and_storage_without_their_addresses(stored, shown):
    settings = {
        "bootstrap_servers": "existing",
        "spark": "existing",
        "spark_executors": 4,
        "checkpoint_storage": stored,
    }
    text = command_line(dataclasses.replace(result(cell("spark@4.3")), settings=settings))
    assert text == (
        "rtmbench run 01 --spark-executors 4 --bootstrap-servers HOST:PORT --spark-master URL "
        f"--checkpoint-storage {shown}"
    )


def test_the_command_line_asks_again_for_what_was_done_with_the_run():
    asked = {"aa": True, "find_rate": True, "slo": ["p99<100ms@10000/s", "max<1s"]}
    text = command_line(dataclasses.replace(result(cell("flink@1.20")), settings=asked))
    assert text == "rtmbench run 01 --aa --find-rate --slo 'p99<100ms@10000/s' --slo 'max<1s'"


@pytest.fixture
def results(tmp_path):
    root = tmp_path / "results"
    for number, (experiment, pattern) in enumerate([("one", "01"), ("two", "01"), ("two", "02")]):
        run = RunDirectory.create(root, f"2026112{number}T000000000Z-{pattern}-abcdef")
        run.finish(
            dataclasses.replace(
                result(cell("flink@1.20"), cell("spark@4.1")),
                experiment_id=experiment,
                run_id=run.run_id,
                pattern=pattern,
            )
        )
    return root


def test_the_newest_experiment_is_reported_unless_told_otherwise(results):
    assert [r.pattern for r, _ in write.find(None, results)] == ["01", "02"]
    assert [r.pattern for r, _ in write.find("two", results)] == ["01", "02"]
    assert [r.experiment_id for r, _ in write.find("20261120T000000000Z-01-abcdef", results)] == ["one"]
    with pytest.raises(ConfigurationError, match="contains no run to report on"):
        write.find(None, results / "nothing")
    with pytest.raises(ConfigurationError, match="Unknown run 'three'"):
        write.find("three", results)


def test_a_report_of_files_that_were_changed_says_so(results, tmp_path):
    def said():
        arguments = ["one", "--results", str(results), "--output", str(tmp_path / "report.md")]
        return CliRunner().invoke(command, arguments, catch_exceptions=False).stderr

    assert said() == ""
    (stored,) = results.glob("20261120*/result.json")
    stored.write_text(stored.read_text().replace("8,070", "1") + " ")
    assert said() == f"rtmbench: run {stored.parent.name}: result.json was changed after the run\n"
    (stored.parent / "manifest.json").unlink()
    assert "The manifest of" in said()


@pytest.mark.parametrize("kind", ["md", "json", "csv"])
def test_the_command_writes_what_it_says(results, kind, tmp_path):
    output = tmp_path / ("out" if kind == "csv" else f"out.{kind}")
    arguments = ["two", "--results", str(results), "--output", str(output), "--format", kind]
    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    for line in done.output.split():
        assert Path(line).stat().st_size > 0
    if kind == "json":
        assert len(json.loads(output.read_text())["runs"]) == 2
    else:
        assert done.output.splitlines()[0].startswith(str(output))


def test_without_matplotlib_the_extra_is_named(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PreflightError, match=r"rtmbench\[report\]") as caught:
        write.to_html(write.find("one", results))
    assert caught.value.exit_code == 3
    path, hint = write.after_run([r for r, _ in write.find("one", results)], results)
    assert path.name == "report.md"
    assert "pip install 'rtmbench[report]'" in hint
    assert path.read_text().startswith("# rtmbench report: pattern 01")


def test_a_report_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PreflightError, match="Name another file"):
        write.write_text(tmp_path / "file" / "report.html", "x")


def points(values):
    """Documents of a sweep over the rate."""
    base = result(cell("flink@1.20"), cell("spark@4.1", [trial(latency_us=latency(9_000))]))
    for number, rate in enumerate(values):
        grid = Grid(axes={"rate": list(values), "payload": [150]}, point={"rate": rate, "payload": 150})
        trials = [trial(latency_us=latency(2_000 * (number + 1)))]
        yield dataclasses.replace(base, grid=grid, cells=[cell("flink@1.20", trials), base.cells[1]])


def test_a_sweep_is_one_table_and_one_plot(snapshot):
    runs = [(one, None) for one in points([1_000, 5_000, 10_000])]
    assert write.to_markdown(runs).split("## Pattern 01, rate=1000")[0] == snapshot
    pytest.importorskip("matplotlib")
    html = write.to_html(runs)
    assert faults(html) == []
    (section, *_) = Page(html).all("section")
    assert len(section.all("figure")) == 1
    assert len(section.all("tr")) == 1 + 3 * 2


def test_a_search_for_the_highest_rate_names_both_bounds(snapshot):
    tried = [(1_000, True, 900, 7_000), (2_000, True, 1_000, 20_000), (4_000, False, None, None)]
    found = Sustained(
        cell="flink@1.20",
        passed=2_000,
        failed=4_000,
        quick=True,
        limit="resolution",
        points=[
            RatePoint(rate=rate, run_id="r", passed=passed, reason="the backlog grew", p50_us=p50, p99_us=p99)
            for rate, passed, p50, p99 in tried
        ],
    )
    documents = [(dataclasses.replace(one, sustained=[found]), None) for one in points([1_000, 2_000])]
    assert write.to_markdown(documents).split("## Pattern 01, rate=1000")[0] == snapshot
    pytest.importorskip("matplotlib")
    assert faults(write.to_html(documents)) == []


def test_targets_are_marked():
    outcomes = [("met", "✓"), ("missed", "✗"), ("inconclusive", "?")]
    targets = [TargetOutcome(target="p99<100ms", cell="a", outcome=word, detail="d") for word, _ in outcomes]
    text = write.to_markdown([(dataclasses.replace(result(cell("a"), cell("b")), slo=targets), None)])
    assert all(f"| {sign} {word} |" in text for word, sign in outcomes)


def test_a_refusal_that_is_explained_says_where():
    code = "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST"
    refused = [trial(1, Status.REFUSED, [code], latency_us=None)]
    found = result(cell("a"), cell("spark@4.1", refused, refusal=Refusal(code=code, message="no")))
    assert f"rtmbench explain {code}" in write.to_markdown([(found, None)]).replace("\\", "")
    output = io.StringIO()
    print_result(found, output)
    assert f"rtmbench explain {code}" in " ".join(output.getvalue().split())


def test_the_recorded_run_on_a_terminal(recorded, snapshot):
    output = io.StringIO()
    print_result(recorded[0][0], output)
    assert max(map(len, output.getvalue().splitlines())) <= 100
    assert output.getvalue() == snapshot
