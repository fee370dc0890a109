"""Claims about Flink, and about the Kafka client's defaults."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rtmbench.claims.model import BATCH_BOUND, REAL_TIME, Family, Observation

if TYPE_CHECKING:
    from rtmbench.claims.bench import Bench

FAMILY = Family()
FLINK = ("1.20", "2.2")


def _flink(expected: str) -> dict[str, str]:
    return dict.fromkeys(FLINK, expected)


@FAMILY.claim(
    id="flink-stateless",
    statement="Flink runs a query without state event by event.",
    engine="flink",
    feature="filter and projection",
    expected=_flink(REAL_TIME),
    method="A projection, Kafka to Kafka, under load: the median latency of its events.",
    alone=True,
)
def stateless(bench: Bench) -> Observation:
    """Pass events through."""
    return bench.flink_probe("stateless")


@FAMILY.claim(
    id="flink-keyed-state",
    statement="Custom keyed state in Flink gives a result for each event.",
    engine="flink",
    feature="custom state",
    expected=_flink(REAL_TIME),
    method="A KeyedProcessFunction with a ValueState under load: one result an event, and their latency.",
    alone=True,
)
def keyed_state(bench: Bench) -> Observation:
    """Count by key."""
    return bench.flink_probe("keyed-state")


@FAMILY.claim(
    id="flink-window-each-event",
    statement="With a trigger that fires on each element, a Flink window gives a running result for each event.",
    engine="flink",
    feature="tumbling window",
    expected=_flink(REAL_TIME),
    method="Tumbling windows of 2 s with such a trigger under load: one result an event, and their latency.",
    alone=True,
)
def window_each_event(bench: Bench) -> Observation:
    """Count in windows, event by event."""
    return bench.flink_probe("window-each-event")


@FAMILY.claim(
    id="flink-window-at-close",
    statement="A Flink window's default trigger gives one result, when the window closes.",
    engine="flink",
    expected=_flink("one per key and window"),
    method="Tumbling windows of 2 s over 5 keys and 10 s of load: results, against keys times windows.",
    alone=True,
)
def window_at_close(bench: Bench) -> Observation:
    """Count the results of windows at their close."""
    topics, keys, seconds, window_s = bench.topics, 5, 10, 2
    source, sink = topics.create(), topics.create()
    workload = topics.workload(keys)
    with bench.flink_job("window-at-close", source, sink):
        report = topics.generator(source, workload, rate=50, seconds=seconds).join(30)
        # What closes the last whole window comes after it.
        topics.generator(source, workload, rate=50, seconds=window_s + 1, first=report.generated).join(30)
        time.sleep(2)
        received = topics.count(sink)
    windows = -(-(seconds + window_s + 1) // window_s) + 1
    detail = f"{received} results of {report.generated + 150} events: {keys} keys, at most {windows} windows"
    once = keys * (seconds // window_s - 1) <= received <= keys * windows
    return Observation(verdict="one per key and window" if once else "more", detail=detail)


@FAMILY.claim(
    id="flink-session-window",
    statement="Flink runs session windows.",
    engine="flink",
    feature="session window",
    expected=_flink(REAL_TIME),
    method="Session windows with a gap of 2 s and a trigger on each element, under load.",
    alone=True,
)
def session_window(bench: Bench) -> Observation:
    """Count in sessions, event by event."""
    return bench.flink_probe("session-window")


@FAMILY.claim(
    id="flink-join",
    statement="Flink joins two streams.",
    engine="flink",
    feature="stream-stream join",
    expected=_flink(REAL_TIME),
    method="An interval join of a stream with itself by event_id under load: one result an event.",
    alone=True,
)
def join(bench: Bench) -> Observation:
    """Join a stream with itself."""
    return bench.flink_probe("join")


@FAMILY.claim(
    id="flink-deduplicate",
    statement="Flink drops duplicates with a ValueState.",
    engine="flink",
    feature="dropDuplicates",
    expected=_flink(REAL_TIME),
    method="A KeyedProcessFunction that lets each event_id pass once, under load in which the first events come twice.",
    alone=True,
)
def deduplicate(bench: Bench) -> Observation:
    """Let each event pass once."""
    return bench.flink_probe("deduplicate", twice=True)


@FAMILY.claim(
    id="flink-exactly-once",
    statement="Results of Flink's EXACTLY_ONCE sink are visible to `read_committed` consumers only after a checkpoint.",
    engine="flink",
    feature="sink: Kafka, exactly once",
    expected=_flink(BATCH_BOUND),
    method="Checkpoints every 5 s: the median latency to a `read_committed` consumer.",
    alone=True,
)
def exactly_once(bench: Bench) -> Observation:
    """Read what is committed."""
    return bench.flink_probe("exactly-once")


@FAMILY.claim(
    id="flink-exactly-once-uncommitted",
    statement="The same results reach a `read_uncommitted` consumer at once.",
    engine="flink",
    feature="sink: Kafka, exactly once, read uncommitted",
    expected=_flink(REAL_TIME),
    method="The same with a `read_uncommitted` consumer.",
    alone=True,
)
def exactly_once_uncommitted(bench: Bench) -> Observation:
    """Read what is not committed yet."""
    return bench.flink_probe("exactly-once", isolation="read_uncommitted")


@FAMILY.claim(
    id="flink-sink-guarantee",
    statement="Flink's Kafka sink guarantees nothing by default.",
    engine="flink",
    expected=_flink("none"),
    method="A KafkaSink built without a guarantee: the one that it has.",
    alone=True,
)
def sink_guarantee(bench: Bench) -> Observation:
    """Read the sink's default."""
    return Observation(verdict=bench.defaults("sink-guarantee")["sink-guarantee"], detail=f"Flink {bench.build}")


@FAMILY.claim(
    id="flink-buffer-timeout",
    statement="Flink holds records back for up to 100 ms between tasks by default.",
    engine="flink",
    expected=_flink("100 ms"),
    method="The default of `execution.buffer-timeout.interval`.",
    alone=True,
)
def buffer_timeout(bench: Bench) -> Observation:
    """Read the buffer timeout's default."""
    return Observation(verdict=bench.defaults("buffer-timeout")["buffer-timeout"], detail=f"Flink {bench.build}")


@FAMILY.claim(
    id="flink-buffer-timeout-effect",
    statement="With the default buffer timeout, a keyed job is slower by tens of ms than with one of 1 ms.",
    engine="flink",
    expected=_flink("holds"),
    method="The same keyed job under load, with the default and with 1 ms: the medians differ by 20 ms or more.",
    alone=True,
)
def buffer_timeout_effect(bench: Bench) -> Observation:
    """Compare the default with 1 ms."""
    default, short = bench.flink_probe("default-buffer-timeout"), bench.flink_probe("keyed-state")
    if default.latency is None or short.latency is None:
        return default if default.latency is None else short
    difference = default.latency.p50 - short.latency.p50
    detail = f"median {default.latency.p50 / 1000:.1f} ms by default, {short.latency.p50 / 1000:.1f} ms with 1 ms"
    return Observation.judged(difference >= 20_000, detail)  # noqa: PLR2004 - as in the claim's method


@FAMILY.claim(
    id="kafka-linger",
    statement="Since 4.0 the Java client waits 5 ms for more records before it sends; before, it did not wait.",
    engine="kafka",
    expected={"4.1": "5 ms"},
    method="The default of `linger.ms` in the producer of Kafka's own client.",
    alone=True,
)
def linger(bench: Bench) -> Observation:
    """Read the default of linger.ms."""
    defaults = bench.defaults("linger", "kafka-clients")
    return Observation(verdict=defaults["linger"], detail=f"kafka-clients {defaults['kafka-clients']}")
