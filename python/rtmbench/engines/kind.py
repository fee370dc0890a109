"""The static description of an engine: its versions, variants, bundles and slots, and its factory.

An engine is registered by the entry point `rtmbench.engines`: its name, and an `EngineKind`. Nothing else in rtmbench
names it, so that a package outside of the tree can add one (`examples/engine-kafka-streams`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.engines.base import Engine, EngineSpec, Variant
    from rtmbench.patterns import Pattern
    from rtmbench.platform.base import Platform
    from rtmbench.run_settings import RunSettings


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What an engine is made for."""

    pattern: Pattern
    """With `job` set where a custom job replaces the pattern's pipelines."""
    variant: Variant
    """The variant to run, one of `EngineKind.variants`."""
    platform: Platform
    settings: RunSettings


class EngineKind(ABC):
    """The description of one engine. Subclasses override what differs."""

    name: str = ""
    """What it is called on the command line."""
    versions: tuple[str, ...] = ()
    """The available versions, the default first; none: it has one version without a name."""

    def bundles(self, version: str) -> tuple[str, ...]:  # noqa: ARG002 - for subclasses
        """Return the names of the locked artifact bundles that a version runs from."""
        return ()

    @abstractmethod
    def variants(self, pattern: Pattern, version: str) -> tuple[Variant, ...]:
        """Return the ways in which a version runs a pattern, the default first; none where it has no such pattern."""

    def required_slots(self, variant: Variant, *, partitions: int, shuffle_partitions: int) -> tuple[int, str]:  # noqa: ARG002
        """Return how many slots a variant needs at least, and the arithmetic in words."""
        return partitions, f"{partitions} input partitions = {partitions} slots"

    def hint(self, spec: EngineSpec, pattern: Pattern, engines: Sequence[EngineSpec]) -> str:  # noqa: ARG002
        """Return a line that names a better version or mode for a pattern; empty if there is none.

        `engines` are all of the run.
        """
        return ""

    @abstractmethod
    def create(self, spec: EngineSpec, setup: Setup) -> Engine:
        """Make the engine; nothing of it is started or fetched yet."""


__all__ = ["EngineKind", "Setup"]
