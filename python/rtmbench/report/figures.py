"""The plots of a run in a notebook: what each kind is drawn from, and the picture under the run's table."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, get_args

from rtmbench.errors import ConfigurationError, RtmbenchError
from rtmbench.formatting import clean, milliseconds
from rtmbench.report import plots
from rtmbench.report.canvas import NOTEBOOK, require
from rtmbench.results.histogram_log import trial_log
from rtmbench.results.hops import have_means, parts
from rtmbench.results.statistics import last_attempts, typical

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rtmbench import _core
    from rtmbench.report.figure import Plot
    from rtmbench.results.model import Cell, Result, Trial

Kind: TypeAlias = Literal["percentiles", "cdf", "timeline", "heatmap", "hops"]
KINDS: tuple[str, ...] = get_args(Kind)
DRAWS = "Plots are"
_NAME = 26


class Run(Protocol):
    """What is drawn of a run; `rtmbench.Run` has it."""

    @property
    def result(self) -> Result:
        """The document."""
        ...

    @property
    def directory(self) -> Path | None:
        """The directory of the run; None where there is only a document."""
        ...

    @property
    def run_id(self) -> str:
        """The id of the run."""
        ...

    def cell(self, name: str, /) -> Cell:
        """Return a cell or floor by its name."""
        ...

    def trial(self, engine: str, number: int) -> Trial:
        """Return the last attempt of a trial."""
        ...

    def latency(self, engine: str, trial: int | None = None) -> _core.Histogram:
        """Return a distribution of latencies, µs."""
        ...


def draw(run: Run, kind: str, engines: str | Iterable[str] | None, trial: int | None) -> Plot:
    """Draw one kind of plot of a run, see `Run.plot`."""
    if kind not in KINDS:
        raise ConfigurationError(f"Unknown plot {kind[:40]!r}. The plots are: {', '.join(KINDS)}.")
    require(DRAWS)
    cells = _cells(run, engines)
    if kind == "hops":
        return _hops(run, cells, trial)
    if kind in ("timeline", "heatmap"):
        return _in_time(run, cells, trial, heat=kind == "heatmap")
    drawn, left = _distributions(run, cells, trial)
    if not drawn:
        raise ConfigurationError(f"Nothing of run {run.run_id} can be drawn: {'; '.join(left)}.")
    figure = (plots.percentile_curves if kind == "percentiles" else plots.distribution)(drawn, NOTEBOOK)
    if left:
        # A curve that is not there must not look like an engine that was not asked for.
        figure.supxlabel(f"not drawn: {'; '.join(left)}", fontsize=8, color=NOTEBOOK.faint)
    return figure


def picture(run: Run) -> str:
    """Return the percentile curves of a run as an HTML image; a sentence, or nothing, where they cannot be drawn."""
    try:
        require(DRAWS)
    except RtmbenchError:
        return "<p><small>With <code>pip install 'rtmbench[report]'</code> there are plots here.</small></p>"
    drawn, _ = _distributions(run, _cells(run, None), None)
    if not drawn:
        return ""
    figure = draw(run, "percentiles", None, None)
    p99 = ", ".join(f"{clean(name, _NAME)} {milliseconds(h.percentile(99))} ms" for name, h in drawn.items())
    alt = f"Latency against percentile on a 1/(1-q) axis, one line for each engine. At 99 %: {p99}."
    data = base64.b64encode(figure.png()).decode()
    # An image of its own, because names within an inline SVG would clash with those of the next one.
    return f'<img alt="{escape(alt)}" width="{figure.shown_width()}" src="data:image/png;base64,{data}">'


def _cells(run: Run, engines: str | Iterable[str] | None) -> list[Cell]:
    if engines is None:
        return [*run.result.cells, *run.result.floors]
    return [run.cell(name) for name in ([engines] if isinstance(engines, str) else engines)]


def _distributions(run: Run, cells: list[Cell], trial: int | None) -> tuple[dict[str, _core.Histogram], list[str]]:
    """Return the distributions of cells by name, and for each cell without one why."""
    drawn, left = {}, []
    for cell in cells:
        usable = any(attempt.status.usable for attempt in last_attempts(cell.trials).values())
        if trial is None and not usable:
            left.append(f"{clean(cell.name, _NAME)} ({cell.status.value})")
            continue
        try:
            drawn[cell.name] = run.latency(cell.name, trial)
        except ConfigurationError:
            left.append(f"{clean(cell.name, _NAME)} (no log of its latencies)")
    return {name: histogram for name, histogram in drawn.items() if histogram.count}, left


def _in_time(run: Run, cells: list[Cell], number: int | None, *, heat: bool) -> Plot:
    if len(cells) != 1:
        names = ", ".join(clean(cell.name, _NAME) for cell in cells)
        raise ConfigurationError(f"Time is drawn for one engine at once. Name it in `engines`, one of: {names}.")
    (cell,) = cells
    trial = _trial(run, cell, number)
    series = [candidate.name for candidate in (*run.result.cells, *run.result.floors)].index(cell.name)
    if heat:
        log = trial_log(trial, run.directory)
        if not log:
            raise ConfigurationError(f"{cell.name} trial {trial.trial} has no log of its latencies in {run.directory}.")
        figure = plots.heat_map(log, NOTEBOOK)
    elif trial.timeline is None:
        raise ConfigurationError(f"{cell.name} in run {run.run_id} has no timeline: trial {trial.trial} has none.")
    else:
        figure = plots.over_time(trial.timeline, trial.interruptions or [], series, NOTEBOOK)
    title = f"{clean(cell.name, _NAME)}, trial {trial.trial}"
    # As in a table: a figure that may not be used never stands without its status.
    figure.suptitle(title if trial.valid else f"{title} ({trial.status.value})", x=0.01, ha="left", fontsize=10)
    return figure


def _trial(run: Run, cell: Cell, number: int | None) -> Trial:
    last = last_attempts(cell.trials)
    if number is not None:
        return run.trial(cell.name, number)
    trial = typical([attempt for attempt in last.values() if attempt.latency_us is not None])
    if trial is None:
        raise ConfigurationError(
            f"{cell.name} in run {run.run_id} has no trial with latencies (status: {cell.status.value})."
        )
    return trial


def _hops(run: Run, cells: list[Cell], number: int | None) -> Plot:
    chosen = {}
    for cell in cells:
        with_hops = [attempt for attempt in last_attempts(cell.trials).values() if attempt.hops_ms]
        trial = run.trial(cell.name, number) if number is not None else typical(with_hops)
        if trial is not None and trial.hops_ms:
            name = clean(cell.name, _NAME)
            name = name if trial.valid else f"{name} ({trial.status.value})"
            chosen[name] = trial.hops_ms
    if not chosen:
        raise ConfigurationError(f"No trial of run {run.run_id} has hops.")
    means = have_means(chosen.values())
    shown = {name: parts(hops, means=means) for name, hops in chosen.items()}
    return plots.hops(shown, NOTEBOOK, figure="mean" if means else "median")


__all__ = ["KINDS", "Kind", "draw", "picture"]
