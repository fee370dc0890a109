"""Reading the `.hlog` of a trial: HdrHistogram's interval log, one histogram for each second of the measurement."""

from __future__ import annotations

import base64
import binascii
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


def read_interval_log(path: Path) -> list[Interval]:
    """Return the intervals of a log in order.

    Raises ConfigurationError where the file cannot be read or is no interval log.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The interval log {path} cannot be read: {error}.") from error
    intervals = []
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith(("#", '"')):
            continue
        fields = [field for field in line.split(",") if not field.startswith("Tag=")]
        try:
            # Another number of fields is a ValueError too.
            start, length, _, payload = fields
            histogram = _core.Histogram.from_bytes(base64.b64decode(payload, validate=True))
            intervals.append(Interval(start_s=float(start), length_s=float(length), histogram=histogram))
        except (ValueError, binascii.Error) as error:
            raise ConfigurationError(f"{path}, line {number}, is no interval of a histogram log: {error}.") from error
    return intervals


def trial_log(trial: Trial, directory: Path | None) -> list[Interval]:
    """Return the interval log of a trial with figures, from its run's directory; empty where there is none to read.

    The document may have been written by anybody: it does not decide which files outside of its directory are read.
    """
    name = (trial.files or {}).get("latency")
    if directory is None or name is None or trial.latency_us is None:
        return []
    path = directory / name
    try:
        inside = path.resolve().is_relative_to(directory.resolve())
        return read_interval_log(path) if inside else []
    except (ConfigurationError, ValueError, OSError):
        # A ValueError is a name that no file can have.
        return []


def merged(intervals: list[Interval]) -> _core.Histogram:
    """Return all samples of the intervals in one histogram."""
    total = _core.Histogram()
    for interval in intervals:
        total.merge(interval.histogram)
    return total


__all__ = ["Interval", "merged", "read_interval_log", "trial_log"]
