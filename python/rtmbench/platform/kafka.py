"""The Kafka broker that rtmbench starts: one KRaft process that is broker and controller, on the loopback address."""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.errors import RunFailedError
from rtmbench.kafka.connection import Connection
from rtmbench.platform import jvm, logs
from rtmbench.platform.ports import LOOPBACK, ensure_free, free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.artifacts import Bundle
    from rtmbench.platform.local import LocalPlatform
    from rtmbench.platform.process import Process

ATTEMPTS = 3
NODE_ID = 1
POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class KafkaService:
    """A broker that answers."""

    connection: Connection
    process: Process | None
    """The local broker; None for an existing one, which is not observed."""
    build: str
    """Its version; empty where it is not known."""

    @property
    def bootstrap_servers(self) -> str:
        """Its address."""
        return self.connection.bootstrap_servers


def server_properties(*, broker_port: int, controller_port: int, data: Path) -> str:
    """Return the broker's configuration.

    What differs from Kafka's defaults does so for one of three reasons: one node, nothing outside of this machine may
    connect, or nothing may happen during a measurement that was not requested.
    """
    return f"""\
process.roles=broker,controller
node.id={NODE_ID}
controller.quorum.voters={NODE_ID}@{LOOPBACK}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{LOOPBACK}:{broker_port},CONTROLLER://{LOOPBACK}:{controller_port}
advertised.listeners=PLAINTEXT://{LOOPBACK}:{broker_port}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}

default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0

num.network.threads=3
num.io.threads=4
num.recovery.threads.per.data.dir=1
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=4194304

auto.create.topics.enable=false
log.retention.ms=-1
log.retention.bytes=-1
log.segment.bytes=1073741824
file.delete.delay.ms=1000
"""


def format_storage(data: Path) -> None:
    """Write what `kafka-storage format` writes for a single static voter, without starting a JVM for it."""
    data.mkdir(parents=True)
    cluster, directory = (base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=") for _ in range(2))
    (data / "meta.properties").write_text(
        f"version=1\ncluster.id={cluster}\nnode.id={NODE_ID}\ndirectory.id={directory}\n",
        encoding="utf-8",
    )


def start_kafka(
    platform: LocalPlatform, bundle: Bundle, *, heap_mb: int, port: int = 0, timeout_s: float = 60
) -> KafkaService:
    """Start a broker and return when it has answered a metadata request.

    `port` 0 means any free one. Raises PreflightError if a requested port is in use,
    RunFailedError where the broker ends or does not answer within `timeout_s`.
    """
    if port:
        ensure_free(port, "the Kafka broker")
    for attempt in range(1, ATTEMPTS + 1):
        controller_port, free = free_ports(2)
        process = _launch(platform, bundle, heap_mb=heap_mb, ports=(port or free, controller_port))
        try:
            address = f"{LOOPBACK}:{port or free}"
            _await(process, address, timeout_s)
        except RunFailedError:
            # Another program may have taken a port since it was found free; any other failure would come again.
            clash = any("already in use" in line for line in logs.tail(process.log))
            platform.stop(process)
            if not clash or attempt == ATTEMPTS:
                raise
        else:
            return KafkaService(connection=Connection(bootstrap_servers=address), process=process, build=bundle.build)
    raise AssertionError


def _launch(platform: LocalPlatform, bundle: Bundle, *, heap_mb: int, ports: tuple[int, int]) -> Process:
    work = platform.scratch("kafka")
    data = work / "data"
    format_storage(data)
    properties = work / "server.properties"
    properties.write_text(
        server_properties(broker_port=ports[0], controller_port=ports[1], data=data),
        encoding="utf-8",
    )
    log4j = work / "log4j2.properties"
    log4j.write_text(jvm.log4j_properties({"kafka.log.LogCleaner": "WARN"}), encoding="utf-8")
    return platform.spawn(
        "kafka",
        [
            str(platform.java.executable),
            *jvm.memory_options(heap_mb),
            *jvm.common_options("kafka", logs=platform.logs, scratch=work),
            # As in Kafka's own start script.
            "-XX:MaxGCPauseMillis=20",
            "-XX:InitiatingHeapOccupancyPercent=35",
            "-XX:+ExplicitGCInvokesConcurrent",
            f"-Dlog4j2.configurationFile={log4j.as_uri()}",
            "-cp",
            ":".join(str(jar) for jar in bundle.jars),
            "kafka.Kafka",
            str(properties),
        ],
        cwd=work,
        last=True,
    )


def _await(process: Process, address: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        process.check()
        try:
            _core.wait_for_broker({"bootstrap.servers": address}, POLL_S)
        except _core.KafkaError as error:
            if time.monotonic() >= deadline:
                raise RunFailedError(
                    f"The Kafka broker did not answer at {address} within {timeout_s:.0f} s ({error}). "
                    f"{logs.quote(process.log)}"
                ) from error
        else:
            # The answer must be this broker's, not that of another program that took the port first.
            process.check()
            return


__all__ = ["KafkaService", "format_storage", "server_properties", "start_kafka"]
