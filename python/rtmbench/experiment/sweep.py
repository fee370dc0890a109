"""Sweeps: settings with several values make a grid of points, each of which is run like any other run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rtmbench.errors import ConfigurationError
from rtmbench.kafka import clients
from rtmbench.results.model import Grid
from rtmbench.run_settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtmbench.experiment.settings import RunRequest, Settings

AXES = {row.name: row.field for row in SETTINGS.values() if row.sweepable}
"""Name on the command line → field of `RunRequest`, of the settings that may have several values."""
MAX_POINTS = 100


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a sweep; a plain run is one point without a grid."""

    request: RunRequest
    grid: Grid | None = None


def points(request: RunRequest, axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Give the points of a sweep over `axes` (names as on the command line), the last axis fastest.

    Raises:
        ConfigurationError: a setting that takes one value only, a value twice, or too many points.

    """
    if not axes:
        return [Point(request=request)]
    count = 1
    for name, values in axes.items():
        if name not in AXES:
            raise ConfigurationError(f"--{name} takes one value. These take several: --{', --'.join(AXES)}.")
        if len(set(values)) < len(values):
            raise ConfigurationError(f"--{name} names a value twice; each value is a separate point of the sweep.")
        count *= len(values)
    if count > MAX_POINTS:
        raise ConfigurationError(f"The sweep has {count:,} points, more than {MAX_POINTS}. Name fewer values.")
    named = {name: list(values) for name, values in axes.items()}
    return [
        Point(
            request=replace(request, **{AXES[name]: value for name, value in zip(named, values, strict=True)}),
            grid=Grid(axes=named, point=dict(zip(named, values, strict=True))),
        )
        for values in itertools.product(*named.values())
    ]


def with_one_linger(
    points: Sequence[tuple[Settings, Grid | None]], *, most: float = 0.0
) -> list[tuple[Settings, Grid | None]]:
    """Give the points of a sweep the same linger of the load generator: what the highest rate of them needs.

    `most`: the highest rate that a search for one may try (events per second); 0: no search. Raises
    ConfigurationError for a search with a ramp.
    """
    if most and any(settings.arrivals.startswith("ramp") for settings, _ in points):
        raise ConfigurationError("--find-rate needs a steady rate: give --arrivals poisson, constant or burst:SIZE.")
    linger_ms = clients.generator_linger_ms(max(most, *(settings.rate for settings, _ in points)))
    return [(replace(settings, linger_ms=linger_ms), axes) for settings, axes in points]
