"""Services that somebody else runs: a Kafka, and clusters of Flink and Spark. The rest runs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rtmbench.addresses import host_and_port
from rtmbench.platform.kafka import KafkaService
from rtmbench.platform.local import LocalPlatform
from rtmbench.platform.ports import is_of_this_machine
from rtmbench.platform.spark_address import standalone_masters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.kafka.connection import Connection
    from rtmbench.platform.base import FlinkAddress
    from rtmbench.platform.spark_address import SparkAddress

KAFKA_UNOBSERVED = "Kafka runs already: the CPU time, memory and garbage collection of its brokers are not observed."
FLINK_UNOBSERVED = (
    "Flink runs on an existing cluster: its processes are not new for each trial, and their CPU time and memory are "
    "not observed. A comparison with an engine on this machine compares the two machines as well."
)
SPARK_UNOBSERVED = (
    "Spark's executors run on an existing cluster: their CPU time, memory and garbage collection, and the settings of "
    "their Kafka clients, are not observed. A comparison with an engine on this machine compares the two machines as "
    "well."
)
HERE = (
    "They run on this machine: rtmbench cannot distinguish their load from that of other programs. So it labels no "
    "trial contended for the load of other programs."
)


class ExistingPlatform(LocalPlatform):
    """A local platform whose Kafka exists already, and whose clusters of Flink and Spark may."""

    def __init__(
        self,
        *,
        connection: Connection,
        flink: FlinkAddress | None = None,
        spark: SparkAddress | None = None,
        **local: Any,
    ) -> None:
        super().__init__(**local)
        self._connection = connection
        self._flink = flink
        self._spark = spark

    @property
    def flink(self) -> FlinkAddress | None:
        """The existing Flink cluster; None: one is started for each trial."""
        return self._flink

    @property
    def spark(self) -> SparkAddress | None:
        """The existing Spark cluster; None: Spark runs on this machine."""
        return self._spark

    @property
    def unobserved(self) -> Sequence[str]:
        """The brokers, and the existing clusters."""
        clusters = ((self._flink, FLINK_UNOBSERVED), (self._spark, SPARK_UNOBSERVED))
        sentences = [sentence for address, sentence in clusters if address is not None]
        return (KAFKA_UNOBSERVED, *sentences, *((HERE,) if self.services_here else ()))

    @property
    def services_here(self) -> bool:
        """Whether one of their addresses is of this machine."""
        pairs = [host_and_port(text.strip()) for text in self._connection.bootstrap_servers.split(",")]
        hosts = [pair[0] for pair in pairs if pair is not None]
        if self._flink is not None:
            hosts.append(urlsplit(self._flink.url).hostname or "")
        if self._spark is not None:
            hosts += [host for host, _ in standalone_masters(self._spark.master)]
        return any(map(is_of_this_machine, hosts))

    def kafka(self, port: int = 0, *, timeout_s: float = 60) -> KafkaService:  # noqa: ARG002 - nothing is started
        """Return the existing Kafka; the checks before a run have shown that it answers."""
        return KafkaService(connection=self._connection, process=None, build="")


__all__ = ["ExistingPlatform"]
