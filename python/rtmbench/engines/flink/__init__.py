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
        pattern, settings = setup.pattern, setup.settings
        # Imported here, so that a command that only parses names does not load an HTTP client.
        if setup.platform.flink is not None:
            from rtmbench.engines.flink.existing import ExistingFlinkEngine  # noqa: PLC0415

            return ExistingFlinkEngine(
                spec,
                variant=setup.variant,
                platform=setup.platform,
                pattern=pattern.id,
                address=setup.platform.flink,
            )
        from rtmbench.engines.flink.engine import FlinkEngine  # noqa: PLC0415

        return FlinkEngine(
            spec,
            variant=setup.variant,
            platform=setup.platform,
            pattern=pattern.id,
            rest_port=settings.flink_port,
            job=pattern.job,
        )


FLINK = Flink()

__all__ = ["FLINK", "Flink"]
