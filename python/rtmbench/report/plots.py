"""The plots of reports and notebooks, drawn by matplotlib. Each function returns a figure in the requested style."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from rtmbench.formatting import clean
from rtmbench.report.canvas import PAGE, Style, canvas

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from rtmbench import _core
    from rtmbench.report.figure import Plot
    from rtmbench.results.histogram_log import Interval
    from rtmbench.results.model import Interruption, Timeline

QUANTILES = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
LATENCIES_MS = (0.1, 1, 10, 100, 1_000, 10_000, 100_000)
HANDLE_LETTERS = 7
"""How many letters' room the sample of a line takes in a legend."""
LABEL = 26
SHOWN_INTERRUPTIONS = 150
LEAST_SHOWN_MS = 5.0
LANES = {"batch_boundary": 0, "checkpoint": 0, "savepoint": 0, "gc_pause": 1, "stall": 2}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1, 1, 1)), (0, (8, 2)), (0, (3, 3)))


def percentile_curves(histograms: Mapping[str, _core.Histogram], style: Style = PAGE) -> Plot:
    """Draw latency over 1/(1-q), both logarithmic, one line for each cell."""
    with canvas(style) as (figure, axes):
        for (name, histogram), colour, dash in _series(histograms, style):
            most = max(10.0, float(histogram.count))
            tails = np.geomspace(1.0, most, 160)
            values = histogram.percentiles(100 * (1 - 1 / tails)) / 1e3
            axes.plot(tails, np.maximum(values, 1e-3), color=colour, linestyle=dash, label=_label(name))
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks = [q for q in QUANTILES if 1 / (1 - q) <= max(h.count for h in histograms.values())]
        axes.set_xticks([1 / (1 - q) for q in ticks], [_percent(q) for q in ticks])
        axes.minorticks_off()
        _latency_axis(axes.yaxis)
        axes.set_xlabel("percentile, on a 1/(1-q) axis")
        axes.set_ylabel("latency, ms")
        _legend(axes, style)
        return figure


def distribution(histograms: Mapping[str, _core.Histogram], style: Style = PAGE) -> Plot:
    """Draw the share of events at or below each latency (the CDF), latency logarithmic."""
    with canvas(style) as (figure, axes):
        for (name, histogram), colour, dash in _series(histograms, style):
            values, counts = histogram.counts()
            shares = np.cumsum(counts) / max(1, histogram.count)
            keep = np.unique(np.searchsorted(shares, np.linspace(0, 1, 160)).clip(0, len(shares) - 1))
            axes.step(
                values[keep] / 1e3, 100 * shares[keep], where="post", color=colour, linestyle=dash, label=_label(name)
            )
        axes.set_xscale("log")
        axes.minorticks_off()
        _latency_axis(axes.xaxis)
        axes.set_ylim(0, 101)
        axes.set_xlabel("latency, ms")
        axes.set_ylabel("events at or below, %")
        _legend(axes, style)
        return figure


def over_time(timeline: Timeline, interruptions: Sequence[Interruption], number: int, style: Style = PAGE) -> Plot:
    """Draw p50, p99 and the maximum of each second, and below them when boundaries, pauses and stalls were."""
    with canvas(style, rows=(4, 1.1)) as (figure, (axes, lanes)):
        seconds = np.arange(len(timeline.count)) + 0.5
        colour = style.series[number % len(style.series)]
        for name, values, dash, width in (
            ("max", timeline.max_us, (0, (1, 1)), 1.0),
            ("p99", timeline.p99_us, (0, (5, 1.5)), 1.4),
            ("p50", timeline.p50_us, "-", 1.6),
        ):
            known = np.array(timeline.count) > 0
            drawn = np.where(known, np.maximum(np.array(values, dtype=float) / 1e3, 1e-3), np.nan)
            axes.plot(seconds, drawn, color=colour, linestyle=dash, linewidth=width, label=name)
        axes.set_yscale("log")
        axes.minorticks_off()
        _latency_axis(axes.yaxis)
        axes.set_ylabel("latency, ms")
        axes.tick_params(labelbottom=False)
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=3,
            frameon=False,
            labelcolor=style.ink,
            handlelength=3,
            borderpad=0.2,
        )
        shown = [
            interruption
            for interruption in interruptions
            if interruption.kind in LANES and interruption.duration_ms >= LEAST_SHOWN_MS
        ]
        for interruption in sorted(shown, key=lambda item: -item.duration_ms)[:SHOWN_INTERRUPTIONS]:
            lane = LANES[interruption.kind]
            # Thinner than a line nobody would see it; the table has the true lengths.
            width = max(interruption.duration_ms / 1e3, 0.004 * len(seconds))
            lanes.broken_barh(
                [(interruption.at_ms / 1e3, width)],
                (lane - 0.35, 0.7),
                color=style.ink if lane else colour,
                linewidth=0,
            )
            if lane == 0:
                axes.axvline(interruption.at_ms / 1e3, color=style.grid, linewidth=2.2, zorder=0)
        lanes.set_ylim(2.6, -0.6)
        lanes.set_yticks([0, 1, 2], ["boundary", "GC pause", "stall"])
        lanes.grid(visible=False)
        lanes.set_xlabel("s from the start of the measuring phase")
        for panel in (axes, lanes):
            panel.set_xlim(0, len(seconds))
        return figure


def heat_map(intervals: Sequence[Interval], style: Style = PAGE) -> Plot:
    """Draw time × latency, shaded by the share of each interval's events."""
    counts, edges, columns = _cells(intervals)
    with canvas(style) as (figure, axes):
        shares = counts / np.maximum(1, counts.sum(axis=0, keepdims=True))
        # The square root keeps one event in a thousand visible next to the bulk.
        image = np.ma.masked_equal(np.sqrt(shares), 0)
        mesh = axes.pcolormesh(columns, edges, image, cmap="viridis", vmin=0, vmax=1, rasterized=True)
        axes.set_yscale("log")
        axes.minorticks_off()
        _latency_axis(axes.yaxis)
        axes.grid(visible=False)
        axes.set_xlabel("s from the start of the measuring phase")
        axes.set_ylabel("latency, ms")
        bar = figure.colorbar(mesh, ax=axes, ticks=np.sqrt([0, 0.01, 0.1, 0.25, 0.5, 1]), pad=0.02)
        bar.ax.set_yticklabels(["0", "1", "10", "25", "50", "100"])
        bar.set_label("% of the events")
        bar.outline.set_edgecolor(style.grid)
        return figure


def against(lines: Mapping[str, Sequence[tuple[float, float, float]]], *, label: str, style: Style = PAGE) -> Plot:
    """Draw p50 (full) and p99 (dashed) in ms against a setting; the points of a line are (value, p50, p99)."""
    with canvas(style) as (figure, axes):
        for (name, line), colour, marker in zip(
            lines.items(), itertools.cycle(style.series), itertools.cycle("os^Dvx"), strict=False
        ):
            if not line:
                continue
            values, p50, p99 = (np.array(column) for column in zip(*sorted(line), strict=True))
            look: Any = {"color": colour, "marker": marker, "markersize": 4}
            axes.plot(values, np.maximum(p50, 1e-3), label=_label(name), **look)
            axes.plot(values, np.maximum(p99, 1e-3), linestyle=DASHES[1], **look)
        axes.set_yscale("log")
        known = [value for line in lines.values() for value, _, _ in line if value > 0]
        if known and max(known) > 4 * min(known):
            axes.set_xscale("log")
        ticks = sorted(set(known))
        if len(ticks) <= 8:  # noqa: PLR2004 - more would run into each other
            axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
        axes.minorticks_off()
        _latency_axis(axes.yaxis)
        axes.set_xlabel(label)
        axes.set_ylabel("latency, ms: p50 (full), p99 (dashed)")
        _legend(axes, style)
        return figure


def hops(parts: Mapping[str, Mapping[str, float]], style: Style = PAGE, *, figure: str = "mean") -> Plot:
    """Draw the mean (or median) of each hop, ms, one stacked bar for each cell; a negative one has no length."""
    names = list(dict.fromkeys(itertools.chain.from_iterable(parts.values())))
    with canvas(style, height=0.9 + 0.36 * len(parts)) as (drawing, axes):
        left = np.zeros(len(parts))
        for (name, colour), hatch in zip(
            zip(names, style.series, strict=False), ("", "////", "....", "xx"), strict=False
        ):
            widths = np.array([max(0.0, hop.get(name, 0.0)) for hop in parts.values()])
            label = name.replace("_", " ")
            axes.barh(
                range(len(parts)),
                widths,
                left=left,
                color=colour,
                hatch=hatch,
                label=label,
                height=0.6,
                edgecolor=style.faint,
            )
            left += widths
        axes.set_yticks(range(len(parts)), [_label(name) for name in parts])
        axes.invert_yaxis()
        axes.set_xlabel(f"{figure} of each hop, ms (resolution 1 ms)")
        drawing.legend(
            loc="outside upper left",
            ncols=3,
            frameon=False,
            labelcolor=style.ink,
            fontsize=8,
            handlelength=1.4,
            columnspacing=1.0,
            borderpad=0.1,
        )
        return drawing


def _cells(intervals: Sequence[Interval]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return counts by (latency, time), the edges of the latencies in ms and of the times in s."""
    group = max(1, -(-len(intervals) // 240))
    low = min((interval.histogram.min for interval in intervals if interval.histogram.count), default=1)
    high = max((interval.histogram.max for interval in intervals if interval.histogram.count), default=1_000)
    edges = np.geomspace(max(1, low) * 0.9, max(high, low * 2) * 1.1, 61)
    starts = intervals[::group]
    counts = np.zeros((len(edges) - 1, len(starts)))
    for number, interval in enumerate(intervals):
        values, weights = interval.histogram.counts()
        counts[:, number // group] += np.histogram(values, bins=edges, weights=weights)[0]
    last = intervals[-1].start_s + intervals[-1].length_s
    return counts, edges / 1e3, np.array([*(interval.start_s for interval in starts), last])


def _series(
    histograms: Mapping[str, _core.Histogram], style: Style
) -> Iterator[tuple[tuple[str, _core.Histogram], str, Any]]:
    return zip(histograms.items(), itertools.cycle(style.series), itertools.cycle(DASHES), strict=False)


def _label(name: str) -> str:
    # A label that begins with `_` would be left out of a legend.
    text = clean(name, LABEL)
    return f" {text}" if text.startswith("_") else text


def _legend(axes: Any, style: Style) -> None:
    # Above the axes, where no line can run through it.
    entries = axes.get_legend_handles_labels()[1]
    columns = max(1, min(3, style.legend_letters // (max(map(len, entries), default=0) + HANDLE_LETTERS)))
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=columns,
        frameon=False,
        labelcolor=style.ink,
        handlelength=2.6,
        borderpad=0.2,
        columnspacing=1.2,
    )


def _latency_axis(axis: Any) -> None:
    low, high = axis.get_view_interval()
    ticks = [tick for tick in LATENCIES_MS if low <= tick <= high]
    if len(ticks) < 2:  # noqa: PLR2004 - an axis with one tick has no scale
        ticks = [t * m for t in LATENCIES_MS for m in (1, 2, 5) if low <= t * m <= high]
    axis.set_ticks(ticks, [f"{tick:,g}" for tick in ticks])


def _percent(q: float) -> str:
    return f"{100 * q:.7g}%"


__all__ = ["against", "distribution", "heat_map", "hops", "over_time", "percentile_curves"]
