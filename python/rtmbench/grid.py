"""Sweeps: settings with several values make a grid of points, each of which is run like any other run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from rtmbench.errors import ConfigurationError
from rtmbench.results.model import Grid
from rtmbench.settings import RunRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AXES = {
    "rate": "rate",
    "payload": "payload_bytes",
    "checkpoint-interval": "checkpoint_interval_s",
    "partitions": "partitions",
    "keys": "keys",
    "buffer-wait": "buffer_wait_ms",
    "state-backend": "state_backend",
    "local-files": "local_files",
}
"""Name on the command line → field of `RunRequest`, of the settings that may have several values."""
_UNITS = {"rate": "events/s", "payload": "bytes", "checkpoint-interval": "s", "buffer-wait": "ms"}
MAX_POINTS = 100


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a sweep; a plain run is one point without a grid."""

    request: RunRequest
    grid: Grid | None = None


def axis_head(name: str) -> str:
    """Name an axis over its values, with their unit where they have one."""
    return f"{name}, {_UNITS[name]}" if name in _UNITS else name


def points(request: RunRequest, axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Give the points of a sweep over `axes` (names as on the command line), the last axis fastest.

    Raises:
        ConfigurationError: an axis that this version cannot vary, a value twice, or too many points.

    """
    if not axes:
        return [Point(request=request)]
    known = {field.name for field in fields(RunRequest)}
    count = 1
    for name, values in axes.items():
        if AXES.get(name) not in known:
            raise ConfigurationError(f"--{name} takes one value. These take several: --{', --'.join(AXES)}.")
        if len(set(values)) < len(values):
            raise ConfigurationError(f"--{name} names a value twice; each makes a point of the sweep of its own.")
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
