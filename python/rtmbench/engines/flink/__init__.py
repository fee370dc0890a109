"""Apache Flink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.engines.base import Variant
from rtmbench.engines.kind import EngineKind

if TYPE_CHECKING:
    from rtmbench.engines.base import Engine, EngineSpec
    from rtmbench.engines.kind import Setup
    from rtmbench.patterns import Pattern


class Flink(EngineKind):
    """Flink on a cluster that is started for each trial, or on an existing one (`--flink-url`)."""

    name = "flink"
    versions = ("1.20", "2.2")

    def bundles(self, version: str) -> tuple[str, ...]:
        """Return Flink itself and its Kafka connector."""
        return (f"flink@{version}", f"flink-connector-kafka@{version}")

    def variants(self, pattern: Pattern, version: str) -> tuple[Variant, ...]:  # noqa: ARG002 - the same in all
        """Return the variants by the meaning of one output: Flink always streams."""
        if pattern.job is not None:
            return (Variant(mode="", emit="output"),)
        if not pattern.keyed:
            return (Variant(mode="row", emit="row"),)
        update = Variant(mode="update", emit="update")
        if pattern.window_ms is None:
            return (update,)
        return (update, Variant(mode="close", emit="close", remark="one final result when a window closes"))

    def create(self, spec: EngineSpec, setup: Setup) -> Engine:
        """Make the engine."""
        # Imported here, so that a command that only parses names does not load an HTTP client.
        from rtmbench.engines.flink.engine import FlinkEngine  # noqa: PLC0415
        from rtmbench.engines.flink.existing import ExistingCluster  # noqa: PLC0415
        from rtmbench.engines.flink.source import OwnCluster  # noqa: PLC0415

        platform = setup.platform
        source = (
            OwnCluster(platform, rest_port=setup.settings.flink_port, job=setup.pattern.job)
            if platform.flink is None
            else ExistingCluster(platform.flink, cache=platform.cache)
        )
        pattern = setup.pattern
        return FlinkEngine(spec, variant=setup.variant, source=source, pattern=pattern.id, job=pattern.job)


FLINK = Flink()

__all__ = ["FLINK", "Flink"]
