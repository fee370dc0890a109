"""Cells of one run side by side: paired by trial number, and what keeps a pair from counting."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from rtmbench.results.confidence import paired, unpaired
from rtmbench.results.model import Failures, Status
from rtmbench.results.outputs import output_bytes_note
from rtmbench.results.permutation import exchange, sign_flip, sign_test
from rtmbench.results.statistics import decisive_attempts, last_attempts
from rtmbench.results.verdict import (
    EARLY_LEVEL,
    FIGURES,
    NO_VERDICT,
    PAIRS_FOR_A_VERDICT,
    UNMEASURED,
    Case,
    decide,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rtmbench.results.confidence import Estimate
    from rtmbench.results.model import Cell, CloseLatency, Comparison, Latency, NoiseBand, Result, Spread, Trial

EARLY_PAIRS = (4, 5)
"""So many pairs can make an early verdict. It needs both orders, and two samples whose labels have enough exchanges."""
ALLOWED_SHARE = 0.25
"""With more void attempts, contended or drifting trials than this share of a cell's, it has no verdict."""
CLOSE = "close"
OUTPUT = "output"
UNLIKE_INTERVAL = 1.5
"""By this factor the cycles of two custom jobs may differ in length; beyond, they have no verdict."""
UNLIKE_OUTPUTS = 0.05
"""By this share the outputs of two custom jobs may differ in number; beyond, they have no verdict."""
BAD = (Status.FAILED, Status.UNSUSTAINED)
"""The worst outcomes of a pair, instead of a figure."""
FAILURE_WORDS = {Status.FAILED: "fails", Status.UNSUSTAINED: "not sustained"}
ENGINE_HOP = "input_to_output"
HOP_RESOLUTION_MS = 1.0

Figures: TypeAlias = "Latency | CloseLatency"

__all__ = ["NO_VERDICT", "compare", "compare_all", "is_quick", "paired_case"]


def compare(baseline: Cell, other: Cell, band: NoiseBand = UNMEASURED, *, quick: bool = False) -> Comparison:
    """Compare two cells of one run, paired by trial number; ratios are other divided by baseline.

    Only pairs whose two trials are both valid make a ratio: a contended figure stays in its cell, but its comparison
    is withheld, and the note states that. A trial that failed or did not sustain the rate is the worst outcome of its
    pair. Cells that emit differently are compared with a remark; a `close` cell is compared with `close` only, by its
    close latency, and a boundary-free trial with boundary-free ones only. `quick` runs never get a verdict.
    """
    return decide([paired_case(baseline, other, band, quick=quick)])[0]


def compare_all(
    cells: Sequence[Cell], band: Callable[[Cell, Cell], NoiseBand] = lambda *_: UNMEASURED, *, quick: bool = False
) -> list[Comparison]:
    """Compare every cell with each that comes after it; `band` gives the noise band of two cells."""
    return decide([paired_case(a, b, band(a, b), quick=quick) for a, b in itertools.combinations(cells, 2)])


def is_quick(result: Result) -> bool:
    """Whether a run was made with `--quick`."""
    return bool(result.settings.get("quick"))


def paired_case(baseline: Cell, other: Cell, band: NoiseBand = UNMEASURED, *, quick: bool = False) -> Case:
    """Pair two cells' trials for a verdict; a `quick` run has none."""
    pairing = _pairs(baseline, other)
    pairs = pairing.pairs
    # The close of few windows has a median and no more.
    known = [
        name
        for name in FIGURES
        if all(getattr(latency, name) is not None for pair in pairs for latency in pair.figures)
    ]
    logs = {name: [pair.log_ratio(name) for pair in pairs] for name in known}
    latency_obstacles = list(drift_obstacles((baseline, other)))
    estimates: dict[str, Estimate] = {}
    if len(pairs) >= PAIRS_FOR_A_VERDICT:
        first = [pair.baseline_first for pair in pairs]
        if len(set(first)) == 1:
            latency_obstacles.append("all pairs ran in the same order, so the order may be what differs")
        else:
            estimates = {name: paired(values, first) for name, values in logs.items()}
    own, hop_notes = engine_ratios([pair.hops for pair in pairs], average=bool(estimates))
    failures = failures_of(baseline, other)
    case = Case(
        baseline=baseline.name,
        other=other.name,
        pairs=len(pairs),
        ratios={name: [math.exp(value) for value in values] for name, values in logs.items()},
        estimates=estimates,
        guards={name: sign_flip([*_all_log_ratios(pairing, name), *pairing.worst]) for name in estimates},
        engine_ratios=own,
        failures=failures,
        failure_text=failure_text(baseline, other),
        failure_p=sign_test(pairing.worst.count(math.inf), pairing.worst.count(-math.inf)),
        quick=quick,
        shortfall=list(_shortfall(len(pairs))),
        obstacles=[
            *pairing.obstacles,
            *void_obstacles((baseline, other)),
            *contended_obstacles((baseline, other)),
            *unlike_outputs(baseline, other),
            *unlike_intervals(baseline, other),
        ],
        latency_obstacles=latency_obstacles,
        remarks=[*pairing.notes, *remarks(baseline, other), *unknown_remarks(known), *hop_notes],
        band=band,
    )
    both_orders = len({pair.baseline_first for pair in pairs}) > 1
    early = len(pairs) in EARLY_PAIRS and pairing.undisturbed and both_orders
    return replace(case, early=_early(case, pairs)) if early else case


def _early(case: Case, pairs: Sequence[_Pair]) -> Case:
    """Return the case as an early verdict takes it: two samples, at a level of its own."""
    samples = {
        name: ([pair.log_latency(0, name) for pair in pairs], [pair.log_latency(1, name) for pair in pairs])
        for name in case.ratios
    }
    decided = f"decided early, after {len(pairs)} of {PAIRS_FOR_A_VERDICT} pairs"
    return replace(
        case,
        shortfall=(),
        estimates={name: replace(unpaired(*both), confidence=1 - EARLY_LEVEL) for name, both in samples.items()},
        guards={name: exchange(*both) for name, both in samples.items()},
        engine_ratios=engine_ratios([pair.hops for pair in pairs], average=True)[0],
        remarks=[f"{decided}: the intervals are of {1 - EARLY_LEVEL:.1%}", *case.remarks],
        level=EARLY_LEVEL,
    )


UNLIKE_BOUNDARIES = "boundary-free trials, and those of less than a whole interval, are compared with their like only"


@dataclass(frozen=True, kw_only=True)
class _Pair:
    figures: tuple[Figures, Figures]
    """Latency of baseline and of other."""
    hops: tuple[Spread | None, Spread | None]
    """Their engines' own hops, in ms."""
    baseline_first: bool
    """Whether the baseline's trial ran first."""

    def log_ratio(self, name: str) -> float:
        return self.log_latency(1, name) - self.log_latency(0, name)

    def log_latency(self, side: int, name: str) -> float:
        return math.log(max(1, getattr(self.figures[side], name)))


@dataclass(frozen=True, kw_only=True)
class _Pairing:
    pairs: Sequence[_Pair] = ()
    contended: Sequence[_Pair] = ()
    """Pairs with a contended trial: they make no ratio, but the permutation test counts them."""
    worst: Sequence[float] = ()
    """Of pairs with a failed or unsustained trial: +∞ where it is the other's, -∞ the baseline's, 0 where both are."""
    obstacles: Sequence[str] = ()
    notes: Sequence[str] = ()
    undisturbed: bool = False
    """Whether every pair is one of two valid trials, so that none of them is missing for what it would have shown."""


def _pairs(baseline: Cell, other: Cell) -> _Pairing:
    if not comparable_emission(baseline, other):
        return _Pairing(obstacles=["unlike emission: a result at the window's close against running results"])
    of_baseline, of_other = decisive_attempts(baseline.trials), decisive_attempts(other.trials)
    both = [(of_baseline[n], of_other[n]) for n in sorted(of_baseline.keys() & of_other.keys())]
    worked = [(a, b) for a, b in both if all(trial.status.usable or trial.status in BAD for trial in (a, b))]
    worst = [_worst(a, b) for a, b in worked if a.status in BAD or b.status in BAD]
    usable = [(a, b) for a, b in worked if a.status.usable and b.status.usable]
    clean = [(a, b) for a, b in usable if a.status is b.status is Status.VALID]
    busy = [(a, b) for a, b in usable if not (a.status is b.status is Status.VALID)]
    like_pairs = [(a, b) for a, b in clean if a.boundaries == b.boundaries]
    notes = []
    if len(worked) < len(both):
        notes.append(f"void or refused: {len(both) - len(worked)} of {len(both)} pairs")
    if len(clean) < len(usable):
        notes.append(f"withheld as contended: {len(usable) - len(clean)} of {len(both)}")
    if len(like_pairs) < len(clean):
        notes.append(UNLIKE_BOUNDARIES)
    comparable = [_pair(baseline, other, a, b) for a, b in like_pairs]
    withheld = [_pair(baseline, other, a, b) for a, b in busy if a.boundaries == b.boundaries]
    return _Pairing(
        pairs=[pair for pair in comparable if pair is not None],
        contended=[pair for pair in withheld if pair is not None],
        worst=worst,
        notes=notes,
        undisturbed=len(like_pairs) == len(both) == max(len(of_baseline), len(of_other)),
    )


def _pair(baseline: Cell, other: Cell, a: Trial, b: Trial) -> _Pair | None:
    of_baseline, of_other = figure(baseline, a), figure(other, b)
    if of_baseline is None or of_other is None:
        return None
    hops = (engine_hop(a), engine_hop(b))
    return _Pair(figures=(of_baseline, of_other), hops=hops, baseline_first=_baseline_first(a, b))


def _all_log_ratios(pairing: _Pairing, name: str) -> list[float]:
    """Give the log-ratios of all pairs with figures: what is withheld must not be what decides."""
    pairs = [*pairing.pairs, *pairing.contended]
    known = [pair for pair in pairs if all(getattr(latency, name) is not None for latency in pair.figures)]
    return [pair.log_ratio(name) for pair in known]


def _worst(a: Trial, b: Trial) -> float:
    return math.inf * ((b.status in BAD) - (a.status in BAD)) if (a.status in BAD) != (b.status in BAD) else 0.0


def failures_of(baseline: Cell, other: Cell) -> Failures | None:
    """Count the trials that failed or did not sustain the rate; `None` if there are none."""
    (baseline_failures, baseline_trials), (other_failures, other_trials) = (_failed(cell) for cell in (baseline, other))
    if not baseline_failures and not other_failures:
        return None
    return Failures(
        baseline=sum(baseline_failures.values()),
        baseline_trials=baseline_trials,
        other=sum(other_failures.values()),
        other_trials=other_trials,
    )


def failure_text(baseline: Cell, other: Cell, names: tuple[str, str] | None = None) -> str:
    """State how often each side fails or does not sustain the rate, the worse one first; empty where neither does.

    `names` is what they are called where the cells have the same name.
    """
    counts = zip(names or (baseline.name, other.name), map(_failed, (baseline, other)), strict=True)
    sides = sorted(counts, key=lambda side: -sum(side[1][0].values()))
    if not sides[0][1][0]:
        return ""
    texts = []
    for name, (failed, trials) in sides:
        words = [f"{word} in {failed[status]}" for status, word in FAILURE_WORDS.items() if status in failed]
        texts.append(f"{name} {' and '.join(words) or 'in none'} of {trials}")
    return f"{texts[0]} trials, {texts[1]}"


def _failed(cell: Cell) -> tuple[Mapping[Status, int], int]:
    """Count the failed and unsustained trials of a cell, and all that are neither void nor refused."""
    statuses = [trial.status for trial in decisive_attempts(cell.trials).values()]
    counted = [status for status in statuses if status.usable or status in BAD]
    return {status: counted.count(status) for status in BAD if status in counted}, len(counted)


def engine_hop(trial: Trial) -> Spread | None:
    """Give what the engine itself took, in ms: from the append of an input to the append of the output."""
    return (trial.hops_ms or {}).get(ENGINE_HOP)


def engine_ratios(
    hops: Sequence[tuple[Spread | None, Spread | None]], *, average: bool
) -> tuple[dict[str, float], list[str]]:
    """Give, by figure, the ratio of the engines' own hops over the pairs, and why there is none.

    The geometric mean with `average`, else the median. Kafka stamps whole milliseconds: a hop of less than one
    is shorter than can be observed, and has no ratio (documents of older versions show 0.001 ms for it).
    """
    known = [(a, b) for a, b in hops if a is not None and b is not None]
    if not known or len(known) < len(hops):
        return {}, []
    ratios, short = {}, []
    for name in FIGURES:
        sides = [(getattr(a, name), getattr(b, name)) for a, b in known]
        if min(min(side) for side in sides) < HOP_RESOLUTION_MS:
            short.append(name)
            continue
        logs = [math.log(of_other / of_baseline) for of_baseline, of_other in sides]
        ratios[name] = math.exp(statistics.fmean(logs) if average else statistics.median(logs))
    notes = [f"the engine's own hop is below its resolution of 1 ms at {' and '.join(short)}"] if short else []
    return ratios, notes


def comparable_emission(baseline: Cell, other: Cell) -> bool:
    """Whether two cells' figures mean the same: `close` goes with `close` only."""
    return (baseline.emit == CLOSE) == (other.emit == CLOSE)


def figure(cell: Cell, trial: Trial) -> Figures | None:
    """Give the latency by which a trial is compared: of the close if the trial has only final results."""
    if cell.emit == CLOSE and trial.close_latency_us is not None:
        return trial.close_latency_us
    return trial.latency_us


def remarks(baseline: Cell, other: Cell) -> Iterator[str]:
    """Give what a reader of the ratio must know about the two cells."""
    if (
        baseline.emit != other.emit
        and comparable_emission(baseline, other)
        and OUTPUT not in (baseline.emit, other.emit)
    ):
        yield "unlike emission: the batch side writes fewer results"
    if note := output_bytes_note(baseline, other):
        yield note
    for text, share in _drifts((baseline, other)):
        if share <= ALLOWED_SHARE:
            yield text


def drifts(trial: Trial) -> bool:
    """Whether a trial's latency still changed while it was measured, or fell at the end of its warm-up."""
    falling = trial.warm_up is not None and trial.warm_up.falling
    return falling or any(reason.startswith("drift:") for reason in trial.reasons)


def drift_obstacles(cells: Iterable[Cell]) -> Iterator[str]:
    """Give a sentence for each cell with too many drifting trials for a verdict on latency."""
    return (text for text, share in _drifts(cells) if share > ALLOWED_SHARE)


def _drifts(cells: Iterable[Cell]) -> Iterator[tuple[str, float]]:
    """Give a sentence for each cell with drifting trials, and their share of the trials that have figures."""
    for cell in cells:
        trials = [trial for trial in last_attempts(cell.trials).values() if trial.status.has_figures]
        drifting = sum(map(drifts, trials))
        if drifting:
            yield f"drift within {drifting} of {len(trials)} trials of {cell.name}", drifting / len(trials)


def contended_obstacles(cells: Iterable[Cell]) -> Iterator[str]:
    """Give a sentence for each cell with too many contended trials for a verdict."""
    for cell in cells:
        trials = [t for t in last_attempts(cell.trials).values() if t.status not in (Status.VOID, Status.REFUSED)]
        contended = sum(trial.status is Status.CONTENDED for trial in trials)
        if contended > ALLOWED_SHARE * len(trials):
            yield f"{contended} of {len(trials)} trials of {cell.name} are contended"


def unlike_outputs(baseline: Cell, other: Cell) -> Iterator[str]:
    """Give a sentence if two custom jobs write different numbers of records for the same number of events."""
    of_baseline, of_other = _shares(baseline), _shares(other)
    if not of_baseline or not of_other:
        return
    for column, what in enumerate(("records for each event", "share of the time stamps among them")):
        a, b = (statistics.median(row[column] for row in rows) for rows in (of_baseline, of_other))
        if abs(a - b) > UNLIKE_OUTPUTS * max(a, b):
            text = f"{baseline.name} {a:.3g}, {other.name} {b:.3g}"
            yield f"unlike outputs, so the figures are not of the same events: {what} {text}"


def unlike_intervals(baseline: Cell, other: Cell) -> Iterator[str]:
    """Give a sentence where two custom jobs were measured over boundaries that are not equally far apart.

    A job may set its own checkpoint interval or trigger, and what it pays for it is in the tail.
    """
    if OUTPUT not in (baseline.emit, other.emit):
        return
    a, b = (_cycle_s(cell) for cell in (baseline, other))
    if a and b and max(a, b) > UNLIKE_INTERVAL * min(a, b):
        yield (
            f"unlike intervals between checkpoints or batches: {baseline.name} {a:.3g} s, {other.name} {b:.3g} s; "
            "set the same interval in both jobs"
        )


def _cycle_s(cell: Cell) -> float | None:
    """Return the length of a cell's observed cycles; `None` if there is none."""
    trials = [trial for trial in last_attempts(cell.trials).values() if trial.status.usable]
    lengths = [trial.seconds / trial.cycles for trial in trials if trial.seconds and trial.cycles]
    return statistics.median(lengths) if lengths else None


def _shares(cell: Cell) -> list[tuple[float, float]]:
    outputs = [trial.outputs for trial in last_attempts(cell.trials).values() if trial.outputs and trial.status.usable]
    return [
        (output.matched / max(1, output.produced), output.covered_timestamps / max(1, output.distinct_timestamps))
        for output in outputs
    ]


def unknown_remarks(known: Sequence[str]) -> Iterator[str]:
    """Give a sentence where a figure is not compared because some trial does not have it."""
    for name in FIGURES:
        if name not in known:
            yield f"{name} of the close needs 30 windows in each trial"


def void_obstacles(cells: Iterable[Cell]) -> Iterator[str]:
    """Give a sentence for each cell with too many void attempts for a verdict."""
    for cell in cells:
        void = sum(trial.status is Status.VOID for trial in cell.trials)
        if void > ALLOWED_SHARE * len(cell.trials):
            yield f"{void} of {len(cell.trials)} attempts of {cell.name} are void"


def _baseline_first(a: Trial, b: Trial) -> bool:
    """Return which trial of a pair ran first: by the clock, else by the rule that odd pairs run in order."""
    if a.started_at and b.started_at and a.started_at != b.started_at:
        return a.started_at < b.started_at
    return a.trial % 2 == 1


def _shortfall(pairs: int) -> Iterator[str]:
    if pairs < PAIRS_FOR_A_VERDICT:
        missing = PAIRS_FOR_A_VERDICT - pairs
        yield f"{pairs} of {PAIRS_FOR_A_VERDICT} pairs, {missing} missing"
