"""Load for a broker that has just been started: its JVM compiles what records go through only while they do."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.kafka import clients

if TYPE_CHECKING:
    from rtmbench.kafka.connection import Connection

SECONDS = 10.0
RATE = 10_000.0
PARTITIONS = 16


def warm_up(connection: Connection, *, seconds: float = SECONDS, rate: float = RATE) -> None:
    """Send events for `seconds` at `rate` events/s through its own topic and read them; the topic is deleted.

    Raises KafkaError where the broker does not answer.
    """
    admin = connection.admin
    topic = f"rtmbench-warm-up-{secrets.token_hex(4)}"
    _core.create_topics(admin, [topic], partitions=PARTITIONS)
    consumer = _core.LatencyConsumer(clients.harness_consumer(connection), topic)
    generator = _core.Generator(
        clients.harness_producer(connection, clients.generator_linger_ms(rate)),
        topic,
        _core.Workload(0),
        _core.Schedule.poisson(rate, 0),
        duration_s=seconds,
    )
    try:
        consumer.start()
        try:
            generator.run()
        finally:
            consumer.stop()
            consumer.join()
    finally:
        _core.delete_topics(admin, [topic])


__all__ = ["warm_up"]
