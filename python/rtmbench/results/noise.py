"""The noise band: what a further experiment with one engine on both sides is predicted to show on this machine.

`rtmbench run --aa` runs each engine as two cells, `flink@1.20` and `flink@1.20-again`, in turns like any two engines.
What it found is kept per machine, pattern, cell and settings, one small file per run, next to the runs:

    results/noise/20261123T093000123Z-01-5f2c9a.json

The band is predicted from the last `POOLED` of them together. It speaks of an experiment of 6 pairs, the least that a
verdict takes: more A/A pairs measure its width better, and do not make it narrower.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from rtmbench.results.comparison import is_quick, paired_case
from rtmbench.results.confidence import student_quantile
from rtmbench.results.fingerprint import machine, machine_id, settings_id
from rtmbench.results.model import NoiseBand
from rtmbench.results.store import write_file
from rtmbench.results.verdict import ASSUMED_BAND, PAIRS_FOR_A_VERDICT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from rtmbench.json_object import JsonObject
    from rtmbench.results.confidence import Estimate
    from rtmbench.results.model import Cell, Result

SCHEMA = "rtmbench.noise/2"
DIRECTORY = "noise"
AGAIN = "-again"
"""What the name of an engine's second cell in an A/A run ends in."""
POOLED = 5
"""How many A/A runs, the newest ones, make the band together: one quiet hour must not decide it alone."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What one A/A run found of one percentile, in natural logarithms of the ratio."""

    mean: float
    spread: float
    """Standard deviation of one pair, without the share of the order."""
    pairs: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one A/A run found of one cell."""

    cell: str
    pattern: str
    machine: str
    settings: str
    p50: Spread
    p99: Spread | None
    """`None` where the cell has no p99 (the close of few windows)."""
    created_at: str


@dataclass(frozen=True, kw_only=True)
class Band:
    """The band of one cell, as factors of 1 or more, and what it rests on."""

    p50: float
    p99: float | None
    runs: int
    pairs: int


def measure(result: Result) -> tuple[list[Measured], list[str]]:
    """Give what an A/A run found of each cell, and a sentence for each cell of which it found nothing.

    A quick run finds nothing: no verdict would use its band.
    """
    cells = {cell.name: cell for cell in result.cells}
    measured, problems = [], []
    for name, cell in cells.items():
        again = cells.get(name + AGAIN)
        if again is None:
            continue
        case = paired_case(cell, again, quick=is_quick(result))
        if case.notes:
            problems.append(f"no noise band for {name}: {'; '.join(case.notes)}")
            continue
        measured.append(
            Measured(
                cell=name,
                pattern=result.pattern,
                machine=machine_id(result.host),
                settings=settings_id(result),
                p50=_spread(case.estimates["p50"], case.pairs),
                p99=_spread(case.estimates["p99"], case.pairs) if "p99" in case.estimates else None,
                created_at=result.created_at,
            )
        )
    return measured, problems


def predicted(runs: Sequence[Spread]) -> float:
    """Give the factor within which the ratio of a further A/A experiment of 6 pairs lies, 95 %.

    A prediction interval about equality: the variance of a pair is pooled over the runs, the mean of six new pairs
    varies by a sixth of it, and what is known of it rests on few pairs. Where the means of several runs lie farther
    from equality than their pairs explain, the means decide instead.
    """
    total = sum(run.pairs for run in runs)
    # The order takes a degree of freedom besides the mean.
    degrees = total - 2 * len(runs)
    variance = sum((run.pairs - 2) * run.spread**2 for run in runs) / degrees
    between = sum(run.mean**2 for run in runs) / len(runs) if len(runs) > 1 else 0.0
    experiment = max(variance / PAIRS_FOR_A_VERDICT, between)
    return math.exp(student_quantile(float(degrees)) * math.sqrt(experiment * (1 + PAIRS_FOR_A_VERDICT / total)))


def save(result: Result, bands: Iterable[Measured], root: Path) -> Path | None:
    """Keep what an A/A run found under the results directory `root`; nothing if there are none."""
    entries = [dataclasses.asdict(band) for band in bands]
    if not entries:
        return None
    path = root / DIRECTORY / f"{result.run_id}.json"
    document = {"schema": SCHEMA, "run_id": result.run_id, "host": machine(result.host), "bands": entries}
    write_file(path, document)
    return path


def describe(band: Band | None) -> str:
    """Show a band: `p50 ±3.1%, p99 ±22.0% (12 pairs of 2 A/A runs)`; `not measured` for `None`."""
    if band is None:
        return "not measured"
    tail = "" if band.p99 is None else f", p99 ±{band.p99 - 1:.1%}"
    return f"p50 ±{band.p50 - 1:.1%}{tail} ({band.pairs} pairs of {band.runs} A/A run{'s' if band.runs > 1 else ''})"


class NoiseBands:
    """What A/A runs kept under results directories, looked up for pairs of cells."""

    def __init__(self, *roots: Path) -> None:
        bands = [band for root in roots for path in (root / DIRECTORY).glob("*.json") for band in _read(path)]
        self._runs = sorted(bands, key=lambda band: band.created_at)

    def of(self, result: Result, cell: Cell) -> Band | None:
        """Give the band of a cell on the run's machine with its settings; `None` where none was measured."""
        name = cell.name.removesuffix(AGAIN)
        key = (name, result.pattern, machine_id(result.host), settings_id(result))
        runs = [r for r in self._runs if (r.cell, r.pattern, r.machine, r.settings) == key][-POOLED:]
        if not runs:
            return None
        tails = [run.p99 for run in runs if run.p99 is not None]
        return Band(
            p50=predicted([run.p50 for run in runs]),
            p99=predicted(tails) if tails else None,
            runs=len(runs),
            pairs=sum(run.p50.pairs for run in runs),
        )

    def between(self, *cells: tuple[Result, Cell], least: float = 1.0) -> NoiseBand:
        """Give the wider band of the cells: that of p50 is assumed where one was not measured, that of p99 is `None`.

        `least` is what it may not be below, for comparisons about which an A/A run shows too little.
        """
        bands = [self.of(result, cell) for result, cell in cells]
        measured = [band for band in bands if band is not None]
        complete = len(measured) == len(bands)
        tails = [band.p99 for band in measured if band.p99 is not None]
        return NoiseBand(
            p50=_rounded(max([least if complete else max(least, ASSUMED_BAND), *(band.p50 for band in measured)])),
            p99=_rounded(max([least, *tails])) if len(tails) == len(bands) else None,
            measured=complete,
        )


def _spread(estimate: Estimate, pairs: int) -> Spread:
    return Spread(mean=round(estimate.log_ratio, 6), spread=round(estimate.spread, 6), pairs=pairs)


def _rounded(factor: float) -> float:
    """Give a factor with four decimals, rounded up: a band must not get narrower by it."""
    return math.ceil(round(factor * 10_000, 6)) / 10_000


def _read(path: Path) -> list[Measured]:
    try:
        document: JsonObject = json.loads(path.read_text("utf-8"))
        return msgspec.convert(document["bands"], list[Measured]) if document["schema"] == SCHEMA else []
    except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError):
        # What cannot be read was not measured; the note of a comparison states that.
        return []
