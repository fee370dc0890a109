"""From what was observed of a trial to its status and the sentences that explain it.

| status | when |
| --- | --- |
| refused | the engine refused the query |
| void | a cause outside the engine: harness or broker fault, clock jump, nothing to measure |
| failed | output wrong, missing, unexpected or duplicate; late drops; crash or restart |
| unsustained | the backlog grew through the measurement, or events were still out at the deadline |
| contended | schedule slip or consumer lag is too large beside the engine's own latency |
| valid | none of these |

The first that applies, in this order, decides: a fault of the harness or the broker explains away
what follows from it, but a clock jump does not explain wrong output, so a failure outranks it. All
other findings are kept in the reasons, the deciding ones first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench.results import backlog
from rtmbench.results.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtmbench.results.model import Counts, Outputs

CLOCK_JUMP_US = 1_000
"""A jump between realtime and monotonic clock above this voids the trial."""
CONTENTION_US = 5_000
CONTENTION_SHARE = 0.2
"""Slip or lag contends if its p99 is above `CONTENTION_US` and this share of the engine's p99."""
DRIFT_P50 = (1.25, 500)
DRIFT_P99 = (2.0, 5_000)
"""Factor and distance in µs between the halves beyond which a trend is flagged."""

INTERRUPTED = "interrupted in the phase"
"""Stands in the reasons of a trial that rtmbench was stopped in, followed by the phase."""

Finding = tuple[Status, str]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """All that decides about a trial. Times in µs; what was not observed keeps its default."""

    counts: Counts | None = None
    """From the oracle, over the whole trial; `None` if it could not be asked."""
    outputs: Outputs | None = None
    """In place of `counts` for a job of the user's own."""
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
    """Events that happened too long ago to count: the engine has to drop them."""
    delivery_failures: int = 0
    """Events that the broker never acknowledged to the generator."""
    clock_jump_us: int = 0

    engine_p99_us: int | None = None
    """Update latency of this trial."""
    slip_p99_us: int | None = None
    consumer_lag_p99_us: int | None = None
    """p99 of output appended → received."""
    halves_us: tuple[tuple[int, int], tuple[int, int]] | None = None
    """(p50, p99) of the first and of the second half of the measurement."""

    censored: int = 0
    """Measured events that were not covered at the drain deadline."""
    drained: bool = True
    """False if output was still arriving when the drain deadline struck: missing events may
    then be late rather than lost, and the trial is unsustained rather than failed."""
    backlog: Sequence[float] = ()
    """Events put in and not yet covered, at the end of each second of the measuring phase."""
    rate: float = 0.0
    """Events per second that should come out: what the backlog would grow by if nothing did."""
    cycle_s: float | None = None
    """The longer checkpoint or batch interval; `None` where less than one is measured."""
    cycles: int | None = None
    """Whole cycles in the measurement; 0: less than one."""
    boundaries_seen: int = 0
    """Checkpoints or batch boundaries inside the measurement."""
    shared_cores: bool = False
    shortened: tuple[str, ...] = ()
    """What `--quick` made less of than a full run has."""


def classify(seen: Observation) -> tuple[Status, list[str]]:
    """Give the status of a trial and what to know about it, the deciding reasons first."""
    findings = [*_refused(seen), *_harness(seen), *_failed(seen), *_clock(seen)]
    findings += [*_unsustained(seen), *_contended(seen)]
    status = findings[0][0] if findings else Status.VALID
    deciding = [text for found, text in findings if found is status]
    others = [text for found, text in findings if found is not status]
    # Notes are about figures; a trial that has none needs none.
    notes = _notes(seen) if status.has_figures else ()
    return status, [*deciding, *others, *notes]


def _refused(seen: Observation) -> Iterator[Finding]:
    if seen.refusal is not None:
        yield Status.REFUSED, f"the engine refused the query: {seen.refusal}"


def _harness(seen: Observation) -> Iterator[Finding]:
    if seen.harness_error is not None:
        yield Status.VOID, f"fault outside the engine: {seen.harness_error}"
    if seen.delivery_failures:
        yield (
            Status.VOID,
            f"the broker did not take {seen.delivery_failures:,} of the generated events",
        )
    if seen.refusal is not None or seen.engine_error is not None:
        return
    if seen.outputs is not None:
        return
    if seen.counts is None:
        if seen.harness_error is None:
            yield Status.VOID, "the output was not checked, so nothing is known about it"
    elif seen.counts.expected == 0:
        text = f"nothing to measure: of {seen.counts.produced:,} events produced, none should have come out"
        yield Status.VOID, text


def _failed(seen: Observation) -> Iterator[Finding]:
    if seen.engine_error is not None:
        yield Status.FAILED, f"the engine failed: {seen.engine_error}"
    if seen.engine_restarted:
        yield Status.FAILED, "the engine restarted during the trial, without an injected fault"
    for text in seen.output_faults:
        yield Status.FAILED, text
    counts = seen.counts
    if counts is None:
        return
    if counts.missing and seen.drained:
        share = counts.missing / max(counts.expected, 1)
        text = f"{counts.missing:,} of {counts.expected:,} expected events never came out ({share:.2%})"
        yield Status.FAILED, text
    for number, what in (
        (counts.wrong, "wrong (content, order or time stamp)"),
        (counts.unexpected, "not expected"),
        (counts.duplicate, "duplicates without a restart that would allow them"),
    ):
        if number:
            yield Status.FAILED, f"{number:,} of {counts.received:,} output events were {what}"
    if counts.late_dropped and not seen.late_expected:
        yield Status.FAILED, f"the engine dropped {counts.late_dropped:,} events as late"


def _clock(seen: Observation) -> Iterator[Finding]:
    if abs(seen.clock_jump_us) > CLOCK_JUMP_US:
        jump = f"{seen.clock_jump_us / 1_000:+,.1f} ms"
        yield Status.VOID, f"the machine's clock jumped by {jump} during the trial"


def _unsustained(seen: Observation) -> Iterator[Finding]:
    trend = backlog.trend(seen.backlog, rate=seen.rate, cycle_s=seen.cycle_s)
    if trend is not None and trend.grew:
        share = trend.slope / seen.rate
        text = (
            f"the backlog grew by {trend.slope:,.0f} events/s through the measurement "
            f"({share:.1%} of the rate), to {seen.backlog[-1]:,.0f} events at its end"
        )
        yield Status.UNSUSTAINED, text
    if seen.censored:
        text = (
            f"{seen.censored:,} measured events had not come out by the drain deadline; "
            "percentiles that reach them are lower bounds (≥)"
        )
        yield Status.UNSUSTAINED, text
    if seen.outputs is not None and not seen.drained:
        yield Status.UNSUSTAINED, "output was still arriving at the drain deadline, with an unknown number to come"
    if seen.counts is not None and seen.counts.missing and not seen.drained:
        text = (
            f"output was still arriving at the drain deadline, with {seen.counts.missing:,} of "
            f"{seen.counts.expected:,} expected events to come: they are late, or lost"
        )
        yield Status.UNSUSTAINED, text


def _contended(seen: Observation) -> Iterator[Finding]:
    if seen.engine_p99_us is None:
        return
    for what, value in (
        ("schedule slip of the generator", seen.slip_p99_us),
        ("lag of the consumer", seen.consumer_lag_p99_us),
    ):
        if value is None or value <= max(CONTENTION_US, CONTENTION_SHARE * seen.engine_p99_us):
            continue
        text = (
            f"{what}: p99 {value / 1_000:,.1f} ms beside the engine's p99 of "
            f"{seen.engine_p99_us / 1_000:,.1f} ms; the machine was too busy to measure cleanly"
        )
        yield Status.CONTENDED, text


def _notes(seen: Observation) -> Iterator[str]:
    yield from seen.output_notes
    if seen.late_expected and seen.counts is not None:
        yield (
            f"late: {seen.late_expected:,} events were sent too late for any window, and none was counted; the engine "
            f"reports {seen.counts.late_dropped:,} late drops"
        )
    if seen.halves_us is not None:
        first, second = seen.halves_us
        for name, a, b, (factor, distance) in (
            ("p50", first[0], second[0], DRIFT_P50),
            ("p99", first[1], second[1], DRIFT_P99),
        ):
            if abs(b - a) > distance and max(a, b) > factor * max(1, min(a, b)):
                yield (
                    f"drift: {name} went from {a / 1_000:,.2f} ms in the first half of the "
                    f"measurement to {b / 1_000:,.2f} ms in the second"
                    + ("; where that is warm-up, a longer --warmup leaves it out" if b < a else "")
                )
    if seen.cycles == 0 and not seen.boundaries_seen:
        yield (
            "boundary-free: no checkpoint or batch boundary inside the measurement; "
            "not comparable with runs that have boundaries"
        )
    elif seen.cycles == 0:
        yield (
            f"less than a cycle: {seen.boundaries_seen} checkpoint or batch boundaries inside a measurement that is "
            "shorter than an interval; comparable neither with whole cycles nor with boundary-free runs"
        )
    if seen.shared_cores:
        yield "shared-cores: engine, broker and harness shared the machine's cores"
    if seen.shortened:
        yield f"quick: {' and '.join(seen.shortened)}"
