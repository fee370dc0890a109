"""One trial: fresh topics, a fresh engine, load, measurement, drain, and the check of the whole output.

prepare → ready → warm-up → measure → tail → drain → stop → verify; the terms are defined in `docs/methodology.md`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rtmbench import _core
from rtmbench.engines import FLOORS
from rtmbench.engines.base import EngineRefusedError
from rtmbench.errors import RunFailedError
from rtmbench.experiment import cycles, event_timeline
from rtmbench.experiment.boundary_watch import BoundaryWatch
from rtmbench.experiment.job_subject import CustomJobSubject
from rtmbench.experiment.latency_figures import close_latency, spread, update_latency
from rtmbench.experiment.progress import Progress
from rtmbench.experiment.resources import ResourceMeter
from rtmbench.experiment.subject import PatternSubject
from rtmbench.kafka.clients import PRECISION, harness_producer
from rtmbench.platform.scheduling import over_memory
from rtmbench.results import attribution, backlog
from rtmbench.results.model import Backlog, Offence, Rate, Refusal, Status, Trial
from rtmbench.results.status import INTERRUPTED, Observation, classify

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.engines.base import Engine
    from rtmbench.experiment.subject import Subject
    from rtmbench.experiment.trial_plan import TrialPlan
    from rtmbench.platform.scheduling import SchedulingGroup
    from rtmbench.results.model import EngineFacts, Interference, Interruption, WarmUp

PROBE_RATE = 20.0
START_DELAY_US = 200_000
"""Between the end of the set-up and the first scheduled event, so that the generator's thread is there in time."""
TICK_S = 0.2
SAMPLED = 10_000
"""Events from which the live view learns how many outputs an event makes."""
CHECK_EVERY_S = 1.0


class TrialRunner:
    """Runs one trial. `run` gives the trial whatever the engine did; only the harness's own faults raise."""

    def __init__(self, engine: Engine, plan: TrialPlan) -> None:
        self.engine = engine
        self.plan = plan
        self._floor = engine.spec.engine in FLOORS
        self._closes = engine.emit == "close"
        self._spool = plan.scratch / f"{plan.slug}-spool"
        self.subject: Subject = (
            PatternSubject(engine, plan, self._spool)
            if plan.pattern.job is None
            else CustomJobSubject(engine, plan, self._spool, plan.pattern.job)
        )
        self.topics = self.subject.topics
        self.phase = "prepare"
        self.facts: EngineFacts | None = None
        self.refusal: Refusal | None = None
        self._started_at = dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds")
        self._consumer: _core.LatencyConsumer | None = None
        self._generator: _core.Generator | None = None
        self._probes = 0
        self._acknowledged = 0
        self._clocks = [_core.clock_jump_us()] * 2
        """The least and the greatest difference between the two clocks so far, µs."""
        self._meter = ResourceMeter(kafka=plan.kafka, others=not plan.services_here)
        self._group: SchedulingGroup | None = None
        self._next_check = 0.0
        self._drained = False
        self._generated_at: list[tuple[int, int]] = []
        self._looked = (time.monotonic(), 0)
        self._load_us: tuple[int, int] | None = None
        self._warm_up: WarmUp | None = None
        self._watch = BoundaryWatch(
            boundaries=self._boundaries, wait=self._wait_until, interval_s=plan.settings.checkpoint_interval_s
        )
        self._outputs_per_event: float | None = None

    def run(self) -> Trial:
        """Run the trial to its end; on the way out, the engine is stopped and the topics are deleted."""
        # Messages of clients and engines may hold what they were given.
        redact = self.plan.connection.redact
        try:
            try:
                self._set_up()
                return self._measured(*self._load())
            except (_core.KafkaError, _core.HarnessError, TimeoutError) as fault:
                self._check_broker()
                return self._without_figures(Observation(harness_error=redact(str(fault))))
            except EngineRefusedError as refused:
                self.refusal = Refusal(code=refused.code, message=redact(refused.message))
                return self._without_figures(Observation(refusal=refused.code))
            except RunFailedError as failed:
                self._check_broker()
                return self._without_figures(Observation(engine_error=redact(f"{self._killed()} {failed}".strip())))
        finally:
            self.close()

    def read_settings(self) -> EngineFacts:
        """Start the engine without load, return the facts that it reports, and stop it on the way out.

        Raises EngineRefusedError, RunFailedError, or what the harness raises.
        """
        try:
            self._set_up()
            return self.engine.facts()
        finally:
            self.close()

    def close(self) -> None:
        """Stop what still runs, and delete the topics unless they are to be kept. Safe to call again."""
        for part in (self._generator, self._consumer):
            if part is not None:
                part.stop()
        self.engine.stop()
        if self._group is not None:
            self._group.close()
        if not self.plan.settings.keep_topics:
            # A broker that is gone takes its topics with it; one that is slow must not hold up the end.
            with contextlib.suppress(_core.KafkaError):
                self.subject.delete_topics()

    def interrupted(self) -> Trial:
        """Return what was counted in a trial that was interrupted, without figures."""
        trial = self._without_figures(Observation(harness_error=f"{INTERRUPTED} `{self.phase}`"))
        generated = self._generator.snapshot().generated if self._generator else 0
        received = self._consumer.snapshot().received if self._consumer else 0
        reason = f"{self._probes + generated:,} events produced and {received:,} outputs received, unchecked"
        return replace(trial, reasons=[*trial.reasons, reason])

    def _set_up(self) -> None:
        settings, plan = self.plan.settings, self.plan
        self._show(None)
        self.engine.prepare()
        self.subject.create_topics()
        self._spool.mkdir(parents=True)
        self._consumer = self.subject.receiver()
        self._consumer.start()
        self.subject.note_outputs()
        self._enter("start")
        self._group = plan.group() if plan.group is not None else None
        work = plan.scratch / plan.slug
        work.mkdir(parents=True)
        self.engine.start(
            settings.trial_io(
                plan.pattern,
                connection=plan.connection,
                input_topic=self.topics.input,
                output_topic=self.topics.output,
                slots=plan.slots,
                work=work,
                logs=plan.directory.file(f"logs/{plan.slug}/engine.log").parent,
                group=self._group,
            )
        )
        self._enter("ready")
        self._await_first_output(self._consumer)
        if self._group is not None:
            self._group.lower()

    def _await_first_output(self, consumer: _core.LatencyConsumer) -> None:
        """Send a few events a second until one has come through: the only proof that an engine is ready."""
        timeout_s = self.subject.first_output_s()
        self._generator = self._new_generator(_core.Schedule.constant(PROBE_RATE), timeout_s)
        self._generator.start()
        deadline = time.monotonic() + timeout_s
        while consumer.snapshot().received == 0:
            self._check()
            self._show(None)
            if time.monotonic() > deadline:
                raise RunFailedError(
                    f"{self.plan.name} was running, but wrote no output for {self._generator.snapshot().acked:,} "
                    f"events within {timeout_s:.0f} s. Its logs are in "
                    f"{self.plan.directory.path / 'logs' / self.plan.slug}."
                )
            time.sleep(TICK_S)
        self.subject.check_first_outputs(consumer, self._check)
        self._generator.stop()
        probes = self._generator.join()
        self._probes, self._acknowledged = probes.generated, probes.acked
        self._generator = None

    def _load(self) -> tuple[_core.GeneratorReport, tuple[int, int], int]:
        """Warm up, measure and drain; return the generator's report, the measuring phase and the drain deadline.

        The measuring phase is the time in which its cycles were observed; `_measured` cuts it on their boundaries.
        """
        plan, consumer = self.plan, self._consumer
        assert consumer is not None  # noqa: S101 - made by _set_up
        schedule = plan.settings.schedule(plan.trial)
        if plan.settings.late is not None:
            # Events are late only once every engine's watermark has moved.
            self.subject.late_from(self._probes + schedule.count_before(round(plan.settings.late_after_s * 1e6)))
        start_us = _core.now_us() + START_DELAY_US
        generator = self._generator = self._new_generator(
            schedule,
            plan.longest_load_s,
            first_index=self._probes,
            start_us=start_us,
        )
        self._load_us = (start_us, start_us + round(plan.longest_load_s * 1e6))
        generator.start()
        self._enter("warm-up")
        self._warm_up = self._watch.warm_up(plan.warm_up, consumer, start_us)
        by_boundary = self._warm_up.ended_by == "boundaries"
        # Of an engine that reports no boundaries, the phase is as long as it was planned.
        whole_cycles = plan.cycles if self._boundaries() is not None else 0
        boundaries = self._watch.next_boundary() if whole_cycles and not by_boundary else self._boundaries() or 0
        begin_us = _core.now_us()
        generator.measure_from(begin_us)
        consumer.reset_live()
        self._enter("measure")
        self._meter.start(self.engine.processes(), self.engine.drivers())
        self._note_generated()
        if whole_cycles:
            self._watch.cycles(whole_cycles, after=boundaries, least_s=plan.measure_s, longest_s=plan.longest_measure_s)
            end_us = _core.now_us()
        else:
            end_us = begin_us + round(plan.measure_s * 1e6)
            self._wait_until(end_us, end_us)
        self._note_generated()
        self._meter.stop()
        generator.measure_to(end_us)
        load_to = end_us + round(plan.tail_s * 1e6)
        if plan.tail_s:
            self._enter("tail")
            self._wait_until(load_to, load_to)
        self._load_us = (start_us, load_to)
        self._enter("drain")
        generator.stop()
        report = generator.join(timeout_s=plan.settings.drain_s)
        self._acknowledged += report.acked
        deadline_us = _core.now_us() + round(plan.settings.drain_s * 1e6)
        self._drained = self._drain(consumer, self._probes + report.generated, deadline_us)
        time.sleep(self.plan.limits.settle_s)
        self._check()
        # Nobody waited any longer: what is not there yet is known to be at least this late, and no more is known.
        return report, (begin_us, end_us), min(deadline_us, _core.now_us())

    def _boundaries(self) -> int | None:
        """Return how many boundaries the engine has reported so far; None where it reports none."""
        return None if self._floor else self.engine.boundaries_so_far()

    def _drain(self, consumer: _core.LatencyConsumer, events: int, deadline_us: int) -> bool:
        """Wait for what is still to come; return whether all came, or nothing more is on its way."""
        expected = self.subject.expected(events)
        interval_us = round(self.plan.settings.checkpoint_interval_s * 1e6)
        enough_us = (
            round(self.plan.limits.quiet_s * 1e6)
            if expected is not None
            else self.plan.limits.quiet_cycles * interval_us
        )
        since_us = _core.now_us()
        while True:
            now_us, snapshot = _core.now_us(), consumer.snapshot()
            quiet = now_us - max(since_us, snapshot.newest_received_us) > enough_us
            if expected is not None and snapshot.received >= expected:
                return True
            if now_us >= deadline_us:
                # Output that still comes at the deadline may be late rather than lost.
                return quiet
            if expected is None and quiet:
                return True
            self._check()
            self._show(deadline_us)
            time.sleep(TICK_S)

    def _measured(self, report: _core.GeneratorReport, measure: tuple[int, int], deadline_us: int) -> Trial:
        """Stop the engine, check everything that it wrote, and compute the figures."""
        consumer, plan, settings = self._consumer, self.plan, self.plan.settings
        assert consumer is not None  # noqa: S101 - made by _set_up
        self.subject.before_stop()
        self.facts = self.engine.facts()
        own_interval_s = None if self._floor else self.engine.interval_s()
        interruptions = self.engine.interruptions(measure[0])
        late_dropped, restarts = self.engine.late_dropped(), self.engine.restarts()
        self._enter("stop")
        self.engine.stop()
        self._catch_up(consumer)
        consumer.stop()
        consumer.join()
        self._enter("verify")
        window = self._window(interruptions, measure)
        interruptions = cycles.shifted(interruptions, (window.from_us - measure[0]) / 1e3)
        hlog = plan.directory.file(f"{plan.slug}.latency.hlog")
        close_hlog = plan.directory.file(f"{plan.slug}.close-latency.hlog") if self._closes else None
        judged = self.subject.judge(window, deadline_us, None if self._closes else hlog, close_hlog, late_dropped)
        verdict = judged.verdict
        in_seconds = verdict.seconds["backlog"].tolist()
        # An event waits for its window's end by design: its wait is not an update latency.
        latency = update_latency(verdict) if verdict.latency.count and not self._closes else None
        closed = verdict.close_latency if self._closes else None
        cycle_figures = [] if self._closes else cycles.figures(verdict)
        cpu, rss = self._meter.resources()
        ledger = self._meter.interference
        observation = Observation(
            counts=judged.counts,
            outputs=judged.outputs,
            output_faults=judged.faults,
            output_notes=judged.notes,
            unread_partitions=judged.unread_partitions,
            acknowledged=self._acknowledged,
            engine_restarted=restarts > 0,
            late_expected=(judged.counts.late or 0) if judged.counts is not None else 0,
            delivery_failures=report.failed,
            clock_jump_us=self._clocks[1] - self._clocks[0],
            cycle_figures=cycle_figures,
            warm_up=None if self._floor else self._warm_up,
            interval_s=own_interval_s,
            requested_interval_s=settings.checkpoint_interval_s,
            samples=verdict.latency.count,
            negative=verdict.negative,
            censored=0 if self._closes else verdict.censored,
            drained=self._drained,
            backlog=in_seconds,
            rate=settings.rate,
            cycle_s=window.cycle_s,
            cycles=None if self._floor else window.cycles,
            wanted_cycles=plan.cycles,
            boundaries_seen=window.cycles or cycles.boundaries_in(interruptions, window.seconds),
            shared_cores=settings.shared_cores and not self._floor,
            waiting_threads=None if ledger is None else ledger.waiting("engine"),
            cores=0 if ledger is None else ledger.cores,
            shortened=() if self._floor else settings.shortened(),
        )
        status, reasons = classify(observation)
        figures = status.has_figures
        if not self._closes:
            interruptions += event_timeline.stalls(verdict)
        interruptions = attribution.within([*interruptions, *self._pauses(window.from_us)], window.seconds)
        trend = backlog.trend(in_seconds, rate=settings.rate, cycle_s=observation.cycle_s)
        if rss.engine is not None and (excess := over_memory(rss.engine, settings.memory_mb)):
            reasons = [*reasons, excess]
        return self._trial(
            status,
            reasons,
            seconds=round(window.seconds, 3),
            achieved=self._achieved_rate(),
            cycles=window.cycles,
            boundaries_seen=None if self._floor else observation.boundaries_seen,
            cycle_figures=cycle_figures or None,
            warm_up=observation.warm_up,
            interference=self._interference(interruptions),
            output_bytes=verdict.output_bytes,
            unread_partitions=list(judged.unread_partitions),
            latency_us=latency if figures else None,
            slip_us=spread(report.slip) if report.slip.count else None,
            close_latency_us=close_latency(closed) if figures and closed is not None and closed.count else None,
            stall_share=verdict.stall_share if figures and not self._closes else None,
            stall_max_us=verdict.stall_max_us if figures and not self._closes else None,
            hops_ms={name: spread(hop, 1000) for name, hop in verdict.hops.items() if hop.count} if figures else None,
            counts=judged.counts,
            outputs=judged.outputs,
            cpu_seconds=cpu,
            peak_rss_mb=rss,
            backlog=Backlog(
                start=int(in_seconds[0]),
                end=int(in_seconds[-1]),
                slope=round(trend.slope, 3) if trend else 0.0,
                slope_upper=round(trend.upper, 3) if trend else None,
            )
            if in_seconds
            else None,
            timeline=None if self._closes else event_timeline.timeline(verdict, window.from_us),
            interruptions=attribution.kept(interruptions) if figures else None,
            attribution=attribution.attribute(
                interruptions,
                seconds=window.seconds,
                scheduled_us=verdict.tail["scheduled_us"],
                latency_us=verdict.tail["latency_us"],
            )
            if figures and latency
            else None,
            offending=[Offence(**offence) for offence in verdict.offending] or None,
            files={**self._logs_of(hlog, close_hlog), "logs": f"logs/{plan.slug}"},
        )

    def _window(self, interruptions: list[Interruption], measure: tuple[int, int]) -> cycles.Window:
        """Cut the measuring phase on the boundaries that were observed; as it is if whole cycles are not requested."""
        if self.plan.cycles == 0:
            return cycles.Window(from_us=measure[0], to_us=measure[1])
        lead_us = round(0.5 * self.plan.settings.checkpoint_interval_s * 1e6)
        return cycles.observed(interruptions, *measure, lead_us=lead_us)

    def _interference(self, interruptions: list[Interruption]) -> Interference | None:
        """Return the ledger of the measuring phase, with the pauses of rtmbench's broker."""
        ledger = self._meter.interference
        if ledger is None or self.plan.kafka is None:
            return ledger
        pauses = [
            interruption.duration_ms
            for interruption in interruptions
            if interruption.kind == "gc_pause" and interruption.source == "kafka"
        ]
        return replace(ledger, broker_gc_ms=round(sum(pauses), 1))

    def _pauses(self, from_us: int) -> list[Interruption]:
        broker = self.plan.kafka
        logs = self.plan.directory.path / "logs" / self.plan.slug
        return event_timeline.pauses(logs, None if broker is None else broker.log.parent, from_us)

    @staticmethod
    def _logs_of(hlog: Path, close_hlog: Path | None) -> dict[str, str]:
        """Return the interval log that the oracle wrote, by its metric."""
        return {"latency": hlog.name} if close_hlog is None else {"close_latency": close_hlog.name}

    def _new_generator(self, schedule: _core.Schedule, duration_s: float, **options: Any) -> _core.Generator:
        return _core.Generator(
            harness_producer(self.plan.connection, self.plan.settings.linger_ms),
            self.topics.input,
            self.subject.workload,
            schedule,
            duration_s=duration_s,
            precision=PRECISION,
            **options,
        )

    def _enter(self, phase: str) -> None:
        self.phase = phase
        self._show(None)

    def _wait_until(self, then_us: int, end_us: int) -> None:
        while (left_us := then_us - _core.now_us()) > 0:
            self._check()
            self._show(end_us)
            time.sleep(min(TICK_S, left_us / 1e6))

    def _check(self) -> None:
        """Raise where the engine or the broker has died, and note a jump of the clock since the last check."""
        if time.monotonic() >= self._next_check:
            # It asks the engine itself, which costs the measurement a little.
            self.engine.check()
            if self._killed():
                # The engine may have replaced what was killed, and go on.
                raise RunFailedError("rtmbench does not measure the engine after that.")
            self._next_check = time.monotonic() + CHECK_EVERY_S
        self._check_broker()
        # Hops compare both clocks over the whole trial, so many small steps count as much as a large one.
        now = _core.clock_jump_us()
        self._clocks = [min(self._clocks[0], now), max(self._clocks[1], now)]

    def _check_broker(self) -> None:
        """Raise if rtmbench's broker is dead: the engine is not at fault, and no later trial could run either."""
        if self.plan.kafka is not None:
            self.plan.kafka.check()

    def _killed(self) -> str:
        """Return the sentence about processes of the engine that the kernel killed for their memory, or nothing."""
        return "" if self._group is None else self._group.memory_problem()

    def _catch_up(self, consumer: _core.LatencyConsumer) -> None:
        """Wait until the consumer has received all that is in the output topic."""
        deadline = time.monotonic() + self.plan.limits.catch_up_s
        written = self.subject.written()
        while consumer.snapshot().received < written and time.monotonic() < deadline:
            time.sleep(0.02)

    def _note_generated(self) -> None:
        assert self._generator is not None  # noqa: S101 - called while it runs
        self._generated_at.append((_core.now_us(), self._generator.snapshot().generated))

    def _achieved_rate(self) -> float | None:
        if len(self._generated_at) < 2:  # noqa: PLR2004 - both ends of the measuring phase
            return None
        (from_us, before), (to_us, after) = self._generated_at
        return round((after - before) / (to_us - from_us) * 1e6, 1)

    def _show(self, end_us: int | None) -> None:
        plan, consumer, generator = self.plan, self._consumer, self._generator
        received = consumer.snapshot() if consumer else None
        generated = generator.snapshot().generated if generator else None
        plan.show(
            Progress(
                engine=plan.name,
                trial=plan.trial,
                trials=plan.trials,
                phase=self.phase,
                target_rate=plan.settings.rate,
                rate=None if generated is None else self._live_rate(generated),
                received=received.received if received else None,
                p50_us=received.p50_us if received and received.live_count else None,
                p99_us=received.p99_us if received and received.live_count else None,
                p99_9_us=received.p99_9_us if received and received.live_count else None,
                behind_ms=None if generator is None or self._load_us is None else generator.snapshot().behind_us / 1000,
                backlog=self._live_backlog(generated, received.received if received else None),
                time_left_s=None if end_us is None else max(0.0, (end_us - _core.now_us()) / 1e6),
            )
        )

    def _live_backlog(self, generated: int | None, received: int | None) -> int | None:
        """Return about how many outputs are still to come, where an engine writes one for each event."""
        if generated is None or received is None or self.engine.emit not in ("row", "update"):
            return None
        if self._outputs_per_event is None:
            known = self.subject.expected(SAMPLED)
            if known is None:
                return None
            self._outputs_per_event = known / SAMPLED
        return max(0, round((self._probes + generated) * self._outputs_per_event) - received)

    def _live_rate(self, generated: int) -> float | None:
        """Return the generator's rate since the last look."""
        (then, before), self._looked = self._looked, (time.monotonic(), generated)
        # Another generator (the probes are over) starts from 0 again.
        if generated <= before:
            return None
        return (generated - before) / max(TICK_S / 2, self._looked[0] - then)

    def _without_figures(self, observation: Observation) -> Trial:
        status, reasons = classify(observation)
        return self._trial(status, reasons, seconds=None, achieved=None)

    def _trial(
        self,
        status: Status,
        reasons: list[str],
        *,
        seconds: float | None,
        achieved: float | None,
        cycles: int | None = None,
        **figures: Any,
    ) -> Trial:
        absent = dict.fromkeys(("latency_us", "slip_us", "stall_share", "counts", "cpu_seconds", "peak_rss_mb"))
        return Trial(
            trial=self.plan.trial,
            attempt=self.plan.attempt,
            started_at=self._started_at,
            status=status,
            valid=status.usable,
            reasons=reasons,
            seconds=seconds,
            cycles=cycles,
            rate=Rate(requested=self.plan.settings.rate, achieved=achieved),
            topics=self.topics,
            **{**absent, **figures},
        )
