"""What a run would do, without starting it: its cells, what they need, and how long they take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtmbench.engines import BRACKETS, choose, parse_engine, spec_name
from rtmbench.experiment.trial_plan import expected_s
from rtmbench.results.noise import AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rtmbench.doctor import Check
    from rtmbench.engines import EngineSpec
    from rtmbench.experiment.settings import Settings
    from rtmbench.json_object import JsonObject
    from rtmbench.patterns import Pattern
    from rtmbench.results.model import Grid, Scalar


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """An engine, or a floor, of one pattern and one point of a sweep."""

    pattern: str
    point: Mapping[str, Scalar]
    """The values of the settings that vary; empty without a sweep."""
    name: str
    mode: str
    emit: str
    slots: int | None
    """Task slots (threads); None for a floor."""
    slots_needed: str
    """How many it needs at least, and why; empty for a floor."""
    trials: int
    trial_s: float
    """Rough length of a trial, s."""


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """A run that has not been started."""

    cells: Sequence[PlannedCell]
    settings: Sequence[JsonObject]
    """The settings of each point, as in a result."""
    notes: Sequence[str]
    """What was decided for this machine, and why."""
    checks: Sequence[Check]
    """What `rtmbench doctor` reports for it."""
    download_bytes: Mapping[str, int]
    """What is not in the cache, by bundle."""
    disk_bytes: int
    """The most that Kafka's data takes at once; 0 with an existing Kafka."""
    trials: int
    seconds: float
    """Rough length of the run, s, without downloads."""

    @property
    def ready(self) -> bool:
        """Whether the run can be started on this machine."""
        return all(check.status != "fail" for check in self.checks)


def dry_run(
    points: Sequence[tuple[Settings, Grid | None]],
    *,
    aa: bool,
    checks: Sequence[Check],
    download_bytes: Mapping[str, int],
    disk_bytes: int,
) -> DryRun:
    """Put together what a run with these points would do; `aa` runs each engine twice."""
    cells = [cell for settings, grid in points for cell in _cells(settings, grid, aa=aa)]
    return DryRun(
        cells=cells,
        settings=[settings.document() for settings, _ in points],
        notes=list(dict.fromkeys(note for settings, _ in points for note in settings.notes)),
        checks=checks,
        download_bytes=download_bytes,
        disk_bytes=disk_bytes,
        trials=sum(cell.trials for cell in cells),
        seconds=sum(cell.trials * cell.trial_s for cell in cells),
    )


def _cells(settings: Settings, grid: Grid | None, *, aa: bool) -> Iterator[PlannedCell]:
    for pattern in settings.patterns:
        for floor in BRACKETS:
            yield _cell(settings, grid, parse_engine(floor), pattern, trials=settings.trials + 1)
        for spec in settings.cells(pattern):
            cell = _cell(settings, grid, spec, pattern, trials=settings.trials)
            yield cell
            if aa:
                yield replace(cell, name=cell.name + AGAIN)


def _cell(settings: Settings, grid: Grid | None, spec: EngineSpec, pattern: Pattern, *, trials: int) -> PlannedCell:
    variant = choose(spec, pattern)
    return PlannedCell(
        pattern=pattern.id,
        point={} if grid is None else grid.point,
        name=spec_name(spec, pattern),
        mode=variant.mode,
        emit=variant.emit,
        slots=settings.slots_of(spec, pattern) if spec.version else None,
        slots_needed=settings.required_slots(spec, pattern)[1] if spec.version else "",
        trials=trials,
        trial_s=expected_s(settings, spec, pattern),
    )


__all__ = ["DryRun", "PlannedCell", "dry_run"]
