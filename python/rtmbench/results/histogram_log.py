"""Reading the `.hlog` of a trial: HdrHistogram's interval log, one histogram for each second of the measurement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.results.model import Trial


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One interval: its start after the start of the log and its length, seconds; its latencies, µs."""

    start_s: float
    length_s: float
    histogram: _core.Histogram


def read_histogram_log(path: Path) -> list[Interval]:
    """Return the intervals of a log in order.

    Raises ConfigurationError where the file cannot be read or is not an interval log.
    """
    try:
        read = _core.read_interval_log(path)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The histogram log {path} cannot be read: {error}.") from error
    begin_us = read[0][0] if read else 0
    return [
        Interval(start_s=(start_us - begin_us) / 1e6, length_s=length_us / 1e6, histogram=histogram)
        for start_us, length_us, histogram in read
    ]


def trial_log(trial: Trial, directory: Path | None) -> list[Interval]:
    """Return the interval log of a trial with figures, from its run's directory; empty if there is none to read.

    The document may have been written by anybody: it does not decide which files outside of its directory are read.
    """
    name = (trial.files or {}).get("latency")
    if directory is None or name is None or trial.latency_us is None:
        return []
    path = directory / name
    try:
        inside = path.resolve().is_relative_to(directory.resolve())
        return read_histogram_log(path) if inside else []
    except (ConfigurationError, ValueError, OSError):
        # A ValueError is a name that no file can have.
        return []


def merged(intervals: list[Interval]) -> _core.Histogram:
    """Return all samples of the intervals in one histogram."""
    total = _core.Histogram()
    for interval in intervals:
        total.merge(interval.histogram)
    return total


__all__ = ["Interval", "merged", "read_histogram_log", "trial_log"]
