"""The table of a sweep or of a search for a rate: one row for each point and engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from rtmbench.formatting import NO_FIGURE, clean
from rtmbench.report.comparison import HOP_HEADS, columns, print_parts
from rtmbench.report.points import axis_head
from rtmbench.report.rows import cell_figures, hop_figure
from rtmbench.report.terminal_table import Fitting, cell_stall, figure_texts
from rtmbench.results.hops import cell_engine_hop
from rtmbench.results.slo import SIGNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from rich.console import RenderableType
    from rich.table import Table

    from rtmbench.results.model import Cell, Result, Sustained

_NAME = 26


def print_sweep(results: Sequence[Result], file: TextIO | None = None) -> None:
    """Print the points of a sweep, and what a search found, to `file` (standard output)."""
    patterns = {result.pattern for result in results}
    of = f" (pattern {clean(next(iter(patterns)), 20)})" if len(patterns) == 1 else ""
    title = f"Latency in ms, from an event's scheduled time to the receipt of its result{of}"
    forms = (True, False) if any(cell_engine_hop(cell) for result in results for cell in result.cells) else (False,)
    tables = tuple(_table(results, several=len(patterns) > 1, hops=hops) for hops in forms)
    parts: list[RenderableType] = [Text(title, style="italic")]
    if forms[0]:
        parts.append(Text("engine: the engine's own hop, input appended to output appended, resolution 1 ms"))
    parts += [Fitting(tables, always=True), Text()]
    parts += [Text(line) for line in _targets(results)]
    searches: dict[tuple[str, str], Sustained] = {
        (result.pattern, search.cell): search for result in results for search in result.sustained or ()
    }
    parts += [Text(sustained_sentence(search, pattern), style="bold") for (pattern, _), search in searches.items()]
    ids = {result.experiment_id: None for result in results}
    parts.append(Text(f"Experiment {', '.join(ids)}: rtmbench report, compare and --resume take this id."))
    print_parts(Group(*parts), file)


def sustained_sentence(search: Sustained, pattern: str) -> str:
    """Print the result of a search for the highest sustained rate."""
    cell = f"{clean(search.cell, _NAME)}, pattern {clean(pattern, 40)}"
    quick = ", a first look (one short trial a rate)" if search.quick else ""
    if search.passed is None:
        tried = min((point.rate for point in search.points), default=0.0)
        return f"{cell}: no rate passed, down to {tried:,.0f} events/s{quick}."
    failed = "no rate failed" if search.failed is None else f"{search.failed:,.0f} failed"
    return f"{cell}: sustains {search.passed:,.0f} events/s, {failed} (ended by: {clean(search.limit, 80)}){quick}."


def _table(results: Sequence[Result], *, several: bool, hops: bool) -> Table:
    axes = list(dict.fromkeys(name for result in results if result.grid for name in result.grid.axes))
    # A line for each word: the figures need the width.
    heads = [clean(axis_head(name), _NAME).replace("-", "\n") for name in axes]
    table = columns(
        *(["pattern"] if several else []),
        *heads,
        "engine",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "max",
        *(HOP_HEADS if hops else ()),
        "stall",
        "valid",
        "status",
    )
    for result in sorted(results, key=lambda run: _place(run, axes)):
        point = result.grid.point if result.grid else {}
        for cell in result.cells:
            valid = sum(trial.valid for trial in cell.trials)
            table.add_row(
                *([clean(result.pattern, 20)] if several else []),
                *(_shown(point.get(name)) for name in axes),
                clean(cell.name, _NAME),
                *figure_texts(cell_figures(cell)),
                *(_hops(cell) if hops else ()),
                cell_stall(cell),
                f"{valid}/{len(cell.trials)}",
                cell.status.value,
            )
    return table


def _hops(cell: Cell) -> tuple[str, str]:
    hop = cell_engine_hop(cell)
    return (NO_FIGURE, NO_FIGURE) if hop is None else (hop_figure(hop.p50), hop_figure(hop.p99))


def _place(result: Result, axes: Sequence[str]) -> tuple[Any, ...]:
    point = result.grid.point if result.grid else {}
    return (result.pattern, *(point.get(name, 0) for name in axes))


def _targets(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        point = ", ".join(
            f"{name} {_shown(value)}" for name, value in (result.grid.point if result.grid else {}).items()
        )
        for outcome in result.slo or ():
            sign = SIGNS.get(outcome.outcome, "?")
            yield (
                f"{clean(outcome.cell, _NAME)} at {point}: {sign} {clean(outcome.target, 40)} ({clean(outcome.detail)})"
            )


def _shown(value: Any) -> str:
    return f"{value:,g}" if isinstance(value, (int, float)) else clean(value, 20)
