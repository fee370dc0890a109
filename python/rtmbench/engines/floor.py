"""The `transport` engine: none at all. The consumer reads the input topic: the floor of harness and broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtmbench import _core
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from rtmbench.engines.base import EngineSpec, TrialIo
    from rtmbench.engines.variants import Emission
    from rtmbench.platform.process import Process
    from rtmbench.results.model import Happening


class TransportEngine:
    """Starts nothing: the trial's output topic has to be its input topic."""

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.build = _core.librdkafka_version()
        self.mode = spec.mode
        self.emit: Emission = "row"

    def prepare(self) -> None:
        """Do nothing."""

    def start(self, io: TrialIo) -> None:
        """Check that what is sent is what is read."""
        if io.output_topic != io.input_topic:
            raise ConfigurationError(
                f"The transport engine reads what was sent: its output topic has to be {io.input_topic!r}, "
                f"not {io.output_topic!r}."
            )

    def check(self) -> None:
        """Do nothing: there is nothing that could end."""

    def late_dropped(self) -> int:
        """Return 0: nothing has a time to be late for."""
        return 0

    def facts(self) -> dict[str, Any]:
        """Return no settings."""
        return {"settings": {}}

    def happenings(self, from_us: int) -> list[Happening]:  # noqa: ARG002 - the protocol's signature
        """Return none: nothing is made durable here but by the broker."""
        return []

    def processes(self) -> list[Process]:
        """Return none."""
        return []

    def stop(self) -> None:
        """Do nothing."""


__all__ = ["TransportEngine"]
