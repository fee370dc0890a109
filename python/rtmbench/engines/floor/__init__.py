"""The floors, `transport` and `relay`: the least that harness, broker and any engine take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.engines.base import Variant
from rtmbench.engines.kind import EngineKind

if TYPE_CHECKING:
    from rtmbench.engines.base import Engine, EngineSpec
    from rtmbench.engines.kind import Setup
    from rtmbench.patterns import Pattern


class _Floor(EngineKind):
    def variants(self, pattern: Pattern, version: str) -> tuple[Variant, ...]:  # noqa: ARG002 - there is one
        """Return the only variant: a floor copies records, whatever the pattern."""
        return (Variant(mode="", emit="row" if pattern.job is None else "output"),)


class Transport(_Floor):
    """No engine at all: the harness reads what it sends."""

    name = "transport"

    def create(self, spec: EngineSpec, setup: Setup) -> Engine:
        """Make the engine."""
        from rtmbench.engines.floor.engine import TransportEngine  # noqa: PLC0415 - names alone need no engine

        return TransportEngine(spec, emit=setup.variant.emit)


class Relay(_Floor):
    """A process that copies each record once."""

    name = "relay"

    def create(self, spec: EngineSpec, setup: Setup) -> Engine:
        """Make the engine."""
        from rtmbench.engines.floor.engine import RelayEngine  # noqa: PLC0415 - names alone need no engine

        return RelayEngine(spec, emit=setup.variant.emit, platform=setup.platform)


TRANSPORT = Transport()
RELAY = Relay()

__all__ = ["RELAY", "TRANSPORT"]
