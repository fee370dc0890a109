"""The distributions of a run: their plots, and the tables behind them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from rtmbench.formatting import NO_FIGURE, clean, milliseconds
from rtmbench.report import plots as draw
from rtmbench.report.canvas import svg
from rtmbench.report.document import Block, Figure, Paragraph, Table
from rtmbench.results.histogram_log import Interval, merged, trial_log
from rtmbench.results.model import Timeline
from rtmbench.results.statistics import typical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rtmbench import _core
    from rtmbench.results import Cell, Result, Trial

SHOWN_QUANTILES = (50, 75, 90, 95, 99, 99.5, 99.9, 99.99, 100)
SHOWN_LATENCIES_MS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
BANDS_MS = (0, 1, 3, 10, 30, 100, 300, 1_000, float("inf"))
ROWS = 60
COLUMNS = 15


def figures(result: Result, directory: Path | None, *, plots: bool, heat_maps: bool) -> list[Block]:
    """Return the plots of a run with their tables; only the tables where `plots` is false."""
    logs = {cell.name: _logs(cell, directory) for cell in (*result.cells, *result.floors)}
    everything = {
        name: merged([interval for log in cell_logs.values() for interval in log])
        for name, cell_logs in logs.items()
        if cell_logs
    }
    everything = {name: histogram for name, histogram in everything.items() if histogram.count}
    if not everything:
        return [Paragraph("The trials' interval logs are not here, so their distributions cannot be shown.")]
    blocks = list(_distributions(result, everything, plots=plots))
    for number, cell in enumerate(result.cells):
        trial = typical([t for t in cell.trials if (t.trial, t.attempt) in logs[cell.name]])
        if trial is not None:
            blocks.extend(
                _in_time(
                    cell, trial, logs[cell.name][(trial.trial, trial.attempt)], number, plots=plots, heat_maps=heat_maps
                )
            )
    return blocks


def _logs(cell: Cell, directory: Path | None) -> dict[tuple[int, int], list[Interval]]:
    """Return the interval logs of a cell's trials, by trial and attempt; what cannot be read is left out."""
    logs = {(trial.trial, trial.attempt): trial_log(trial, directory) for trial in cell.trials}
    return {number: log for number, log in logs.items() if log}


def _distributions(result: Result, histograms: Mapping[str, _core.Histogram], *, plots: bool) -> Iterator[Block]:
    bounds = {cell.name: _bound(cell) for cell in (*result.cells, *result.floors)}
    names = [clean(name, 26) for name in histograms]
    quantiles = Table(
        caption="Percentiles in ms, the samples of all trials with figures together",
        header=("percentile", *names),
        rows=tuple(
            (
                "max" if q == 100 else f"{q:g} %",  # noqa: PLR2004 - the last percentile
                *(
                    _at_least(histogram.percentile(q), bounds[name], histogram)
                    for name, histogram in histograms.items()
                ),
            )
            for q in SHOWN_QUANTILES
        ),
    )
    shares = Table(
        caption="Share of the events at or below a latency",
        header=("latency, ms", *names),
        rows=tuple(
            (f"{limit:,g}", *(f"{_share_below(histogram, limit):.3%}" for histogram in histograms.values()))
            for limit in SHOWN_LATENCIES_MS
        ),
    )
    if not plots:
        yield quantiles
        yield shares
        return
    p99 = ", ".join(
        f"{name} {milliseconds(h.percentile(99))} ms" for name, h in zip(names, histograms.values(), strict=True)
    )
    yield Figure(
        title="Percentiles of the latency",
        alt=f"Line plot of latency against percentile on a 1/(1-q) axis, one line for each engine. At 99 %: {p99}.",
        svg=svg(draw.percentile_curves(histograms)),
        table=quantiles,
    )
    p50 = ", ".join(
        f"{name} {milliseconds(h.percentile(50))} ms" for name, h in zip(names, histograms.values(), strict=True)
    )
    yield Figure(
        title="Distribution of the latency (CDF)",
        alt=f"Step plot of the share of events at or below each latency, one line for each engine. Medians: {p50}.",
        svg=svg(draw.distribution(histograms)),
        table=shares,
    )


def _in_time(
    cell: Cell, trial: Trial, log: Sequence[Interval], number: int, *, plots: bool, heat_maps: bool
) -> Iterator[Block]:
    name = clean(cell.name, 26)
    which = f"{name}, trial {trial.trial}" + (" (the one with the median p99)" if len(cell.trials) > 1 else "")
    timeline = trial.timeline or _timeline(log)
    seconds = _seconds_table(timeline, which)
    heat = _heat_table(log, which)
    if not plots:
        yield seconds
        return
    interruptions = trial.interruptions or []
    boundaries = sum(interruption.kind in ("batch_boundary", "checkpoint") for interruption in interruptions)
    yield Figure(
        title=f"Latency over time: {which}",
        alt=(
            f"Line plot of p50, p99 and maximum of each second of {which}; the highest second reaches "
            f"{milliseconds(max(timeline.max_us, default=0))} ms. Below it, {boundaries} boundaries, "
            "GC pauses and stalls are marked."
        ),
        svg=svg(draw.over_time(timeline, interruptions, number)),
        table=seconds,
    )
    if heat_maps:
        yield Figure(
            title=f"Heat map of time × latency: {which}",
            alt=f"Heat map of {which}: time to the right, latency upwards, brighter where more of the events lie.",
            svg=svg(draw.heat_map(log)),
            table=heat,
        )


def _timeline(log: Sequence[Interval]) -> Timeline:
    """Return the seconds of a trial whose document has no timeline."""
    histograms = [interval.histogram for interval in log]
    return Timeline(
        from_us=0,
        count=[histogram.count for histogram in histograms],
        p50_us=[histogram.percentile(50) for histogram in histograms],
        p99_us=[histogram.percentile(99) for histogram in histograms],
        max_us=[histogram.max for histogram in histograms],
        backlog=[],
    )


def _seconds_table(timeline: Timeline, which: str) -> Table:
    group = max(1, -(-len(timeline.count) // ROWS))
    rows = []
    for start in range(0, len(timeline.count), group):
        part = slice(start, start + group)
        backlog = timeline.backlog[part]
        rows.append(
            (
                str(start),
                f"{sum(timeline.count[part]):,}",
                *(milliseconds(max(column[part])) for column in (timeline.p50_us, timeline.p99_us, timeline.max_us)),
                f"{max(backlog):,}" if backlog else NO_FIGURE,
            )
        )
    length = "each second" if group == 1 else f"each {group} s, the highest second of them"
    return Table(
        caption=f"{which}: {length} of the measuring phase, latency in ms",
        header=("from s", "events", "p50", "p99", "max", "backlog"),
        rows=tuple(rows),
    )


def _heat_table(log: Sequence[Interval], which: str) -> Table:
    group = max(1, -(-len(log) // COLUMNS))
    header, columns = [], []
    for start in range(0, len(log), group):
        values, counts = merged(list(log[start : start + group])).counts()
        total = max(1, int(counts.sum()))
        edges = np.array(BANDS_MS) * 1e3
        columns.append(np.histogram(values, bins=edges, weights=counts)[0] / total)
        header.append(f"{log[start].start_s:.0f} s")
    bands = [
        f"{low:g}–{high:,g} ms" if high < float("inf") else f"over {low:,g} ms"
        for low, high in itertools.pairwise(BANDS_MS)
    ]
    return Table(
        caption=f"{which}: share of the events in each band of latency, from each second on",
        header=("latency", *header),
        rows=tuple((band, *(f"{column[row]:.1%}" for column in columns)) for row, band in enumerate(bands)),
    )


def _bound(cell: Cell) -> float | None:
    """Return the least percentile (0 to 100) that is a lower bound in some trial of the cell; `None` without one."""
    from rtmbench.results.model import PERCENTILES  # noqa: PLC0415 - only here

    reached = [
        100 * PERCENTILES.get(name, 1.0)
        for trial in cell.trials
        if trial.latency_us is not None
        for name in trial.latency_us.censored_percentiles
    ]
    return min(reached, default=None)


def _at_least(value_us: int, bound: float | None, histogram: _core.Histogram) -> str:
    return milliseconds(value_us, lower_bound=bound is not None and value_us >= histogram.percentile(bound))


def _share_below(histogram: _core.Histogram, limit_ms: float) -> float:
    values, counts = histogram.counts()
    return float(counts[values <= limit_ms * 1e3].sum()) / max(1, histogram.count)


__all__ = ["figures"]
