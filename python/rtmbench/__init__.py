"""Benchmark and verify streaming jobs on Apache Flink and Spark Real-Time Mode, side by side."""

from __future__ import annotations

import warnings

from rtmbench._core import OPTIMIZED, __version__

if not OPTIMIZED:
    warnings.warn(
        "rtmbench's core was built without optimisation: no figure that it gives means anything. "
        "Build it with `maturin develop --release`.",
        RuntimeWarning,
        stacklevel=2,
    )

__all__ = ["__version__"]
