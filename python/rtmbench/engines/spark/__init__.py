"""Apache Spark: Real-Time Mode, and the micro-batches that it is compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.engines.base import PLAIN_MODES, Variant
from rtmbench.engines.kind import EngineKind
from rtmbench.spark.slots import FIRST_STREAMING_SHUFFLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.engines.base import Engine, EngineSpec
    from rtmbench.engines.kind import Setup
    from rtmbench.patterns import Pattern

BATCH_BOUND = "batch-bound, not real time: the second stage starts when the batch has ended"
MICROBATCH = "micro-batches: results come when a batch has ended"
PER_EVENT = "transformWithState by its JVM API: a Java function for each event, called from PySpark"
PER_KEY = "transformWithState: one call for each key with its events, where Flink has one for each event"
AGGREGATE = "Spark's own running count instead of a function with state"
BETTER = "4.3"
"""The first Spark that streams a pattern with state."""


class Spark(EngineKind):
    """Spark in one process for each trial; slots are its threads."""

    name = "spark"
    versions = ("4.1", "4.2", "4.3")

    def bundles(self, version: str) -> tuple[str, ...]:
        """Return Spark itself and its Kafka connector."""
        return (f"spark@{version}", f"spark-connector-kafka@{version}")

    def variants(self, pattern: Pattern, version: str) -> tuple[Variant, ...]:
        """Return the modes of a pattern: a version whose shuffle streams runs them in real time."""
        streams = tuple(int(part) for part in version.split(".")) >= FIRST_STREAMING_SHUFFLE
        if pattern.job is not None:
            # Threads for both sides of a shuffle: whether the job has one is not known before it runs.
            return (Variant(mode="", emit="output", streams_shuffle=streams),)
        if not pattern.keyed:
            return (Variant(mode="rtm", emit="row"), Variant(mode="microbatch", emit="row", remark=MICROBATCH))
        if pattern.state == "function":
            return _state_function(streams=streams)
        real_time = Variant(mode="rtm", emit="update", streams_shuffle=streams)
        unchecked = Variant(mode="rtm-unchecked", emit="batch", unchecked=True, remark=BATCH_BOUND)
        others = [Variant(mode="microbatch", emit="batch", remark=MICROBATCH)]
        if pattern.window_ms is not None:
            remark = "micro-batches in append mode: one final result for a window"
            others.append(Variant(mode="close", emit="close", remark=remark))
        # From 4.3 on there is nothing to switch off: the same query streams with the check in place.
        return (real_time, *others) if streams else (unchecked, real_time, *others)

    def required_slots(self, variant: Variant, *, partitions: int, shuffle_partitions: int) -> tuple[int, str]:
        """Return the threads that a variant needs: one for each partition on both sides of a shuffle that streams."""
        if not variant.streams_shuffle:
            return super().required_slots(variant, partitions=partitions, shuffle_partitions=shuffle_partitions)
        need = partitions + shuffle_partitions
        return need, f"{partitions} input partitions + {shuffle_partitions} shuffle partitions = {need} slots"

    def hint(self, spec: EngineSpec, pattern: Pattern, engines: Sequence[EngineSpec]) -> str:
        """Name the version that runs a pattern in real time, where the default mode of this one does not.

        Empty for an explicit mode, for a default that streams, and if the better version runs anyway.
        """
        if spec.mode or pattern.job is not None:
            return ""
        default = self.variants(pattern, spec.version)[0]
        better = replace(spec, version=BETTER)
        if default.mode in PLAIN_MODES or better in engines or self.variants(pattern, BETTER)[0].mode != "rtm":
            return ""
        others = [str(each) for each in engines if each.engine != self.name and not each.mode]
        command = f"rtmbench run {pattern.id} --engines {','.join([*others, str(better)])}"
        return (
            f"{spec} runs pattern {pattern.id} as {default.mode}, not in real time: "
            f"its Real-Time Mode has no state. {better} does it: `{command}`"
        )

    def create(self, spec: EngineSpec, setup: Setup) -> Engine:
        """Make the engine."""
        from rtmbench.engines.spark.engine import SparkEngine  # noqa: PLC0415 - names alone need no engine
        from rtmbench.engines.spark.master import master_of  # noqa: PLC0415

        pattern, platform = setup.pattern, setup.platform
        return SparkEngine(
            spec,
            variant=setup.variant,
            platform=platform,
            master=master_of(platform.spark),
            pattern=pattern.id,
            job=pattern.job,
        )


def _state_function(*, streams: bool) -> tuple[Variant, ...]:
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


SPARK = Spark()

__all__ = ["BATCH_BOUND", "MICROBATCH", "SPARK", "Spark"]
