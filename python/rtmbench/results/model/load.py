"""What `produce`, `measure`, `merge` and `diff` print with `--json`."""

# msgspec resolves the annotations at run time.
# ruff: noqa: TC001

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rtmbench.results._document import OMIT
from rtmbench.results.model.values import Amount, Count, Ordinal, Share


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """Figures of a histogram, in µs; null without samples, and where they would be invalid."""

    count: Count
    """Samples."""
    min: int | None
    p50: Count | None
    p90: Count | None
    p95: Count | None
    p99: Count | None
    p99_9: Count | None
    max: int | None


@dataclass(frozen=True, kw_only=True)
class SignedPercentiles(Percentiles):
    """Figures of a histogram, in µs, whose samples may lie below 0."""

    negative: Count
    """Samples before their time stamp; they count as 1 µs in the percentiles."""


@dataclass(frozen=True, kw_only=True)
class ProducerSettings:
    """The settings of the Kafka producer that decide about its requests."""

    linger_ms: Amount
    """How long it collects records for a request."""
    batch_bytes: Ordinal
    """The most bytes of one partition in a request."""
    acks: str
    """`all`, or the number of replicas that must confirm a record."""
    compression: str


@dataclass(frozen=True, kw_only=True)
class ProduceDocument:
    """The document of `rtmbench produce --json`."""

    topic: str
    acked: Count
    """Events that Kafka confirmed."""
    failed: Count
    """Events that Kafka did not confirm in time, or refused."""
    seconds: Amount
    rate: Amount
    """Confirmed events per second."""
    slip_us: Percentiles | None
    """Schedule slip: hand-over to the Kafka client after the intended time; null for `--rate max`."""
    client: ProducerSettings


@dataclass(frozen=True, kw_only=True)
class TimestampUnits:
    """How the time stamps were read."""

    field: str
    """The name of the field; `header:NAME`; or `kafka`, for the time stamp that Kafka keeps of each record."""
    unit: str | None
    """The most frequent unit; null without records."""
    units: dict[str, Count]
    """Records by unit."""
    resolution_us: Ordinal | None
    """Resolution of the time stamps, µs: a latency may be too long by up to this."""
    kafka_type: Literal["CreateTime", "LogAppendTime", "both"] | None = dataclasses.field(default=None, metadata=OMIT)
    """With `kafka`: whose time it is, the producer's or the broker's (`message.timestamp.type` of the topic)."""


@dataclass(frozen=True, kw_only=True)
class ClockReport:
    """Whether the clock that stamps the records agrees with the clock of this machine."""

    negative: Count
    """Samples before their time stamp."""
    share: Share
    """The share of the samples that they are."""
    median_us: int | None
    """Median of all samples, signed; null without samples."""
    ahead_us: Count
    """How far the clock that stamps the records is ahead at least; 0 without negative samples."""
    ok: bool
    """False: no percentile may be shown."""


@dataclass(frozen=True, kw_only=True)
class ClockComparison:
    """How far the clock that stamps the records is from the clock of this host, as `measure --clock` found it."""

    offset_us: int
    """The other clock minus this one; every latency is corrected by it."""
    error_us: Count
    """The offset is right within this, both ways, during the whole measurement."""


@dataclass(frozen=True, kw_only=True)
class MergeDocument:
    """The document of `rtmbench merge --json`."""

    records: list[Count]
    """Records of each log, in the order of the command line."""
    latency_us: Percentiles


@dataclass(frozen=True, kw_only=True)
class MeasureDocument:
    """The document of `rtmbench measure --json`."""

    topic: str
    seconds: Amount
    timestamp: TimestampUnits
    latency_us: SignedPercentiles
    clock: ClockReport
    malformed: Count
    """Records without a time stamp that could be read."""
    compared_clock: ClockComparison | None = dataclasses.field(default=None, metadata=OMIT)
    """With `--clock`."""
    shard: str | None = dataclasses.field(default=None, metadata=OMIT)
    """With `--shard I/N`: the part of the partitions that was read."""


DiffKind: TypeAlias = Literal["different", "missing_in_a", "missing_in_b", "duplicate_in_a", "duplicate_in_b", "late"]


@dataclass(frozen=True, kw_only=True)
class DiffSettings:
    """How two topics were compared."""

    key: list[str]
    """Fields that identify a record; `kafka` is its Kafka key."""
    window: str | None
    """The field with the time of the record's window, which identifies it too."""
    ignore: list[str]
    """Fields that need not be equal."""
    digits: Ordinal | None
    """Significant digits to which numbers were compared; null: exactly."""
    last: bool
    """Whether only the last record of each identity counted."""
    lag_s: Amount | None
    """The longest time between two equal records; null: no limit."""


@dataclass(frozen=True, kw_only=True)
class DiffTopic:
    """One of two topics that were compared."""

    topic: str
    read: Count
    """Records read."""
    malformed: Count
    """Of these, records that could not be compared."""
    malformed_samples: list[str]
    """The first of them: where, why, and what they look like."""
    missing: Count
    """Records of the other topic that this one does not have."""
    duplicates: Count
    """Records that this topic has once more."""
    created: Count
    """Records whose time is the producer's (CreateTime)."""
    appended: Count
    """Records whose time is the broker's (LogAppendTime)."""
    reached_us: Count
    """How far the topic was read, µs since the Unix epoch; 0 where that is not known."""


@dataclass(frozen=True, kw_only=True)
class DiffRecord:
    """A record of an example."""

    partition: Count
    offset: Count
    at_us: int
    """The time that Kafka keeps of it, µs since the Unix epoch."""
    text: str | None
    """Its first characters, empty for a tombstone; null where Kafka has deleted it since."""


@dataclass(frozen=True, kw_only=True)
class DiffExample:
    """A difference with its records."""

    kind: DiffKind
    a: DiffRecord | None
    b: DiffRecord | None


@dataclass(frozen=True, kw_only=True)
class DiffDocument:
    """The document of `rtmbench diff --json`."""

    equal: bool | None
    """Null where nothing was compared, or some records could not be."""
    a: DiffTopic
    b: DiffTopic
    seconds: Amount
    settings: DiffSettings
    matched: Count
    """Pairs of equal records; with `last`, identities whose last records are equal."""
    different: Count
    """Pairs of one identity with different values."""
    late: Count
    """Equal pairs whose times are further apart than the lag."""
    differences: Count
    """Sum of different, late, missing and duplicates."""
    undecided: Count
    """Records that were not judged, because an equal one may lie before the start."""
    waiting: Count
    """Records that were not judged, because they were younger than the lag at the end."""
    b_later_us: Percentiles
    """Time in B minus time in A, for the equal pairs in which it is not negative."""
    a_later_us: Percentiles
    """Time in A minus time in B, for the equal pairs in which it is positive."""
    examples: list[DiffExample]
    resumed: bool
    """Whether it continued from a stored state; the counts are those of the whole comparison."""
