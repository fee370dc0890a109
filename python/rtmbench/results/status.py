"""From what was observed of a trial to its status and the sentences that explain it.

| status | when |
| --- | --- |
| refused | the engine refused the query |
| void | a cause outside the engine: harness or broker fault, clock jump, clocks that disagree, nothing to measure |
| failed | output wrong, missing, unexpected or duplicate; an input partition not read; late drops; crash or restart |
| unsustained | the backlog grew through the measurement, or events were still out at the deadline |
| valid | none of these |

Whether a valid trial was contended is judged later, when the cell and its floors are known (`results.contention`).

The first that applies, in this order, decides: a fault of the harness or the broker explains away
what follows from it, but a clock jump does not explain wrong output, so a failure outranks it. All
other findings are kept in the reasons, the deciding ones first.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench.results import backlog
from rtmbench.results.model import Status
from rtmbench.results.rank_sum import chance_of_lower
from rtmbench.timestamps import MOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtmbench.results.model import Counts, Cycle, Outputs, WarmUp

CLOCK_JUMP_US = 1_000
"""A jump between realtime and monotonic clock above this voids the trial."""
DRIFT_P50 = (1.25, 500)
DRIFT_P99 = (2.0, 5_000)
"""Factor and distance in µs between the first and the last half of the cycles beyond which a trend is flagged."""
DRIFT_CHANCE = 0.025
"""A trend in one direction is flagged if chance alone shows it with this probability at most."""
LEAST_CYCLES = 8
"""With fewer cycles, no trend is that unlikely."""
CROWDED_THREADS = 1.0
"""From this many waiting threads of the engine on, its tail includes more than its own work."""
UNLIKE_INTERVAL = 1.5
"""By this factor a job's own interval may differ silently from the requested one."""

INTERRUPTED = "interrupted in the phase"
"""Begins the reason of a trial that rtmbench was stopped in, followed by the phase."""

Finding = tuple[Status, str]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that decides about a trial. Times in µs; what was not observed keeps its default."""

    counts: Counts | None = None
    """From the oracle, over the whole trial; `None` if it could not run."""
    outputs: Outputs | None = None
    """Instead of `counts` for a custom job."""
    output_faults: Sequence[str] = ()
    """What is wrong with those outputs, a sentence each."""
    output_notes: Sequence[str] = ()
    """What to know about them."""
    engine_error: str | None = None
    """Why the engine crashed or did not start, in a sentence."""
    engine_restarted: bool = False
    refusal: str | None = None
    """Code of the engine's refusal."""
    harness_error: str | None = None
    """What went wrong in the harness or the broker, in a sentence."""
    late_expected: int = 0
    """Events that happened too long ago to count: the engine must drop them."""
    delivery_failures: int = 0
    """Events that the broker never acknowledged to the generator."""
    clock_jump_us: int = 0

    unread_partitions: Sequence[int] = ()
    """Input partitions that hold records without any output; `output_faults` name those of a custom job."""
    acknowledged: int | None = None
    """Events that the broker acknowledged to the generator, probes included."""
    cycle_figures: Sequence[Cycle] = ()
    """Percentiles of each measured cycle."""
    warm_up: WarmUp | None = None
    interval_s: float | None = None
    """The checkpoint or batch interval that was read back from the running job."""
    requested_interval_s: float | None = None

    samples: int = 0
    """Measured latencies."""
    negative: int = 0
    """Of these, those that were received before their time stamp."""
    censored: int = 0
    """Measured events that were not covered at the drain deadline."""
    drained: bool = True
    """False if output was still arriving when the drain deadline struck: missing events may
    then be late rather than lost, and the trial is unsustained rather than failed."""
    backlog: Sequence[float] = ()
    """Events put in and not yet covered, at the end of each second of the measuring phase."""
    rate: float = 0.0
    """Expected output events per second: the growth of the backlog if the engine emitted nothing."""
    cycle_s: float | None = None
    """The longer checkpoint or batch interval; `None` where less than one is measured."""
    cycles: int | None = None
    """Whole observed cycles in the measurement; 0: less than one."""
    wanted_cycles: int | None = None
    """As many were to be measured."""
    boundaries_seen: int = 0
    """Checkpoints or batch boundaries inside the measurement."""
    shared_cores: bool = False
    waiting_threads: float | None = None
    """Threads of the engine that were ready and waited for a processor, on average; None where not observed."""
    cores: int = 0
    """Processors of the machine."""
    shortened: tuple[str, ...] = ()
    """What `--quick` made less of than a full run has."""


def classify(observation: Observation) -> tuple[Status, list[str]]:
    """Give the status of a trial and what to know about it, the deciding reasons first."""
    findings = [*_refused(observation), *_harness(observation), *_failed(observation), *_clock(observation)]
    findings += _unsustained(observation)
    status = findings[0][0] if findings else Status.VALID
    deciding = [text for finding_status, text in findings if finding_status is status]
    others = [text for finding_status, text in findings if finding_status is not status]
    # Notes are about figures; a trial that has none needs none.
    notes = _notes(observation) if status.has_figures else ()
    return status, [*deciding, *others, *notes]


def _refused(observation: Observation) -> Iterator[Finding]:
    if observation.refusal is not None:
        yield Status.REFUSED, f"the engine refused the query: {observation.refusal}"


def _harness(observation: Observation) -> Iterator[Finding]:
    if observation.harness_error is not None:
        yield Status.VOID, f"fault outside the engine: {observation.harness_error}"
    if observation.delivery_failures:
        yield (
            Status.VOID,
            f"the broker did not take {observation.delivery_failures:,} of the generated events",
        )
    produced = observation.counts.produced if observation.counts is not None else None
    if produced is not None and observation.acknowledged is not None and produced < observation.acknowledged:
        text = (
            f"the broker acknowledged {observation.acknowledged:,} events, and the input topic holds {produced:,}: "
            "it lost what it had acknowledged"
        )
        yield Status.VOID, text
    if observation.refusal is not None or observation.engine_error is not None:
        return
    if observation.outputs is not None:
        return
    if observation.counts is None:
        if observation.harness_error is None:
            yield Status.VOID, "the output was not checked, so nothing is known about it"
    elif observation.counts.expected == 0:
        text = f"nothing to measure: of {observation.counts.produced:,} events produced, none has an expected output"
        yield Status.VOID, text


def _failed(observation: Observation) -> Iterator[Finding]:
    if observation.engine_error is not None:
        yield Status.FAILED, f"the engine failed: {observation.engine_error}"
    if observation.engine_restarted:
        yield Status.FAILED, "the engine restarted during the trial, without an injected fault"
    if observation.unread_partitions and observation.counts is not None:
        numbers = ", ".join(map(str, observation.unread_partitions))
        text = (
            f"input partitions {numbers} hold records without any output: "
            "the job never read them, often because it has fewer slots than it needs"
        )
        yield Status.FAILED, text
    for text in observation.output_faults:
        yield Status.FAILED, text
    counts = observation.counts
    if counts is None:
        return
    if counts.missing and observation.drained:
        share = counts.missing / max(counts.expected, 1)
        text = f"{counts.missing:,} of {counts.expected:,} expected events are missing from the output ({share:.2%})"
        yield Status.FAILED, text
    for number, what in (
        (counts.wrong, "wrong (content, order or time stamp)"),
        (counts.unexpected, "not expected"),
        (counts.duplicate, "duplicates without a restart that would allow them"),
    ):
        if number:
            yield Status.FAILED, f"{number:,} of {counts.received:,} output events were {what}"
    if counts.late_dropped and not observation.late_expected:
        yield Status.FAILED, f"the engine dropped {counts.late_dropped:,} events as late"


def _clock(observation: Observation) -> Iterator[Finding]:
    if abs(observation.clock_jump_us) > CLOCK_JUMP_US:
        jump = f"{observation.clock_jump_us / 1_000:+,.1f} ms"
        yield Status.VOID, f"the machine's clock jumped by {jump} during the trial"
    if observation.negative > MOST * observation.samples:
        text = (
            f"the clocks disagree: {observation.negative:,} of {observation.samples:,} samples were received before "
            "their time stamp, so no latency is known; synchronise the clocks of the machines that take part "
            "(chrony, PTP)"
        )
        yield Status.VOID, text


def _unsustained(observation: Observation) -> Iterator[Finding]:
    trend = backlog.trend(observation.backlog, rate=observation.rate, cycle_s=observation.cycle_s)
    if trend is not None and trend.grew:
        share = trend.slope / observation.rate
        text = (
            f"the backlog grew by {trend.slope:,.0f} events/s through the measurement "
            f"({share:.1%} of the rate), to {observation.backlog[-1]:,.0f} events at its end"
        )
        yield Status.UNSUSTAINED, text
    if observation.censored:
        text = (
            f"{observation.censored:,} measured events had no output by the drain deadline; "
            "percentiles that reach them are lower bounds (≥)"
        )
        yield Status.UNSUSTAINED, text
    if observation.outputs is not None and not observation.drained:
        yield Status.UNSUSTAINED, "output was still arriving at the drain deadline, with an unknown number to come"
    if observation.counts is not None and observation.counts.missing and not observation.drained:
        text = (
            f"output was still arriving at the drain deadline, with {observation.counts.missing:,} of "
            f"{observation.counts.expected:,} expected events to come: they are late, or lost"
        )
        yield Status.UNSUSTAINED, text


def _notes(observation: Observation) -> Iterator[str]:
    yield from observation.output_notes
    if observation.late_expected and observation.counts is not None:
        yield (
            f"late: {observation.late_expected:,} events were sent too late for any window, and none was counted; the "
            f"engine reports {observation.counts.late_dropped:,} late drops"
        )
    yield from _drift(observation)
    yield from _intervals(observation)
    if observation.cycles == 0 and not observation.boundaries_seen:
        yield (
            "boundary-free: no checkpoint or batch boundary inside the measurement; "
            "not comparable with runs that have boundaries"
        )
    elif observation.cycles == 0:
        yield (
            f"less than a cycle: {observation.boundaries_seen} checkpoint or batch boundaries inside a measurement "
            "that is shorter than an interval; comparable neither with whole cycles nor with boundary-free runs"
        )
    if observation.shared_cores:
        yield "shared-cores: engine, broker and harness shared the machine's cores"
    if observation.waiting_threads is not None and observation.waiting_threads >= CROWDED_THREADS:
        yield (
            f"crowded cores: on average {observation.waiting_threads:.1f} threads of the engine waited for one of the "
            f"{observation.cores} processors; its tail includes these waits"
        )
    if observation.shortened:
        yield f"quick: {' and '.join(observation.shortened)}"


def _drift(observation: Observation) -> Iterator[str]:
    if observation.warm_up is not None and observation.warm_up.falling:
        yield (
            f"drift: the percentiles of the cycles were still falling after a warm-up of "
            f"{observation.warm_up.seconds:,.0f} s; a longer --warmup shows the warm engine"
        )
    cycles = observation.cycle_figures
    if len(cycles) < LEAST_CYCLES:
        return
    half = len(cycles) // 2
    for name, (factor, distance) in (("p50", DRIFT_P50), ("p99", DRIFT_P99)):
        values = [getattr(cycle, f"{name}_us") for cycle in cycles]
        first, last = values[:half], values[-half:]
        a, b = statistics.median(first), statistics.median(last)
        chance = chance_of_lower(last, first) if b < a else chance_of_lower(first, last)
        if abs(b - a) > distance and max(a, b) > factor * max(1, min(a, b)) and chance <= DRIFT_CHANCE:
            yield (
                f"drift: the {name} of a cycle went from {a / 1_000:,.2f} ms in the first {half} cycles of the "
                f"measurement to {b / 1_000:,.2f} ms in the last {half}"
                + ("; where that is warm-up, a longer --warmup leaves it out" if b < a else "")
            )


def _intervals(observation: Observation) -> Iterator[str]:
    requested_s, own_s = observation.requested_interval_s, observation.interval_s
    if requested_s and own_s and max(requested_s, own_s) > UNLIKE_INTERVAL * min(requested_s, own_s):
        yield (
            f"the job's own checkpoint or batch interval is {own_s:g} s, not the {requested_s:g} s of this run; "
            "--checkpoint-interval sets the run's"
        )
    if observation.cycles and observation.wanted_cycles and observation.cycles < observation.wanted_cycles:
        yield (
            f"few cycles: {observation.cycles} whole cycles were observed, "
            f"{observation.wanted_cycles} were to be measured"
        )
