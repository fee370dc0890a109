"""Where the latency comes from: hops, what the tail coincides with, and the longest happenings themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.report import plots as draw
from rtmbench.report.canvas import svg
from rtmbench.report.document import Block, Figure, Paragraph, Table
from rtmbench.report.text import NO_FIGURE, WORDS, clean
from rtmbench.results.model import AFTERMATH_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtmbench.results import Cell, Result, Trial

HOPS = ("scheduled_to_input", "input_to_output", "output_to_received")
LONGEST = 12


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
    table = Table(
        caption="Hops in ms, p50 / p99: intended → input appended → output appended → received (Kafka stamps whole ms)",
        header=("trial", *(name.replace("_", " ") for name in HOPS), "longest stall"),
        rows=tuple(
            (
                _numbered(cell, trial),
                *(f"{hops[n].p50:.1f} / {hops[n].p99:,.1f}" if n in hops else NO_FIGURE for n in HOPS),
                NO_FIGURE if trial.stall_max_us is None else f"{trial.stall_max_us / 1e3:,.0f}",
            )
            for cell, trial, hops in trials
        ),
    )
    if not plots:
        yield table
        return
    medians = {_numbered(cell, trial): {n: max(0.0, h.p50) for n, h in hops.items()} for cell, trial, hops in trials}
    shown = dict(list(medians.items())[:LONGEST])
    yield Figure(
        title="Hops",
        alt="Stacked bars, one for each trial: the median time from schedule to input topic, from there to the output "
        "topic, and from there to receipt.",
        svg=svg(draw.hops(shown)),
        table=table,
    )


def _coincidences(result: Result) -> Iterator[Block]:
    rows = []
    for cell in (*result.cells, *result.floors):
        for trial in cell.trials:
            found = trial.attribution
            if found is None:
                continue
            name = _numbered(cell, trial)
            rows += [
                (
                    name,
                    f"{WORDS.get(one.kind, one.kind)} of {one.source}",
                    f"{one.count:,}",
                    f"{one.total_ms:,.0f}",
                    f"{one.time_share:.1%}",
                    _percent(one.tail_share),
                    _percent(one.stall_share),
                )
                for one in found.coincidences
            ]
            rest = ("nothing that is known of", NO_FIGURE, NO_FIGURE, NO_FIGURE)
            rows.append((name, *rest, _percent(found.unexplained), _percent(found.stall_unexplained)))
    if not rows:
        return
    yield Paragraph(
        "What the slowest events (above the 99th percentile) coincide with. To coincide is not to be caused: compare "
        "each share with the share of the time that the happenings take; chance alone would give no more than that. "
        "One event may coincide with several kinds, so the shares do not add up to 100 %."
    )
    yield Table(
        caption=(
            "Share of the samples above p99 of which half the waiting or more, and share of the stalled time that, lay "
            f"within each kind of happening or the {AFTERMATH_MS:.0f} ms after it"
        ),
        header=("trial", "coincides with", "number", "ms in all", "of the time", "of the tail", "of the stalls"),
        rows=tuple(rows),
        numeric=False,
    )


def _longest(result: Result) -> Iterator[Block]:
    found = [
        (cell, trial, one)
        for cell in result.cells
        for trial in cell.trials
        for one in trial.happenings or []
        if one.kind != "safepoint"
    ]
    found.sort(key=lambda item: -item[2].duration_ms)
    if found:
        yield Table(
            caption="The longest happenings of the measuring phases",
            header=("trial", "what", "of", "from s", "ms", "detail"),
            rows=tuple(
                (
                    _numbered(cell, trial),
                    one.kind.replace("gc_", "GC ").replace("_", " "),
                    one.source,
                    f"{one.at_ms / 1e3:.2f}",
                    f"{one.duration_ms:,.0f}",
                    clean(one.detail, 100),
                )
                for cell, trial, one in found[:LONGEST]
            ),
            numeric=False,
        )


def _percent(share: float | None) -> str:
    return NO_FIGURE if share is None else f"{share:.1%}"


__all__ = ["blocks"]
