"""`make bench`: the core on a real broker, side by side with other clients in one interleaved run.

Writes the figures of all rounds to docs/performance.json, and their tables to docs/performance.md, between its markers.
Every figure is the median of the rounds, with the lowest and the highest behind it. For six rounds, these are a 97 %
interval of the median. The contenders take turns within a round.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import commands
import psutil
from goals import tables

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform
from rtmbench.platform.machine import describe

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"
RECORDING = PAGE.with_suffix(".json")
MARKERS = "<!-- bench:begin -->", "<!-- bench:end -->"
BYTES, RATE = commands.BYTES, commands.RATE
PARTITIONS = 4
JAVA = {
    "acks": "1",
    "enable.idempotence": "false",
    "linger.ms": "5",
    "batch.size": "65536",
    "compression.type": "none",
}
PARTS = ["throughput", "commands", "paced", "floor", "large"]
# As often as the core wakes in its default precision.
WAKE_S = 0.0005


class Bench:
    """A broker, and the contenders' runs on it."""

    def __init__(self, platform, arguments):
        self.platform = platform
        self.arguments = arguments
        platform.cache.ensure_many(["kafka@4.1", "kafka-tools@4.1"])
        service = platform.kafka()
        self.servers = service.bootstrap_servers
        self.broker = psutil.Process(service.process.pid)
        self.results = {}
        self._topics = 0

    def topic(self, partitions=PARTITIONS):
        """Create a fresh topic and return its name."""
        self._topics += 1
        name = f"bench-{self._topics}"
        _core.create_topics({"bootstrap.servers": self.servers}, [name], partitions=partitions)
        return name

    def drop(self, *topics):
        _core.delete_topics({"bootstrap.servers": self.servers}, list(topics))

    @contextlib.contextmanager
    def fresh(self):
        """Create a topic, and delete it afterwards."""
        name = self.topic()
        yield name
        self.drop(name)

    def librdkafka(self, **more):
        return {"bootstrap.servers": self.servers, **JAVA, "partitioner": "murmur2_random", **more}

    def run(self, name, command, parse=json.loads, *, optional=False):
        """Run a contender in its own process; keep its output, its CPU time, its memory and the broker's.

        An optional one may fail, as a client does that does not speak this broker's protocol.
        """
        before = self._broker_s()
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(command, stdout=output, stderr=errors)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            texts = []
            for file in (output, errors):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
            text = texts[0]
        if process.returncode and optional:
            print(f"{name} failed: {texts[1].strip()[-300:]}", flush=True)
            return None
        if process.returncode:
            raise SystemExit(f"{name} failed ({process.returncode}): {texts}")
        figures = parse(text)
        figures["cpu_s"] = usage.ru_utime + usage.ru_stime
        figures["broker_s"] = self._broker_s() - before
        figures["peak_mib"] = usage.ru_maxrss / 1024
        self.keep(name, figures)
        return figures

    def keep(self, name, figures):
        """Keep a round of a contender, and print it."""
        self.results.setdefault(name, []).append(figures)
        shown = ", ".join(f"{key} {value:,.6g}" for key, value in figures.items() if not key.startswith("thread"))
        print(f"{name:40} {shown}", flush=True)

    def in_rounds(self, part):
        """Call `part` with the number of each round.

        The first one is not counted: a broker's compiler is busy with what is new to it.
        """
        before = set(self.results)
        for turn in range(1 + self.arguments.rounds):
            if turn == 1:
                self.results = {name: runs for name, runs in self.results.items() if name in before}
            part(turn)

    def python(self, name, role, *, optional=False, **options):
        document = {"bytes": BYTES, "partitions": PARTITIONS, "java": JAVA, "broker": self.broker.pid, **options}
        document.setdefault("librdkafka", self.librdkafka())
        return self.run(name, [sys.executable, str(HERE / "clients.py"), role, json.dumps(document)], optional=optional)

    def bare(self, name, mode, topic, count):
        pairs = [f"{key}={value}" for key, value in self.librdkafka().items()]
        command = [str(self.arguments.bare), mode, topic, str(count), str(BYTES), str(PARTITIONS), *pairs]
        return self.run(name, command)

    def java(self, name, tool, options, parse):
        jars = [*self.platform.cache.ensure("kafka-tools@4.1").jars, *self.platform.cache.ensure("kafka@4.1").jars]
        path = ":".join(map(str, jars))
        java = str(self.platform.java.executable)
        log = f"-Dlog4j2.configurationFile={(HERE / 'log4j2.properties').as_uri()}"
        return self.run(name, [java, "-Xmx512m", log, "-cp", path, f"org.apache.kafka.tools.{tool}", *options], parse)

    def producer_performance(self, name, topic, count, settings):
        """Run Kafka's own load generator with the given settings of the Java producer."""
        options = ["--topic", topic, "--num-records", str(count), "--record-size", str(BYTES), "--throughput", "-1"]
        properties = [f"{key}={value}" for key, value in {"bootstrap.servers": self.servers, **settings}.items()]
        options += ["--producer-props", *properties]
        self.java(name, "ProducerPerformance", options, functools.partial(_produced, count=count))

    def _broker_s(self):
        times = self.broker.cpu_times()
        return times.user + times.system

    def produce(self, count, turn):
        """Let every producer send into its own topic: `count` records, the slow ones fewer."""

        def python(name, role, count, *, optional=False):
            return lambda topic: self.python(name, role, topic=topic, count=count, optional=optional)

        in_turns(
            turn,
            python("core produce", "core_produce", count),
            lambda topic: self.bare("bare librdkafka produce", "produce", topic, count),
            lambda topic: self.producer_performance("Java ProducerPerformance", topic, count, JAVA),
            python("confluent-kafka produce", "confluent_produce", count),
            python("confluent-kafka events", "confluent_events", count // 5),
            python("kafka-python-ng produce", "kafka_python_produce", count // 40, optional=True),
            topic=self.fresh,
        )

    def receive(self, topic, count, filled, turn):
        """Let every consumer read the same topic from its first offset on; `filled` has their intended times."""
        times = {key: filled[key] for key in ("from_us", "to_us")}
        options = ["--bootstrap-server", self.servers, "--topic", topic, "--messages", str(count)]
        in_turns(
            turn,
            lambda topic: self.python("core receive", "core_receive", topic=topic, count=count, **times),
            lambda topic: self.bare("bare librdkafka consume", "consume", topic, count),
            lambda _: self.java("Java ConsumerPerformance", "ConsumerPerformance", options, _consumed),
            lambda topic: self.python("confluent-kafka + json", "confluent_receive", topic=topic, count=count),
            topic=lambda: contextlib.nullcontext(topic),
        )

    def pace(self, seconds):
        """Let harnesses keep a rate of 10,000 events/s."""
        own = {"bootstrap.servers": self.servers, "acks": "1", "enable.idempotence": "false"}
        settings = {**own, "linger.ms": self.arguments.linger}
        for name, role, partitions, precision in (
            ("core paced, default", "core_paced", PARTITIONS, "default"),
            ("core paced, default, 1 partition", "core_paced", 1, "default"),
            ("core paced, high", "core_paced", PARTITIONS, "high"),
            ("confluent-kafka paced", "confluent_paced", PARTITIONS, ""),
            ("confluent-kafka paced, 1 partition", "confluent_paced", 1, ""),
        ):
            topic = self.topic(partitions)
            self.python(
                name,
                role,
                topic=topic,
                partitions=partitions,
                rate=RATE,
                precision=precision,
                seconds=seconds,
                wake_s=WAKE_S,
                librdkafka=settings,
            )
            self.drop(topic)

    def floor(self, seconds, count):
        """Compare the transport floor at 100 events/s with Kafka's own EndToEndLatency, which sends one at a time."""
        topic, other = self.topic(), self.topic()
        settings = {"bootstrap.servers": self.servers, "acks": "1", "enable.idempotence": "false", "linger.ms": "0"}
        self.python(
            "core floor at 100/s",
            "core_paced",
            topic=topic,
            rate=100,
            precision="default",
            seconds=seconds,
            librdkafka=settings,
        )
        positional = [self.servers, other, str(count), "1", str(BYTES)]
        self.java("Java EndToEndLatency", "EndToEndLatency", positional, lambda text: _end_to_end(text, count))
        self.drop(topic, other)

    def large(self, count):
        topic = self.topic()
        # Plain records: what counts is the number of events, not their padding.
        self.python("core large", "core_large", topic=topic, count=count, bytes=None)
        self.drop(topic)

    def commands(self, count, turn):
        """Let the commands send: as fast as they can, then at 10,000 events/s."""
        in_turns(turn, *commands.contenders(self, count), topic=self.fresh)
        commands.paced(self, self.arguments.command_seconds)


def _produced(text, count):
    matches = re.findall(r"(\d+) records sent, ([\d.,]+) records/sec", text)
    records, rate = matches[-1]
    if int(records) != count:
        raise SystemExit(f"ProducerPerformance sent {records}: {text[-500:]}")
    return {"events": count, "seconds": count / float(rate.replace(",", ""))}


def _consumed(text):
    lines = [line.split(", ") for line in text.splitlines() if line.count(", ") >= 9]
    row = dict(zip([name.strip() for name in lines[0]], lines[1], strict=True))
    events = int(row["data.consumed.in.nMsg"])
    # Without the time that its group takes to form, which no other contender has.
    return {"events": events, "seconds": int(row["fetch.time.ms"]) / 1000}


def _end_to_end(text, count):
    average = float(re.findall(r"Avg latency: ([\d.]+) ms", text)[-1])
    percentiles = re.findall(r"50th = (\d+), 99th = (\d+)", text)[-1]
    return {
        "events": count,
        "seconds": average * count / 1000,
        "average_us": average * 1000,
        "p50_ms": int(percentiles[0]),
        "p99_ms": int(percentiles[1]),
    }


def in_turns(turn, *contenders, topic):
    """Run the contenders, another one first in each round, each with what `topic` gives it."""
    first = turn % len(contenders)
    for contender in (*contenders[first:], *contenders[:first]):
        with topic() as name:
            contender(name)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bare", type=Path, required=True, help="the bare librdkafka loop, built by cargo")
    parser.add_argument("--events", type=int, default=1_000_000, help="records of a fast contender in a round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10, help="length of a paced measurement")
    parser.add_argument("--command-seconds", type=float, default=30, help="length of a paced command")
    parser.add_argument("--linger-seconds", type=float, default=15, help="length of each run of the table of lingers")
    parser.add_argument("--large", type=int, default=10_000_000, help="events of the memory measurement")
    parser.add_argument("--linger", default="1", help="linger.ms of the paced clients at 10,000 events/s")
    parser.add_argument("--only", nargs="*", choices=[*PARTS, "linger"], default=PARTS, metavar="PART")
    parser.add_argument("--no-page", action="store_true", help="print only: neither page nor recording is written")
    return parser.parse_args()


def measure(bench):
    """Run the parts that were asked for."""
    arguments = bench.arguments
    # A cold broker is a slow one: it is warmed up by what it is going to do.
    filled = bench.topic()
    times = bench.python("warm-up", "core_produce", topic=filled, count=arguments.events)
    del bench.results["warm-up"]

    def throughput(turn):
        bench.produce(arguments.events, turn)
        bench.receive(filled, arguments.events, times, turn)

    if "throughput" in arguments.only:
        bench.in_rounds(throughput)
    bench.drop(filled)
    if "commands" in arguments.only:
        bench.in_rounds(functools.partial(bench.commands, arguments.events))
    for _ in range(arguments.rounds):
        if "paced" in arguments.only:
            bench.pace(arguments.seconds)
        if "floor" in arguments.only:
            bench.floor(arguments.seconds, 3_000)
        if "linger" in arguments.only:
            commands.lingers(bench, arguments.linger_seconds)
    if "large" in arguments.only:
        bench.large(arguments.large)


def _circumstances(arguments):
    machine = describe()
    settings = ", ".join(f"{key}={value}" for key, value in JAVA.items())
    return (
        f"made by `make bench` on {dt.datetime.now(dt.timezone.utc):%Y-%m-%d}. {machine.cpu}, {machine.cores} cores; "
        f"librdkafka {_core.librdkafka_version()}, Kafka 4.1.1; {arguments.rounds} rounds, {BYTES}-byte records, "
        f"{PARTITIONS} partitions; core and rivals at full speed with {settings}."
    )


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="rtmbench-bench-") as directory:
        work = Path(directory)
        (work / "state").mkdir()
        options = {"java": find_java(), "cache": Cache(), "logs": work / "logs", "state": work / "state"}
        with LocalPlatform(**options) as platform:
            bench = Bench(platform, arguments)
            measure(bench)
    fresh = {"made": dict.fromkeys(arguments.only, _circumstances(arguments)), "figures": bench.results}
    if arguments.no_page:
        print(tables(fresh))
        return
    # Parts that were not asked for keep their figures.
    recorded = json.loads(RECORDING.read_text(encoding="utf-8")) if RECORDING.exists() else {}
    recording = {key: recorded.get(key, {}) | fresh[key] for key in fresh}
    RECORDING.write_text(json.dumps(recording, indent=1) + "\n", encoding="utf-8")
    text = tables(recording)
    print(text)
    begin, end = MARKERS
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
