"""The noise band: what the same engine differs by from itself, on this machine, with these settings.

`rtmbench run --aa` runs each engine as two cells, `flink@1.20` and `flink@1.20-again`, in turns like any two engines.
The farther bound of the interval on their ratio is the band. It is kept per machine, pattern, cell and settings, one
small file per run, beside the runs:

    results/noise/20261123T093000123Z-01-5f2c9a.json
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtmbench.results.comparison import paired_case
from rtmbench.results.fingerprint import machine, machine_id, settings_id
from rtmbench.results.model import NoiseBand
from rtmbench.results.store import write_file
from rtmbench.results.verdict import ASSUMED_BAND

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rtmbench.results.model import Cell, Result

SCHEMA = "rtmbench.noise/1"
DIRECTORY = "noise"
AGAIN = "-again"
"""What the name of an engine's second cell in an A/A run ends in."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The band of one cell: factors of 1 or more."""

    cell: str
    pattern: str
    machine: str
    settings: str
    p50: float
    p99: float
    pairs: int
    created_at: str


def measure(result: Result) -> tuple[list[Measured], list[str]]:
    """Give the bands that an A/A run found, and a sentence for each cell for which it found none."""
    cells = {cell.name: cell for cell in result.cells}
    found, problems = [], []
    for name, cell in cells.items():
        again = cells.get(name + AGAIN)
        if again is None:
            continue
        case = paired_case(cell, again)
        if case.obstacles:
            problems.append(f"no noise band for {name}: {'; '.join(case.obstacles)}")
            continue
        found.append(
            Measured(
                cell=name,
                pattern=result.pattern,
                machine=machine_id(result.host),
                settings=settings_id(result),
                p50=round(case.estimates["p50"].reach, 4),
                p99=round(case.estimates["p99"].reach, 4),
                pairs=case.pairs,
                created_at=result.created_at,
            )
        )
    return found, problems


def save(result: Result, bands: Iterable[Measured], root: Path) -> Path | None:
    """Keep the bands of an A/A run under the results directory `root`; nothing where there are none."""
    entries = [dataclasses.asdict(band) for band in bands]
    if not entries:
        return None
    path = root / DIRECTORY / f"{result.run_id}.json"
    document = {"schema": SCHEMA, "run_id": result.run_id, "host": machine(result.host), "bands": entries}
    write_file(path, document)
    return path


class NoiseBands:
    """The bands kept under results directories, looked up for pairs of cells."""

    def __init__(self, *roots: Path) -> None:
        found = [band for root in roots for path in (root / DIRECTORY).glob("*.json") for band in _read(path)]
        self._bands = sorted(found, key=lambda band: band.created_at)

    def of(self, result: Result, cell: Cell) -> Measured | None:
        """Give the newest band of a cell on the run's machine with its settings; `None` where there is none."""
        name = cell.name.removesuffix(AGAIN)
        key = (name, result.pattern, machine_id(result.host), settings_id(result))
        matching = [b for b in self._bands if (b.cell, b.pattern, b.machine, b.settings) == key]
        return matching[-1] if matching else None

    def between(self, *cells: tuple[Result, Cell], least: float = 1.0) -> NoiseBand:
        """Give the widest band of the cells, with the assumed one in place of what was not measured.

        `least` is what it may not be below, for comparisons that an A/A run says too little about.
        """
        found = [self.of(result, cell) for result, cell in cells]
        measured = [band for band in found if band is not None]
        if len(measured) < len(found):
            least = max(least, ASSUMED_BAND)
        return NoiseBand(
            p50=max([least, *(band.p50 for band in measured)]),
            p99=max([least, *(band.p99 for band in measured)]),
            measured=len(measured) == len(found),
        )


def _read(path: Path) -> list[Measured]:
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return [Measured(**entry) for entry in document["bands"]] if document["schema"] == SCHEMA else []
    except (OSError, ValueError, KeyError, TypeError):
        # A band that cannot be read is a band that was not measured: the assumed one stands in, and is named.
        return []
