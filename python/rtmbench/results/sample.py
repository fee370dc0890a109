"""Where the recorded sample lies: real runs of all four patterns, which the package brings along."""

from __future__ import annotations

from pathlib import Path

DIRECTORY = Path(__file__).resolve().parents[1] / "data" / "sample"
"""Holds one directory for each pattern, as `tools/sample.py` packed it."""


def holds(directory: Path | None) -> bool:
    """Return whether a run's directory is part of the sample, which nothing may be written into."""
    return directory is not None and directory.resolve().is_relative_to(DIRECTORY)


__all__ = ["DIRECTORY", "holds"]
