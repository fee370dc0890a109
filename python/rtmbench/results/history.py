"""The trend of each cell over the runs on disk, machine by machine."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtmbench.results import fingerprint
from rtmbench.results._document import OMIT, encode
from rtmbench.results.across import compare_side_by_side
from rtmbench.results.hops import cell_engine_hop
from rtmbench.results.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtmbench.json_object import JsonObject
    from rtmbench.results.across import Side
    from rtmbench.results.model import Comparison, Result
    from rtmbench.results.noise import NoiseBands

SCHEMA = "rtmbench.history/1"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run of a cell; latencies are the headline's, in µs, `None` if there is none."""

    run_id: str
    created_at: str
    build: str
    machine: str
    """Short name of the machine, see `results.fingerprint`."""
    status: str
    valid_trials: int
    attempts: int
    p50_us: int | None
    p99_us: int | None
    lower_bounds: list[str] | None = field(default=None, metadata=OMIT)
    """Which of the two are lower bounds, to be shown with `≥`."""
    engine_p50_ms: float | None = field(default=None, metadata=OMIT)
    """Of the engine's own hop, input appended to output appended; resolution 1 ms."""
    engine_p99_ms: float | None = field(default=None, metadata=OMIT)


@dataclass(frozen=True, kw_only=True)
class Series:
    """A cell under the same settings over time, oldest first."""

    pattern: str
    cell: str
    settings: str
    """Short name of the settings that decide what a trial measures."""
    points: list[Point]
    warnings: list[str]
    """Where the machine changed: figures before and after are not one trend."""
    latest: Comparison | None = field(default=None, metadata=OMIT)
    """The newest run against the one before it on the same machine."""
    overall: Comparison | None = field(default=None, metadata=OMIT)
    """The newest run against the oldest on the same machine, where that is another one."""


def history(
    results: Iterable[Result], bands: NoiseBands, *, pattern: str | None = None, engine: str | None = None
) -> list[Series]:
    """Group runs by pattern, cell and settings; `engine` is a cell's name or the beginning of it."""
    groups: dict[tuple[str, str, str], list[Side]] = {}
    for result in sorted(results, key=lambda run: (run.created_at, run.run_id)):
        if pattern is not None and result.pattern != pattern:
            continue
        for cell in result.cells:
            if engine is None or cell.name.startswith(engine):
                groups.setdefault((result.pattern, cell.name, fingerprint.settings_id(result)), []).append(
                    (result, cell)
                )
    return [_series(key, sides, bands) for key, sides in sorted(groups.items())]


def to_dict(series: Iterable[Series]) -> JsonObject:
    """Give the history as JSON values, `schema` first."""
    return {"schema": SCHEMA, "series": [encode(entry) for entry in series]}


def _series(key: tuple[str, str, str], sides: list[Side], bands: NoiseBands) -> Series:
    points = [_point(side) for side in sides]
    warnings = []
    for (before, _), (after, _) in itertools.pairwise(sides):
        changes = fingerprint.machine_changes(before.host, after.host)
        if changes:
            warnings.append(
                f"the machine changed before {after.run_id}: {', '.join(changes)}; a change there is not a trend"
            )
    # Only figures of the machine that the newest run used make a trend.
    here = [side for side, point in zip(sides, points, strict=True) if point.machine == points[-1].machine]
    here = [side for side in here if side[1].headline is not None or side[1].status is Status.FAILED]
    compared = [(here[-2], here[-1])] if len(here) > 1 else []
    if len(here) > 2:  # noqa: PLR2004 - else the oldest is the one before
        compared.append((here[0], here[-1]))
    comparisons = compare_side_by_side(compared, bands)
    return Series(
        pattern=key[0],
        cell=key[1],
        settings=key[2],
        points=points,
        warnings=warnings,
        latest=comparisons[0] if comparisons else None,
        overall=comparisons[1] if len(comparisons) > 1 else None,
    )


def _point(side: Side) -> Point:
    result, cell = side
    head, hop = cell.headline, cell_engine_hop(cell)
    return Point(
        run_id=result.run_id,
        created_at=result.created_at,
        build=cell.build,
        machine=fingerprint.machine_id(result.host),
        status=cell.status.value,
        valid_trials=head.valid_trials if head else 0,
        attempts=len(cell.trials),
        p50_us=head.p50_us if head else None,
        p99_us=head.p99_us if head else None,
        lower_bounds=[name for name in ("p50_us", "p99_us") if head and head.is_lower_bound(name)] or None,
        engine_p50_ms=hop.p50 if hop else None,
        engine_p99_ms=hop.p99 if hop else None,
    )
