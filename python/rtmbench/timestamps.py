"""The units of records' time stamps, and whether their clock agrees with the clock of rtmbench: in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench._core import Histogram

MOST = 0.5
"""Above this share of negative samples no percentile is shown."""
HOUR_US = 3_600_000_000
"""The longest latency that a histogram distinguishes from a longer one."""
_SPANS = ((1_000_000, "s"), (1_000, "ms"), (1, "µs"))


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How the clock that stamps records compares with rtmbench's, as far as negative latencies show it."""

    count: int
    """Samples."""
    negative: int
    """Of these, samples that were received before their time stamp."""
    median_us: int | None
    """The median latency, µs, negative ones as they are; None without samples."""
    ahead_us: int
    """By how much the stamping clock is ahead at least, µs: the most that a sample was received too early; 0: none."""

    @classmethod
    def of(cls, latency: Histogram, ahead: Histogram) -> Clock:
        """Make it of all latencies, in which negative ones are clamped, and of how far ahead the negative ones were."""
        median = latency.percentile(50) if latency.count else None
        if ahead.count > MOST * latency.count:
            # The lower latencies are those that are further ahead, so the ranks run backwards.
            median = -ahead.percentile(100 * (1 - 0.5 * latency.count / ahead.count))
        return cls(count=latency.count, negative=ahead.count, median_us=median, ahead_us=ahead.max)

    @property
    def share(self) -> float:
        """The share of samples that are negative."""
        return self.negative / self.count if self.count else 0.0

    @property
    def agrees(self) -> bool:
        """Whether percentiles may be shown: at most half of the samples are negative."""
        return self.share <= MOST

    def problem(self) -> str | None:
        """Return why no percentile is shown; None if percentiles may be shown."""
        if self.agrees or self.median_us is None:
            return None
        return (
            f"The clocks disagree: {self._early()}, and the median latency is {-self.median_us / 1000:,.3f} ms below "
            f"0. The clock that stamps the records is at least {self.ahead_us / 1000:,.3f} ms ahead of this machine's, "
            "so no latency is known and no percentile is shown. Synchronise both clocks (chrony, PTP), or measure on "
            "the machine that stamps the records."
        )

    def warning(self) -> str | None:
        """Return by how much the shown percentiles are too low; None if no sample is negative."""
        if not self.negative or not self.agrees:
            return None
        return (
            f"warning: {self._early()}, counted as 1 µs: the clock that stamps them is at least "
            f"{self.ahead_us / 1000:,.3f} ms ahead of this machine's, and every latency is too low by that offset"
        )

    def _early(self) -> str:
        records = "record" if self.count == 1 else "records"
        return f"{self.negative:,} of {self.count:,} {records} ({self.share:.1%}) arrived before their time stamp"


def recognised(field: str, units: Sequence[tuple[str, int]], resolution_us: int | None) -> str:
    """Return the units and the resolution of a field's time stamps, in words; empty without time stamps."""
    if resolution_us is None:
        return ""
    names = units[0][0]
    if len(units) > 1:
        names = " and ".join(f"{name} ({count:,} record{'s' * (count != 1)})" for name, count in units)
    text = f"time stamps: {field} is {names}"
    if resolution_us > 1:
        step = span(resolution_us)
        text += f"; resolution {step}, rounded down: a latency may be too long by up to {step}"
    return text


def too_old(field: str, units: Sequence[tuple[str, int]], where: str) -> str:
    """Return the message that every record is older than a histogram can represent."""
    names = " and ".join(name for name, _ in units)
    return (
        f"Every record that arrived in {where} is more than 1 h old by its {field!r}, which is read as {names}. Either "
        "they are a backlog, or the field is not the creation time of the event. Measure when the backlog is gone, "
        "or name another field"
    )


def span(us: int) -> str:
    """Return a length of time without a fraction: 1 s, 10 ms, 1 µs."""
    return next(f"{us // unit:,} {name}" for unit, name in _SPANS if us >= unit and us % unit == 0)


__all__ = ["HOUR_US", "MOST", "Clock", "recognised", "span", "too_old"]
