"""Claims about the shuffle that streams, and the Kafka client that Spark brings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rtmbench.claims.lab import wait
from rtmbench.claims.model import Family, Observation
from rtmbench.claims.stateful import counted
from rtmbench.claims.stateless import everywhere
from rtmbench.errors import RunFailedError

if TYPE_CHECKING:
    from rtmbench.claims.bench import Bench
    from rtmbench.claims.lab import Lab

FAMILY = Family()
WAIT = "spark.shuffle.streaming.networkBufferMaxWaitTimeMs"
SESSION_S = 240.0
# Two input partitions and 16 shuffle partitions on 8 slots.
MANY = "16"


@FAMILY.claim(
    id="shuffle-buffer-wait",
    statement=f"The streaming shuffle holds records back for up to `{WAIT}`, the twin of Flink's buffer timeout.",
    engine="spark",
    expected={"4.3": "holds"},
    method="The claim `aggregate` in a session with the setting at 400 ms and in one with 5 ms: the medians differ by "
    "100 ms or more.",
    alone=True,
)
def shuffle_buffer_wait(bench: Bench) -> Observation:
    """Compare a long wait with a short one."""
    medians = []
    for wait_ms in (400, 5):
        observation = _aggregate(bench, wait_ms)
        if observation.latency is None:
            return observation
        medians.append(observation.latency.p50)
    slow, fast = medians
    detail = f"median {slow / 1000:.1f} ms at 400 ms, {fast / 1000:.1f} ms at 5 ms"
    return Observation.judged(slow - fast >= 100_000, detail)  # noqa: PLR2004 - as in the claim's method


def _aggregate(bench: Bench, wait_ms: int) -> Observation:
    """Observe the claim `aggregate` in a session with this setting, which Spark's core reads at its start."""
    file = bench.platform.scratch("wait") / "outcomes.jsonl"
    arguments = ["-m", "rtmbench.claims.session", str(file), "aggregate"]
    process, _ = bench.spark(f"wait-{wait_ms}", arguments, settings={WAIT: str(wait_ms)})
    try:
        wait(lambda: process.poll() is not None, SESSION_S)
    finally:
        bench.platform.stop(process)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    ends = [document for document in map(json.loads, lines) if "observation" in document]
    if not ends:
        raise RunFailedError(f"The session with {wait_ms} ms observed nothing (log: {process.log.name}).")
    return Observation.read(ends[0]["observation"])


@FAMILY.claim(
    id="shuffle-slots",
    statement="A query whose shuffle streams needs slots for its input and its shuffle partitions at once, and fails "
    "without them.",
    engine="spark",
    expected={"4.3": "fails CONCURRENT_SCHEDULER_INSUFFICIENT_SLOT"},
    method=f"A count by key with {MANY} shuffle partitions on 8 slots: what Spark says.",
)
def shuffle_slots(lab: Lab) -> Observation:
    """Ask for more shuffle partitions than slots."""
    return lab.probe(counted, conf={"spark.sql.shuffle.partitions": MANY})


@FAMILY.claim(
    id="spark-client-linger",
    statement="The Kafka client that Spark brings is older than 4.0 and does not wait for more records by default.",
    engine="spark",
    expected=everywhere("0 ms"),
    method="The default of `linger.ms` in the producer on Spark's class path.",
)
def spark_client_linger(lab: Lab) -> Observation:
    """Read the default of linger.ms."""
    kafka = lab.jvm.org.apache.kafka
    value = kafka.clients.producer.ProducerConfig.configDef().defaultValues().get("linger.ms")
    version = kafka.common.utils.AppInfoParser.getVersion()
    return Observation(verdict=f"{value} ms", detail=f"kafka-clients {version}")


__all__ = ["FAMILY"]
