"""The commands `rtmbench produce` and `rtmbench measure` as contenders: what a user types, each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import psutil
from goals import (
    COMMAND,
    COMMAND_CONFLUENT,
    COMMAND_JAVA,
    LINGER_RATES,
    LINGERS_MS,
    PACED_COMMANDS,
    linger_name,
)

if TYPE_CHECKING:
    from bench import Bench

JAVA = {"acks": "1", "linger.ms": "5", "batch.size": "131072", "compression.type": "none"}
CONFLUENT = {"acks": "1", "enable.idempotence": "false", "linger.ms": "5", "partitioner": "murmur2_random"}
BYTES, RATE = 256, 10_000
START_S, END_S = 5.0, 2.0
"""The processor time of a paced command is taken without its start and its end."""


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rtmbench", *map(str, arguments)]


def contenders(bench: Bench, count: int):
    """Return what sends records into a topic as fast as it can: the command with its defaults, and two others."""

    def command(topic: str) -> None:
        options = ["--topic", topic, "--rate", "max", "--count", count, "--payload", BYTES, "--json"]
        bench.run(
            COMMAND,
            _command("produce", "--bootstrap-servers", bench.servers, *options),
            lambda text: {"events": (document := json.loads(text))["acked"], "seconds": document["seconds"]},
        )

    def java(topic: str) -> None:
        bench.producer_performance(COMMAND_JAVA, topic, count, JAVA)

    def confluent(topic: str) -> None:
        settings = {"bootstrap.servers": bench.servers, **CONFLUENT}
        bench.python(COMMAND_CONFLUENT, "confluent_events", topic=topic, count=count // 5, librdkafka=settings)

    return command, java, confluent


def paced(bench: Bench, seconds: float) -> None:
    """Measure the commands at 10,000 events/s, with their defaults."""
    bench.keep(PACED_COMMANDS, _side_by_side(bench, seconds, RATE))


def lingers(bench: Bench, seconds: float) -> None:
    """Measure the commands at each rate with each linger."""
    for rate in LINGER_RATES:
        for linger_ms in LINGERS_MS:
            bench.keep(linger_name(rate, linger_ms), _side_by_side(bench, seconds, rate, "--linger", linger_ms))


def _side_by_side(bench: Bench, seconds: float, rate: int, *options: object) -> dict[str, float]:
    """Run `produce` and `measure` side by side without an engine; return latency and shares of a core."""
    with bench.fresh() as topic, tempfile.TemporaryFile() as measured:
        where = ["--bootstrap-servers", bench.servers, "--topic", topic, "--json"]
        measure = subprocess.Popen(
            _command("measure", *where, "--duration", seconds + START_S), stdout=measured, stderr=subprocess.DEVNULL
        )
        time.sleep(2.0)
        produce = subprocess.Popen(
            _command("produce", *where, "--rate", rate, "--keys", 100, "--duration", seconds, *options),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        parties = {"producer": psutil.Process(produce.pid), "consumer": psutil.Process(measure.pid)}
        parties["broker"] = bench.broker
        time.sleep(START_S)
        before, begin = {name: _cpu_s(party) for name, party in parties.items()}, time.monotonic()
        time.sleep(seconds - START_S - END_S)
        spent = {name: _cpu_s(party) - before[name] for name, party in parties.items()}
        length = time.monotonic() - begin
        codes = produce.wait(), measure.wait()
        if any(codes):
            raise SystemExit(f"produce and measure ended with {codes}")
        measured.seek(0)
        latency = json.loads(measured.read())["latency_us"]
    shares = {f"{name}_cpu": cpu_s / length for name, cpu_s in spent.items()}
    return {"p50_us": latency["p50"], "p99_us": latency["p99"], **shares}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
