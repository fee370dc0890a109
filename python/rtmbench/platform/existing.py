"""Services that somebody else runs: an existing Kafka, and an existing Flink cluster. The rest runs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtmbench.platform.kafka import KafkaService
from rtmbench.platform.local import LocalPlatform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.kafka.connection import Connection
    from rtmbench.platform.base import FlinkAddress

KAFKA_UNOBSERVED = "Kafka runs already: the CPU time, memory and garbage collection of its brokers are not observed."
FLINK_UNOBSERVED = (
    "Flink runs on an existing cluster: its processes are not new for each trial, and their CPU time and memory are "
    "not observed. A comparison with an engine on this machine compares the two machines as well."
)


class ExistingPlatform(LocalPlatform):
    """A local platform whose Kafka exists already, and whose Flink may."""

    def __init__(self, *, connection: Connection, flink: FlinkAddress | None = None, **local: Any) -> None:
        super().__init__(**local)
        self._connection = connection
        self._flink = flink

    @property
    def flink(self) -> FlinkAddress | None:
        """The existing Flink cluster; None: one is started for each trial."""
        return self._flink

    @property
    def unobserved(self) -> Sequence[str]:
        """The brokers, and the existing Flink cluster."""
        return (KAFKA_UNOBSERVED,) if self._flink is None else (KAFKA_UNOBSERVED, FLINK_UNOBSERVED)

    def kafka(self, port: int = 0, *, timeout_s: float = 60) -> KafkaService:  # noqa: ARG002 - nothing is started
        """Return the existing Kafka; the checks before a run have shown that it answers."""
        return KafkaService(connection=self._connection, process=None, build="")


__all__ = ["ExistingPlatform"]
