"""Benchmark and verify streaming jobs on Apache Flink and Spark Real-Time Mode, side by side.

`run` measures, `load` and `runs` read what was measured, and a `Run` is looked at, compared and judged in place.
`docs/python-api.md` shows all of it on one page. Everything but the version is imported on first use.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

from rtmbench._core import OPTIMIZED, __version__

if TYPE_CHECKING:
    from rtmbench._core import Generator, Histogram, LatencyConsumer, Schedule, Table, TopicDiff, Workload
    from rtmbench.api.functions import load, run, run_all, run_job, runs, sample
    from rtmbench.api.run_list import RunList
    from rtmbench.api.run_result import Comparison, Run, Verdict

if not OPTIMIZED:
    warnings.warn(
        "rtmbench's core was built without optimisation: all its figures are invalid. "
        "Build it with `maturin develop --release`.",
        RuntimeWarning,
        stacklevel=2,
    )

_HOMES = {
    "rtmbench.api.functions": ("load", "run", "run_all", "run_job", "runs", "sample"),
    "rtmbench.api.run_result": ("Comparison", "Run", "Verdict"),
    "rtmbench.api.run_list": ("RunList",),
    "rtmbench._core": ("Generator", "Histogram", "LatencyConsumer", "Schedule", "Table", "TopicDiff", "Workload"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("aio", "spark")

__all__ = [
    "Comparison",
    "Generator",
    "Histogram",
    "LatencyConsumer",
    "Run",
    "RunList",
    "Schedule",
    "Table",
    "TopicDiff",
    "Verdict",
    "Workload",
    "__version__",
    "load",
    "run",
    "run_all",
    "run_job",
    "runs",
    "sample",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    attribute = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = attribute
    return attribute


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
