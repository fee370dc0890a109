"""Results: the versioned document, the status of a trial, headlines, comparisons, the store.

Knows nothing of engines, of Kafka or of how a result is shown.
"""

from rtmbench.results.comparison import compare, compare_all
from rtmbench.results.model import (
    SCHEMA,
    Backlog,
    Cell,
    CloseLatency,
    Comparison,
    Counts,
    Headline,
    Host,
    Latency,
    NoiseBand,
    Outputs,
    Rate,
    Refusal,
    Resources,
    Result,
    Spread,
    Status,
    Topics,
    Trial,
    json_schema,
)
from rtmbench.results.statistics import cell_status, headline
from rtmbench.results.status import Observation, classify
from rtmbench.results.store import RunDirectory, list_runs, load, new_run_id

__all__ = [
    "SCHEMA",
    "Backlog",
    "Cell",
    "CloseLatency",
    "Comparison",
    "Counts",
    "Headline",
    "Host",
    "Latency",
    "NoiseBand",
    "Observation",
    "Outputs",
    "Rate",
    "Refusal",
    "Resources",
    "Result",
    "RunDirectory",
    "Spread",
    "Status",
    "Topics",
    "Trial",
    "cell_status",
    "classify",
    "compare",
    "compare_all",
    "headline",
    "json_schema",
    "list_runs",
    "load",
    "new_run_id",
]
