"""What a trial measures, apart from how: its topics, its load, the outputs that it expects, and who judges them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypedDict

from rtmbench import _core
from rtmbench.engines import FLOORS
from rtmbench.experiment.trial_plan import Judged, TrialPlan
from rtmbench.kafka.clients import harness_consumer
from rtmbench.results.model import Counts, Topics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rtmbench.engines.base import Engine
    from rtmbench.experiment.cycles import Window

TOPIC_PROPERTIES = {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"}
"""Append times make the hops; a trial's topics live for minutes, so nothing may be deleted from them."""

_Emits: TypeAlias = Literal["row", "update", "batch", "close"]


class _Windows(TypedDict):
    window_ms: int | None
    slide_ms: int | None


class Subject(Protocol):
    """A pattern, or a custom job, in one trial on one engine."""

    topics: Topics
    workload: _core.Workload
    """Makes the events."""

    def create_topics(self) -> None:
        """Create the topics of the trial."""

    def delete_topics(self) -> None:
        """Delete the topics of the trial."""

    def receiver(self) -> _core.LatencyConsumer:
        """Return the consumer of the outputs."""
        ...

    def note_outputs(self) -> None:
        """Note where the trial's outputs begin, once the consumer runs."""

    def late_from(self, index: int) -> None:
        """Let events be late from this index on, where the settings ask for late events."""

    def first_output_s(self) -> float:
        """Return how long an engine that works well may take to its first output."""
        ...

    def check_first_outputs(self, consumer: _core.LatencyConsumer, check: Callable[[], None]) -> None:
        """Raise RunFailedError for first outputs that can never be measured; `check` looks after the processes."""

    def expected(self, events: int) -> int | None:
        """Return how many outputs the first events ask for; None where that cannot be known."""
        ...

    def written(self) -> int:
        """Return how many records the trial has put into the output topic."""
        ...

    def before_stop(self) -> None:
        """Ask the engine what it can report only while it runs."""

    def judge(
        self, window: Window, deadline_us: int, hlog: Path | None, close_hlog: Path | None, late_dropped: int
    ) -> Judged:
        """Check all outputs, and join them with their receipts."""
        ...


class PatternSubject:
    """A pattern, whose oracle knows every output; or a floor, which copies the pattern's load."""

    def __init__(self, engine: Engine, plan: TrialPlan, spool: Path) -> None:
        self.plan = plan
        self._engine = engine
        self._spool = spool
        self._floor = engine.spec.engine in FLOORS
        self._late_from: int | None = None
        self._admin = plan.connection.admin
        self.topics = topic_names(engine, plan)
        self.workload = self._workload()

    def create_topics(self) -> None:
        """Create the topics of the trial."""
        names = sorted({self.topics.input, self.topics.output})
        settings = self.plan.settings
        _core.create_topics(
            self._admin,
            names,
            partitions=settings.partitions,
            replication=settings.replication_factor,
            properties=TOPIC_PROPERTIES,
        )

    def delete_topics(self) -> None:
        """Delete the topics of the trial."""
        _core.delete_topics(self._admin, sorted({self.topics.input, self.topics.output}), timeout_s=3)

    def receiver(self) -> _core.LatencyConsumer:
        """Return the consumer of the outputs."""
        return _core.LatencyConsumer(harness_consumer(self.plan.connection), self.topics.output, spool=self._spool)

    def note_outputs(self) -> None:
        """Do nothing: in a new topic the outputs begin at 0."""

    def late_from(self, index: int) -> None:
        """Let events be late from this index on: before, an engine's watermark may not have moved."""
        self._late_from = index
        self.workload = self._workload()

    def first_output_s(self) -> float:
        """Return the time to the first output; the first window to close takes its own length on top."""
        pattern, settings, limits = self.plan.pattern, self.plan.settings, self.plan.limits
        if self._engine.emit != "close" or pattern.window_ms is None:
            return limits.ready_s
        close_s = (pattern.slide_ms or pattern.window_ms) / 1000 + settings.watermark_delay_s
        return limits.ready_s + close_s + limits.quiet_cycles * settings.checkpoint_interval_s

    def check_first_outputs(self, consumer: _core.LatencyConsumer, check: Callable[[], None]) -> None:
        """Do nothing: the oracle looks at all outputs later."""

    def expected(self, events: int) -> int | None:
        """Return how many outputs the first events ask for; None where that cannot be known."""
        return _core.expected_outputs(
            self._rule, self.workload, first=0, count=events, emit=self._emits, **self._windows
        )

    def written(self) -> int:
        """Return how many records are in the output topic."""
        return sum(_core.end_offsets(self._admin, self.topics.output))

    def before_stop(self) -> None:
        """Do nothing: the outputs show what was read."""

    def judge(
        self, window: Window, deadline_us: int, hlog: Path | None, close_hlog: Path | None, late_dropped: int
    ) -> Judged:
        """Let the oracle of the pattern check all outputs, and join them with their receipts."""
        verdict = _core.verify(
            self._rule,
            harness_consumer(self.plan.connection),
            input_topic=self.topics.input,
            output_topic=self.topics.output,
            spool=self._spool,
            workload=self.workload,
            measure=(window.from_us, window.to_us),
            cycles=window.edges_us or None,
            deadline_us=deadline_us,
            emit=self._emits,
            watermark_delay_ms=round(self.plan.settings.watermark_delay_s * 1000),
            **self._windows,
            hlog=hlog,
            close_hlog=close_hlog,
        )
        counts = replace(Counts(**verdict.counts), late_dropped=late_dropped)
        return Judged(verdict=verdict, counts=counts, unread_partitions=verdict.unread_partitions)

    def _workload(self) -> _core.Workload:
        settings, pattern = self.plan.settings, self.plan.pattern
        disorder, behind_s = settings.disorder(pattern), settings.late_behind_s(pattern)
        late = None
        if settings.late is not None and behind_s is not None and self._late_from is not None:
            late = (settings.late, round(behind_s * 1000), self._late_from)
        return _core.Workload(
            settings.seed,
            keys=settings.keys,
            zipf_exponent=settings.zipf,
            payload_bytes=settings.payload_bytes,
            out_of_order=None if disorder is None else (disorder.share, disorder.delay_ms),
            late=late,
        )

    @property
    def _rule(self) -> str:
        return self._engine.spec.engine if self._floor else self.plan.pattern.rule

    @property
    def _emits(self) -> _Emits:
        emit = self._engine.emit
        assert emit != "output"  # noqa: S101 - a custom job is another subject
        return emit

    @property
    def _windows(self) -> _Windows:
        """The windows that the outputs stand for; a floor has the pattern's load, and none of its work."""
        pattern = self.plan.pattern
        if self._floor:
            return {"window_ms": None, "slide_ms": None}
        return {"window_ms": pattern.window_ms, "slide_ms": pattern.slide_ms}


def topic_names(engine: Engine, plan: TrialPlan) -> Topics:
    """Return the names of a trial's own topics; the transport floor has only one."""
    prefix = f"rtmbench-{plan.directory.run_id}-{plan.slug}"
    output = "input" if engine.spec.engine == "transport" else "output"
    return Topics(input=f"{prefix}-input", output=f"{prefix}-{output}")


__all__ = ["TOPIC_PROPERTIES", "PatternSubject", "Subject", "topic_names"]
