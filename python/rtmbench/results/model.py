"""The result document: what a run found, as dataclasses that mirror its JSON field for field.

The published JSON Schema (`results/schema/result-1.schema.json`, see `json_schema`) describes the
same document for readers without Python. The unit is in a field's name (`_us`, `_ms`, `_mb`:
MiB) or in the docstring of its class. A figure that does not exist is `null`, never 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, cast

from rtmbench.errors import ConfigurationError
from rtmbench.results._codec import OMIT, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = "rtmbench.result/1"
"""Name and major version of the document; a reader refuses another major version."""

PERCENTILES: dict[str, float] = {
    "p50": 0.50,
    "p90": 0.90,
    "p95": 0.95,
    "p99": 0.99,
    "p99_9": 0.999,
}
"""Field names of `Latency` and the quantiles that they hold."""


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
class Latency:
    """Latency of one metric over the measuring phase, in µs, one sample per covered input event.

    An event that was not covered by the drain deadline is a sample at the deadline: its true
    latency is at least that. `censored` counts those samples and `censored_percentiles` names the
    fields that reach them: such a value is a LOWER BOUND, to be shown with `≥`. With one censored
    sample or more, `max` is always among them.
    """

    count: int
    censored: int
    min: int
    p50: int
    p90: int
    p95: int
    p99: int
    p99_9: int
    max: int
    negative: int
    """Samples received before their scheduled time; they are clamped to 1 µs in the percentiles."""
    censored_percentiles: list[str] = field(default_factory=list[str])
    intervals: dict[str, list[int]] | None = field(default=None, metadata=OMIT)
    """95 % interval [low, high] in µs by field name, from resampling whole cycles; `None` below 5 cycles."""

    @classmethod
    def measured(
        cls,
        *,
        count: int,
        minimum: int,
        maximum: int,
        quantile: Callable[[float], int],
        censored: int = 0,
        reaches_censored: Callable[[float], bool] = lambda _: False,
        negative: int = 0,
    ) -> Latency:
        """Read the figures from a histogram; `quantile` takes 0 … 1 and gives µs.

        `reaches_censored` returns whether a quantile falls on a censored sample. `count`
        includes the censored samples.
        """
        reached = [name for name, q in PERCENTILES.items() if censored and reaches_censored(q)]
        percentiles: dict[str, Any] = {name: int(quantile(q)) for name, q in PERCENTILES.items()}
        return cls(
            count=count,
            censored=censored,
            min=minimum,
            max=maximum,
            negative=negative,
            censored_percentiles=[*reached, "max"] if censored else [],
            **percentiles,
        )

    def is_lower_bound(self, name: str) -> bool:
        """Whether the field `name` (`p99`, `max`, …) is only a lower bound of the true value."""
        return name in self.censored_percentiles


WINDOWS_FOR_A_TAIL = 30
"""Below this many closed windows a close latency has a median and no other percentile."""


@dataclass(frozen=True, kw_only=True)
class CloseLatency:
    """Latency of final results, in µs: receipt minus (window end + watermark delay).

    One sample per window: keys that close together are one observation. `count` is the number of windows; under
    `WINDOWS_FOR_A_TAIL` of them everything but the median is null.
    """

    count: int
    p50: int
    min: int | None = None
    p90: int | None = None
    p95: int | None = None
    p99: int | None = None
    p99_9: int | None = None
    max: int | None = None

    @classmethod
    def measured(cls, *, count: int, minimum: int, maximum: int, quantile: Callable[[float], int]) -> CloseLatency:
        """Read the figures from a histogram; `quantile` takes 0 … 1 and gives µs."""
        if count < WINDOWS_FOR_A_TAIL:
            return cls(count=count, p50=int(quantile(0.5)))
        figures = {name: int(quantile(q)) for name, q in PERCENTILES.items()}
        return cls(count=count, min=minimum, max=maximum, **figures)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Figures of a distribution; unit by the field that holds it (`slip_us`, `hops_ms`)."""

    p50: float
    p99: float
    max: float
    mean: float | None = field(default=None, metadata=OMIT)
    """Of the signed values: the means of the hops add up to the mean latency of the same outputs."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Events per second over the measuring phase: requested, and reached by the generator."""

    requested: float
    achieved: float | None


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Kafka topics of the trial; the same for both where no engine stands between them."""

    input: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Events, by the oracle, over the whole trial with warm-up and drain.

    `missing`: never covered by an output. `wrong`: content, key order or time stamp differs.
    `late`: of those produced, events that happened too long ago to count in any window, on request. `late_dropped`: the
    engine's own count of events that it dropped as late.
    """

    produced: int
    expected: int
    received: int
    missing: int
    unexpected: int
    wrong: int
    duplicate: int
    late_dropped: int = 0
    late: int | None = field(default=None, metadata=OMIT)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The known facts about the outputs of a custom job, over the whole trial, instead of `Counts`.

    One sample is one output record of the measuring phase. The expected output is not known, so nothing can be
    missing.
    """

    produced: int
    """Input records."""
    received: int
    """Output records."""
    stamped: int
    """Of these, records with the time stamp of an event of the trial."""
    without: int
    """Records without a time stamp."""
    foreign: int
    """Records with a time stamp that no event of the trial has."""
    earlier: int
    """Records of events from before the trial, in topics that existed."""
    stamps: int
    """Different time stamps of events in the measuring phase, as far as the resolution separates them."""
    covered: int
    """How many of these some output carries."""
    crowded: int
    """How many of these more outputs carry than there are events of them."""
    timestamp_field: str
    resolution_us: int
    """What the time stamps are good to, µs: a latency may be too long by up to this."""
    oracle: str | None
    """The user's function that checked the output; `None`: the output was not checked."""
    complaints: list[str]
    """What it found wrong."""
    late_dropped: int = 0


@dataclass(frozen=True, kw_only=True)
class Resources:
    """One figure for each party, summed over its processes; `None` where not observed."""

    engine: float | None
    kafka: float | None
    harness: float | None


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """Events put in and not yet covered, at the edges of the measuring phase, and its trend."""

    start: int
    end: int
    slope: float
    """Events per second, fitted to the lowest backlog of each cycle (see `results.status`)."""
    slope_upper: float | None = field(default=None, metadata=OMIT)
    """One-sided 95 % upper bound of the slope."""


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Each second of the measuring phase, as columns of one length; times by intended time."""

    from_us: int
    """Start of the measuring phase, µs since the Unix epoch."""
    count: list[int]
    """Samples: expected events intended for the second."""
    p50_us: list[int]
    p99_us: list[int]
    max_us: list[int]
    backlog: list[int]
    """Expected events without an output at the second's end."""


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Something that took time in the measuring phase and may have held events up."""

    kind: str
    """`batch_boundary`, `checkpoint`, `savepoint`, `gc_pause`, `safepoint` or `stall`."""
    source: str
    """Whose: `spark`, `flink-taskmanager`, `kafka`, …; `output` for a stall."""
    at_ms: float
    """Its start after the start of the measuring phase; negative where it had begun before."""
    duration_ms: float
    detail: str = ""


BOUNDARIES = frozenset({"batch_boundary", "checkpoint", "savepoint"})
"""Kinds of happening in which an engine makes its work durable."""
AFTERMATH_MS = 50.0
"""How long after a happening a wait still counts as its: what had piled up is being worked off."""


@dataclass(frozen=True, kw_only=True)
class Coincidence:
    """How much of a trial's tail fell together with one kind of happening; shares are 0 … 1.

    A sample of the tail coincides if half of its waiting or more lay within such happenings, or within the
    50 ms after one. To coincide is not to be caused: by chance alone, up to `time_share` of the samples would.
    """

    kind: str
    source: str
    count: int
    total_ms: float
    time_share: float
    """Share of the measuring phase that the happenings, with the 50 ms after each, take."""
    tail_share: float | None
    """Share of the samples above p99 that coincide; `None` without such samples."""
    stall_share: float | None = None
    """Share of the stalled time that coincides; `None` without a stall."""


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """What the tail of a trial coincides with. Kinds overlap, so their shares do not add up."""

    tail_samples: int
    """Samples above p99."""
    coincidences: list[Coincidence]
    unexplained: float | None
    """Share of the samples above p99 that coincide with no known happening."""
    stall_unexplained: float | None = None


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """One measured cycle: from one observed boundary to the next, by intended time."""

    from_ms: float
    """Its start after the start of the measuring phase."""
    to_ms: float
    count: int
    p50_us: int
    p95_us: int
    p99_us: int
    max_us: int


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """How long load ran before the measuring phase, and what ended the wait."""

    seconds: float
    boundaries: int | None
    """Observed checkpoints or batch boundaries in it; `None` where they were not counted."""
    ended_by: str
    """`boundaries` (all were observed), `bound` (the time for them ran out) or `time` (the length was fixed)."""
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

    seconds: float
    cores: int
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
class Trial:
    """One trial of one cell. Times are of the measuring phase, counts of the whole trial."""

    trial: int
    """1, 2, …; trials of two cells with the same number form a pair."""
    status: Status
    valid: bool
    """Whether the figures may be used (statuses valid and contended)."""
    reasons: list[str]
    """What to know about the figures: human sentences, the deciding one first."""
    seconds: float | None
    """Length of the measuring phase."""
    cycles: int | None
    """Whole checkpoint or batch intervals measured; 0: less than one."""
    rate: Rate
    topics: Topics | None
    latency_us: Latency | None
    """Update latency; `None` for a trial that failed, was refused or is void."""
    slip_us: Spread | None
    """Schedule slip: hand-over to the Kafka client after the intended time."""
    stall_share: float | None
    """0 … 1: share of the time without output for over 100 ms although input was waiting."""
    counts: Counts | None
    cpu_seconds: Resources | None
    peak_rss_mb: Resources | None
    attempt: int = 1
    """2 where the trial was run again because the first attempt was void."""
    started_at: str | None = field(default=None, metadata=OMIT)
    """ISO 8601, UTC."""
    close_latency_us: CloseLatency | None = field(default=None, metadata=OMIT)
    hops_ms: dict[str, Spread] | None = field(default=None, metadata=OMIT)
    """`scheduled_to_input`, `input_to_output`, `output_to_received`; signed, millisecond resolution."""
    boundaries_seen: int | None = field(default=None, metadata=OMIT)
    """Observed checkpoints or batch boundaries in the measuring phase, which whole cycles begin and end with."""
    cycle_figures: list[Cycle] | None = field(default=None, metadata=OMIT)
    warm_up: WarmUp | None = field(default=None, metadata=OMIT)
    interference: Interference | None = field(default=None, metadata=OMIT)
    output_bytes: int | None = field(default=None, metadata=OMIT)
    """Bytes of the values of all output records."""
    unread_partitions: list[int] | None = field(default=None, metadata=OMIT)
    """Input partitions that hold records without any output; empty if all were read."""
    stall_max_us: int | None = field(default=None, metadata=OMIT)
    backlog: Backlog | None = field(default=None, metadata=OMIT)
    outputs: Outputs | None = field(default=None, metadata=OMIT)
    """Instead of `counts`, where a custom job was measured."""
    offending: list[dict[str, Any]] | None = field(default=None, metadata=OMIT)
    """The first records that the oracle objected to."""
    timeline: Timeline | None = field(default=None, metadata=OMIT)
    happenings: list[Happening] | None = field(default=None, metadata=OMIT)
    """In order of time: boundaries, checkpoints, pauses and stalls within the measuring phase."""
    attribution: Attribution | None = field(default=None, metadata=OMIT)
    files: dict[str, str] | None = field(default=None, metadata=OMIT)
    """What was kept of the trial (`hlog`, logs): name → path relative to the run's directory."""

    @property
    def boundaries(self) -> Literal["whole", "some", "none"]:
        """Which checkpoint or batch boundaries were measured.

        `whole`: those of whole intervals; only this makes a headline. `some`: less than an interval was measured, with
        a boundary inside. `none`: boundary-free. A trial is compared with its like only.
        """
        if self.cycles != 0:
            return "whole"
        return "some" if any(one.kind in BOUNDARIES for one in self.happenings or ()) else "none"


@dataclass(frozen=True, kw_only=True)
class Headline:
    """Median over all trials that are not void of each trial's percentile, in µs. No interval, no verdict.

    An unsustained trial counts with its figures as lower bounds, a failed one as infinite. `None`: the median falls on
    a failed trial, so the figure does not exist.
    """

    p50_us: int | None
    p95_us: int | None
    p99_us: int | None
    p99_9_us: int | None
    max_us: int | None
    valid_trials: int
    """Trials whose figures may be used (valid and contended)."""
    attempts: int
    """Every trial run, void ones and reruns too."""
    trials: int | None = field(default=None, metadata=OMIT)
    """Trials that are not void, which the median is over; `None` in documents that counted valid trials only."""
    failed: int | None = field(default=None, metadata=OMIT)
    """How many of them failed, where any did."""
    lower_bounds: list[str] | None = field(default=None, metadata=OMIT)
    """Names of the figures (`p99_us`) that are lower bounds, to be shown with `≥`; `None` where none is."""

    def is_lower_bound(self, name: str) -> bool:
        """Whether the figure `name` (`p99_us`) is only a lower bound of the true median."""
        return name in (self.lower_bounds or ())


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why the engine would not run the query: its own error class and message."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One engine variant on one pattern."""

    name: str
    """The engine as requested, e.g. `flink@1.20`; comparisons name cells by it."""
    engine: str
    version: str
    """The requested version (`4.1`); empty for a floor."""
    build: str
    """What ran (`4.1.4`)."""
    mode: str
    emit: str
    """`row`, `update`, `batch` or `close`: when the engine writes a result; `output`: when a job of the user's does."""
    status: Status
    trials: list[Trial]
    remark: str | None = field(default=None, metadata=OMIT)
    """What to know about this variant before its figures are read."""
    refusal: Refusal | None = field(default=None, metadata=OMIT)
    headline: Headline | None = field(default=None, metadata=OMIT)
    """Median over all trials that are not void."""
    facts: dict[str, Any] | None = field(default=None, metadata=OMIT)
    """The report of the running engine: effective settings, read back."""


@dataclass(frozen=True, kw_only=True)
class NoiseBand:
    """How far a ratio may be from 1 on this machine without a cause: factors of 1 or more."""

    p50: float
    p99: float | None
    """`None` if it was not measured: then the comparison has no verdict on p99."""
    measured: bool
    """Whether A/A runs of both cells on this machine with these settings gave it; else that of p50 is assumed."""


@dataclass(frozen=True, kw_only=True)
class Failures:
    """How many trials of two compared cells failed or did not sustain the rate, of those that are not void."""

    baseline: int
    baseline_trials: int
    other: int
    other_trials: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two cells side by side; ratios are other divided by baseline.

    Paired by trial number within a run. From 6 pairs on, a ratio is the geometric mean that its interval is around;
    below, without an interval, the median over the pairs.
    """

    baseline: str
    other: str
    pairs: int
    """Pairs whose two trials are both of status valid."""
    ratio_p50: float | None
    """Of p50(other) / p50(baseline); above 1: other is slower."""
    ratio_p99: float | None
    verdict: str
    """Of other, on p99: `faster`, `slower`, `no difference shown`, or `no verdict`. `worse`, `better`: other fails, or
    does not sustain the rate, in clearly more or clearly fewer trials, which no latency outweighs."""
    note: str = ""
    """Why the verdict is missing, what is withheld, or what makes the two unlike."""
    interval: list[float] | None = field(default=None, metadata=OMIT)
    """Lower and upper bound of the p99 ratio, 95 %."""
    verdict_p50: str | None = field(default=None, metadata=OMIT)
    """The same on p50; left out without a verdict."""
    interval_p50: list[float] | None = field(default=None, metadata=OMIT)
    """Lower and upper bound of the p50 ratio, 95 %."""
    noise_band: NoiseBand | None = field(default=None, metadata=OMIT)
    """What the near bound of an interval had to exceed to be called a difference; left out where nothing was judged."""
    ratio_engine_p50: float | None = field(default=None, metadata=OMIT)
    """Of the engines' own hops (input appended to output appended), without harness and broker; `None` where a trial's
    hop is below 1 ms, since Kafka stamps whole milliseconds."""
    ratio_engine_p99: float | None = field(default=None, metadata=OMIT)
    failures: Failures | None = field(default=None, metadata=OMIT)
    """Where a trial of either cell failed or did not sustain the rate."""


@dataclass(frozen=True, kw_only=True)
class TargetOutcome:
    """The outcome of a cell for one target of `--slo`."""

    target: str
    """As written, e.g. `p99<100ms@10000/s`."""
    cell: str
    outcome: str
    """`met`, `missed` or `inconclusive`."""
    detail: str


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Which point of a sweep this document is; documents of one sweep share the `experiment_id`."""

    axes: dict[str, list[Any]]
    """The settings that vary, by the names of the command line, with all their values."""
    point: dict[str, Any]
    """The value of each axis in this document."""


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """One rate of a search for the highest sustained one; `rate` in events per second."""

    rate: float
    run_id: str
    passed: bool
    reason: str
    """Why it did not pass, or what it was."""
    p50_us: int | None
    """Median over the trials, like `p99_us`; `None` where a trial has no figure."""
    p99_us: int | None


@dataclass(frozen=True, kw_only=True)
class Sustained:
    """The highest sustained rate of a cell lies between `passed` and `failed`, in events per second."""

    cell: str
    passed: float | None
    """The highest rate that passed; `None`: not even the lowest tried."""
    failed: float | None
    """The lowest rate that failed because of the engine; `None`: none did, see `limit`."""
    quick: bool
    """Found with one short trial a rate: a first look, not the definition's three long ones."""
    limit: str
    """What ended the search: resolution, trials, the harness, or the highest rate allowed."""
    points: list[RatePoint]


@dataclass(frozen=True, kw_only=True)
class Host:
    """The machine of the run; `memory` in MiB."""

    cpu: str
    cores: int
    memory: int
    os: str
    kernel: str
    shared_cores: bool
    """Whether engine, broker and harness had to share cores."""
    priority: dict[str, Any] | None = field(default=None, metadata=OMIT)
    """How engines are kept below broker and harness: `mechanism`, `effective`, `detail`, read back."""
    filesystems: dict[str, str] | None = field(default=None, metadata=OMIT)
    """File system type of the engines' work directory (`work`) and of the broker's log (`kafka_log`)."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One pattern's run: the whole document."""

    experiment_id: str
    run_id: str
    pattern: str
    created_at: str
    """ISO 8601, UTC."""
    host: Host
    versions: dict[str, str]
    """What took part: `rtmbench`, `kafka`, `librdkafka`, `java`, `python`."""
    settings: dict[str, Any]
    """The settings of the run as they took effect, by the names of the command line."""
    parity: list[dict[str, Any]]
    """Effective engine settings side by side, see `rtmbench.parity`."""
    cells: list[Cell]
    floors: list[Cell]
    comparisons: list[Comparison]
    complete: bool = False
    """False until every requested trial is in the document."""
    slo: list[TargetOutcome] | None = field(default=None, metadata=OMIT)
    """One entry per target and cell, if the run has targets."""
    grid: Grid | None = field(default=None, metadata=OMIT)
    sustained: list[Sustained] | None = field(default=None, metadata=OMIT)
    """What a search for the highest sustained rate found, the same in every document of the search."""
    unlike_work: str | None = field(default=None, metadata=OMIT)
    """How the engines' work on this pattern differs in meaning; `None` where it is the same."""
    schema: str = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        """Give the document as JSON values, `schema` first."""
        document: dict[str, Any] = encode(self)
        return {"schema": document.pop("schema"), **document}

    def to_json(self) -> str:
        """Give the document as indented JSON text, ending in a newline."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        # A lone surrogate from a hostile log line has no UTF-8 form; escaped it is harmless.
        return text.encode("utf-8", "backslashreplace").decode() + "\n"

    @classmethod
    def from_dict(cls, document: Any, *, source: str = "document") -> Result:
        """Read a document; `source` names it in error messages.

        Raises:
            ConfigurationError: not a result, of an unknown major version, or not whole.

        """
        schema: Any = cast("dict[str, Any]", document).get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise ConfigurationError(_unknown_schema(source, schema))
        return decode(cls, document, source)


def json_schema() -> dict[str, Any]:
    """Give the published JSON Schema (draft 2020-12) of the document."""
    path = resources.files("rtmbench.results") / "schema" / "result-1.schema.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def _unknown_schema(source: str, schema: Any) -> str:
    name, _, major = str(schema).partition("/")
    if name == SCHEMA.partition("/")[0]:
        return (
            f"{source} has the schema `{name}/{major[:20]}`, which this version of rtmbench does "
            f"not know: it reads `{SCHEMA}`. Read it with the rtmbench that wrote it, or a newer "
            "one."
        )
    return f"{source} is not an rtmbench result: its `schema` should be `{SCHEMA}`, but is {str(schema)[:60]!r}."
