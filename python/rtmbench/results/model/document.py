"""The document of one run: cells, floors, comparisons and the machine."""

# msgspec resolves the annotations at run time.
# ruff: noqa: TC001

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Annotated, Any, Final, Literal, cast

from msgspec import Meta

from rtmbench.errors import ConfigurationError
from rtmbench.json_object import JsonObject
from rtmbench.results._document import OMIT, decode, encode
from rtmbench.results.model.comparison import Comparison, TargetOutcome
from rtmbench.results.model.engine import EngineFacts
from rtmbench.results.model.trial import Status, Trial
from rtmbench.results.model.values import Count, FigureName, Ordinal, Positive, RunId, Scalar, Text, Timestamp

SCHEMA: Final = "rtmbench.result/2"
"""Name and major version of the document; a reader refuses another major version."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """Median over all trials that are not void of each trial's percentile, in µs. No interval, no verdict.

    An unsustained trial counts with its figures as lower bounds, a failed one as infinite. `None`: the median falls on
    a failed trial, so the figure does not exist.
    """

    p50_us: Count | None
    p95_us: Count | None
    p99_us: Count | None
    p99_9_us: Count | None
    max_us: Count | None
    valid_trials: Count
    """Trials whose figures may be used (valid and contended)."""
    attempts: Ordinal
    """Every trial run, void ones and reruns too."""
    trials: Ordinal | None = field(default=None, metadata=OMIT)
    """Trials that are not void, which the median is over; `None` in documents that counted valid trials only."""
    failed: Ordinal | None = field(default=None, metadata=OMIT)
    """How many of them failed, where any did."""
    lower_bounds: Annotated[list[FigureName], Meta(min_length=1)] | None = field(default=None, metadata=OMIT)
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

    name: Text
    """The engine as requested, e.g. `flink@1.20`; comparisons name cells by it."""
    engine: str
    version: str
    """The requested version (`4.1`); empty for a floor."""
    build: str
    """What ran (`4.1.4`)."""
    mode: str
    emit: str
    """When the engine writes a result: `row`, `update` (one per input record), `batch` (one per key and batch) or
    `close` (at the window's end); `output`: whenever a custom job does."""
    status: Status
    """The worst of the trials; void only where there is nothing else."""
    trials: list[Trial]
    """Every attempt, void ones too."""
    remark: str | None = field(default=None, metadata=OMIT)
    """What to know about this variant before its figures are read."""
    refusal: Refusal | None = field(default=None, metadata=OMIT)
    headline: Headline | None = field(default=None, metadata=OMIT)
    """Left out where no trial has figures, and where less than a whole checkpoint or batch interval was measured."""
    facts: EngineFacts | None = field(default=None, metadata=OMIT)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Which point of a sweep this document is; documents of one sweep share the `experiment_id`."""

    axes: dict[str, Annotated[list[Scalar], Meta(min_length=1)]]
    """The settings that vary, by the names of the command line, with all their values."""
    point: dict[str, Scalar]
    """The value of each axis in this document."""


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """One rate of a search for the highest sustained one; `rate` in events per second."""

    rate: Positive
    run_id: str
    passed: bool
    reason: str
    """Why it did not pass, or what it was."""
    p50_us: Count | None
    """Median over the trials, like `p99_us`; `None` where a trial has no figure."""
    p99_us: Count | None


@dataclass(frozen=True, kw_only=True)
class Sustained:
    """The highest sustained rate of a cell lies between `passed` and `failed`, in events per second."""

    cell: str
    passed: Positive | None
    """The highest rate that passed; `None`: not even the lowest tried."""
    failed: Positive | None
    """The lowest rate that failed because of the engine; `None`: none did, see `limit`."""
    quick: bool
    """Found with one short trial a rate: a first look, not the definition's three long ones."""
    limit: str
    """What ended the search: resolution, trials, the harness, or the highest rate allowed."""
    points: list[RatePoint]


@dataclass(frozen=True, kw_only=True)
class EnginePriority:
    """How the engines are kept below the broker and the harness, as read back from the kernel."""

    mechanism: Literal["cgroup-v2", "cgroup-v1", "autogroup", "nice", "none"]
    effective: bool
    """False: nothing keeps the engines below the others."""
    detail: str
    """One sentence."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """The machine of the run."""

    cpu: str
    """Model name."""
    cores: Ordinal
    """Cores that the run may use (affinity and control groups counted)."""
    memory: Count
    """MiB."""
    os: str
    kernel: str
    shared_cores: bool
    """Whether engine, broker and harness had to share cores."""
    priority: EnginePriority | None = field(default=None, metadata=OMIT)
    filesystems: dict[str, str] | None = field(default=None, metadata=OMIT)
    """File system type of the engines' work directory (`work`) and of the broker's log (`kafka_log`)."""


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """One effective setting of the engines, side by side."""

    setting: str
    values: dict[str, Scalar | None]
    """By the name of the cell; `None` where the engine does not have the setting, or does not report it."""
    same: bool
    note: str = ""
    """What a difference means; empty where nothing has to be explained."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run of one pattern: the whole document.

    A trial that failed, was refused or is void has no latency figures: the failure is the result.
    """

    experiment_id: Text
    """Ties the documents of one command together, one per pattern."""
    run_id: RunId
    """Sortable by time; the name of the run's directory."""
    pattern: str
    """`01` to `04`, or `own`: a custom job."""
    created_at: Timestamp
    """ISO 8601, UTC."""
    host: Host
    versions: dict[str, str]
    """What took part: `rtmbench`, `kafka`, `librdkafka`, `java`, `python`."""
    settings: JsonObject
    """The settings of the run as they took effect, by the names of the command line."""
    parity: list[ParityRow]
    """Effective engine settings side by side, see `rtmbench.parity`."""
    cells: list[Cell]
    floors: list[Cell]
    """The harness without an engine: `transport` (the consumer reads the input topic), `relay`."""
    comparisons: list[Comparison]
    complete: bool = False
    """False until every requested trial is in the document."""
    slo: list[TargetOutcome] | None = field(default=None, metadata=OMIT)
    """One entry per target and cell, if the run has targets."""
    grid: Grid | None = field(default=None, metadata=OMIT)
    sustained: list[Sustained] | None = field(default=None, metadata=OMIT)
    """What a search for the highest sustained rate found, the same in every document of the search."""
    unobserved: list[str] | None = field(default=None, metadata=OMIT)
    """What the run could not observe, one sentence each; left out where everything was observed."""
    unlike_work: str | None = field(default=None, metadata=OMIT)
    """How the engines' work on this pattern differs in meaning; `None` where it is the same."""
    schema: Literal["rtmbench.result/2"] = SCHEMA

    def to_dict(self) -> JsonObject:
        """Give the document as JSON values, `schema` first."""
        document: JsonObject = encode(self)
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
        schema: Any = cast("JsonObject", document).get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise ConfigurationError(_unknown_schema(source, schema))
        return decode(cls, document, source)


def json_schema(
    document: Literal["result-2", "produce-1", "measure-1", "merge-1", "diff-1"] = "result-2",
) -> JsonObject:
    """Give the published JSON Schema (draft 2020-12) of a document: a result's, or what a command prints."""
    path = resources.files("rtmbench.results") / "schema" / f"{document}.schema.json"
    schema: JsonObject = json.loads(path.read_text(encoding="utf-8"))
    return schema


def _unknown_schema(source: str, schema: Any) -> str:
    name, _, major = str(schema).partition("/")
    if name == SCHEMA.partition("/")[0]:
        return (
            f"{source} has the schema `{name}/{major[:20]}`, which this version of rtmbench does "
            f"not read: it reads `{SCHEMA}`. Use the version of rtmbench that wrote it."
        )
    return f"{source} is not an rtmbench result: its `schema` should be `{SCHEMA}`, but is {str(schema)[:60]!r}."
