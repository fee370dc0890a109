"""The Kafka client settings, the same for the harness and every engine, and the settings that clients report."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from rtmbench.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rtmbench.kafka.connection import Connection

# Named as in the Java client. Each is explicit although some are defaults: the defaults differ between client versions
# (`linger.ms` became 5 in 4.0) and between the Java client and librdkafka.
SOURCE: Mapping[str, str] = {
    "fetch.min.bytes": "1",
    "fetch.max.wait.ms": "500",
}
SINK: Mapping[str, str] = {
    "acks": "all",
    "enable.idempotence": "true",
    "linger.ms": "0",
    "batch.size": "16384",
    "compression.type": "none",
    "max.in.flight.requests.per.connection": "5",
}
LINGER_FROM_RATE = 5_000
UNPACED_LINGER_MS = 5
UNPACED_BATCH_BYTES = 131_072
"""Settings for throughput, of a load without a rate."""
PRECISION = "default"
"""How exactly the load generator keeps time; see `rtmbench._core.Generator`."""
_LIBRDKAFKA = {"fetch.max.wait.ms": "fetch.wait.max.ms", "compression.type": "compression.codec"}

_BLOCK = re.compile(r"\b(Consumer|Producer)Config values:")
_VALUE = re.compile(r"^\s+([a-z][\w.]*) = (.*?)\s*$")
_VERSION = re.compile(r"\bKafka version: ([\w.\-]+)")
# Both clients print `acks` as a number.
_SPELLING = {"acks": {"-1": "all"}}


def harness_consumer(connection: Connection) -> dict[str, str]:
    """Return the settings of the harness's consumers, in librdkafka's names."""
    return {**connection.admin, **_for_librdkafka(SOURCE)}


def generator_linger_ms(rate: float) -> int:
    """Return for how long the load generator's client collects records for a request, where `rate` is the highest.

    From `LINGER_FROM_RATE` events/s on they wait for each other a little, because a request for each of them would cost
    the machine more than it spares the record (`docs/performance.md`). Without a rate only the throughput counts.
    """
    if math.isinf(rate):
        return UNPACED_LINGER_MS
    return 1 if rate >= LINGER_FROM_RATE else 0


def generator_batch_bytes(rate: float) -> int:
    """Return the most bytes of one partition in a request of the load generator, where `rate` is the highest."""
    return UNPACED_BATCH_BYTES if math.isinf(rate) else int(SINK["batch.size"])


def harness_producer(connection: Connection, linger_ms: int = 0, batch_bytes: int | None = None) -> dict[str, str]:
    """Return the settings of the load generator, the engines' but for linger and batch, in librdkafka's names."""
    settings = {**SINK, "linger.ms": str(linger_ms)}
    if batch_bytes is not None:
        settings["batch.size"] = str(batch_bytes)
    return {**connection.admin, **_for_librdkafka(settings)}


def generator_settings() -> dict[str, str]:
    """Return the settings of the load generator that are the same in every run, in the Java client's names."""
    return {"precision": PRECISION, **{name: value for name, value in SINK.items() if name != "linger.ms"}}


def relay(connection: Connection) -> dict[str, str]:
    """Return the settings of the relay's two clients, an engine's, in librdkafka's names."""
    return {**connection.admin, **_for_librdkafka(SOURCE), **_for_librdkafka(SINK)}


def properties_file(access: Mapping[str, str]) -> str:
    """Return the file that an engine's job reads its client settings from: `source.NAME=…` and `sink.NAME=…`.

    `access` is what both sides need for TLS and SASL, in the Java client's names. Values are escaped as in Java's files
    of properties.
    """
    sides = {"source": {**SOURCE, **access}, "sink": {**SINK, **access}}
    lines = [f"{side}.{name}={escaped(value)}" for side, settings in sides.items() for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def write_properties(path: Path, access: Mapping[str, str]) -> None:
    """Write this file for a job or a driver on this machine. It may hold secrets, so only this user can read it."""
    write_private(path, properties_file(access))


def escaped(value: str) -> str:
    """Return a value as it is written in a Java file of properties."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def read_back(log: Path) -> dict[str, str]:
    """Return the settings that an engine's Kafka clients logged when they were made, and their version.

    Names are `source.…` and `sink.…` as in `SOURCE` and `SINK`, and `kafka-clients`. Where two clients of one kind
    differ, the result has both values, joined by ` | `; what no client logged is left out.
    """
    settings: dict[str, dict[str, None]] = {}
    prefix = ""
    known: Mapping[str, str] = {}
    with log.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            value = _VALUE.match(line) if prefix else None
            if value is not None:
                name, text = value.groups()
                if name in known:
                    text = _SPELLING.get(name, {}).get(text, text)
                    settings.setdefault(prefix + name, {})[text] = None
                continue
            block = _BLOCK.search(line)
            prefix = ""
            if block is not None:
                prefix, known = ("source.", SOURCE) if block[1] == "Consumer" else ("sink.", SINK)
            elif (version := _VERSION.search(line)) is not None:
                settings.setdefault("kafka-clients", {})[version[1]] = None
    return {name: " | ".join(values) for name, values in settings.items()}


def _for_librdkafka(settings: Mapping[str, str]) -> dict[str, str]:
    return {_LIBRDKAFKA.get(name, name): value for name, value in settings.items()}


__all__ = [
    "LINGER_FROM_RATE",
    "PRECISION",
    "SINK",
    "SOURCE",
    "UNPACED_BATCH_BYTES",
    "UNPACED_LINGER_MS",
    "escaped",
    "generator_batch_bytes",
    "generator_linger_ms",
    "generator_settings",
    "harness_consumer",
    "harness_producer",
    "properties_file",
    "read_back",
    "relay",
    "write_properties",
]
