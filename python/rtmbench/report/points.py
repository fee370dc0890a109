"""Several points in one picture: a sweep over a setting, and the search for the highest sustained rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rtmbench.formatting import NO_FIGURE, clean, milliseconds
from rtmbench.report import plots as draw
from rtmbench.report.canvas import svg
from rtmbench.report.document import Block, Figure, Paragraph, Section, Table
from rtmbench.report.rows import CELL_HEAD, cell_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtmbench.results import Result
    from rtmbench.results.model import Sustained
from rtmbench.run_settings import SETTINGS


def axis_head(name: str) -> str:
    """Name an axis over its values, with their unit where they have one."""
    row = SETTINGS.get(name)
    return f"{name}, {row.axis_unit}" if row is not None and row.axis_unit else name


def sections(results: Sequence[Result], *, plots: bool) -> list[Section]:
    """Return the common statements of the runs of one experiment; none if the runs are independent."""
    common_sections = []
    for pattern in dict.fromkeys(result.pattern for result in results):
        of_pattern = [result for result in results if result.pattern == pattern]
        sustained = next((result.sustained for result in of_pattern if result.sustained), None)
        if sustained:
            title = f"Pattern {pattern}: highest sustained rate"
            common_sections.append(Section(title=title, blocks=tuple(_sustained(sustained, plots=plots))))
        elif len([result for result in of_pattern if result.grid]) > 1:
            common_sections.append(
                Section(title=f"Pattern {pattern}: sweep", blocks=tuple(_grid(of_pattern, plots=plots)))
            )
    return common_sections


def sentences(results: Sequence[Result]) -> list[str]:
    """Return what a search for the highest sustained rate came to, one sentence for each cell and pattern."""
    searches = {result.pattern: result.sustained for result in results if result.sustained}
    return [
        f"Pattern {pattern}: {_outcome(search)}" for pattern, of_pattern in searches.items() for search in of_pattern
    ]


def point_name(result: Result) -> str:
    """Name a run's point in its sweep, such as `, rate=1000`; empty for an independent run."""
    if result.grid is None:
        return ""
    return "".join(f", {name}={_short(value)}" for name, value in result.grid.point.items() if _varies(result, name))


def _varies(result: Result, name: str) -> bool:
    return result.grid is not None and len(result.grid.axes.get(name, ())) > 1


def _grid(results: Sequence[Result], *, plots: bool) -> Iterator[Block]:
    values = results[0].grid.axes if results[0].grid is not None else {}
    axes = [name for name in values if _varies(results[0], name)]
    drawn = next((name for name in axes if all(isinstance(value, (int, float)) for value in values[name])), None)
    rows: list[tuple[str, ...]] = []
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for result in (result for result in results if result.grid is not None):
        point = result.grid.point if result.grid else {}
        others = "".join(f", {name}={_short(point.get(name))}" for name in axes if name != drawn)
        for cell in result.cells:
            rows.append((*(_short(point.get(name)) for name in axes), cell.name, *cell_row(cell)))
            where = point.get(drawn) if drawn else None
            p50, p99 = (getattr(cell.headline, name, None) for name in ("p50_us", "p99_us"))
            bounds = cell.headline.lower_bounds if cell.headline is not None else None
            # A lower bound is not a point of a line: the true value is higher.
            if isinstance(where, (int, float)) and p50 is not None and p99 is not None and not bounds:
                line = lines.setdefault(clean(cell.name, 26) + clean(others, 40), [])
                line.append((float(where), p50 / 1e3, p99 / 1e3))
    table = Table(
        caption="Every point of the sweep: medians over the trials that are not void",
        header=(*(axis_head(name) for name in axes), "engine", *CELL_HEAD),
        rows=tuple(rows),
        numeric=False,
    )
    if drawn is None or not plots or not any(len(line) > 1 for line in lines.values()):
        yield table
        return
    yield Figure(
        title=f"p50 and p99 against {clean(drawn, 40)}",
        alt=f"Line plot of p50 and p99 against {clean(drawn, 40)}, one pair of lines for each engine.",
        svg=svg(draw.against(lines, label=clean(axis_head(drawn), 40))),
        table=table,
    )


def _sustained(searches: Sequence[Sustained], *, plots: bool) -> Iterator[Block]:
    for search in searches:
        yield Paragraph(f"{_outcome(search)} What ended the search: {search.limit}.", strong=True)
    rows = tuple(
        (
            search.cell,
            f"{point.rate:,.0f}",
            "passed" if point.passed else "failed",
            NO_FIGURE if point.p50_us is None else milliseconds(point.p50_us),
            NO_FIGURE if point.p99_us is None else milliseconds(point.p99_us),
            point.reason,
        )
        for search in searches
        for point in sorted(search.points, key=lambda point: point.rate)
    )
    table = Table(
        caption="Every rate that was tried: medians over its trials, latency in ms",
        header=("engine", "events/s", "outcome", "p50", "p99", "why"),
        rows=rows,
        numeric=False,
    )
    lines = {
        clean(search.cell, 26): [
            (point.rate, point.p50_us / 1e3, point.p99_us / 1e3)
            for point in sorted(search.points, key=lambda point: point.rate)
            if point.p50_us is not None and point.p99_us is not None
        ]
        for search in searches
    }
    if not plots or not any(len(line) > 1 for line in lines.values()):
        yield table
        return
    yield Figure(
        title="Latency against rate, up to the knee",
        alt="Line plot of p50 and p99 against the rate, one pair of lines for each engine.",
        svg=svg(draw.against(lines, label="events per second")),
        table=table,
    )


def _outcome(search: Sustained) -> str:
    low = "none of the rates tried" if search.passed is None else f"{search.passed:,.0f} events/s"
    high = (
        "no rate failed because of the engine"
        if search.failed is None
        else f"the lowest that failed is {search.failed:,.0f}"
    )
    first = " A first look, with one short trial a rate." if search.quick else ""
    return f"{search.cell} sustained {low}; {high}.{first}"


def _short(value: object) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.12g}"
    return NO_FIGURE if value is None else str(value)


__all__ = ["point_name", "sections"]
