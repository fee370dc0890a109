"""The latency of a custom query: started unchanged, and measured where its results arrive."""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.errors import ConfigurationError, RtmbenchError, RunFailedError
from rtmbench.formatting import milliseconds, plural
from rtmbench.spark.failures import Failure
from rtmbench.spark.trigger import plan_of, streams, trigger_of
from rtmbench.timestamps import HOUR_US, MOST, Clock, recognised, too_old

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import TextIO

    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery
    from typing_extensions import Self

QUIET_S = 0.3
"""How long nothing must arrive after the query's end until the measurement ends, too."""
SETTLE_S = 5.0
"""How long that is waited for: another writer may go on indefinitely."""
WIND_UP_S = 5.0
SECOND_US = 1_000_000
PERCENTILES = (("p50", 50.0, 2), ("p95", 95.0, 20), ("p99", 99.0, 100), ("p99.9", 99.9, 1000))
"""And from how many samples on each is more than another word for their maximum."""


def measured(
    writer: DataStreamWriter,
    output_topic: str,
    timestamp_field: str,
    *,
    bootstrap_servers: str,
    kafka_properties: Mapping[str, str] | None = None,
    threads: int = 1,
) -> Measured:
    """Start a query that writes to Kafka, and measure how old its results are when they arrive in its topic.

    The query runs just as `writer.start()` runs it, with its trigger. In addition, a latency consumer in this
    process reads the topic from its end on. A record's latency is the time of its receipt here minus the time stamp
    that it carries: what the whole way from there to a reader of the topic takes, Kafka on both sides included. The
    clocks of this machine and of whatever stamps the events must agree.

    PySpark does not show where a writer writes to, so topic and servers are named once more. Whatever else arrives in
    the topic is measured, too.

    Args:
        writer: a `DataStreamWriter` that is ready for its `start()`, with Kafka as its sink.
        output_topic: the topic that it writes to; it exists already.
        timestamp_field: the field of the records' JSON to measure from, with dots between names for one in another: a
            number since the Unix epoch in s, ms, µs or ns, which shows in its size, or an ISO 8601 text. Let the query
            pass on the time stamp of (the newest of) its input.
        bootstrap_servers: the Kafka of the topic.
        kafka_properties: what else this process needs to read from it, as for TLS and SASL, in librdkafka's
            names.
        threads: they share the partitions.

    Raises:
        ConfigurationError: no writer, or a Kafka property that does not exist.
        KafkaError: the topic does not exist, or its brokers do not answer. The query was not started.

    Whatever `writer.start()` raises ends the measurement and is raised on.

    """
    from rtmbench.kafka.clients import harness_consumer  # noqa: PLC0415 - a query that is not measured does without
    from rtmbench.kafka.connection import Connection  # noqa: PLC0415 - as above
    from rtmbench.kafka.properties import redact  # noqa: PLC0415 - as above

    if not callable(getattr(writer, "start", None)):
        raise ConfigurationError(
            f"measured() takes a DataStreamWriter, as `df.writeStream…` returns it before its start(), not"
            f" {type(writer).__name__}. It starts the query itself, after its consumer."
        )
    config = {
        **harness_consumer(Connection(bootstrap_servers=bootstrap_servers)),
        **(kafka_properties or {}),
        "bootstrap.servers": bootstrap_servers,
    }
    try:
        consumer = _core.LatencyConsumer(
            config, output_topic, timestamp_field=timestamp_field, threads=threads, from_end=True
        )
        consumer.start()
    except ValueError as error:
        raise ConfigurationError(redact(str(error), config)) from None
    except _core.KafkaError as error:
        raise _core.KafkaError(
            f"{redact(str(error), config)}. The query was not started: its output topic must exist before, and"
            " bootstrap_servers must be the Kafka that the query writes to."
        ) from None
    try:
        query = writer.start()
    except BaseException:
        consumer.stop()
        raise
    return Measured(query, consumer, output_topic, timestamp_field)


@dataclass(frozen=True)
class _Counters:
    received: int = 0
    malformed: int = 0
    negative: int = 0
    at_us: int = 0

    def since(self, before: _Counters) -> _Counters:
        return _Counters(
            self.received - before.received,
            self.malformed - before.malformed,
            self.negative - before.negative,
            self.at_us - before.at_us,
        )


class Measured:
    """A running query and the latency of what it writes. Printed, it is the figures until now.

    As a context manager it stops the query at the end of the block; the figures stay.
    """

    query: StreamingQuery
    """PySpark's query, as `writer.start()` returned it."""
    output_topic: str
    timestamp_field: str

    def __init__(
        self, query: StreamingQuery, consumer: _core.LatencyConsumer, output_topic: str, timestamp_field: str
    ) -> None:
        self.query = query
        self.output_topic = output_topic
        self.timestamp_field = timestamp_field
        self._consumer = consumer
        self._total = _core.Histogram()
        self._before = _Counters(at_us=_core.now_us())
        self._end: _Counters | None = None
        self._mode = ""

    @property
    def resolution_us(self) -> int:
        """How fine the time stamps are, µs: 1000 for a field in ms, whose latencies are good to 1 ms.

        It shows in the records that have arrived; 1 before the first.
        """
        return self._consumer.resolution_us() or 1

    @property
    def received(self) -> int:
        """How many records have arrived since the start, or since `reset()`."""
        return self._now().received

    def latency(self) -> _core.Histogram:
        """Return the latencies of what has arrived since the start, or since `reset()`, µs.

        Raises ConfigurationError where records have arrived and none carries the time stamp: it names the field and
        shows one of them. RunFailedError where nothing has arrived yet, with what became of the query, and where more
        than half of the records arrived before their time stamp, since the clocks disagree then; KafkaError where the
        consumer lost its brokers.
        """
        # A consumer that has failed raises here.
        with contextlib.suppress(TimeoutError):
            self._consumer.join(0)
        now, histogram = self._now(), self._histogram()
        problem = self._problem(now, histogram)
        if problem is not None:
            raise problem
        return histogram

    def reset(self) -> None:
        """Leave out what has arrived until now, such as a warm-up, or the age of a backlog."""
        self._before = self._read()
        self._consumer.reset_live()
        self._total = _core.Histogram()

    def follow(self, seconds: float | None = None, *, file: TextIO | None = None) -> None:
        """Print a line about each second to `file` (standard error), for so long or until the query ends.

        Raises PySpark's StreamingQueryException where the query fails, and KafkaError where the consumer does.
        """
        start = time.monotonic()
        # A line is of what arrives from here on.
        self._histogram()
        before, ended = self._now(), False
        while not ended and (seconds is None or time.monotonic() < start + seconds):
            left = 1.0 if seconds is None else min(1.0, start + seconds - time.monotonic())
            ended = bool(self.query.awaitTermination(max(0.01, left)))
            with contextlib.suppress(TimeoutError):
                self._consumer.join(0)
            second = self._consumer.take_live()
            self._total.merge(second)
            now = self._now()
            new, before = now.since(before), now
            shown = [f"{time.monotonic() - start:4.0f} s", f"{second.count:,} records"]
            if new.negative > MOST * second.count:
                shown.append("most arrived before their time stamp: the clocks disagree")
            else:
                shown += _figures(second)
            if new.malformed:
                shown.append(f"{new.malformed:,} without {self.timestamp_field}")
            print(" · ".join(shown), file=file or sys.stderr, flush=True)

    def stop(self) -> None:
        """Stop the query, receive what is still on its way, and end the measurement; the figures stay.

        Called again it does nothing. Raises KafkaError where the consumer lost its brokers.
        """
        if self._end is not None:
            return
        self._mode = self._mode_now()
        end_us = _core.now_us()
        try:
            if self.query.isActive:
                self.query.stop()
        finally:
            self._settle()
            self._consumer.stop()
            self._consumer.join(WIND_UP_S)
            now = self._read()
            self._end = _Counters(now.received, now.malformed, now.negative, end_us)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        head, figures, notes = self._summary()
        figures_text = " · ".join(figures)
        lines = [
            head,
            f"latency from {self.timestamp_field} to receipt: {figures_text}" if figures_text else "",
            *notes,
        ]
        return "\n".join(line for line in lines if line)

    def _repr_html_(self) -> str:
        head, figures, notes = self._summary()
        cells = [figure.partition(" ") for figure in figures]
        names = "".join(f"<th>{name}</th>" for name, _, _ in cells)
        texts = "".join(f"<td>{text}</td>" for _, _, text in cells)
        caption = f"{escape(head)}<br>latency from {escape(self.timestamp_field)} to receipt"
        table = f"<table><caption>{caption}</caption><tr>{names}</tr><tr>{texts}</tr></table>" if cells else ""
        items = "".join(f"<li>{escape(note)}</li>" for note in ([] if cells else [head]) + notes)
        return table + (f"<ul>{items}</ul>" if items else "")

    def _histogram(self) -> _core.Histogram:
        self._total.merge(self._consumer.take_live())
        histogram = _core.Histogram()
        histogram.merge(self._total)
        return histogram

    def _read(self) -> _Counters:
        now = self._consumer.snapshot()
        return _Counters(now.received, now.malformed, now.negative, _core.now_us())

    def _now(self) -> _Counters:
        return (self._end or self._read()).since(self._before)

    def _settle(self) -> None:
        deadline = time.monotonic() + SETTLE_S
        previous = -1
        while (now := self._consumer.snapshot().received) != previous and time.monotonic() < deadline:
            previous = now
            time.sleep(QUIET_S)

    def _summary(self) -> tuple[str, list[str], list[str]]:
        """Return the line above the figures, the figures, and the notes about them."""
        now = self._now()
        records = f"{self.output_topic}: {plural(now.received, 'record')} in {now.at_us / SECOND_US:.1f} s"
        head = " · ".join(filter(None, [records, self._mode or self._mode_now()]))
        histogram = self._histogram()
        problem = self._problem(now, histogram)
        if problem is not None:
            return head, [], [str(problem)]
        return head, _figures(histogram), list(self._notes(now, histogram))

    def _notes(self, now: _Counters, histogram: _core.Histogram) -> Iterator[str]:
        yield self._recognised()
        if now.malformed:
            yield (
                f"{plural(now.malformed, 'record')} without a time stamp {self.timestamp_field}, in no figure; such as"
                f" {self._sample()}"
            )
        if histogram.max >= HOUR_US:
            yield "a record older than 1 h counts as 1 h: a backlog, or the field is not the creation time of the event"
        warning = self._clock(histogram).warning()
        if warning is not None:
            yield warning

    def _problem(self, now: _Counters, histogram: _core.Histogram) -> RtmbenchError | None:
        """Return why no figure is available; None if figures are available."""
        if now.received == 0:
            return RunFailedError(
                f"Nothing has arrived in {self.output_topic} in {now.at_us / SECOND_US:.1f} s. "
                f"{self._stop_reason()} Check that its input flows, and that it writes to this topic of this Kafka."
            )
        if histogram.count and histogram.min >= HOUR_US:
            old = too_old(self.timestamp_field, self._consumer.units(), self.output_topic)
            return ConfigurationError(f"{old}; reset() discards the records so far.")
        if histogram.count == 0:
            return ConfigurationError(
                f"No time stamp {self.timestamp_field!r} in the output: {plural(now.received, 'record')} arrived in"
                f" {self.output_topic}, and none can be timed. Such as {self._sample()}. Make the query pass on when"
                " (the newest of) its input was created, as a field of its JSON value (epoch s, ms, µs or ns, or ISO"
                " 8601 text), or name another field."
            )
        disagreement = self._clock(histogram).problem()
        return None if disagreement is None else RunFailedError(disagreement)

    def _clock(self, histogram: _core.Histogram) -> Clock:
        return Clock.of(histogram, self._consumer.ahead())

    def _recognised(self) -> str:
        return recognised(self.timestamp_field, self._consumer.units(), self._consumer.resolution_us())

    def _sample(self) -> str:
        samples = self._consumer.malformed_samples()
        return samples[0] if samples else "none was kept"

    def _stop_reason(self) -> str:
        try:
            if self.query.isActive:
                return "The query runs."
            if self.query.exception() is None:
                return "The query has ended."
            # PySpark's own text holds the query's plan, and with it the options of its Kafka and their secrets.
            return f"The query has failed: {Failure.of_query(self.query).message}"
        except Exception:  # noqa: BLE001 - a session that is gone, or without a JVM, must not hide the message
            return "The state of the query is unknown here."

    def _mode_now(self) -> str:
        try:
            trigger = trigger_of(self.query)
            if not trigger.startswith("RealTimeTrigger"):
                return "micro-batches" if trigger.startswith(("ProcessingTime", "AvailableNow", "OneTime")) else trigger
            plan = plan_of(self.query)
        except Exception:  # noqa: BLE001 - as in `_stop_reason`
            return ""
        if not plan:
            return "Real-Time Mode requested, no batch planned yet"
        return "Real-Time Mode" if streams(plan) else "real-time trigger, but its operators wait for the end of a batch"


def _figures(histogram: _core.Histogram) -> list[str]:
    """Give each percentile that the samples are enough for, and the greatest of them."""
    if histogram.count == 0:
        return []
    enough = [(name, q) for name, q, least in PERCENTILES if histogram.count >= least]
    values = [*((name, histogram.percentile(q)) for name, q in enough), ("max", histogram.max)]
    return [f"{name} {'≥ ' if us >= HOUR_US else ''}{milliseconds(us)} ms" for name, us in values]


__all__ = ["Measured", "measured"]
