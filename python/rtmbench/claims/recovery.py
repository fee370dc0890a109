"""Claims about what happens when slots are missing, a driver is killed, or nobody sets an address."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import psutil

from rtmbench import _core
from rtmbench.claims.bench import facts_of
from rtmbench.claims.lab import wait
from rtmbench.claims.model import Family, NotObservableError, Observation
from rtmbench.claims.stateless import everywhere
from rtmbench.errors import RunFailedError
from rtmbench.patterns import pipelines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rtmbench.claims.bench import Bench
    from rtmbench.claims.lab import Lab
    from rtmbench.platform.process import Process

FAMILY = Family()
RUNNING_S = 60.0
KILL_RATE = 500.0


@FAMILY.claim(
    id="starved-partitions",
    statement="With fewer slots than input partitions, the partitions above are not read, and nothing says so.",
    engine="spark",
    expected=everywhere("starves silently"),
    method="2 slots, 4 partitions, 5 s batches, 20 s: results against events, and whether the query runs on.",
    slots=2,
)
def starved_partitions(lab: Lab) -> Observation:
    """Read four partitions with two slots."""
    source, sink = lab.topics.create(4), lab.topics.create(4)
    with lab.running(lab.to_kafka(lab.events(source), sink).outputMode("update")) as query:
        generator = lab.topics.generator(source, lab.topics.workload(), rate=100, seconds=10)
        sent = generator.join(30).acked
        time.sleep(10)
        received, active = lab.topics.count(sink), query.isActive and query.exception() is None
    starves = active and received < 0.75 * sent
    detail = f"{received} of {sent} events were received in 20 s, query {'active' if active else 'ended'}"
    return Observation(verdict="starves silently" if starves else "reads all", detail=detail)


@FAMILY.claim(
    id="kill-duplicates",
    statement="Spark's Kafka sink is at-least-once: after kill -9 nothing is lost, and whole batches come twice.",
    engine="spark",
    expected=everywhere("duplicates, nothing lost"),
    method="Pattern 01 at 500 events/s with 5 s batches, kill -9 of driver and Python within a batch, a restart on the "
    "same checkpoint: the oracle counts what is missing, altered or unexpected, and what is there twice. A repetition "
    "is legal for an unaltered event between the last committed offset and the kill.",
    alone=True,
    timeout_s=180,
)
def kill_duplicates(bench: Bench) -> Observation:
    """Kill the driver within a batch and start it again."""
    topics, platform = bench.topics, bench.platform
    source, sink = topics.create(), topics.create()
    workload = topics.workload()
    state = platform.scratch("kill")
    spool = state / "spool"
    consumer = _core.LatencyConsumer({"bootstrap.servers": topics.servers}, sink, spool=spool)
    consumer.start()
    process, work = _passthrough(bench, source, sink, state / "checkpoint")
    _await_running(process, work)
    generator = topics.generator(source, workload, rate=KILL_RATE)
    wait(lambda: consumer.snapshot().received > 0, RUNNING_S)
    # Into the second batch or a later one, away from its boundary.
    wait(lambda: _batches(work) >= 1, 30)
    time.sleep(3)
    _kill(process)
    killed_us = _core.now_us()
    platform.stop(process)
    committed = committed_offsets(state / "checkpoint", source)
    second, work = _passthrough(bench, source, sink, state / "checkpoint")
    try:
        _await_running(second, work)
        time.sleep(3)
    except RunFailedError as error:
        code = facts_of(work).get("error", {}).get("code", "")
        generator.stop()
        generator.join(10)
        consumer.stop()
        consumer.join(10)
        return Observation(verdict="fails", code=code or "UNKNOWN", detail=str(error)[:300])
    generator.stop()
    report = generator.join(10)
    expected_count = _core.expected_outputs("01", workload, first=0, count=report.generated) or 0
    wait(lambda: topics.count(sink) >= expected_count and _quiet(consumer), 30)
    platform.stop(second, grace_s=5)
    consumer.stop()
    consumer.join(10)
    end = _core.now_us()
    config = {"bootstrap.servers": topics.servers}
    verdict = _core.verify(
        "01",
        config,
        input_topic=source,
        output_topic=sink,
        spool=spool,
        workload=workload,
        measure=(report.start_us, end),
        deadline_us=end,
        restarts=restart_window(config, source, committed, killed_us),
    )
    counts, legal = verdict.counts, verdict.legal_duplicates
    detail = f"{counts['duplicate']} of {counts['expected']} results twice, {counts['missing']} missing"
    if not verdict.correct:
        detail += (
            f", {counts['wrong']} wrong, {counts['unexpected']} unexpected, {counts['duplicate'] - legal} repetitions "
            "of what was committed before the kill"
        )
    outcome = after_a_kill(
        missing=counts["missing"],
        altered=counts["wrong"] + counts["unexpected"],
        duplicate=counts["duplicate"],
        legal_duplicates=legal,
    )
    return Observation(verdict=outcome, detail=detail)


def after_a_kill(*, missing: int, altered: int, duplicate: int, legal_duplicates: int) -> str:
    """Return what a crash did to the output, by the oracle's counts; the worst of it."""
    if altered:
        return "alters"
    if missing:
        return "loses"
    if duplicate > legal_duplicates:
        return "repeats what was committed"
    return "duplicates, nothing lost" if duplicate else "exactly once"


def committed_offsets(checkpoint: Path, topic: str) -> dict[int, int]:
    """Return the next offset of each partition after the last batch that a checkpoint has committed; none before it."""
    commits = [int(path.name) for path in (checkpoint / "commits").glob("*") if path.name.isdigit()]
    if not commits:
        return {}
    next_offsets: dict[int, int] = {}
    for line in (checkpoint / "offsets" / str(max(commits))).read_text(encoding="utf-8").splitlines():
        if line.startswith("{"):
            next_offsets.update(_offsets_of(json.loads(line), topic))
    return next_offsets


def _offsets_of(document: Any, topic: str) -> dict[int, int]:
    """Find a topic's offsets, however deep; versions of the log put them at different places."""
    if isinstance(document, str) and document.startswith("{"):
        document = json.loads(document)
    if not isinstance(document, dict):
        return {}
    if isinstance(document.get(topic), dict):
        return {int(partition): int(offset) for partition, offset in document[topic].items()}
    return {partition: at for value in document.values() for partition, at in _offsets_of(value, topic).items()}


def restart_window(
    config: Mapping[str, str], topic: str, committed: Mapping[int, int], killed_us: int
) -> list[tuple[int, int]]:
    """Return the intended times, µs, whose events may be emitted twice: from the first one that was not committed.

    An event intended for a time after the kill cannot have been processed before it. Where all events until the kill
    were committed, there is no such window.
    """
    ends = _core.end_offsets(config, topic)
    starts = [committed.get(partition, 0) for partition in range(len(ends))]
    rest = (
        json.loads(value or b"")["scheduled_at_us"]
        for _, _, _, value, _ in _core.read_topic(config, topic, from_offsets=starts)
    )
    first = min(rest, default=killed_us)
    return [(first, killed_us)] if first < killed_us else []


def _passthrough(bench: Bench, source: str, sink: str, checkpoint: Path) -> tuple[Process, Path]:
    """Start pattern 01."""
    facts = bench.platform.scratch("facts")
    variables = {
        "RTMBENCH_INPUT_TOPIC": source,
        "RTMBENCH_OUTPUT_TOPIC": sink,
        "RTMBENCH_CHECKPOINT_DIR": checkpoint.as_uri(),
        "RTMBENCH_CHECKPOINT_INTERVAL": "5 seconds",
        "RTMBENCH_FACTS": str(facts / "facts.json"),
        "RTMBENCH_PROGRESS": str(facts / "progress.jsonl"),
    }
    process, _ = bench.spark("killed", [str(pipelines.locate("01", "spark"))], slots=2, variables=variables)
    return process, facts


def _await_running(process: Process, facts: Path) -> None:
    """Wait until the pipeline reports that it runs. Raises RunFailedError where it ends or does not report it."""
    wait(lambda: process.poll() is not None or facts_of(facts).get("state") == "running", RUNNING_S)
    process.check()
    if facts_of(facts).get("state") != "running":
        raise RunFailedError(f"The pipeline did not run within {RUNNING_S:.0f} s (log: {process.log}).")


def _batches(facts: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        lines = (facts / "progress.jsonl").read_text(encoding="utf-8").splitlines()
        return sum(1 for line in lines if json.loads(line)["numInputRows"])
    return 0


def _quiet(consumer: _core.LatencyConsumer) -> bool:
    return _core.now_us() - consumer.snapshot().newest_received_us > 2_000_000  # noqa: PLR2004 - µs


def _kill(process: Process) -> None:
    """Send SIGKILL to the driver's JVM and its Python, JVM first."""
    assert process.pid is not None  # noqa: S101 - it runs
    children = psutil.Process(process.pid).children(recursive=True)
    for pid in [*(child.pid for child in children if child.name() == "java"), process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait(lambda: process.poll() is not None, 10)


# Asks a JVM without a Spark context, so that nothing but Py4J's gateway on the loopback address is opened.
_ADDRESSES = """
import json, os
os.environ.pop("SPARK_LOCAL_IP"); os.environ.pop("SPARK_LOCAL_HOSTNAME")
from pyspark.java_gateway import launch_gateway
jvm = launch_gateway().jvm
config = getattr(getattr(jvm.org.apache.spark.internal.config, "package$"), "MODULE$")
ui = getattr(getattr(jvm.org.apache.spark.internal.config, "UI$"), "MODULE$")
utils = getattr(getattr(jvm.org.apache.spark.util, "Utils$"), "MODULE$")
print("addresses=" + json.dumps({
    "driver": utils.localCanonicalHostName(),
    "ui": ui.UI_ENABLED().defaultValueString(),
    "port": ui.UI_PORT().defaultValueString(),
}), flush=True)
os._exit(0)
"""


@FAMILY.claim(
    id="default-addresses",
    statement="Without settings, Spark's driver listens on an outer address of the machine, and its web page is on.",
    engine="spark",
    expected=everywhere("outer address"),
    method="The defaults for the driver's host and the web page, read in a JVM that opens no port on them.",
    alone=True,
)
def default_addresses(bench: Bench) -> Observation:
    """Read the addresses that Spark would use, without opening a port on them."""
    outer = {
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family.name == "AF_INET" and not address.address.startswith("127.")
    }
    if not outer:
        raise NotObservableError("this machine has no address but the loopback's")
    process, _ = bench.spark("addresses", ["-c", _ADDRESSES])
    wait(lambda: process.poll() is not None, RUNNING_S)
    text = process.log.read_text(encoding="utf-8", errors="replace")
    documents = [line.removeprefix("addresses=") for line in text.splitlines() if line.startswith("addresses=")]
    if not documents:
        raise RunFailedError(f"Spark did not report its default addresses (log: {process.log}).")
    addresses = json.loads(documents[0])
    reachable = not addresses["driver"].startswith(("127.", "localhost")) and addresses["ui"] == "true"
    # The address itself is the machine's affair and stays out of a result.
    kind = "an outer address" if reachable else "a loopback address"
    detail = f"driver on {kind}, web page on port {addresses['port']} {'on' if addresses['ui'] == 'true' else 'off'}"
    return Observation(verdict="outer address" if reachable else "loopback", detail=detail)


__all__ = ["FAMILY", "after_a_kill", "committed_offsets", "restart_window"]
