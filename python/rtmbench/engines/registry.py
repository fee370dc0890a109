"""The engines that are installed: each one's name and description, by the entry point `rtmbench.engines`."""

from __future__ import annotations

import functools
from importlib import metadata
from typing import TYPE_CHECKING

from rtmbench.errors import ConfigurationError, PreflightError

if TYPE_CHECKING:
    from rtmbench.engines.kind import EngineKind

GROUP = "rtmbench.engines"
FIRST = ("flink", "spark", "transport", "relay")
"""The order in which rtmbench's own engines are listed; others follow by name."""

_added: dict[str, EngineKind] = {}


@functools.cache
def entry_points() -> dict[str, metadata.EntryPoint]:
    """Return the entry points of the installed engines by name."""
    points = {point.name: point for point in metadata.entry_points(group=GROUP)}
    order = [name for name in FIRST if name in points]
    return {name: points[name] for name in [*order, *sorted(points.keys() - set(order))]}


def add(engine: EngineKind) -> None:
    """Add an engine of the command line for the rest of this process.

    Raises ConfigurationError where its name is that of an installed one.
    """
    if engine.name in entry_points():
        raise ConfigurationError(f"The engine {engine.name} exists already. Choose another name for your engine.")
    _added[engine.name] = engine


def kind(name: str) -> EngineKind:
    """Return the description of an engine.

    Raises ConfigurationError, which lists the engines, for an unknown name, and PreflightError for an installed one
    whose package cannot be loaded.
    """
    if name in _added:
        return _added[name]
    return _loaded(name)


@functools.cache
def _loaded(name: str) -> EngineKind:
    point = entry_points().get(name)
    if point is None:
        raise ConfigurationError(f"Unknown engine {name!r}. The engines are: {', '.join(spellings())}.")
    try:
        loaded: EngineKind = point.load()
    except Exception as error:
        package = "unknown package" if point.dist is None else point.dist.name
        raise PreflightError(
            f"The engine {name} of {package} cannot be loaded: {type(error).__name__}: {error}. Update or remove it."
        ) from error
    return loaded


def spellings() -> list[str]:
    """Return the names of the engines: `flink@1.20`, `flink@2.2`, `transport`, …."""
    names = []
    for name in entry_points():
        try:
            versions = kind(name).versions
        except PreflightError:
            versions = ()
        names += [f"{name}@{version}" for version in versions] or [name]
    return [*names, *_added]


__all__ = ["add", "entry_points", "kind", "spellings"]
