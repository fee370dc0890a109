"""Cells side by side: paired ratios, and what keeps them from being a verdict."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING

from rtmbench.results.model import Comparison, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtmbench.results.model import Cell, Trial

PAIRS_FOR_A_VERDICT = 6
VOID_SHARE = 0.25
"""More void attempts than this share of a cell's attempts: no verdict."""
NO_VERDICT = "no verdict"


def compare(baseline: Cell, other: Cell) -> Comparison:
    """Compare two cells, paired by trial number; ratios are other divided by baseline.

    Only pairs whose two trials are both valid make a ratio: a contended figure stays in its cell,
    but its comparison is withheld, and the note says so. Cells that emit differently are compared
    with a remark; a `close` cell is compared with `close` only, and a boundary-free trial with
    boundary-free ones only.
    """
    pairs, notes = _pairs(baseline, other)
    ratios = {
        name: [getattr(b.latency_us, name) / max(1, getattr(a.latency_us, name)) for a, b in pairs]
        for name in ("p50", "p99")
    }
    return Comparison(
        baseline=baseline.name,
        other=other.name,
        pairs=len(pairs),
        ratio_p50=_median(ratios["p50"]),
        ratio_p99=_median(ratios["p99"]),
        verdict=NO_VERDICT,
        note="; ".join([*_shortfall(len(pairs)), *notes]),
    )


def compare_all(cells: Sequence[Cell]) -> list[Comparison]:
    """Compare every cell with each that comes after it."""
    return [compare(a, b) for a, b in itertools.combinations(cells, 2)]


def _pairs(baseline: Cell, other: Cell) -> tuple[list[tuple[Trial, Trial]], list[str]]:
    if "close" in (baseline.emit, other.emit) and baseline.emit != other.emit:
        return [], ["unlike emission: a result at the window's close against running results"]
    ours, theirs = _last_attempts(baseline), _last_attempts(other)
    both = [(ours[n], theirs[n]) for n in sorted(ours.keys() & theirs.keys())]
    usable = [(a, b) for a, b in both if a.status.usable and b.status.usable]
    clean = [(a, b) for a, b in usable if {a.status, b.status} == {Status.VALID}]
    alike = [(a, b) for a, b in clean if a.boundary_free == b.boundary_free]
    notes = []
    if len(usable) < len(both):
        notes.append(f"no usable figures in {len(both) - len(usable)} of {len(both)}")
    if len(clean) < len(usable):
        notes.append(f"withheld as contended: {len(usable) - len(clean)} of {len(both)}")
    if len(alike) < len(clean):
        notes.append("boundary-free trials are not compared with others")
    return alike, [*notes, *_remarks(baseline, other)]


def _remarks(baseline: Cell, other: Cell) -> Iterator[str]:
    if baseline.emit != other.emit:
        yield "unlike emission: the batch side writes fewer results"
    for cell in (baseline, other):
        void = sum(trial.status is Status.VOID for trial in cell.trials)
        if void > VOID_SHARE * len(cell.trials):
            yield f"{void} of {len(cell.trials)} attempts of {cell.name} are void"


def _last_attempts(cell: Cell) -> dict[int, Trial]:
    """Map trial number to its last attempt: a void trial is superseded by its rerun."""
    return {t.trial: t for t in sorted(cell.trials, key=lambda t: (t.trial, t.attempt))}


def _shortfall(pairs: int) -> Iterator[str]:
    if pairs < PAIRS_FOR_A_VERDICT:
        yield f"{pairs} of {PAIRS_FOR_A_VERDICT} pairs"
    else:
        yield f"{pairs} pairs; intervals are not computed by this version"


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 4) if values else None
