from __future__ import annotations

import dataclasses
import io
import re

import pytest
from results_builder import cell, latency, result, scenarios, transport, trial
from rich.console import Console

from rtmbench.patterns import find_pattern
from rtmbench.report import print_result, render, summary
from rtmbench.report.sweep import print_sweep
from rtmbench.report.write import to_markdown
from rtmbench.results import Refusal, Status
from rtmbench.results.model import Grid


def printed(found):
    stream = io.StringIO()
    print_result(found, stream)
    return stream.getvalue()


@pytest.mark.parametrize("name", scenarios())
def test_what_a_reader_sees(name, snapshot):
    assert printed(scenarios()[name]) == snapshot


@pytest.mark.parametrize("name", scenarios())
def test_it_fits_100_columns_and_ends_clean(name):
    lines = printed(scenarios()[name]).splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("name", ["unsustained", "three_trials"])
def test_no_figure_is_cut_short_however_narrow(name, width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(render(scenarios()[name]))
    text = console.file.getvalue()
    assert max(len(line.rstrip()) for line in text.splitlines()) <= min(width, 100)
    assert "…" not in text
    figures = ("(≥29,400)", "(≥9,400)") if name == "unsustained" else ("8.07", "17.9", "71.8")
    assert all(figure in text for figure in figures)


@pytest.mark.parametrize("name", scenarios())
def test_no_report_claims_a_winner(name):
    text = printed(scenarios()[name]).lower()
    assert not {"faster", "slower", "wins", "better"} & set(text.replace(",", " ").split())


def test_engines_that_do_not_mean_the_same_are_told_apart():
    found = scenarios()["three_trials"]
    keyed = dataclasses.replace(found, pattern="04", unlike_work=find_pattern("04").fairness)
    assert "Similar, not the same: Flink calls a function" in " ".join(printed(keyed).split())
    assert "Similar, not the same: Flink calls a function" in " ".join(to_markdown([(keyed, None)]).split())
    assert "Alike" not in printed(found)
    assert "Alike" not in printed(dataclasses.replace(keyed, cells=keyed.cells[:1]))


def test_a_lower_bound_is_marked_everywhere_it_stands():
    text = printed(scenarios()["unsustained"])
    assert text.count("≥29,400") == 1
    assert "29,400" not in text.replace("≥29,400", "")


def test_figures_of_an_unusable_trial_are_never_bare():
    text = printed(scenarios()["unsustained"])
    row = next(line for line in text.splitlines() if line.lstrip().startswith("spark@4.1:rtm"))
    figures = row.split()[1:6]
    assert all(figure.startswith("(") and figure.endswith(")") for figure in figures)
    assert row.endswith("unsustained")


def test_a_lower_bound_stays_one_where_the_sign_cannot_be_written():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    print_result(scenarios()["unsustained"], stream)
    stream.seek(0)
    assert "(>=29,400)" in stream.read()


def test_boundary_free_figures_are_set_apart():
    found = result(cell("flink@1.20", [trial(cycles=0, reasons=["boundary-free: none inside"])]))
    text = printed(found)
    assert "(2.10)" in text
    assert "flink@1.20 was measured over less than an interval" in summary(found)


def test_remarks_said_of_all_are_said_once():
    remark = "shared-cores: engine, broker and harness shared the machine's cores"
    cells = [cell(name, [trial(reasons=[remark])]) for name in ("flink@1.20", "spark@4.1")]
    found = result(*cells, floors=[transport([trial(reasons=[remark])])])
    assert [line.strip() for line in printed(found).splitlines() if "shared-cores" in line] == [f"all trials: {remark}"]


def test_a_contended_figure_is_labelled_in_the_summary():
    assert "7.77 ms on flink@1.20 (contended)" in summary(scenarios()["contended"])


def test_the_oracle_speaks_up_about_a_floor_that_is_wrong():
    bad = trial(counts=scenarios()["failed"].cells[1].trials[0].counts)
    assert "transport: outputs NOT proven equal" in printed(result(cell(), floors=[transport([bad])]))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def test_a_terminal_gets_colours(terminal):
    print_result(scenarios()["failed"], terminal)
    assert "\x1b[1;31mfailed" in terminal.getvalue()


def test_no_color_is_respected(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    print_result(scenarios()["failed"], terminal)
    text = terminal.getvalue()
    assert "failed" in text
    assert not [code for code in ("\x1b[3", "\x1b[1;3", "\x1b[9") if f"{code}1m" in text]


def test_a_pipe_gets_no_escape_at_all():
    assert "\x1b" not in printed(scenarios()["failed"])


HOSTILE = (
    "\x1b[31mred\x1b]8;;http://x\x07link [bold]markup[/bold] [/] <script>alert(1)</script> "
    "../../etc \u202egnp.exe :skull: \x00\ud800 שלום \r\n" + "A" * 10_240
)


def hostile_result():
    bad = [
        trial(1, Status.FAILED, [HOSTILE]),
        trial(2, Status.CONTENDED, [HOSTILE], latency_us=latency(7_000)),
    ]
    refused = cell(
        HOSTILE + "2",
        [trial(1, Status.REFUSED, [HOSTILE])],
        refusal=Refusal(code=HOSTILE, message=HOSTILE),
    )
    return result(
        cell(HOSTILE, bad),
        refused,
        run_id=HOSTILE,
        pattern=HOSTILE,
        settings={"keys": HOSTILE, "partitions": [HOSTILE]},
        floors=[cell(HOSTILE, [trial(1, reasons=[HOSTILE])], floor=True)],
    )


def test_hostile_text_is_shown_and_does_nothing():
    text = printed(hostile_result())
    assert r"\x1b[31mred" in text
    assert "[bold]markup[/bold]" in text
    assert "<script>" in text
    assert ":skull:" in text
    # All else is cut: reasons, which are never, are four of some 10,000 characters.
    assert len(text) < 50_000
    assert max(map(len, text.splitlines())) <= 104  # isolates take no column
    assert not {"\x1b", "\x07", "\x00", "\u202e", "\ud800", "\r"} & set(text)
    assert text.count("\u2068") == text.count("\u2069")


def test_hostile_text_brings_only_our_own_escapes_to_a_terminal(terminal):
    print_result(hostile_result(), terminal)
    pieces = terminal.getvalue().split("\x1b[")[1:]
    assert pieces
    assert all(piece.split("m")[0].replace(";", "").isdigit() for piece in pieces)
    assert "\x1b]" not in terminal.getvalue()


def test_a_sweep_of_one_pattern_fits_into_100_columns_with_its_unit_and_stalls():
    base = result(cell("flink@1.20", [trial()]), cell("spark@4.3", [trial()]))
    axes = {"checkpoint-interval": [5.0, 300.0]}
    points = [
        dataclasses.replace(base, grid=Grid(axes=axes, point={"checkpoint-interval": value}))
        for value in axes["checkpoint-interval"]
    ]
    file = io.StringIO()
    print_sweep(points, file)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 100
    assert "(pattern 01)" in lines[0]
    assert [line.split()[:2] for line in lines if line.endswith("valid")] == [
        ["5", "flink@1.20"],
        ["5", "spark@4.3"],
        ["300", "flink@1.20"],
        ["300", "spark@4.3"],
    ]
    assert "interval, s" in file.getvalue()
    assert file.getvalue().count("0.4%") == 4


def test_a_long_reason_is_wrapped_and_never_cut(terminal):
    long = f"the engine failed: {'a cause among others, ' * 100}and the way out is --slots 8"
    assert len(long) > 2_000
    refusal = Refusal(code="TOO_LONG", message=long)
    found = result(
        cell("flink@1.20", [trial(1, Status.FAILED, [long, f"drift: {long}"])]),
        cell("spark@4.1", [trial(1, Status.REFUSED, [long])], refusal=refusal),
    )
    print_result(found, terminal)
    for shown in (printed(found), re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())):
        assert max(map(len, shown.splitlines())) <= 100
        assert " ".join(shown.split()).count("and the way out is --slots 8") == 3
    assert " ".join(to_markdown([(found, None)]).split()).count("and the way out is --slots 8") >= 2
