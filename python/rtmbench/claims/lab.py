"""Where Spark's claims are tried: one session, small topics, a load whose every event has its latency measured."""

from __future__ import annotations

import contextlib
import itertools
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtmbench import _core
from rtmbench.claims.model import BATCH_BOUND, FAILS, MICRO_BATCH, REAL_TIME, REFUSED, Latency, Observation
from rtmbench.spark.events import parse_events
from rtmbench.spark.failures import Failure
from rtmbench.spark.trigger import plan_of, real_time_trigger, trigger_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

PARTITIONS = 2
BATCH = "5 seconds"
BATCH_S = 5.0
RATE = 50.0
PROBE_RATE = 20.0
LOAD_S = 5.0
FIRST_OUTPUT_S = 30.0
DRAIN_S = 20.0
# Longer than a batch and its commit.
QUIET_US = 8_000_000
# Batches take 5 s, so that what waits for their end has a median of 2.5 s or more.
REAL_TIME_US = 1_000_000
POLL_S = 0.05
MESSAGE = 300
_PATH = re.compile(r"(?:file:)?(?:/[\w.@+-]+){2,}")
ALLOWLIST = "spark.sql.streaming.realTimeMode.allowlistCheck"
STATE_STORE = "spark.sql.streaming.stateStore.providerClass"
_STATE = "org.apache.spark.sql.execution.streaming.state"
ROCKSDB = f"{_STATE}.RocksDBStateStoreProvider"
HDFS = f"{_STATE}.HDFSBackedStateStoreProvider"


class Topics:
    """Fresh topics of one broker, and the load generator and latency consumer on them."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.servers = servers
        self._config = {"bootstrap.servers": servers}
        self._names = (f"{prefix}-{number}" for number in itertools.count(1))
        self._seeds = itertools.count(1)

    def create(self, partitions: int = PARTITIONS) -> str:
        """Make a topic and return its name."""
        name = next(self._names)
        _core.create_topics(self._config, [name], partitions=partitions)
        return name

    def count(self, topic: str) -> int:
        """Return how many records a topic has been given."""
        return sum(_core.end_offsets(self._config, topic))

    def consumer(self, topic: str, **config: str) -> _core.LatencyConsumer:
        """Start to receive a topic from its beginning."""
        consumer = _core.LatencyConsumer({**self._config, **config}, topic)
        consumer.start()
        return consumer

    def workload(self, keys: int = 100) -> _core.Workload:
        """Make a workload that shares no event with another one."""
        return _core.Workload(next(self._seeds), keys=keys)

    def generator(
        self, topic: str, workload: _core.Workload, *, rate: float, seconds: float | None = None, first: int = 0
    ) -> _core.Generator:
        """Start to send events; without `seconds` until it is stopped."""
        schedule = _core.Schedule.constant(rate)
        options: dict[str, Any] = {} if seconds is None else {"duration_s": seconds}
        config = {**self._config, "linger.ms": "0"}
        generator = _core.Generator(config, topic, workload, schedule, first_index=first, **options)
        generator.start()
        return generator


@dataclass
class Load:
    """What was sent to a query, and what it emitted."""

    sent: int
    received: int
    latency: Latency | None


@dataclass(kw_only=True)
class Lab:
    """One Spark session for many claims, one after the other."""

    spark: SparkSession
    topics: Topics
    scratch: Path
    log: Path
    """The log of this process and its JVM."""
    _number: Iterator[int] = field(default_factory=itertools.count)

    @property
    def jvm(self) -> Any:
        """The session's JVM."""
        return self.spark.sparkContext._jvm  # noqa: SLF001 - some claims are about the JVM

    def directory(self, name: str) -> Path:
        """Return the path of a directory that does not exist yet."""
        return self.scratch / f"{next(self._number)}-{name}"

    @contextlib.contextmanager
    def conf(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Have these SQL settings for a while."""
        before = {name: self.spark.conf.get(name, None) for name in settings}
        for name, value in settings.items():
            self.spark.conf.set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    self.spark.conf.unset(name)
                else:
                    self.spark.conf.set(name, value)

    def records(self, topic: str) -> DataFrame:
        """Read a topic as a stream of Kafka records."""
        return (
            self.spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", self.topics.servers)
            .option("subscribe", topic)
            .option("startingOffsets", "earliest")
            .load()
        )

    def events(self, topic: str) -> DataFrame:
        """Read a topic as a stream of events, with their event time as `time`."""
        from pyspark.sql.functions import col, timestamp_millis

        return parse_events(self.records(topic)).withColumn("time", timestamp_millis(col("produced_at")))

    def to_kafka(self, rows: DataFrame, topic: str, *, checkpoint: Path | None = None) -> DataStreamWriter:
        """Prepare to write rows as JSON, keyed by `key`."""
        from pyspark.sql.functions import struct, to_json

        return (
            rows.select("key", to_json(struct("*")).alias("value"))
            .writeStream.format("kafka")
            .option("kafka.bootstrap.servers", self.topics.servers)
            .option("kafka.linger.ms", "0")
            .option("topic", topic)
            .option("checkpointLocation", str(checkpoint or self.directory("checkpoint")))
        )

    @contextlib.contextmanager
    def running(self, writer: DataStreamWriter, *, interval: str | None = BATCH) -> Iterator[StreamingQuery]:
        """Start a query in Real-Time Mode, or without `interval` in micro-batches, and stop it in the end."""
        if interval is None:
            query = writer.trigger(processingTime="0 seconds").start()
        else:
            query = real_time_trigger(writer, interval).start()
        try:
            yield query
        finally:
            # A query that cannot be stopped has failed already, and that is what is reported.
            with contextlib.suppress(Exception):
                query.stop()

    def probe(
        self,
        build: Callable[[DataFrame], DataFrame],
        *,
        unchecked: bool = False,
        interval: str | None = BATCH,
        mode: str = "update",
        conf: Mapping[str, str] | None = None,
        expected: Callable[[int], int] = lambda sent: sent,
        keys: int = 100,
        rate: float = RATE,
    ) -> Observation:
        """Run the query that `build` makes of the events under load; report how it ran, or why it did not.

        Each event has to give one result with its `key` and its `scheduled_at_us`, or as many as `expected` returns.
        """
        source, sink = self.topics.create(), self.topics.create()
        try:
            writer = self.to_kafka(build(self.events(source)), sink).outputMode(mode)
        except Exception as error:  # noqa: BLE001 - a refusal may come as soon as the query is written down
            return refusal(error)
        return self.observe(
            writer,
            source,
            sink,
            unchecked=unchecked,
            interval=interval,
            conf=conf,
            expected=expected,
            keys=keys,
            rate=rate,
        )

    def observe(
        self,
        writer: DataStreamWriter,
        source: str,
        sink: str,
        *,
        unchecked: bool = False,
        interval: str | None = BATCH,
        conf: Mapping[str, str] | None = None,
        expected: Callable[[int], int] = lambda sent: sent,
        keys: int = 100,
        rate: float = RATE,
        also: Callable[[_core.Workload], object] = lambda _: None,
    ) -> Observation:
        """As `probe`, for a writer that exists already; `also` is called with the workload before the load."""
        settings = {**(conf or {}), **({ALLOWLIST: "false"} if unchecked else {})}
        with self.conf(settings):
            try:
                with self.running(writer, interval=interval) as query:
                    workload = self.topics.workload(keys)
                    also(workload)
                    load = self.load(query, source, sink, workload, expected=expected, rate=rate)
                    failure = Failure.of_query(query) if query.exception() is not None else None
                    # Between two batches there is no plan to read it from, and results may arrive just then.
                    real_time = failure is None and (
                        interval is None or wait(lambda: in_real_time_mode(query), BATCH_S)
                    )
            except Exception as error:  # noqa: BLE001 - whatever Spark throws is the observation
                return refusal(error)
        if failure is not None:
            return failed(failure)
        return verdict_on(load, expected(load.sent), interval=interval, real_time=real_time)

    def load(
        self,
        query: StreamingQuery,
        source: str,
        sink: str,
        workload: _core.Workload,
        *,
        expected: Callable[[int], int] = lambda sent: sent,
        rate: float = RATE,
        seconds: float = LOAD_S,
    ) -> Load:
        """Send events until one has come through, then measure some seconds of load, and wait for what is missing.

        Ends early where the query fails.
        """
        consumer = self.topics.consumer(sink)
        try:
            first = self.topics.generator(source, workload, rate=PROBE_RATE)
            try:
                wait(lambda: consumer.snapshot().received > 0 or not query.isActive, FIRST_OUTPUT_S)
            finally:
                first.stop()
                sent = first.join(10).generated
            if query.isActive and consumer.snapshot().received:
                # What still arrives of the first events was delayed by the start and must not be measured.
                drain(consumer, query, expected(sent))
                consumer.reset_live()
                generator = self.topics.generator(source, workload, rate=rate, seconds=seconds, first=sent)
                sent += generator.join(seconds + 30).generated
                drain(consumer, query, expected(sent))
            time.sleep(3 * POLL_S)
            snapshot = consumer.snapshot()
            latency = None
            if snapshot.live_count:
                latency = Latency(count=snapshot.live_count, p50=snapshot.p50_us, p99=snapshot.p99_us)
            return Load(sent=sent, received=snapshot.received, latency=latency)
        finally:
            consumer.stop()
            consumer.join(10)


def in_real_time_mode(query: StreamingQuery) -> bool:
    """Return whether a query's running batch is one of Real-Time Mode; its records need not stream all the way."""
    return trigger_of(query).startswith("RealTimeTrigger") and "RealTimeStreamScan" in plan_of(query)


def drain(consumer: _core.LatencyConsumer, query: StreamingQuery, expected: int) -> None:
    """Wait for results until all are there, or the query has ended, or none has come for longer than a batch takes."""
    since = _core.now_us()

    def done() -> bool:
        snapshot = consumer.snapshot()
        quiet_us = _core.now_us() - max(since, snapshot.newest_received_us)
        return snapshot.received >= expected or quiet_us > QUIET_US or not query.isActive

    wait(done, DRAIN_S)


def wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until a condition holds; return whether it did in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True


def verdict_on(load: Load, expected: int, *, interval: str | None, real_time: bool) -> Observation:
    """Describe how a query ran, by what it emitted."""
    if load.received != expected or load.latency is None:
        detail = f"{load.received:,} of {expected:,} results were received"
        return Observation(verdict="incomplete", detail=detail, latency=load.latency)
    detail = f"{load.received:,} results of {load.sent:,} events"
    if interval is None:
        verdict = MICRO_BATCH
    elif not real_time:
        verdict = "not in Real-Time Mode"
    else:
        verdict = REAL_TIME if load.latency.p50 < REAL_TIME_US else BATCH_BOUND
    return Observation(verdict=verdict, detail=detail, latency=load.latency)


def refusal(error: BaseException) -> Observation:
    """Describe an exception that kept a query from starting, in the engine's words."""
    # What Spark throws at once is a refusal, whatever it calls it; what is not Spark's is a failure of the experiment.
    return failed(Failure.of(error), refused=type(error).__module__.startswith("pyspark.errors"))


def failed(failure: Failure, *, refused: bool = False) -> Observation:
    """Describe a failure in the engine's words."""
    verdict = REFUSED if refused or failure.refused else FAILS
    message = _PATH.sub("(a path)", " ".join(failure.message.split()))
    return Observation(verdict=verdict, code=failure.code, detail=message[:MESSAGE])


__all__ = ["ALLOWLIST", "BATCH", "HDFS", "ROCKSDB", "STATE_STORE", "Lab", "Load", "Topics", "failed", "refusal", "wait"]
