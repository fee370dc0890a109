"""The commands `rtmbench produce` and `rtmbench measure` as contenders: what a user types, in processes of their own.

    python benches/commands.py [--rounds 6] [--events 1000000] [--seconds 30] [--only throughput paced]

Contenders take turns within a round, another one first in each. The first round is not counted: the broker is compiled
then. Every figure is a median over the rounds, with the lowest and the highest round behind it.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from bench import BYTES, Bench, produced

from rtmbench.artifacts import Cache
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

JAVA = {"acks": "1", "linger.ms": "5", "batch.size": "131072", "compression.type": "none"}
CONFLUENT = {"acks": "1", "enable.idempotence": "false", "linger.ms": "5", "partitioner": "murmur2_random"}
RATE = 10_000
START_S, END_S = 5.0, 2.0
"""The processor time of a paced command is taken without its start and its end."""


def rtmbench(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rtmbench", *map(str, arguments)]


def throughput(bench: Bench, count: int, turn: int) -> None:
    """Let each producer send records as fast as it can into a topic of its own."""

    def command(topic: str) -> None:
        options = ["--topic", topic, "--rate", "max", "--count", count, "--payload", BYTES, "--json"]
        bench.run(
            "rtmbench produce --rate max",
            rtmbench("produce", "--bootstrap-servers", bench.servers, *options),
            lambda text: {"events": (document := json.loads(text))["acked"], "seconds": document["seconds"]},
        )

    def java(topic: str) -> None:
        options = ["--topic", topic, "--num-records", count, "--record-size", BYTES, "--throughput", "-1"]
        settings = {"bootstrap.servers": bench.servers, **JAVA}
        options += ["--producer-props", *(f"{name}={value}" for name, value in settings.items())]
        parse = functools.partial(produced, count=count)
        bench.java("Java ProducerPerformance", "ProducerPerformance", list(map(str, options)), parse)

    def confluent(topic: str) -> None:
        settings = {"bootstrap.servers": bench.servers, **CONFLUENT}
        bench.python("confluent-kafka events", "confluent_events", topic=topic, count=count // 5, librdkafka=settings)

    contenders = (command, java, confluent)
    first = turn % len(contenders)
    for contender in (*contenders[first:], *contenders[:first]):
        with bench.fresh() as topic:
            contender(topic)


def paced(bench: Bench, seconds: float) -> dict[str, float]:
    """Run `produce --rate 10000` and `measure` side by side without an engine; return latency and processor time."""
    with bench.fresh() as topic, tempfile.TemporaryFile() as measured, tempfile.TemporaryFile() as sent:
        servers = ["--bootstrap-servers", bench.servers, "--topic", topic, "--json"]
        measure = subprocess.Popen(
            rtmbench("measure", *servers, "--duration", seconds + START_S), stdout=measured, stderr=subprocess.DEVNULL
        )
        time.sleep(2.0)
        produce = subprocess.Popen(
            rtmbench("produce", *servers, "--rate", RATE, "--keys", 100, "--duration", seconds),
            stdout=sent,
            stderr=subprocess.DEVNULL,
        )
        parties = {"producer": psutil.Process(produce.pid), "consumer": psutil.Process(measure.pid)}
        parties["broker"] = bench.broker
        time.sleep(START_S)
        before, begin = {name: _cpu_s(party) for name, party in parties.items()}, time.monotonic()
        time.sleep(seconds - START_S - END_S)
        shares = {name: _cpu_s(party) - before[name] for name, party in parties.items()}
        length = time.monotonic() - begin
        codes = produce.wait(), measure.wait()
        if any(codes):
            raise SystemExit(f"produce and measure ended with {codes}")
        measured.seek(0)
        latency = json.loads(measured.read())["latency_us"]
    return {
        "p50_ms": latency["p50"] / 1000,
        "p95_ms": latency["p95"] / 1000,
        "p99_ms": latency["p99"] / 1000,
        **{f"{name} % of a core": 100 * share / length for name, share in shares.items()},
    }


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _spread(values: list[float], digits: int = 2) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only", nargs="*", default=["throughput", "paced"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rtmbench-commands-") as directory:
        work = Path(directory)
        (work / "state").mkdir()
        local = {"java": find_java(), "cache": Cache(), "logs": work / "logs", "state": work / "state"}
        with LocalPlatform(**local) as platform:
            bench = Bench(platform, arguments)
            if "throughput" in arguments.only:
                for turn in range(1 + arguments.rounds):
                    if turn == 1:
                        bench.results.clear()
                    throughput(bench, arguments.events, turn)
                rates = {name: [run["events"] / run["seconds"] for run in runs] for name, runs in bench.results.items()}
                for name, values in rates.items():
                    print(f"{name:32} {_spread(values, 0)} events/s")
                command_rates = rates.pop("rtmbench produce --rate max")
                for name, values in rates.items():
                    ratios = [own / other for own, other in zip(command_rates, values, strict=True)]
                    print(f"produce, × {name:24} {_spread(ratios)}")
            if "paced" in arguments.only:
                paced(bench, arguments.seconds)
                rows = [paced(bench, arguments.seconds) for _ in range(arguments.rounds)]
                for name in rows[0]:
                    print(f"{name:24} {_spread([row[name] for row in rows])}")


if __name__ == "__main__":
    main()
