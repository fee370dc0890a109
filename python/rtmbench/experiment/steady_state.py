"""When an engine is warm: after a number of observed boundaries, one rule for all engines, bounded in time.

The code of a checkpoint or a batch boundary runs once an interval, so it is compiled long after the code of the
records: at intervals of 5 s Flink settles after some 20 boundaries and Spark after some 60 (`docs/tuning.md`). The rule
counts boundaries, therefore, not seconds. While the percentiles of each cycle still fall, the warm-up goes on. Whether
they still fell at its end is part of the result.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtmbench.results.model import WarmUp
from rtmbench.results.rank_sum import chance_of_lower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.results.model import WarmUpEnd

BOUNDARIES = 60
"""Boundaries that a full run waits for."""
LEAST_CYCLES = 12
"""With fewer cycles, whether the percentiles fall cannot be seen."""
LONGEST_BLOCK = 12
FALL = 0.8
"""The percentiles fall if the later block's median is below this share of the earlier one's …"""
FALL_US = {"p50": 500, "p99": 2_000}
"""… and by more than this, …"""
CHANCE = 0.02
"""… and the two blocks differ in this direction by chance with this probability at most: the p99 of one cycle can be
several times that of the next, on a warm engine too."""


@dataclass(frozen=True, kw_only=True)
class WarmUpRule:
    """How long the load runs before the measuring phase."""

    seconds: float
    """The length, or with `boundaries` the longest time to wait for them."""
    boundaries: int | None = None
    """Observed boundaries to wait for at least; None: the length is fixed."""


@dataclass
class WarmUpRecord:
    """The cycles of a warm-up as they were observed: p50 and p99 of what was received in each, µs."""

    rule: WarmUpRule
    p50_us: list[int] = field(default_factory=list[int])
    p99_us: list[int] = field(default_factory=list[int])
    _next_look: int | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Look first after as many boundaries as the rule states."""
        self._next_look = self.rule.boundaries

    def ended_by(self, elapsed_s: float, boundaries: int) -> WarmUpEnd | None:
        """Return what ends a warm-up of `elapsed_s` that saw so many boundaries; None while it goes on.

        One that still falls at its last boundary goes on for a block of cycles: more looks would find a pause by
        chance.
        """
        if self._next_look is not None and boundaries >= self._next_look:
            if not self.falling:
                return "boundaries"
            self._next_look = boundaries + LONGEST_BLOCK
        if elapsed_s >= self.rule.seconds:
            return "time" if self.rule.boundaries is None else "bound"
        return None

    def add(self, p50_us: int, p99_us: int) -> None:
        """Note the percentiles of one more cycle."""
        self.p50_us.append(p50_us)
        self.p99_us.append(p99_us)

    @property
    def falling(self) -> bool:
        """Whether the percentiles of the last cycles are clearly below those of the cycles before them."""
        return _falls(self.p50_us, FALL_US["p50"]) or _falls(self.p99_us, FALL_US["p99"])

    def result(self, *, seconds: float, boundaries: int | None, ended_by: WarmUpEnd) -> WarmUp:
        """Return the description of the warm-up for a document."""
        return WarmUp(seconds=round(seconds, 1), boundaries=boundaries, ended_by=ended_by, falling=self.falling)


def _falls(values: Sequence[int], least_us: int) -> bool:
    if len(values) < LEAST_CYCLES:
        return False
    block = min(LONGEST_BLOCK, len(values) // 3)
    earlier, later = values[-2 * block : -block], values[-block:]
    before, after = statistics.median(earlier), statistics.median(later)
    clearly = after < FALL * before and before - after > least_us
    return clearly and chance_of_lower(later, earlier) <= CHANCE


__all__ = ["BOUNDARIES", "CHANCE", "WarmUpRecord", "WarmUpRule"]
