"""The plots of a run: each kind, what they say of figures that may not be used, and no matplotlib."""

from __future__ import annotations

import base64
import dataclasses
import re
import subprocess
import sys
import textwrap

import pytest
import results_builder as build
from places import RECORDED

import rtmbench
from rtmbench.errors import ConfigurationError
from rtmbench.report import canvas
from rtmbench.report.figures import KINDS
from rtmbench.results.model import Status
from rtmbench.results.statistics import typical

matplotlib = pytest.importorskip("matplotlib")

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def run():
    return rtmbench.load(RECORDED)


def labels(figure):
    return figure.axes[0].get_legend_handles_labels()[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_figure_of_matplotlib_that_a_notebook_shows(run, kind):
    figure = run.plot(kind, "spark" if kind in ("timeline", "heatmap") else None)
    assert isinstance(figure, matplotlib.figure.Figure)
    data, size = figure._repr_png_()
    assert data.startswith(PNG)
    assert size["width"] == pytest.approx(figure.get_figwidth() * 96, abs=1)
    width = int.from_bytes(data[16:20], "big")
    assert width == pytest.approx(2 * size["width"], abs=2)


def test_curves_go_through_the_percentiles_of_the_histogram(run):
    figure = run.plot("percentiles", ["spark"])
    assert labels(figure) == ["spark@4.1"]
    (line,) = figure.axes[0].get_lines()
    tails, values = line.get_data()
    histogram = run.latency("spark")
    for tail, value in list(zip(tails, values, strict=True))[::20]:
        assert value == pytest.approx(histogram.percentile(100 * (1 - 1 / tail)) / 1e3)
    assert labels(run.plot("cdf")) == ["flink@1.20", "spark@4.1", "transport"]


def test_one_trial_is_drawn_alone(run):
    (line,) = run.plot("percentiles", "spark", trial=2).axes[0].get_lines()
    assert line.get_ydata()[-1] == pytest.approx(run.latency("spark", 2).max / 1e3, rel=0.01)


def test_a_timeline_is_of_the_trial_with_the_median_p99_unless_one_is_named(run):
    trials = run.trials["spark@4.1"]
    number = typical(trials).trial
    figure = run.plot("timeline", "spark")
    assert figure.get_suptitle() == f"spark@4.1, trial {number}"
    p99 = next(line for line in figure.axes[0].get_lines() if line.get_label() == "p99")
    expected = [value / 1e3 for value in run.trial("spark", number).timeline.p99_us]
    assert list(p99.get_ydata()) == pytest.approx(expected)
    assert run.plot("timeline", "flink", trial=2).get_suptitle() == "flink@1.20, trial 2"


def test_the_typical_trial_is_a_usable_one_where_there_is_one():
    trials = [build.trial(n, latency_us=build.latency(p)) for n, p in ((1, 3_000), (2, 1_000), (3, 2_000), (4, 9_000))]
    assert typical(trials).trial == 3
    bad = dataclasses.replace(trials[2], valid=False, status=Status.UNSUSTAINED)
    assert typical([*trials[:2], bad]).trial == 2
    assert typical([bad]) is bad
    assert typical([]) is None


def test_what_may_not_be_used_is_not_drawn_as_if_it_could(run):
    cell = run.result.cells[0]
    bad = [dataclasses.replace(one, status=Status.UNSUSTAINED, valid=False) for one in cell.trials]
    cells = [dataclasses.replace(cell, trials=bad, status=Status.UNSUSTAINED), run.result.cells[1]]
    changed = rtmbench.Run(dataclasses.replace(run.result, cells=cells), RECORDED)
    figure = changed.plot()
    assert labels(figure) == ["spark@4.1", "transport"]
    assert figure.get_supxlabel() == "not drawn: flink@1.20 (unsustained)"
    assert "(unsustained)" in changed.plot("timeline", "flink").get_suptitle()
    assert "flink@1.20 (unsustained)" in [text.get_text() for text in changed.plot("hops").axes[0].get_yticklabels()]
    with pytest.raises(ConfigurationError, match=r"Nothing of run .* flink@1\.20 \(unsustained\)"):
        changed.plot("cdf", "flink")


def test_an_unknown_plot_is_an_error_that_names_the_known_ones(run):
    with pytest.raises(ConfigurationError, match=r"Unknown plot 'pie'\. The plots are: percentiles, cdf"):
        run.plot("pie")
    with pytest.raises(ConfigurationError, match=r"one engine at once.* flink@1"):
        run.plot("timeline")
    with pytest.raises(ConfigurationError, match="no cell 'beam'"):
        run.plot("cdf", "beam")
    with pytest.raises(ConfigurationError, match="no trial 9"):
        run.plot("hops", "spark", trial=9)
    with pytest.raises(ConfigurationError, match="no log"):
        rtmbench.Run(run.result).plot("heatmap", "spark")
    with pytest.raises(ConfigurationError, match=r"No trial of run .* has hops"):
        rtmbench.Run(build.result(build.cell(trials=[build.trial(1, hops_ms=None)]), floors=[])).plot("hops")


def test_a_notebook_shows_the_curves_under_the_table(run):
    shown = run._repr_html_()
    ((alt, data),) = re.findall(r'<img alt="([^"]*)" width="\d+" src="data:image/png;base64,([^"]+)">', shown)
    assert base64.b64decode(data).startswith(PNG)
    assert "At 99 %: flink@1.20 " in alt
    assert shown.index("<table") < shown.index("<img")
    assert "<img" not in rtmbench.Run(run.result)._repr_html_()


def test_a_style_of_the_callers_own_neither_changes_a_plot_nor_is_changed(run):
    with matplotlib.rc_context({"font.size": 40, "text.color": "red"}):
        before = dict(matplotlib.rcParams)
        figure = run.plot("timeline", "spark")
        figure.png()
        assert dict(matplotlib.rcParams) == before
    assert figure.axes[0].yaxis.label.get_fontsize() == canvas.NOTEBOOK.font_points


def test_without_matplotlib_there_is_a_table_and_an_error_that_names_the_extra():
    code = f"""
        import sys
        sys.modules["matplotlib"] = None
        import rtmbench
        run = rtmbench.load({str(RECORDED)!r})
        shown = run._repr_html_()
        assert "spark@4.1" in shown and "<img" not in shown and "pip install 'rtmbench[report]'" in shown, shown
        try:
            run.plot()
        except rtmbench.errors.PreflightError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    seen = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert seen.returncode == 0, seen.stderr
    assert "Plots are drawn with matplotlib" in seen.stdout
    assert "rtmbench[report]" in seen.stdout
