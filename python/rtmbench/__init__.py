"""Benchmark and verify streaming jobs on Apache Flink and Spark Real-Time Mode, side by side."""

from __future__ import annotations

from rtmbench._core import __version__

__all__ = ["__version__"]
