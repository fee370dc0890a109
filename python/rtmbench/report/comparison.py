"""`rtmbench compare` and `rtmbench history` on a terminal: a table, and a sentence for each verdict."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rtmbench.formatting import NO_FIGURE, clean, milliseconds
from rtmbench.report.rows import hop_figure
from rtmbench.results.verdict import ratio_text, sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rich.console import RenderableType

    from rtmbench.results.across import Entry, Report
    from rtmbench.results.history import Series

WIDTH = 100
HOP_HEADS = ("engine\np50", "engine\np99")
_NAME = 30
STYLES = {
    "faster": "green",
    "slower": "red",
    "no difference shown": "cyan",
    "worse": "red",
    "better": "green",
    "no verdict": "yellow",
}


def print_comparison(report: Report, file: TextIO | None = None) -> None:
    """Print what was compared to `file` (standard output)."""
    parts: list[RenderableType] = [Text("Ratio of latencies, the second divided by the first", style="italic")]
    if has_hops(report.entries):
        parts.append(Text("engine: of the engines' own hops, input appended to output appended"))
    parts += [_table(report.entries), Text()]
    parts += [Text(clean(entry.sentence, 1_000)) for entry in report.entries]
    parts += [Text(f"Note: {clean(warning, 1_000)}.", style="yellow") for warning in report.warnings]
    print_parts(Group(*parts), file)


def print_history(series: Sequence[Series], file: TextIO | None = None) -> None:
    """Print the trend of each cell to `file` (standard output)."""
    parts: list[RenderableType] = []
    for entry in series:
        title = f"Pattern {clean(entry.pattern, 40)} · {clean(entry.cell, _NAME)} · settings {entry.settings}"
        parts += [Text(title, style="bold"), _trend(entry)]
        lines = [Text(f"! {clean(warning, 1_000)}", style="yellow") for warning in entry.warnings]
        for name, comparison in (
            ("newest against the one before", entry.latest),
            ("against the oldest", entry.overall),
        ):
            if comparison is not None:
                lines.append(Text(f"{name}: {clean(sentence(comparison), 1_000)}"))
        parts += [Padding(line, (0, 0, 0, 2), expand=False) for line in lines]
        parts.append(Text())
    print_parts(Group(*parts), file)


def print_parts(content: RenderableType, file: TextIO | None) -> None:
    """Print to `file` (standard output), 100 columns wide at most."""
    stream = file or sys.stdout
    terminal = stream.isatty()  # not by FORCE_COLOR: a notebook's kernel sets it
    console = Console(file=stream, highlight=False, emoji=False, force_jupyter=False, force_terminal=terminal)
    if not console.is_terminal:
        # A file or a pipe has no width of its own.
        console = Console(
            file=stream, width=WIDTH, highlight=False, emoji=False, force_jupyter=False, force_terminal=False
        )
    console.print(content, width=min(WIDTH, console.width))


def _table(entries: Sequence[Entry]) -> Table:
    hops = has_hops(entries)
    table = columns(*comparison_head(hops=hops))
    for entry in entries:
        *texts, verdict = comparison_row(entry, hops=hops)
        table.add_row(*texts, Text(verdict, style=STYLES.get(verdict, "")))
    return table


def comparison_head(*, hops: bool) -> tuple[str, ...]:
    """Return the heads of a table of compared pairs; `hops`: with the ratios of the engines' own hops."""
    return ("pattern", "first", "second", "p50", "p99", *(HOP_HEADS if hops else ()), "pairs", "verdict on p99")


def comparison_row(entry: Entry, *, hops: bool) -> tuple[str, ...]:
    """Return the texts of a compared pair under `comparison_head`."""
    comparison = entry.comparison
    where = "".join(f" {name}={value}" for name, value in (entry.point or {}).items())
    return (
        clean(entry.pattern + where, _NAME),
        clean(comparison.baseline, _NAME),
        clean(comparison.other, _NAME),
        _ratio(comparison.ratio_p50, comparison.interval_p50),
        _ratio(comparison.ratio_p99, comparison.interval),
        *((_ratio(comparison.ratio_engine_p50, None), _ratio(comparison.ratio_engine_p99, None)) if hops else ()),
        str(comparison.pairs),
        clean(comparison.verdict, _NAME),
    )


def has_hops(entries: Sequence[Entry]) -> bool:
    """Whether some pair has a ratio of the engines' own hops."""
    ratios = [
        ratio for entry in entries for ratio in (entry.comparison.ratio_engine_p50, entry.comparison.ratio_engine_p99)
    ]
    return any(ratio is not None for ratio in ratios)


def _trend(series: Series) -> Table:
    table = columns("run", "machine", "build", "p50", "p99", *HOP_HEADS, "valid", "status")
    before = None
    for point in series.points:
        if before is not None and before != point.machine:
            table.add_section()
        before = point.machine
        table.add_row(
            clean(point.run_id, 40),
            point.machine[:8],
            clean(point.build, 12),
            _latency(point.p50_us, bound="p50_us" in (point.lower_bounds or ())),
            _latency(point.p99_us, bound="p99_us" in (point.lower_bounds or ())),
            *(NO_FIGURE if hop is None else hop_figure(hop) for hop in (point.engine_p50_ms, point.engine_p99_ms)),
            f"{point.valid_trials}/{point.attempts}",
            point.status,
        )
    return table


def _latency(microseconds: int | None, *, bound: bool) -> str:
    return NO_FIGURE if microseconds is None else milliseconds(microseconds, lower_bound=bound)


def columns(*names: str) -> Table:
    """Give a table with these columns, figures to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        right = name in {"p50", "p95", "p99", "p99.9", "max", "stall", "pairs", "valid", *HOP_HEADS}
        width = 10 if name == "engine" else None
        table.add_column(name, justify="right" if right else "left", overflow="fold", min_width=width)
    return table


def _ratio(ratio: float | None, interval: Sequence[float] | None) -> str:
    if ratio is None:
        return NO_FIGURE
    return ratio_text(ratio, interval)
