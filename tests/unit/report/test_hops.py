"""The engine's own hop, boundaries, intervals and the interference ledger wherever a reader sees a latency."""

from __future__ import annotations

import dataclasses
import io

import pytest
from results_builder import cell, counts, hops, interference, latency, result, transport, trial
from rich.console import Console

import rtmbench
from rtmbench.api.run_result import Comparison
from rtmbench.report import export, print_result, render
from rtmbench.report.comparison import print_history
from rtmbench.report.document import Figure, Paragraph
from rtmbench.report.latency_source import MEDIANS, NEGATIVE, blocks
from rtmbench.report.rows import boundaries_text, cell_row
from rtmbench.report.sweep import print_sweep
from rtmbench.report.trials import figure_row
from rtmbench.report.write import to_markdown
from rtmbench.results import Spread, Status
from rtmbench.results.history import history
from rtmbench.results.hops import EngineHop, cell_engine_hop
from rtmbench.results.model import Cycle, EnginePriority, Grid, WarmUp
from rtmbench.results.noise import NoiseBands

OWN = "engine's own hop"


def printed(found):
    stream = io.StringIO()
    print_result(found, stream)
    return stream.getvalue()


def markdown(found):
    return to_markdown([(found, None)])


def row(text, start, after=""):
    text = text.partition(after)[2] if after else text
    return next(line for line in text.splitlines() if line.startswith(f"| {start} |"))


def of(*figures):
    """Trials whose engine hop has these (p50, p99)."""
    return [trial(n, hops_ms=hops(engine=(*one, one[0]))) for n, one in enumerate(figures, 1)]


def test_the_own_hop_of_a_cell_is_the_median_over_its_trials_with_figures():
    trials = of((1.0, 5.0), (3.0, 40.0), (2.0, 9.0))
    assert cell_engine_hop(cell(trials=trials)) == EngineHop(p50=2.0, p99=9.0)
    void = trial(4, Status.VOID, hops_ms=hops(engine=(900.0, 900.0, 900.0)))
    failed = trial(5, Status.FAILED, hops_ms=hops(engine=(800.0, 800.0, 800.0)))
    assert cell_engine_hop(cell(trials=[*trials, void, failed])) == EngineHop(p50=2.0, p99=9.0)
    unsustained = trial(4, Status.UNSUSTAINED, hops_ms=hops(engine=(4.0, 50.0, 4.0)))
    assert cell_engine_hop(cell(trials=[*trials, unsustained])) == EngineHop(p50=2.5, p99=24.5)
    assert cell_engine_hop(transport()) is None
    assert cell_engine_hop(cell(trials=[trial(hops_ms=None)])) is None


def test_the_own_hop_is_next_to_the_end_to_end_figure_in_the_terminal():
    lines = printed(result(cell(trials=of((1.0, 5.0), (2.0, 7.0))))).splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("flink@1.20"))
    assert lines[place + 1].split() == [*OWN.split(), "1.5", "6.0", "3", "boundaries"]
    assert any("resolution 1 ms" in line for line in lines)
    first = next(line for line in lines if line.startswith("flink@1.20 1"))
    assert first.split()[7:10] == ["1.0", "5.0", "3"]


def test_a_document_without_hops_has_no_empty_lines_for_them():
    text = printed(result(cell(trials=[trial(hops_ms=None)])))
    assert OWN not in text.lower()


def test_the_columns_of_the_own_hop_give_way_where_they_do_not_fit():
    slow = latency(94_000_000, censored=9, censored_percentiles=["p95", "p99", "p99_9", "max"])
    trials = [trial(n, Status.UNSUSTAINED, latency_us=slow) for n in (1, 2)]
    text = printed(result(cell("spark@4.1:rtm-unchecked", trials)))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("≥347,800") == 3
    assert "engine  engine" not in text


def test_a_narrow_terminal_gets_lines_with_the_own_hop():
    console = Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None)
    console.print(render(result(cell(trials=of((1.0, 5.0))))))
    assert "engine's own hop: p50 1.0, p99 5.0, 3 boundaries" in " ".join(console.file.getvalue().split())


def test_the_report_has_it_in_its_table_and_its_trials():
    text = markdown(result(cell(trials=of((1.0, 5.0), (2.0, 7.0)))))
    assert "| engine's own hop p50 / p99 ms | boundaries |" in text
    assert " 1.5 / 6.0 | 3 |" in row(text, "flink@1.20")
    assert " 2.0 / 7.0 | 3 |" in row(text, "flink@1.20 trial 2", "Every attempt")
    assert "a resolution of 1 ms" in text


def test_a_comparison_has_the_ratios_of_the_own_hops():
    found = result(cell(), cell("spark@4.3"))
    one = dataclasses.replace(found.comparisons[0], ratio_engine_p50=1.02, ratio_engine_p99=19.6)
    found = dataclasses.replace(found, comparisons=[one])
    assert "engine's own hop p50 1.02, p99 19.60" in " ".join(printed(found).split())
    assert " 1.02 / 19.60 | " in row(markdown(found), "spark@4.3 / flink@1.20")
    report = rtmbench.Run(found).compare_all().report
    entries = [dataclasses.replace(report.entries[0], comparison=one)]
    shown = Comparison(dataclasses.replace(report, entries=entries))
    assert "19.60" in repr(shown)
    assert "19.60" in shown._repr_html_()


def test_a_sweep_has_it_where_there_is_room():
    base = result(cell("flink@1.20", of((1.0, 5.0))))
    points = [dataclasses.replace(base, grid=Grid(axes={"rate": [1, 2]}, point={"rate": value})) for value in (1, 2)]
    stream = io.StringIO()
    print_sweep(points, stream)
    lines = [line for line in stream.getvalue().splitlines() if "flink@1.20" in line]
    assert [line.split()[7:9] for line in lines] == [["1.0", "5.0"]] * 2


def test_a_notebook_shows_it():
    html = rtmbench.Run(result(cell(trials=of((1.0, 5.0)))))._repr_html_()
    assert "engine&#x27;s own hop" in html
    assert "<td>1.0 / 5.0</td>" in html


def test_boundaries_are_observed_ones_and_else_a_length():
    assert boundaries_text([trial(boundaries_seen=11), trial(2, boundaries_seen=12)]) == "11–12"
    assert boundaries_text([trial(boundaries_seen=2)], unit=True) == "2 boundaries"
    assert boundaries_text([trial(boundaries_seen=1)], unit=True) == "1 boundary"
    assert boundaries_text([trial(boundaries_seen=None, cycles=3)]) == "3 intervals"
    assert boundaries_text([trial(boundaries_seen=0, cycles=0)]) == "0"
    assert boundaries_text([trial(status=Status.VOID, boundaries_seen=7)]) == "-"


def test_a_tail_percentile_has_its_interval():
    one = trial(latency_us=latency(50_000, p99=152_000, intervals={"p99": [121_000, 203_000], "p99_9": [150_000, 9]}))
    assert figure_row(one)[2] == "152 [121, 203]"
    assert figure_row(trial())[2] == "7.77"
    assert r"152 \[121, 203\]" in row(markdown(result(cell(trials=[one]))), "flink@1.20 trial 1", "Every attempt")


def test_hops_are_means_that_add_up_and_keep_their_sign():
    one = trial(hops_ms=hops(scheduled=(0.3, 1.0, -0.25), engine=(1.0, 5.0, 1.5), received=(0.5, 1.5, 0.75)))
    table, note = blocks(result(cell(trials=[one]), floors=[]), plots=False)
    assert table.rows[0][1:5] == ("-0.25 / 0.3 / 1.0", "1.50 / 1.0 / 5.0", "0.75 / 0.5 / 1.5", "2.00")
    assert note == Paragraph(NEGATIVE)


def test_the_plot_of_hops_is_of_the_means():
    pytest.importorskip("matplotlib")
    one = trial(hops_ms=hops(scheduled=(0.3, 1.0, -0.25), engine=(0.0, 5.0, 1.5)))
    figure, note = blocks(result(cell(trials=[one]), floors=[]), plots=True)
    assert isinstance(figure, Figure)
    assert "mean of each hop, ms" in figure.svg
    assert note.text.endswith("The bars begin at 0.")
    run = rtmbench.Run(result(cell(trials=[one]), floors=[]))
    axes = run.plot("hops").axes[0]
    assert axes.get_xlabel().startswith("mean")
    assert sorted(bar.get_width() for bar in axes.patches) == [0.0, 0.5, 1.5]


def test_a_document_without_means_shows_medians_and_says_so():
    old = {"scheduled_to_input": Spread(p50=0.001, p99=2.0, max=3.0), "input_to_output": Spread(p50=1, p99=4, max=9)}
    table, note = blocks(result(cell(trials=[trial(hops_ms=old)]), floors=[]), plots=False)
    assert table.rows[0][1:4] == ("0.0 / 2.0", "1.0 / 4.0", "-")
    assert "sum of the means" not in table.header
    assert note == Paragraph(MEDIANS)


def test_the_report_has_the_interference_ledger():
    busy = trial(2, Status.CONTENDED, interference=interference(other_cpu_s=24.0, steal_s=1.5, pressure_s=None))
    text = markdown(result(cell(trials=[trial(1), busy])))
    assert "Interference: what else the machine did" in text
    figures = row(text, "flink@1.20 trial 2", "Interference:")
    for shown in ("0.42 / 4,067", "24.00 (80.0%)", "1.50 (5.0%)", " - | 14 |", "contended"):
        assert shown in figures
    without = result(cell(trials=[trial(interference=None)]), floors=[])
    assert "Interference" not in markdown(without)


def test_the_report_says_how_a_trial_was_warmed_up_and_what_it_read():
    warm = WarmUp(seconds=300.0, boundaries=58, ended_by="bound", falling=True)
    text = markdown(result(cell(trials=[trial(warm_up=warm, unread_partitions=[1, 3])])))
    shown = row(text, "flink@1.20 trial 1", "How each trial was measured")
    assert shown.endswith("| 300 | 58 | time limit, still falling | 15.0 | 3 | 110 | 1, 3 |")


def test_the_environment_has_priority_and_file_systems():
    found = result(cell())
    text = markdown(found)
    assert "| priority of the engines | effective, cgroup-v2, weight 34 of 100 |" in text
    assert "| file systems | engines' work directory on ext4, broker's log on ext4 |" in text
    assert "priority of the engines without effect" not in printed(found)
    inert = dataclasses.replace(
        found.host, priority=EnginePriority(mechanism="nice", effective=False, detail="autogroup")
    )
    assert "priority of the engines without effect" in printed(dataclasses.replace(found, host=inert))


def test_unlike_output_bytes_are_named_beside_the_comparison():
    other = cell("spark@4.3", [trial(output_bytes=2_313_080)])
    note = "spark@4.3 writes 1.4 × the bytes of flink@1.20 for each expected event (154 against 110)"
    found = result(cell(), other)
    assert note in " ".join(printed(found).split())
    assert note in markdown(found)
    said = dataclasses.replace(found.comparisons[0], note=f"1 of 6 pairs; {note}")
    assert markdown(dataclasses.replace(found, comparisons=[said])).count(note) == 1
    assert "× the bytes" not in markdown(result(cell(), cell("spark@4.3", [trial(output_bytes=1_700_000)])))


def test_the_tables_for_export_hold_what_the_report_shows(tmp_path):
    cycle = Cycle(from_ms=0.0, to_ms=5_100.0, count=3_000, p50_us=1, p95_us=2, p99_us=3, max_us=4)
    one = trial(
        latency_us=latency(intervals={"p99": [121_000, 203_000]}),
        cycle_figures=[cycle, dataclasses.replace(cycle, from_ms=5_100.0)],
        unread_partitions=[1, 3],
    )
    old = trial(2, hops_ms=None, warm_up=None, interference=None, output_bytes=None, unread_partitions=None)
    found = export.tables([(result(cell(trials=[one, old]), floors=[]), None)])
    first, second = found["trials"]
    assert list(first) == list(second)
    expected = {
        "boundaries_seen": 3,
        "latency_p99_low_us": 121_000,
        "latency_p99_9_high_us": None,
        "hop_input_to_output_mean_ms": 1.4,
        "hop_input_to_output_p50_ms": 1.0,
        "hop_input_to_output_p99_ms": 5.0,
        "warm_up_s": 120.0,
        "warm_up_boundaries": 24,
        "warm_up_ended_by": "boundaries",
        "run_delay_s_engine": 0.42,
        "switches_kafka": 42_000,
        "other_cpu_s": 0.3,
        "pressure_s": 1.2,
        "output_bytes": 1_652_200,
        "unread_partitions": "1 3",
    }
    assert {name: first[name] for name in expected} == expected
    assert second["hop_input_to_output_p50_ms"] is second["run_delay_s_engine"] is second["unread_partitions"] is None
    assert [(row["cycle"], row["from_ms"]) for row in found["cycles"]] == [(1, 0.0), (2, 5_100.0)]
    paths = export.write([(result(cell(trials=[one, old]), floors=[]), None)], tmp_path, "csv")
    assert "cycles.csv" in {path.name for path in paths}
    table = rtmbench.Run(result(cell(trials=[one, old]), floors=[])).table()
    assert list(table["unread_partitions"]) == ["1 3", ""]


def test_counts_of_a_custom_job_give_the_size_of_a_record_too():
    assert cell_row(cell(trials=[trial(counts=counts(received=0), output_bytes=10)]))


def test_the_history_of_a_cell_has_it():
    (series,) = history([result(cell(trials=of((1.0, 5.0), (2.0, 7.0))))], NoiseBands())
    assert (series.points[0].engine_p50_ms, series.points[0].engine_p99_ms) == (1.5, 6.0)
    stream = io.StringIO()
    print_history([series], stream)
    (line,) = [line for line in stream.getvalue().splitlines() if line.startswith("20261123")]
    assert line.split()[3:7] == ["2.10", "7.77", "1.5", "6.0"]


def behind(number):
    """A trial that did not sustain the rate."""
    return trial(number, Status.UNSUSTAINED, latency_us=latency(9_400_000))


def test_a_headline_that_is_a_lower_bound_is_marked_in_every_form():
    found = result(cell(trials=[trial(1), behind(2), behind(3)]))
    assert found.cells[0].headline.is_lower_bound("p99_us")
    text = printed(found)
    line = next(line for line in text.splitlines() if line.startswith("flink@1.20"))
    assert line.split()[1:6:2] == ["≥9,400", "≥34,780", "≥139,120"]
    assert "p99 was ≥34,780 ms on flink@1.20" in " ".join(text.split())
    assert " ≥9,400 " in row(markdown(found), "flink@1.20")
    assert "≥34,780" in rtmbench.Run(found)._repr_html_()


def test_a_figure_that_failed_trials_leave_open_is_named_as_failed():
    failed = [trial(n, Status.FAILED, ["wrong"]) for n in (2, 3)]
    found = result(cell(trials=[trial(1), *failed]))
    text = printed(found)
    line = next(line for line in text.splitlines() if line.startswith("flink@1.20"))
    assert line.split()[1:6] == ["failed"] * 5
    assert "flink@1.20 failed in 2 of 3 trials" in " ".join(text.split())
    assert row(markdown(found), "flink@1.20").count("failed in 2 of 3") == 5
    assert "7.77" not in row(markdown(found), "flink@1.20")
