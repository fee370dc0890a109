"""A custom job in a trial: an output is recognised by the time stamp of its event, which it carries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.custom_jobs.topics import JobTopics
from rtmbench.engines import FLOORS
from rtmbench.engines.consumption import unread_partitions, unread_reason
from rtmbench.errors import RunFailedError
from rtmbench.experiment.subject import TOPIC_PROPERTIES, topic_names
from rtmbench.experiment.trial_plan import Judged, TrialPlan
from rtmbench.kafka.clients import harness_consumer
from rtmbench.results.model import Outputs, Topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.engines.base import Engine
    from rtmbench.experiment import cycles

POLL_S = 0.2
CROWDED = 0.01
"""From this share of the time stamps on, the trial reports more outputs than events of one time stamp."""
SILENT_CYCLES = 2
"""The trial reports this many batch or commit intervals without an output of their events."""


class CustomJobSubject:
    """A custom job, or a floor that copies its load."""

    def __init__(self, engine: Engine, plan: TrialPlan, spool: Path, job: CustomJob) -> None:
        self.plan = plan
        self.job = job
        self._engine = engine
        self._spool = spool
        self._floor = engine.spec.engine in FLOORS
        names = topic_names(engine, plan)
        self.topics = (
            names if self._floor else Topics(input=job.input or names.input, output=job.output or names.output)
        )
        settings = plan.settings
        self.workload = job.payload.workload(settings.seed, settings.keys, settings.payload_bytes, settings.zipf)
        self._admin = plan.connection.admin
        self._job_topics = JobTopics(admin=self._admin, input=self.topics.input, output=self.topics.output)
        self._input_from: list[int] = []
        self._output_from: list[int] = []
        self._input_ends: list[int] = []
        self._unread: tuple[int, ...] = ()

    @property
    def _field(self) -> str:
        # No floor changes a record.
        return self.job.payload.field if self._floor else self.job.timestamp_field

    def create_topics(self) -> None:
        """Create the topics that do not exist yet, and note where the trial's input begins."""
        settings = self.plan.settings
        self._job_topics.create(settings.partitions, TOPIC_PROPERTIES, replication=settings.replication_factor)
        self._input_from = self._job_topics.starts(self.topics.input)

    def delete_topics(self) -> None:
        """Delete the topics that this trial created."""
        self._job_topics.delete()

    def receiver(self) -> _core.LatencyConsumer:
        """Return the consumer of the outputs, which reads their time stamps."""
        return _core.LatencyConsumer(
            harness_consumer(self.plan.connection),
            self.topics.output,
            spool=self._spool,
            timestamp_field=self._field,
            from_end=self.topics.output in self._job_topics.existing,
        )

    def note_outputs(self) -> None:
        """Note where the trial's outputs begin in a topic that existed before."""
        self._output_from = self._job_topics.starts(self.topics.output)

    def late_from(self, index: int) -> None:
        """Do nothing: a custom job has no late events."""

    def first_output_s(self) -> float:
        """Return the time that the user allowed for the first output."""
        return self.job.first_output_s

    def check_first_outputs(self, consumer: _core.LatencyConsumer, check: Callable[[], None]) -> None:
        """Raise RunFailedError if the first outputs have no time stamp: minutes of load would show no more."""
        deadline = time.monotonic() + self.plan.limits.stamp_s
        while (snapshot := consumer.snapshot()).malformed == snapshot.received:
            check()
            if time.monotonic() > deadline:
                consumer.stop()
                sample = consumer.join().malformed_samples[0]
                raise RunFailedError(
                    f"none of the first {snapshot.received:,} outputs of {self.plan.name} has a time stamp in "
                    f"`{self._field}`: {sample}. Change the job to pass on the time stamp of its input, and name "
                    f"its field with --timestamp-field; the input has it in `{self.job.payload.field}`."
                )
            time.sleep(POLL_S)

    def expected(self, events: int) -> int | None:
        """Return None, except for a floor: what a custom job writes is unknown."""
        return events if self._floor else None

    def written(self) -> int:
        """Return how many records the trial has put into the output topic."""
        return sum(_core.end_offsets(self._admin, self.topics.output)) - sum(self._output_from)

    def before_stop(self) -> None:
        """Ask the engine what it has consumed: a job that read half of its input may look well."""
        self._input_ends = _core.end_offsets(self._admin, self.topics.input)
        self._unread = unread_partitions(self._engine.consumed(), self._input_ends, self._input_from)

    def judge(
        self,
        window: cycles.Window,
        deadline_us: int,
        hlog: Path | None,
        close_hlog: Path | None,  # noqa: ARG002 - for windows that close, of which a custom job has none that are known
        late_dropped: int,
    ) -> Judged:
        """Measure the outputs by the time stamps that they carry, and let the user's oracle check them."""
        config = harness_consumer(self.plan.connection)
        verdict, findings = _core.verify_stamped(
            config,
            input_topic=self.topics.input,
            input_field=self.job.payload.field,
            output_topic=self.topics.output,
            output_field=self._field,
            spool=self._spool,
            measure=(window.from_us, window.to_us),
            cycles=window.edges_us or None,
            deadline_us=deadline_us,
            input_from=self._input_from,
            output_from=self._output_from,
            shared=bool(self._job_topics.existing),
            filters=self.job.filters and not self._floor,
            hlog=hlog,
        )
        oracle = None if self._floor else self.job.oracle
        complaints = []
        if oracle is not None:
            complaints = oracle.complaints(
                config,
                input_topic=self.topics.input,
                output_topic=self.topics.output,
                input_from=self._input_from,
                output_from=self._output_from,
            )
        outputs = Outputs(
            produced=findings["produced"],
            received=findings["received"],
            matched=findings["stamped"],
            missing_timestamp=findings["without"],
            foreign_timestamp=findings["foreign"],
            earlier_events=findings["earlier"],
            distinct_timestamps=findings["stamps"],
            covered_timestamps=findings["covered"],
            duplicated_timestamps=findings["crowded"],
            timestamp_field=self._field,
            resolution_us=findings["resolution_us"],
            oracle=oracle.name if oracle else None,
            complaints=complaints,
            late_dropped=late_dropped,
        )
        unread = self._unread or tuple(findings["unread_partitions"])
        return Judged(
            verdict=verdict,
            outputs=outputs,
            faults=[
                *self._append_time(findings["append_time"]),
                *self._unread_faults(unread),
                *self._faults(verdict, outputs),
            ],
            notes=[
                *self._coverage(outputs, findings["uncovered"]),
                *self._notes(outputs, findings["newest_us"], window),
            ],
            unread_partitions=unread,
        )

    def _unread_faults(self, unread: Sequence[int]) -> Iterator[str]:
        if unread:
            yield (
                f"{unread_reason(unread, self._input_ends, self._input_from)}. Check that the job has a slot for each "
                "of its tasks (--slots) and subscribes to all partitions"
            )

    def _append_time(self, passed_on: bool) -> Iterator[str]:
        if passed_on and not self._floor:
            yield (
                f"the time stamps in `{self._field}` are those at which Kafka appended the input (LogAppendTime), not "
                "those of the events, so every latency would omit the way into the broker. Change the job to pass on "
                f"the field `{self.job.payload.field}` of its input, instead of the Kafka record's time stamp"
            )

    def _coverage(self, outputs: Outputs, uncovered: int) -> Iterator[str]:
        if self._floor or not uncovered:
            return
        covered, distinct = outputs.covered_timestamps, outputs.distinct_timestamps
        text = (
            f"coverage {covered / distinct:.2%}: some output carries {covered:,} of {distinct:,} measured time stamps"
        )
        if self.job.filters:
            yield f"{text}; events without an output are not samples, because of --filters"
        else:
            yield (
                f"{text}; the {uncovered:,} events of the others count as still missing at the drain deadline. If the "
                "job drops or merges events by design, --filters measures only the output records"
            )

    def _faults(self, verdict: _core.Verdict, outputs: Outputs) -> Iterator[str]:
        first = {
            offence["kind"]: f"{offence['detail']}: {offence['record']}" for offence in reversed(verdict.offending)
        }
        if outputs.missing_timestamp:
            yield (
                f"{outputs.missing_timestamp:,} of {outputs.received:,} output records have no time stamp in "
                f"`{outputs.timestamp_field}` (the first: {first.get('timestamp', 'not kept')})"
            )
        if outputs.foreign_timestamp:
            yield (
                f"{outputs.foreign_timestamp:,} of {outputs.received:,} output records have a time stamp in "
                f"`{outputs.timestamp_field}` that no input event has (the first: {first.get('foreign', 'not kept')})"
            )
        if self._floor and outputs.matched < outputs.produced:
            yield f"{outputs.produced - outputs.matched:,} of {outputs.produced:,} events have no output"
        if not verdict.latency.count and not outputs.missing_timestamp and not outputs.foreign_timestamp:
            yield f"none of {outputs.received:,} output records is of an event of the measuring phase"
        for complaint in outputs.complaints:
            yield f"the oracle {outputs.oracle} reports: {complaint}"

    def _notes(self, outputs: Outputs, newest_us: int | None, window: cycles.Window) -> Iterator[str]:
        if self._floor:
            return
        if outputs.oracle is None:
            yield "output not checked: without an oracle (--oracle), missing and wrong output is unknown"
        else:
            yield f"output checked by {outputs.oracle}"
        if outputs.resolution_us > 1:
            step = outputs.resolution_us / 1000
            yield f"time stamps are in ms or coarser, rounded down: a latency may be too long by up to {step:g} ms"
        # A job that writes more records than it reads has several for an event by design.
        if (
            outputs.matched <= outputs.produced
            and outputs.duplicated_timestamps > CROWDED * outputs.distinct_timestamps
        ):
            yield (
                f"{outputs.duplicated_timestamps / outputs.distinct_timestamps:.1%} of the time stamps are carried by "
                "more output records than there are events of them: either the job writes several records for some "
                "events, or it stamps them itself, and then the figures are invalid"
            )
        silent_us = window.to_us - window.from_us - (newest_us or 0)
        if newest_us is not None and silent_us > SILENT_CYCLES * 1e6 * self.plan.settings.checkpoint_interval_s:
            yield f"silent: no output is of an event of the last {silent_us / 1e6:.1f} s of the measuring phase"
        if outputs.earlier_events:
            yield f"{outputs.earlier_events:,} output records are of events from before the trial; they are left out"
        if outputs.late_dropped:
            yield f"the engine dropped {outputs.late_dropped:,} records as late, by its own count"


__all__ = ["CustomJobSubject"]
