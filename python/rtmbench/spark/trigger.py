"""The real-time trigger for every PySpark that has Real-Time Mode, and the check whether a query runs in it."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from rtmbench.durations import milliseconds
from rtmbench.errors import ConfigurationError, PreflightError

if TYPE_CHECKING:
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

_JVM_TRIGGER = "org.apache.spark.sql.streaming.Trigger"
# Spark reads no bare number, and no part of a millisecond.
_DURATION = re.compile(r"(\s*\d+\s*(milliseconds?|seconds?|minutes?|hours?|days?)\s*)+", re.IGNORECASE)
_SHUFFLE = re.compile(r"\bExchange\b")
_PLAN_FIELDS = 1_000


def real_time_trigger(writer: DataStreamWriter, interval: str = "5 minutes") -> DataStreamWriter:
    """Give a stream writer the real-time trigger.

    PySpark takes `trigger(realTime=...)` from 4.2 on; for 4.1, where only the JVM knows it, the trigger is set there.
    `interval` is how long one batch runs before it commits its offsets and state, such as `"5 seconds"`: a checkpoint
    interval, not a latency.

    Raises `ConfigurationError` for an interval that is not a duration, and `PreflightError` where Spark has no
    Real-Time Mode or the writer belongs to a Spark Connect session without it.
    """
    duration_ms(interval)
    if "realTime" in inspect.signature(writer.trigger).parameters:
        return writer.trigger(realTime=interval)
    try:
        jvm_writer, jvm = writer._jwrite, writer._spark._sc._jvm  # noqa: SLF001 - PySpark 4.1 has no other way
    except AttributeError as error:
        raise PreflightError(
            f"{type(writer).__module__}.{type(writer).__name__} has neither trigger(realTime=...) nor a JVM,"
            " so it cannot start Real-Time Mode. Use PySpark 4.2 or newer, or a session without Spark Connect."
        ) from error
    real_time = getattr(getattr(jvm, _JVM_TRIGGER), "RealTime", None)
    if real_time is None:
        raise _too_old(writer)
    try:
        trigger = real_time(interval)
    except Exception as error:
        if type(error).__name__ in {"Py4JError", "TypeError"}:
            raise _too_old(writer) from error
        raise
    writer._jwrite = jvm_writer.trigger(trigger)  # noqa: SLF001
    return writer


def duration_ms(interval: str, *, zero: bool = False) -> int:
    """Read a duration such as `"5 seconds"` or `"1 minute 30 seconds"`, in milliseconds.

    Raises `ConfigurationError` where it is not one, or negative, or, unless `zero` is allowed, none at all.
    """
    text = interval if isinstance(interval, str) else ""  # pyright: ignore[reportUnnecessaryIsInstance] - it may not
    total = milliseconds(text) if _DURATION.fullmatch(text) else None
    if total is None or (total == 0 and not zero):
        raise ConfigurationError(
            f"{interval!r} is not a duration. Write a number and a unit, such as '5 seconds' or '1 minute'."
        )
    return round(total)


def trigger_of(query: StreamingQuery) -> str:
    """Name the trigger that a running query has, such as `RealTimeTrigger(5000)`: the one its JVM query holds."""
    return str(execution_of(query).trigger().toString())


def is_real_time(query: StreamingQuery) -> bool:
    """Return whether a running query processes its input in Real-Time Mode, through every stage.

    It does when the JVM's query holds the real-time trigger *and* the plan of its running batch streams. What was
    requested plays no part. Before the first batch is planned the answer is False.
    """
    return trigger_of(query).startswith("RealTimeTrigger") and streams(plan_of(query))


def streams(plan: str) -> bool:
    """Return, by the text of a physical plan, whether a record passes through all of it without waiting for its batch.

    It does when the input is read by a real-time scan and each shuffle streams. Spark 4.1 and 4.2 have no such shuffle:
    with the operator check off they run a query that has one, and its second stage starts when the batch ends.
    """
    shuffles = [line for line in plan.splitlines() if _SHUFFLE.search(line)]
    return "RealTimeStreamScan" in plan and all("isPipelined=true" in line for line in shuffles)


def plan_of(query: StreamingQuery) -> str:
    """Return the physical plan of a query's running batch; `""` before the first one is planned."""
    last = execution_of(query).lastExecution()
    return "" if last is None else str(last.executedPlan().toString())


def tasks_of(query: StreamingQuery) -> dict[str, list[int]]:
    """Return how many tasks the running batch of a query in Real-Time Mode has at once.

    `sources`: of each real-time scan, a task for each input partition; `shuffles`: of each shuffle that streams. Both
    are empty before the first batch is planned, and where batches do not run in real time.
    """
    tasks: dict[str, list[int]] = {"sources": [], "shuffles": []}
    last = execution_of(query).lastExecution()
    plans = [] if last is None else [last.executedPlan()]
    while plans:
        plan = plans.pop()
        name = str(plan.nodeName())
        if name.startswith("RealTimeStreamScan"):
            tasks["sources"].append(int(plan.inputPartitions().size()))
        elif name.startswith("Exchange") and "isPipelined=true" in str(plan.verboseString(_PLAN_FIELDS)):
            tasks["shuffles"].append(int(plan.outputPartitioning().numPartitions()))
        children = plan.children()
        plans += [children.apply(index) for index in range(children.size())]
    return tasks


def execution_of(query: StreamingQuery) -> Any:
    """Return the JVM's `StreamExecution` behind a query."""
    wrapper = query._jsq  # noqa: SLF001 - PySpark shows neither trigger nor plan as a value
    return wrapper.streamingQuery()


def _too_old(writer: DataStreamWriter) -> PreflightError:
    version = getattr(getattr(writer, "_spark", None), "version", "this version")
    return PreflightError(
        f"Spark {version} has no Real-Time Mode: its Trigger has no RealTime. Use Spark 4.1 or newer, or run the query"
        " with RTMBENCH_MODE=microbatch."
    )
