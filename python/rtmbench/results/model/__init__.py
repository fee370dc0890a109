"""The result document of one run, as dataclasses that mirror its JSON field for field.

The published JSON Schema (`results/schema/result-2.schema.json`, see `json_schema`) is generated from these classes and
their docstrings by `tools/result_schema.py`. The unit is in a field's name (`_us`, `_ms`, `_mb`: MiB) or in the
docstring of its class. A figure that does not exist is `null`, never 0.
"""

from __future__ import annotations

from rtmbench.results.model.comparison import Comparison, Failures, NoiseBand, TargetOutcome
from rtmbench.results.model.document import (
    SCHEMA,
    Cell,
    EnginePriority,
    Grid,
    Headline,
    Host,
    ParityRow,
    RatePoint,
    Refusal,
    Result,
    Sustained,
    json_schema,
)
from rtmbench.results.model.engine import EngineFacts, EngineSettings
from rtmbench.results.model.latency import PERCENTILES, WINDOWS_FOR_A_TAIL, CloseLatency, Latency, Spread
from rtmbench.results.model.trial import (
    BOUNDARIES,
    RECOVERY_MS,
    Attribution,
    Backlog,
    Coincidence,
    Counts,
    Cycle,
    Interference,
    Interruption,
    Offence,
    Outputs,
    Rate,
    Resources,
    RoleLoad,
    Status,
    Timeline,
    Topics,
    Trial,
    WarmUp,
)
from rtmbench.results.model.values import (
    ComparisonVerdict,
    FigureName,
    PercentileName,
    Scalar,
    TargetVerdict,
    WarmUpEnd,
)

__all__ = [
    "BOUNDARIES",
    "PERCENTILES",
    "RECOVERY_MS",
    "SCHEMA",
    "WINDOWS_FOR_A_TAIL",
    "Attribution",
    "Backlog",
    "Cell",
    "CloseLatency",
    "Coincidence",
    "Comparison",
    "ComparisonVerdict",
    "Counts",
    "Cycle",
    "EngineFacts",
    "EnginePriority",
    "EngineSettings",
    "Failures",
    "FigureName",
    "Grid",
    "Headline",
    "Host",
    "Interference",
    "Interruption",
    "Latency",
    "NoiseBand",
    "Offence",
    "Outputs",
    "ParityRow",
    "PercentileName",
    "Rate",
    "RatePoint",
    "Refusal",
    "Resources",
    "Result",
    "RoleLoad",
    "Scalar",
    "Spread",
    "Status",
    "Sustained",
    "TargetOutcome",
    "TargetVerdict",
    "Timeline",
    "Topics",
    "Trial",
    "WarmUp",
    "WarmUpEnd",
    "json_schema",
]
