"""The tables of a run on a terminal: a line for each cell, one for its engine's own hop, a line for each trial."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from rtmbench.formatting import NO_FIGURE, clean, milliseconds
from rtmbench.report.rows import PERCENTILES, boundaries_text, cell_figures, hop_figure, trial_figures
from rtmbench.results import Status
from rtmbench.results.hops import cell_engine_hop, engine_hop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from rtmbench.report.rows import Figures
    from rtmbench.results import Cell, Result, Trial

STYLES = {
    Status.VALID: "green",
    Status.CONTENDED: "yellow",
    Status.UNSUSTAINED: "magenta",
    Status.FAILED: "bold red",
    Status.REFUSED: "cyan",
    Status.VOID: "bright_black",
}
FAINT = "bright_black"
ENGINE_HOP = "engine's own hop"
_HOP_HEADS = ("engine\np50", "engine\np99", "bound-\naries")
_RIGHT = {"stall", "slip p99", *_HOP_HEADS}
_NAME = 26


@dataclass(frozen=True)
class Fitting:
    """The first of several tables that fits; else a line for each row of the first, with no figure cut short."""

    tables: tuple[Table, ...]
    always: bool = False
    """Whether the last table is shown even if its texts must fold."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Measured with room to spare: within the true width rich reports no more than that.
        wide = options.update_width(1_000)
        for table in self.tables:
            for right in (1, 0):
                table.padding = (0, right, 0, 0)
                if Measurement.get(console, wide, table).minimum <= options.max_width:
                    yield table
                    return
        if self.always:
            yield self.tables[-1]
            return
        columns = self.tables[0].columns
        for row in zip(*(column.cells for column in columns), strict=True):
            name, *rest = row
            heads = [str(column.header).replace("-\n", "").replace("\n", " ") for column in columns[1:]]
            # Below a cell's status its boundaries are counted, which need no head.
            figures = [
                str(cell) if head == "status" and str(cell)[0].isdigit() else f"{head} {cell}"
                for head, cell in zip(heads, rest, strict=True)
                if str(cell)
            ]
            yield Text(f"{name}: {', '.join(figures)}")


def cells_table(result: Result) -> Fitting:
    """Return the table of a run's cells and floors."""
    table = _columns("", ("stall", "valid", "status"))
    for cell in result.cells:
        _add(table, cell, clean(cell.name, _NAME))
    if result.floors:
        table.add_section()
    for floor in result.floors:
        _add(table, floor, clean(f"{floor.name} (floor)", _NAME))
    return Fitting((table,))


def trials_table(result: Result) -> Fitting:
    """Return the table of a run's trials, without the columns of the engine's own hop where these do not fit."""
    known = any(engine_hop(trial) for cell in result.cells for trial in cell.trials)
    forms = (True, False) if known else (False,)
    return Fitting(tuple(_trials(result, hops=hops) for hops in forms))


def figure_texts(figures: Figures | None) -> list[Text]:
    """Return latencies in ms, one text for each percentile; faint where they may not be used."""
    if figures is None:
        return [Text(NO_FIGURE, style=FAINT) for _ in PERCENTILES]
    return [Text(text, style="" if figures.usable else FAINT) for text in figures.texts()]


def cell_texts(cell: Cell) -> list[Text]:
    """Return a cell's latencies in ms, one text for each percentile, and its stall share."""
    return [*figure_texts(cell_figures(cell)), cell_stall(cell)]


def stall_text(shares: Sequence[float | None]) -> Text:
    """Return the median of stall shares."""
    known = [share for share in shares if share is not None]
    return Text(f"{statistics.median(known):.1%}" if known else NO_FIGURE)


def cell_stall(cell: Cell) -> Text:
    """Return the median stall share of a cell's trials that have latencies."""
    return stall_text([trial.stall_share for trial in cell.trials if trial.latency_us is not None])


def _columns(first: str, last: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(first, overflow="fold", min_width=10)
    for name in PERCENTILES:
        table.add_column(name.replace("_", "."), justify="right", no_wrap=True)
    for name in last:
        table.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=True)
    return table


def _add(table: Table, cell: Cell, name: str) -> None:
    valid = sum(trial.valid for trial in cell.trials)
    table.add_row(
        Text(name, style="bold"),
        *cell_texts(cell),
        Text(f"{valid}/{len(cell.trials)}"),
        Text(cell.status.value, style=STYLES[cell.status]),
    )
    hop = cell_engine_hop(cell)
    if hop is None:
        return
    shown = {"p50": hop_figure(hop.p50), "p99": hop_figure(hop.p99)}
    boundaries = boundaries_text(cell.trials, unit=True)
    table.add_row(
        Text(f"  {ENGINE_HOP}", style=FAINT),
        *(Text(shown.get(name, ""), style=FAINT) for name in PERCENTILES),
        "",
        "",
        Text("" if boundaries == NO_FIGURE else boundaries, style=FAINT),
    )


def _trials(result: Result, *, hops: bool) -> Table:
    table = _columns("trial", (*(_HOP_HEADS if hops else ()), "stall", "slip p99", "status"))
    for cell in (*result.cells, *result.floors):
        for trial in cell.trials:
            again = f" again ({trial.attempt})" if trial.attempt > 1 else ""
            table.add_row(
                Text(f"{clean(cell.name, _NAME - 4 - len(again))} {trial.trial}{again}"),
                *figure_texts(trial_figures(trial)),
                *(_hop_texts(trial) if hops else ()),
                stall_text([trial.stall_share]),
                Text(milliseconds(trial.slip_us.p99) if trial.slip_us else NO_FIGURE),
                Text(trial.status.value, style=STYLES[trial.status]),
            )
        table.add_section()
    return table


def _hop_texts(trial: Trial) -> list[Text]:
    hop = engine_hop(trial)
    figures = [NO_FIGURE, NO_FIGURE] if hop is None else [hop_figure(hop.p50), hop_figure(hop.p99)]
    boundaries = trial.boundaries_seen
    return [Text(text) for text in (*figures, NO_FIGURE if boundaries is None else str(boundaries))]


__all__ = [
    "ENGINE_HOP",
    "STYLES",
    "Fitting",
    "cell_stall",
    "cell_texts",
    "cells_table",
    "figure_texts",
    "stall_text",
    "trials_table",
]
