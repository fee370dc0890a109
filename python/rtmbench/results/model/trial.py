"""One trial: its status, its figures and counts, and what happened while it ran."""

# msgspec resolves the annotations at run time.
# ruff: noqa: TC001

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from rtmbench.results._document import OMIT
from rtmbench.results.model.latency import CloseLatency, Latency, Spread
from rtmbench.results.model.values import Amount, Count, Ordinal, Positive, Share, Timestamp, WarmUpEnd


class Status(str, Enum):
    """What a trial (or a cell) came to; the rules are in `rtmbench.results.status`."""

    VALID = "valid"
    CONTENDED = "contended"
    UNSUSTAINED = "unsustained"
    FAILED = "failed"
    REFUSED = "refused"
    VOID = "void"

    @property
    def usable(self) -> bool:
        """Whether the latency figures may be used: valid and contended."""
        return self in (Status.VALID, Status.CONTENDED)

    @property
    def has_figures(self) -> bool:
        """Whether a trial keeps latency figures at all; without, the failure is the result."""
        return self.usable or self is Status.UNSUSTAINED


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Events per second over the measuring phase: requested, and reached by the generator."""

    requested: Positive
    achieved: Amount | None


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Kafka topics of the trial; the same for both where no engine stands between them."""

    input: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Events, by the oracle, over the whole trial with warm-up and drain.

    Null where the output was not checked.
    """

    produced: Count
    expected: Count
    received: Count
    missing: Count
    """Events that no output covers."""
    unexpected: Count
    wrong: Count
    """Outputs whose content, order per key or time stamp differs."""
    duplicate: Count
    late_dropped: Count = 0
    """Events that the engine dropped as late, by its own count."""
    late: Count | None = field(default=None, metadata=OMIT)
    """Of those produced, events that happened too long ago to count in any window, on request."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The known facts about the outputs of a custom job, over the whole trial, instead of `Counts`.

    One sample is one output record of the measuring phase. The expected output is not known, so nothing can be
    missing.
    """

    produced: Count
    """Input records."""
    received: Count
    """Output records."""
    matched: Count
    """Output records with the time stamp of an event of the trial."""
    missing_timestamp: Count
    """Output records without a time stamp."""
    foreign_timestamp: Count
    """Output records with a time stamp that no event of the trial has."""
    earlier_events: Count
    """Output records of events from before the trial, in topics that existed."""
    distinct_timestamps: Count
    """Different time stamps of events in the measuring phase, as far as the resolution separates them."""
    covered_timestamps: Count
    """How many of these some output carries."""
    duplicated_timestamps: Count
    """How many of these more outputs carry than there are events of them."""
    timestamp_field: str
    resolution_us: Ordinal
    """Resolution of the time stamps, µs. They are rounded down, so a latency may be too long by up to this."""
    oracle: str | None
    """The user's function that checked the output; `None`: the output was not checked."""
    complaints: list[str]
    """What the oracle reported as wrong."""
    late_dropped: Count = 0
    """Records that the engine dropped as late, by its own count."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """One figure for each party, summed over its processes; `None` where not observed."""

    engine: Amount | None
    kafka: Amount | None
    harness: Amount | None


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Events put in and not yet covered, at the edges of the measuring phase, and its trend."""

    start: Count
    end: Count
    slope: float
    """Events per second: Theil-Sen slope over the lowest backlog of each cycle (see `results.status`)."""
    slope_upper: float | None = field(default=None, metadata=OMIT)
    """One-sided 95 % upper bound of the slope."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Each second of the measuring phase, as columns of one length; times by intended time."""

    from_us: int
    """Start of the measuring phase, µs since the Unix epoch."""
    count: list[Count]
    """Samples: expected events intended for the second."""
    p50_us: list[Count]
    p99_us: list[Count]
    max_us: list[Count]
    backlog: list[int]
    """Expected events without an output at the second's end."""


@dataclass(frozen=True, kw_only=True)
class Interruption:
    """Something that took time in the measuring phase and may have held events up."""

    kind: str
    """`batch_boundary`, `checkpoint`, `savepoint`, `gc_pause`, `safepoint` or `stall`."""
    source: str
    """Whose: `spark`, `flink-taskmanager`, `kafka`, …; `output` for a stall."""
    at_ms: float
    """Its start after the start of the measuring phase; negative where it had begun before."""
    duration_ms: Amount
    detail: str = ""


BOUNDARIES = frozenset({"batch_boundary", "checkpoint", "savepoint"})
"""Kinds of interruption in which an engine makes its work durable."""
RECOVERY_MS = 50.0
"""How long after an interruption a wait still counts as its: what had piled up is being worked off."""


@dataclass(frozen=True, kw_only=True)
class Coincidence:
    """How much of a trial's tail fell together with one kind of interruption; shares are 0 … 1.

    A sample of the tail coincides if half of its waiting or more lay within such interruptions, or within the
    50 ms after one. To coincide is not to be caused: by chance alone, up to `time_share` of the samples would.
    """

    kind: str
    source: str
    count: Count
    total_ms: Amount
    time_share: Share
    """Share of the measuring phase that the interruptions, with the 50 ms after each, take."""
    tail_share: Share | None
    """Share of the samples above p99 that coincide; `None` without such samples."""
    stall_share: Share | None = None
    """Share of the stalled time that coincides; `None` without a stall."""


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """What the tail of a trial coincides with. Kinds overlap, so their shares do not add up."""

    tail_samples: Count
    """Samples above p99."""
    coincidences: list[Coincidence]
    unexplained: Share | None
    """Share of the samples above p99 that coincide with no known interruption."""
    stall_unexplained: Share | None = None
    """Share of the stalled time that coincides with no known interruption."""


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """One measured cycle: from one observed boundary to the next, by intended time."""

    from_ms: float
    """Its start after the start of the measuring phase."""
    to_ms: float
    count: Count
    p50_us: Count
    p95_us: Count
    p99_us: Count
    max_us: Count


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """How long load ran before the measuring phase, and what ended the wait."""

    seconds: Amount
    boundaries: Count | None
    """Observed checkpoints or batch boundaries in it; `None` where they were not counted."""
    ended_by: WarmUpEnd
    """`boundaries` (enough were observed, and the percentiles no longer fell), `bound` (the time for them ran out) or
    `time` (the length was fixed)."""
    falling: bool = False
    """Whether the percentiles per cycle still fell at the end."""


@dataclass(frozen=True, kw_only=True)
class RoleLoad:
    """What one role (engine, kafka, harness) got of the processors in the measuring phase."""

    cpu_s: float | None
    run_delay_s: float | None
    """Time in which its threads were runnable and waited for a processor, summed over threads."""
    switches: int | None
    """Context switches, summed over threads."""


@dataclass(frozen=True, kw_only=True)
class Interference:
    """The interference ledger of a trial: what the machine did in the measuring phase besides the engine's work."""

    seconds: Amount
    cores: Ordinal
    roles: dict[str, RoleLoad]
    other_cpu_s: float | None
    """CPU seconds of all processes that are neither engine, broker nor harness; `None` where not observed."""
    steal_s: float | None
    """CPU seconds that the hypervisor gave to others."""
    pressure_s: float | None = None
    """Seconds in which some task waited for a processor (PSI `cpu.some`); `None` where the kernel has no PSI."""
    broker_gc_ms: float | None = None
    """GC pauses of the local broker, summed."""

    def waiting(self, role: str) -> float | None:
        """Return how many threads of a role were ready and waited for a processor, on average; None: not observed."""
        load = self.roles.get(role)
        return None if load is None or load.run_delay_s is None or not self.seconds else load.run_delay_s / self.seconds


@dataclass(frozen=True, kw_only=True)
class Offence:
    """A record that the oracle objected to."""

    kind: str
    partition: int | None
    offset: int | None
    detail: str
    """What is wrong with it."""
    record: str
    """The record as text, cut where it is long."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial of one cell. Times are of the measuring phase, counts of the whole trial."""

    trial: Ordinal
    """1, 2, …; trials of two cells with the same number form a pair."""
    status: Status
    valid: bool
    """Whether the figures may be used (statuses valid and contended)."""
    reasons: list[str]
    """What to know about the figures: human sentences, the deciding one first."""
    seconds: Amount | None
    """Length of the measuring phase."""
    cycles: Count | None
    """Whole checkpoint or batch intervals measured; 0: less than one."""
    rate: Rate
    topics: Topics | None
    latency_us: Latency | None
    """Update latency: first receipt of an output that covers an event, minus the event's scheduled time. `None` for a
    trial that failed, was refused or is void."""
    slip_us: Spread | None
    """Schedule slip: hand-over to the Kafka client after the intended time. It is never subtracted."""
    stall_share: Share | None
    """Share of the time without output for over 100 ms although input was waiting."""
    counts: Counts | None
    cpu_seconds: Resources | None
    """CPU time over the measuring phase."""
    peak_rss_mb: Resources | None
    """Peak resident memory, MiB."""
    attempt: Ordinal = 1
    """2 where the trial was run again because the first attempt was void."""
    started_at: Timestamp | None = field(default=None, metadata=OMIT)
    """ISO 8601, UTC."""
    close_latency_us: CloseLatency | None = field(default=None, metadata=OMIT)
    """Only where an engine emits a final result of each window."""
    hops_ms: dict[str, Spread] | None = field(default=None, metadata=OMIT)
    """`scheduled_to_input`, `input_to_output`, `output_to_received`; signed, millisecond resolution."""
    boundaries_seen: Count | None = field(default=None, metadata=OMIT)
    """Observed checkpoints or batch boundaries in the measuring phase, which whole cycles begin and end with."""
    cycle_figures: list[Cycle] | None = field(default=None, metadata=OMIT)
    warm_up: WarmUp | None = field(default=None, metadata=OMIT)
    interference: Interference | None = field(default=None, metadata=OMIT)
    output_bytes: Count | None = field(default=None, metadata=OMIT)
    """Bytes of the values of all output records."""
    unread_partitions: list[Count] | None = field(default=None, metadata=OMIT)
    """Input partitions that hold records without any output; empty if all were read."""
    stall_max_us: Count | None = field(default=None, metadata=OMIT)
    """The longest time without output although input was waiting."""
    backlog: Backlog | None = field(default=None, metadata=OMIT)
    outputs: Outputs | None = field(default=None, metadata=OMIT)
    """Instead of `counts`, where a custom job was measured."""
    offending: list[Offence] | None = field(default=None, metadata=OMIT)
    """The first records that the oracle objected to."""
    timeline: Timeline | None = field(default=None, metadata=OMIT)
    interruptions: list[Interruption] | None = field(default=None, metadata=OMIT)
    """In order of time: boundaries, checkpoints, pauses and stalls within the measuring phase."""
    attribution: Attribution | None = field(default=None, metadata=OMIT)
    files: dict[str, str] | None = field(default=None, metadata=OMIT)
    """Files kept of the trial (`hlog`, logs): name → path relative to the run's directory."""

    @property
    def boundaries(self) -> Literal["whole", "some", "none"]:
        """Which checkpoint or batch boundaries were measured.

        `whole`: those of whole intervals; only this makes a headline. `some`: less than an interval was measured, with
        a boundary inside. `none`: boundary-free. A trial is compared with its like only.
        """
        if self.cycles != 0:
            return "whole"
        return "some" if any(interruption.kind in BOUNDARIES for interruption in self.interruptions or ()) else "none"
