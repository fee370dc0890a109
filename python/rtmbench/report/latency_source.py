"""Where the latency comes from: hops, what the tail coincides with, and the longest interruptions themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.formatting import NO_FIGURE, clean
from rtmbench.report import plots as draw
from rtmbench.report.canvas import svg
from rtmbench.report.document import Block, Figure, Paragraph, Table
from rtmbench.report.text import WORDS
from rtmbench.results.hops import HOPS, have_means, parts
from rtmbench.results.model import RECOVERY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtmbench.results import Cell, Result, Spread, Trial

LONGEST = 12
NEGATIVE = (
    "A mean below 0 is within the resolution: Kafka's time stamps are whole milliseconds. The figures are signed and "
    "add up."
)
MEDIANS = (
    "This document has the medians of the hops and no means. Medians do not add up, and Kafka's whole milliseconds "
    "round the medians of fast hops."
)


def blocks(result: Result, *, plots: bool) -> list[Block]:
    """Return what is known about the origin of a run's latency; nothing where nothing is."""
    return [*_hops(result, plots=plots), *_coincidences(result), *_longest(result)]


def _numbered(cell: Cell, trial: Trial) -> str:
    return f"{cell.name} trial {trial.trial}"


def _hops(result: Result, *, plots: bool) -> Iterator[Block]:
    cells = (*result.cells, *result.floors)
    trials = [(cell, trial, trial.hops_ms) for cell in cells for trial in cell.trials if trial.hops_ms]
    if not trials:
        return
    means = have_means(hops for *_, hops in trials)
    table = Table(
        caption=(
            f"Hops in ms, {'mean / ' if means else ''}p50 / p99: intended → input appended → output appended → "
            "received (Kafka stamps whole ms)"
        ),
        header=(
            "trial",
            *(name.replace("_", " ") for name in HOPS),
            *(("sum of the means",) if means else ()),
            "longest stall",
        ),
        rows=tuple(
            (
                _numbered(cell, trial),
                *(_hop(hops.get(name), means=means) for name in HOPS),
                *((f"{sum(parts(hops, means=True).values()):,.2f}",) if means else ()),
                NO_FIGURE if trial.stall_max_us is None else f"{trial.stall_max_us / 1e3:,.0f}",
            )
            for cell, trial, hops in trials
        ),
    )
    where = {_numbered(cell, trial): parts(hops, means=means) for cell, trial, hops in trials}
    shown = dict(list(where.items())[:LONGEST])
    figure = "mean" if means else "median"
    if plots:
        yield Figure(
            title="Hops",
            alt=f"Stacked bars, one for each trial: the {figure} time from schedule to input topic, from there to the "
            "output topic, and from there to receipt.",
            svg=svg(draw.hops(shown, figure=figure)),
            table=table,
        )
    else:
        yield table
    if not means:
        yield Paragraph(MEDIANS)
    elif any(value < 0 for bar in shown.values() for value in bar.values()):
        yield Paragraph(f"{NEGATIVE} The bars begin at 0." if plots else NEGATIVE)


def _hop(spread: Spread | None, *, means: bool) -> str:
    if spread is None:
        return NO_FIGURE
    mean = f"{spread.mean:,.2f} / " if means and spread.mean is not None else ""
    return f"{mean}{spread.p50:,.1f} / {spread.p99:,.1f}"


def _coincidences(result: Result) -> Iterator[Block]:
    rows = []
    for cell in (*result.cells, *result.floors):
        for trial in cell.trials:
            attribution = trial.attribution
            if attribution is None:
                continue
            name = _numbered(cell, trial)
            rows += [
                (
                    name,
                    f"{WORDS.get(coincidence.kind, coincidence.kind)} of {coincidence.source}",
                    f"{coincidence.count:,}",
                    f"{coincidence.total_ms:,.0f}",
                    f"{coincidence.time_share:.1%}",
                    _percent(coincidence.tail_share),
                    _percent(coincidence.stall_share),
                )
                for coincidence in attribution.coincidences
            ]
            rest = ("no known cause", NO_FIGURE, NO_FIGURE, NO_FIGURE)
            rows.append((name, *rest, _percent(attribution.unexplained), _percent(attribution.stall_unexplained)))
    if not rows:
        return
    yield Paragraph(
        "The table shows what the slowest events (above the 99th percentile) coincide with. A coincidence is not a "
        "cause: compare each share with the share of the time that the interruptions take, which chance alone would "
        "give. "
        "One event may coincide with several kinds, so the shares do not add up to 100 %."
    )
    yield Table(
        caption=(
            "Share of the samples above p99 of which half the waiting or more, and share of the stalled time that, lay "
            f"within each kind of interruption or the {RECOVERY_MS:.0f} ms after it"
        ),
        header=("trial", "coincides with", "number", "ms in all", "of the time", "of the tail", "of the stalls"),
        rows=tuple(rows),
        numeric=False,
    )


def _longest(result: Result) -> Iterator[Block]:
    interruptions = [
        (cell, trial, interruption)
        for cell in result.cells
        for trial in cell.trials
        for interruption in trial.interruptions or []
        if interruption.kind != "safepoint"
    ]
    interruptions.sort(key=lambda item: -item[2].duration_ms)
    if interruptions:
        yield Table(
            caption="The longest interruptions of the measuring phases",
            header=("trial", "what", "of", "from s", "ms", "detail"),
            rows=tuple(
                (
                    _numbered(cell, trial),
                    interruption.kind.replace("gc_", "GC ").replace("_", " "),
                    interruption.source,
                    f"{interruption.at_ms / 1e3:.2f}",
                    f"{interruption.duration_ms:,.0f}",
                    clean(interruption.detail, 100),
                )
                for cell, trial, interruption in interruptions[:LONGEST]
            ),
            numeric=False,
        )


def _percent(share: float | None) -> str:
    return NO_FIGURE if share is None else f"{share:.1%}"


__all__ = ["blocks"]
