"""Cells of one run side by side: paired by trial number, and what keeps a pair from counting."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rtmbench.results.interval import paired
from rtmbench.results.model import Status
from rtmbench.results.statistics import last_attempts
from rtmbench.results.verdict import FIGURES, NO_VERDICT, UNMEASURED, Case, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rtmbench.results.interval import Estimate
    from rtmbench.results.model import Cell, CloseLatency, Comparison, Latency, NoiseBand, Trial

PAIRS_FOR_A_VERDICT = 6
VOID_SHARE = 0.25
"""More void attempts than this share of a cell's attempts: no verdict."""
CLOSE = "close"
OUTPUT = "output"
UNLIKE_OUTPUTS = 0.05
"""By this share the outputs of two jobs of the user's own may differ in number; beyond, there is no verdict."""

Figures: TypeAlias = "Latency | CloseLatency"

__all__ = ["NO_VERDICT", "PAIRS_FOR_A_VERDICT", "compare", "compare_all", "paired_case"]


def compare(baseline: Cell, other: Cell, band: NoiseBand = UNMEASURED) -> Comparison:
    """Compare two cells of one run, paired by trial number; ratios are other divided by baseline.

    Only pairs whose two trials are both valid make a ratio: a contended figure stays in its cell,
    but its comparison is withheld, and the note says so. Cells that emit differently are compared
    with a remark; a `close` cell is compared with `close` only, by its close latency, and a
    boundary-free trial with boundary-free ones only.
    """
    return decide([paired_case(baseline, other, band)])[0]


def compare_all(
    cells: Sequence[Cell], band: Callable[[Cell, Cell], NoiseBand] = lambda *_: UNMEASURED
) -> list[Comparison]:
    """Compare every cell with each that comes after it; `band` gives the noise band of two cells."""
    return decide([paired_case(a, b, band(a, b)) for a, b in itertools.combinations(cells, 2)])


def paired_case(baseline: Cell, other: Cell, band: NoiseBand = UNMEASURED) -> Case:
    """Pair two cells' trials for a verdict."""
    pairing = _pairs(baseline, other)
    pairs = pairing.pairs
    # The close of few windows has a median and no more.
    known = [name for name in FIGURES if all(getattr(one, name) is not None for pair in pairs for one in pair[:2])]
    ratios = {name: [getattr(b, name) / max(1, getattr(a, name)) for a, b, _ in pairs] for name in known}
    obstacles = [*_shortfall(len(pairs)), *pairing.obstacles, *void_obstacles((baseline, other))]
    obstacles += unlike_outputs(baseline, other)
    estimates: dict[str, Estimate] = {}
    if len(pairs) >= PAIRS_FOR_A_VERDICT:
        first = [baseline_first for *_, baseline_first in pairs]
        if len(set(first)) == 1:
            obstacles.append("all pairs ran in the same order, so the order may be what differs")
        else:
            estimates = {n: paired([math.log(max(r, 1e-9)) for r in ratios[n]], first) for n in known}
    return Case(
        baseline=baseline.name,
        other=other.name,
        pairs=len(pairs),
        ratios=ratios,
        estimates=estimates,
        obstacles=obstacles,
        remarks=[*pairing.notes, *remarks(baseline, other), *unknown_remarks(known)],
        band=band,
    )


UNLIKE_BOUNDARIES = "boundary-free trials, and those of less than a whole interval, are compared with their like only"


@dataclass(frozen=True, kw_only=True)
class _Pairing:
    pairs: Sequence[tuple[Figures, Figures, bool]] = ()
    """Latency of baseline and of other, and whether the baseline's trial ran first."""
    obstacles: Sequence[str] = ()
    notes: Sequence[str] = ()


def _pairs(baseline: Cell, other: Cell) -> _Pairing:
    if not comparable_emission(baseline, other):
        return _Pairing(obstacles=["unlike emission: a result at the window's close against running results"])
    ours, theirs = last_attempts(baseline.trials), last_attempts(other.trials)
    both = [(ours[n], theirs[n]) for n in sorted(ours.keys() & theirs.keys())]
    usable = [(a, b) for a, b in both if a.status.usable and b.status.usable]
    clean = [(a, b) for a, b in usable if {a.status, b.status} == {Status.VALID}]
    alike = [(a, b) for a, b in clean if a.boundaries == b.boundaries]
    notes = []
    if len(usable) < len(both):
        notes.append(f"no usable figures in {len(both) - len(usable)} of {len(both)}")
    if len(clean) < len(usable):
        notes.append(f"withheld as contended: {len(usable) - len(clean)} of {len(both)}")
    if len(alike) < len(clean):
        notes.append(UNLIKE_BOUNDARIES)
    found = []
    for a, b in alike:
        figures = (figure(baseline, a), figure(other, b))
        if figures[0] is not None and figures[1] is not None:
            found.append((figures[0], figures[1], _baseline_first(a, b)))
    return _Pairing(pairs=found, notes=notes)


def comparable_emission(baseline: Cell, other: Cell) -> bool:
    """Whether two cells' figures mean the same: `close` goes with `close` only."""
    return (baseline.emit == CLOSE) == (other.emit == CLOSE)


def figure(cell: Cell, trial: Trial) -> Figures | None:
    """Give the latency by which a trial is compared: of the close where that is all that comes out."""
    if cell.emit == CLOSE and trial.close_latency_us is not None:
        return trial.close_latency_us
    return trial.latency_us


def remarks(baseline: Cell, other: Cell) -> Iterator[str]:
    """Give what a reader of the ratio has to know about the two cells."""
    if (
        baseline.emit != other.emit
        and comparable_emission(baseline, other)
        and OUTPUT not in (baseline.emit, other.emit)
    ):
        yield "unlike emission: the batch side writes fewer results"
    for cell in dict.fromkeys((baseline.name, other.name)):
        trials = (baseline if cell == baseline.name else other).trials
        drifted = sum(any(reason.startswith("drift:") for reason in t.reasons) for t in trials)
        if drifted:
            yield f"drift within {drifted} of {len(trials)} trials of {cell}"


def unlike_outputs(baseline: Cell, other: Cell) -> Iterator[str]:
    """Give a sentence where two jobs of the user's own do not write as many records for as many events."""
    ours, theirs = _shares(baseline), _shares(other)
    if not ours or not theirs:
        return
    for column, what in enumerate(("records for each event", "share of the time stamps among them")):
        a, b = (statistics.median(row[column] for row in rows) for rows in (ours, theirs))
        if abs(a - b) > UNLIKE_OUTPUTS * max(a, b):
            text = f"{baseline.name} {a:.3g}, {other.name} {b:.3g}"
            yield f"unlike outputs, so the figures are not of the same events: {what} {text}"


def _shares(cell: Cell) -> list[tuple[float, float]]:
    outputs = [trial.outputs for trial in last_attempts(cell.trials).values() if trial.outputs and trial.status.usable]
    return [(one.stamped / max(1, one.produced), one.covered / max(1, one.stamps)) for one in outputs]


def unknown_remarks(known: Sequence[str]) -> Iterator[str]:
    """Give a sentence where a figure is not compared because some trial does not have it."""
    for name in FIGURES:
        if name not in known:
            yield f"{name} of the close needs 30 windows in each trial"


def void_obstacles(cells: Iterable[Cell]) -> Iterator[str]:
    """Give a sentence for each cell with too many void attempts for a verdict."""
    for cell in cells:
        void = sum(trial.status is Status.VOID for trial in cell.trials)
        if void > VOID_SHARE * len(cell.trials):
            yield f"{void} of {len(cell.trials)} attempts of {cell.name} are void"


def _baseline_first(a: Trial, b: Trial) -> bool:
    """Say which trial of a pair ran first: by the clock, else by the rule that odd pairs run in order."""
    if a.started_at and b.started_at and a.started_at != b.started_at:
        return a.started_at < b.started_at
    return a.trial % 2 == 1


def _shortfall(pairs: int) -> Iterator[str]:
    if pairs < PAIRS_FOR_A_VERDICT:
        missing = PAIRS_FOR_A_VERDICT - pairs
        yield f"{pairs} of {PAIRS_FOR_A_VERDICT} pairs, {missing} missing"
