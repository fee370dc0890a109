"""Runs side by side, and engines within a run: what `rtmbench compare` and the Python API are made of.

Trials of one experiment ran in turns and are paired by number. Trials of two experiments ran at different times: there,
samples are compared (Welch, guarded by exchanging their labels), the noise band is never below the assumed one, and the
note states that.
"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench.errors import ConfigurationError
from rtmbench.results import fingerprint
from rtmbench.results._document import encode
from rtmbench.results.comparison import (
    BAD,
    UNLIKE_BOUNDARIES,
    comparable_emission,
    contended_obstacles,
    drift_obstacles,
    engine_hop,
    engine_ratios,
    failure_text,
    failures_of,
    figure,
    is_quick,
    paired_case,
    remarks,
    unknown_remarks,
    unlike_intervals,
    unlike_outputs,
    void_obstacles,
)
from rtmbench.results.confidence import unpaired
from rtmbench.results.model import Spread, Status
from rtmbench.results.permutation import exchange, fisher
from rtmbench.results.statistics import decisive_attempts
from rtmbench.results.verdict import (
    ASSUMED_BAND,
    FIGURES,
    PAIRS_FOR_A_VERDICT,
    SLOWER,
    WORSE,
    Case,
    decide,
    sentence,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rtmbench.json_object import JsonObject
    from rtmbench.results.comparison import Figures
    from rtmbench.results.model import Cell, Comparison, Result, Scalar, Trial
    from rtmbench.results.noise import NoiseBands

SCHEMA = "rtmbench.comparison/1"
TRIALS_THAT_ALL_FAIL = 3
"""If this many trials of the second all failed and none of the first, it is a regression without a verdict."""
Side = tuple["Result", "Cell"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One compared pair of cells and where they come from."""

    pattern: str
    baseline_run: str
    other_run: str
    point: dict[str, Scalar] | None
    """The point of a sweep, where the run is one."""
    paired: bool
    comparison: Comparison

    def to_dict(self) -> JsonObject:
        """Give the entry as JSON values: its own fields and the comparison's on one level."""
        document: JsonObject = encode(self)
        document |= document.pop("comparison")
        return document

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        where = "".join(f", {name} {value}" for name, value in (self.point or {}).items())
        return f"Pattern {self.pattern}{where}: {sentence(self.comparison)}."

    def regressed(self, threshold: float) -> bool:
        """Whether the second is worse: slower by verdict at p99 or p50, by more than `threshold`, or it fails.

        It fails where its trials fail, or do not sustain the rate, clearly more often than the first's: by verdict, or
        in each of 3 trials or more while none of the first's do. `threshold` is a share (0.1: 10 %) of latencies.
        """
        comparison = self.comparison
        if comparison.verdict == WORSE or _fails_throughout(comparison):
            return True
        figures = ((comparison.verdict, comparison.ratio_p99), (comparison.verdict_p50, comparison.ratio_p50))
        return any(verdict == SLOWER and ratio is not None and ratio > 1 + threshold for verdict, ratio in figures)


def _fails_throughout(comparison: Comparison) -> bool:
    counts = comparison.failures
    return counts is not None and counts.baseline == 0 and counts.other == counts.other_trials >= TRIALS_THAT_ALL_FAIL


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that was compared, and what could not be."""

    entries: Sequence[Entry]
    warnings: Sequence[str]

    def to_dict(self) -> JsonObject:
        """Give the report as JSON values, `schema` first."""
        return {
            "schema": SCHEMA,
            "comparisons": [entry.to_dict() for entry in self.entries],
            "warnings": list(self.warnings),
        }


def compare_runs(before: Sequence[Result], after: Sequence[Result], bands: NoiseBands) -> Report:
    """Compare the cells of two runs or experiments: same pattern and point of a sweep, same cell.

    A cell without a namesake is compared with the one other cell of its engine and mode, so that two versions of an
    engine can be compared.

    Raises:
        ConfigurationError: the two have no pattern in common.

    """
    warnings: list[str] = []
    matched: list[tuple[Side, Side]] = []
    for of_baseline, of_other in _same_patterns(before, after, warnings):
        warnings += _unlike(of_baseline, of_other)
        matched += [((of_baseline, a), (of_other, b)) for a, b in _same_cells(of_baseline, of_other, warnings)]
    return Report(entries=_entries(matched, bands), warnings=list(dict.fromkeys(warnings)))


def compare_cells(results: Sequence[Result], baseline: str, other: str, bands: NoiseBands) -> Report:
    """Compare two cells of the same run, or of each run of an experiment, by their names.

    Raises:
        ConfigurationError: a run has no such cell.

    """
    matched: list[tuple[Side, Side]] = [((r, find_cell(r, baseline)), (r, find_cell(r, other))) for r in results]
    return Report(entries=_entries(matched, bands), warnings=[])


def compare_engines(results: Sequence[Result], bands: NoiseBands) -> Report:
    """Compare every cell of a run with each that comes after it."""
    matched: list[tuple[Side, Side]] = [
        ((r, a), (r, b)) for r in results for a, b in itertools.combinations(r.cells, 2)
    ]
    return Report(entries=_entries(matched, bands), warnings=[])


def compare_side_by_side(matched: Sequence[tuple[Side, Side]], bands: NoiseBands) -> list[Comparison]:
    """Compare chosen cells of chosen runs, judged together."""
    return [entry.comparison for entry in _entries(matched, bands)]


def find_cell(result: Result, name: str) -> Cell:
    """Give the cell of that name, or the only one whose name begins so.

    Raises:
        ConfigurationError: none, or several.

    """
    cells = [*result.cells, *result.floors]
    exact = [cell for cell in cells if cell.name == name]
    matches = exact or [cell for cell in cells if cell.name.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    what = "more than one cell" if matches else "no cell"
    raise ConfigurationError(
        f"The run {result.run_id} has {what} {name[:80]!r}. Its cells are: {', '.join(c.name for c in cells)}."
    )


def _entries(matched: Sequence[tuple[Side, Side]], bands: NoiseBands) -> list[Entry]:
    paired = [of_baseline[0].experiment_id == of_other[0].experiment_id for of_baseline, of_other in matched]
    cases = [
        _paired(a, b, bands) if together else _unpaired(a, b, bands)
        for (a, b), together in zip(matched, paired, strict=True)
    ]
    return [
        Entry(
            pattern=of_baseline.pattern,
            baseline_run=of_baseline.run_id,
            other_run=of_other.run_id,
            point=of_other.grid.point if of_other.grid else None,
            paired=together,
            comparison=comparison,
        )
        for ((of_baseline, _), (of_other, _)), together, comparison in zip(matched, paired, decide(cases), strict=True)
    ]


def _paired(baseline: Side, other: Side, bands: NoiseBands) -> Case:
    quick = is_quick(baseline[0]) or is_quick(other[0])
    return paired_case(baseline[1], other[1], bands.between(baseline, other), quick=quick)


def _unpaired(baseline: Side, other: Side, bands: NoiseBands) -> Case:
    a, b = baseline[1], other[1]
    samples = [_sample(cell) for cell in (a, b)]
    obstacles = list(_unlike_sides(baseline, other))
    obstacles += [*void_obstacles((a, b)), *contended_obstacles((a, b)), *unlike_outputs(a, b), *unlike_intervals(a, b)]
    shortfall = [*_shortfall(baseline, samples[0]), *_shortfall(other, samples[1])]
    if not comparable_emission(a, b) or len(_boundaries(a) | _boundaries(b)) > 1:
        samples = [[], []]
    known = [
        name
        for name in FIGURES
        if all(getattr(latency, name) is not None for sample in samples for _, latency in sample)
    ]
    logs = {
        name: [[math.log(max(1, getattr(latency, name))) for _, latency in sample] for sample in samples]
        for name in known
    }
    enough = min(map(len, samples)) >= PAIRS_FOR_A_VERDICT
    outcomes = {name: [_outcomes(cell, name) for cell in (a, b)] for name in known} if enough else {}
    failures = failures_of(a, b)
    own, hop_notes = engine_ratios([_middle_hops(samples)], average=False) if all(samples) else ({}, [])
    return Case(
        baseline=a.name,
        other=b.name,
        pairs=min(map(len, samples)),
        ratios={name: [_median_ratio(*sides)] for name, sides in logs.items() if all(sides)},
        estimates={name: unpaired(*sides) for name, sides in logs.items()} if enough else {},
        guards={name: exchange(*sides) for name, sides in outcomes.items()},
        engine_ratios=own,
        failures=failures,
        failure_text=failure_text(a, b, (f"{a.name} in {baseline[0].run_id}", f"{b.name} in {other[0].run_id}")),
        failure_p=fisher(failures.baseline, failures.baseline_trials, failures.other, failures.other_trials)
        if failures
        else 1.0,
        quick=is_quick(baseline[0]) or is_quick(other[0]),
        shortfall=shortfall,
        obstacles=obstacles,
        latency_obstacles=list(drift_obstacles((a, b))),
        remarks=[
            "not paired: runs of different times (Welch)",
            *remarks(a, b),
            *_builds(a, b),
            *unknown_remarks(known),
            *hop_notes,
        ],
        band=bands.between(baseline, other, least=ASSUMED_BAND),
    )


def _unlike_sides(baseline: Side, other: Side) -> Iterator[str]:
    """Return why two cells of two runs are not comparable."""
    (of_baseline, a), (of_other, b) = baseline, other
    changes = fingerprint.machine_changes(of_baseline.host, of_other.host)
    if changes:
        yield f"not the same machine: {', '.join(changes)}"
    if not comparable_emission(a, b):
        yield "unlike emission: a result at the window's close against running results"
    elif len(_boundaries(a) | _boundaries(b)) > 1:
        yield UNLIKE_BOUNDARIES


def _sample(cell: Cell) -> list[tuple[Trial, Figures]]:
    """Give the valid trials of a cell and the latencies by which they are compared."""
    trials = [t for t in decisive_attempts(cell.trials).values() if t.status is Status.VALID]
    return [(trial, latency) for trial in trials if (latency := figure(cell, trial)) is not None]


def _outcomes(cell: Cell, name: str) -> list[float]:
    """Give the log-latencies of all trials with figures, contended ones too, and +∞ for each that failed."""
    outcomes = []
    for trial in decisive_attempts(cell.trials).values():
        value = getattr(figure(cell, trial), name, None) if trial.status.usable else None
        if trial.status in BAD:
            outcomes.append(math.inf)
        elif value is not None:
            outcomes.append(math.log(max(1, value)))
    return outcomes


def _middle_hops(samples: Sequence[Sequence[tuple[Trial, Figures]]]) -> tuple[Spread | None, Spread | None]:
    """Give the medians of each side's engine hops over its trials."""
    of_baseline, of_other = (
        [hop for trial, _ in sample if (hop := engine_hop(trial)) is not None] for sample in samples
    )
    if not of_baseline or not of_other:
        return None, None
    first, second = (
        Spread(**{name: statistics.median(getattr(hop, name) for hop in hops) for name in ("p50", "p99", "max")})
        for hops in (of_baseline, of_other)
    )
    return first, second


def _shortfall(side: Side, sample: Sequence[tuple[Trial, Figures]]) -> Iterator[str]:
    missing = PAIRS_FOR_A_VERDICT - len(sample)
    if missing > 0:
        result, cell = side
        yield (
            f"{len(sample)} of {PAIRS_FOR_A_VERDICT} valid trials of {cell.name} in {result.run_id}, {missing} missing"
        )


def _boundaries(cell: Cell) -> set[str]:
    return {trial.boundaries for trial in cell.trials if trial.status.usable}


def _median_ratio(before: Sequence[float], after: Sequence[float]) -> float:
    return math.exp(statistics.median(after) - statistics.median(before))


def _builds(before: Cell, after: Cell) -> Iterator[str]:
    if before.name == after.name and before.build != after.build:
        yield f"{before.name} was build {before.build} and is {after.build}"


def _same_patterns(
    before: Sequence[Result], after: Sequence[Result], warnings: list[str]
) -> Iterator[tuple[Result, Result]]:
    of_baseline, of_other = _by_pattern(before), _by_pattern(after)
    common = [key for key in of_baseline if key in of_other]
    if not common and len(of_baseline) == len(of_other) == 1 and before[0].pattern == after[0].pattern:
        # Two points of a sweep, or a run and a point: the reader has chosen them.
        yield before[0], after[0]
        return
    if not common:
        patterns = [", ".join(sorted({r.pattern for r in side})) or "none" for side in (before, after)]
        raise ConfigurationError(
            f"These runs are not comparable: the first has pattern {patterns[0]}, the second {patterns[1]}. "
            "Name two runs of the same pattern, or of the same sweep."
        )
    left = [key for key in (*of_baseline, *of_other) if key not in common]
    warnings += [f"only in one of the two: pattern {' '.join(map(str, key))}" for key in left]
    for key in common:
        yield of_baseline[key], of_other[key]


def _by_pattern(results: Sequence[Result]) -> dict[tuple[str, ...], Result]:
    # The newest of several runs of the same thing represents them.
    return {(r.pattern, *(f"{k}={v}" for k, v in sorted((r.grid.point if r.grid else {}).items()))): r for r in results}


def _same_cells(before: Result, after: Result, warnings: list[str]) -> Iterator[tuple[Cell, Cell]]:
    of_other = {cell.name: cell for cell in after.cells}
    left_before = []
    for cell in before.cells:
        namesake = of_other.pop(cell.name, None)
        if namesake is None:
            left_before.append(cell)
        else:
            yield cell, namesake
    for cell in left_before:
        matches = [c for c in of_other.values() if (c.engine, c.mode) == (cell.engine, cell.mode)]
        rivals = [c for c in left_before if (c.engine, c.mode) == (cell.engine, cell.mode)]
        if len(matches) == len(rivals) == 1:
            yield cell, of_other.pop(matches[0].name)
        else:
            warnings.append(f"{cell.name} is only in {before.run_id}")
    warnings += [f"{name} is only in {after.run_id}" for name in of_other]


def _unlike(before: Result, after: Result) -> Iterable[str]:
    machine = fingerprint.machine_changes(before.host, after.host)
    if machine:
        yield f"not the same machine: {', '.join(machine)}; the ratios are not a verdict on the engines"
    changes = fingerprint.settings_changes(before, after)
    if changes:
        yield f"unlike settings, which the ratios include: {', '.join(changes)}"
    for result in dict.fromkeys((before.run_id, after.run_id)):
        if not (before if result == before.run_id else after).complete:
            yield f"{result} is not complete"
