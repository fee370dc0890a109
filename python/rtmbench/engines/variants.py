"""Which variants of an engine a pattern has: its modes by version, what each one emits, and which is the default.

A variant that the engine refuses (Real-Time Mode with state before 4.3) is in the table all the same: asked for, it is
run, and the refusal is the result. What no engine could mean (a window's close without a window) is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtmbench.errors import ConfigurationError
from rtmbench.spark.slots import FIRST_STREAMING_SHUFFLE

if TYPE_CHECKING:
    from rtmbench.engines.base import EngineSpec
    from rtmbench.patterns import Pattern

Emission = Literal["row", "update", "batch", "close", "output"]

PLAIN_MODES = frozenset({"", "row", "update", "rtm"})
"""Modes that a name leaves out: records stream through every stage. Anything less is always named."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way in which an engine runs a pattern."""

    mode: str
    emit: Emission
    streams_shuffle: bool = False
    """Whether both sides of a shuffle run at once, each with a thread for each of its partitions."""
    unchecked: bool = False
    """Whether Spark's list of operators that Real-Time Mode supports is switched off."""
    python_state: bool = False
    """Whether it needs pandas, pyarrow and protobuf beside Spark."""
    jvm_state: bool = False
    """Whether it needs the pipeline's own jar on Spark's class path."""
    remark: str = ""
    """What a reader of its figures has to know, in one clause."""


BATCH_BOUND = "batch-bound, not real time: the second stage starts when the batch has ended"
MICROBATCH = "micro-batches: results come when a batch has ended"
PER_EVENT = "transformWithState by its JVM API: a Java function for each event, called from PySpark"
PER_KEY = "transformWithState: one call for each key with its events, where Flink has one for each event"
AGGREGATE = "Spark's own running count instead of a function with state"


def variants(pattern: Pattern, engine: str, version: str) -> tuple[Variant, ...]:
    """Return the variants that a pattern has on an engine; the first one is the default."""
    if pattern.job is not None:
        return (_own_job(engine, version),)
    if engine == "flink":
        return _flink(pattern)
    if engine == "spark":
        return _spark(pattern, streams=_streams(version))
    return (Variant(mode="", emit="row"),)


def choose(spec: EngineSpec, pattern: Pattern) -> Variant:
    """Return the variant that a specification means at a pattern: the one of its mode, else the default.

    Raises ConfigurationError, which lists the pattern's modes, where the pattern has no such mode.
    """
    known = variants(pattern, spec.engine, spec.version)
    if not spec.mode:
        return known[0]
    for variant in known:
        if variant.mode == spec.mode:
            return variant
    engine = f"{spec.engine}@{spec.version}" if spec.version else spec.engine
    if pattern.job is not None:
        raise ConfigurationError(
            f"{engine} was asked for the mode {spec.mode!r}, but a custom job has the mode that it sets itself. "
            f"Ask for {engine}."
        )
    raise ConfigurationError(
        f"{engine} has no mode {spec.mode!r} at pattern {pattern.id} ({pattern.title}). "
        f"Its modes there are: {', '.join(variant.mode for variant in known)}."
    )


def required_slots(spec: EngineSpec, variant: Variant, *, partitions: int, shuffle_partitions: int) -> tuple[int, str]:
    """Return how many slots a variant needs at least, and the arithmetic in words."""
    if spec.engine == "spark" and variant.streams_shuffle:
        need = partitions + shuffle_partitions
        return need, f"{partitions} input partitions + {shuffle_partitions} shuffle partitions = {need} slots"
    return partitions, f"{partitions} input partitions = {partitions} slots"


def _own_job(engine: str, version: str) -> Variant:
    """Return the only variant of a custom job: which mode it runs in shows when it runs."""
    # Threads for both sides of a shuffle: whether the job has one is not known before it runs.
    streams = engine == "spark" and _streams(version)
    return Variant(mode="", emit="output", streams_shuffle=streams)


def _streams(version: str) -> bool:
    return tuple(int(part) for part in version.split(".")) >= FIRST_STREAMING_SHUFFLE


def _flink(pattern: Pattern) -> tuple[Variant, ...]:
    if not pattern.keyed:
        return (Variant(mode="row", emit="row"),)
    update = Variant(mode="update", emit="update")
    if pattern.window_ms is None:
        return (update,)
    return (update, Variant(mode="close", emit="close", remark="one final result when a window closes"))


def _spark(pattern: Pattern, *, streams: bool) -> tuple[Variant, ...]:
    if not pattern.keyed:
        return (
            Variant(mode="rtm", emit="row"),
            Variant(mode="microbatch", emit="row", remark=MICROBATCH),
        )
    if pattern.state == "function":
        return _spark_state(streams=streams)
    real_time = Variant(mode="rtm", emit="update", streams_shuffle=streams)
    unchecked = Variant(mode="rtm-unchecked", emit="batch", unchecked=True, remark=BATCH_BOUND)
    others = [Variant(mode="microbatch", emit="batch", remark=MICROBATCH)]
    if pattern.window_ms is not None:
        remark = "micro-batches in append mode: one final result for a window"
        others.append(Variant(mode="close", emit="close", remark=remark))
    # From 4.3 on there is nothing to switch off: the same query streams with the check in place.
    return (real_time, *others) if streams else (unchecked, real_time, *others)


def _spark_state(*, streams: bool) -> tuple[Variant, ...]:
    """Return the variants of a function with state: first the one in real time, where the version can start it."""
    through_jvm = Variant(mode="rtm", emit="update", streams_shuffle=streams, jvm_state=True, remark=PER_EVENT)
    aggregate = Variant(mode="rtm-aggregate", emit="update", streams_shuffle=streams, remark=AGGREGATE)
    # One result for each event here too, but all of a batch's at once: what is left of a batch is its wait.
    python = Variant(mode="microbatch", emit="update", python_state=True, remark=f"{MICROBATCH}; PySpark {PER_KEY}")
    unchecked = Variant(
        mode="rtm-unchecked",
        emit="update",
        unchecked=True,
        python_state=True,
        remark="PySpark transformWithState with the operator check off, as published elsewhere",
    )
    return (through_jvm, aggregate, python) if streams else (python, through_jvm, aggregate, unchecked)


__all__ = [
    "PLAIN_MODES",
    "Emission",
    "Variant",
    "choose",
    "required_slots",
    "variants",
]
