"""The phases of a load that end with what an engine does, not with the clock: warm-up and whole cycles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.experiment.steady_state import WarmUpRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtmbench.experiment.steady_state import WarmUpRule
    from rtmbench.results.model import WarmUp

POLL_US = 1_000_000
"""How often rtmbench queries an engine for its boundaries: the query costs the measurement a little."""
EARLY = 0.5
"""By this share of an interval the last cycle may end before the nominal length is over."""


@dataclass(frozen=True, kw_only=True)
class BoundaryWatch:
    """Waits for the boundaries of one engine."""

    boundaries: Callable[[], int | None]
    """How many the engine has reported so far; None where it reports none."""
    wait: Callable[[int, int], None]
    """Waits until the first moment; the second is when the phase ends at the latest, for the live view. Both µs."""
    interval_s: float
    """The nominal checkpoint or batch interval."""
    now_us: Callable[[], int] = _core.now_us

    def warm_up(self, rule: WarmUpRule, consumer: _core.LatencyConsumer, start_us: int) -> WarmUp:
        """Wait until the engine is warm by the rule; return what was observed, percentiles of each cycle included."""
        record = WarmUpRecord(rule)
        end_us = start_us + round(rule.seconds * 1e6)
        first = latest = self.boundaries()
        whole_cycle = False
        while True:
            observed = None if first is None or latest is None else latest - first
            elapsed_s = max(0.0, (self.now_us() - start_us) / 1e6)
            ended_by = record.ended_by(elapsed_s, observed or 0)
            if ended_by is not None:
                return record.result(seconds=elapsed_s, boundaries=observed, ended_by=ended_by)
            self.wait(min(end_us, self.now_us() + POLL_US), end_us)
            now = self.boundaries()
            if latest is not None and now is not None and now > latest:
                live = consumer.snapshot()
                # The time before the first boundary is not a whole cycle.
                if whole_cycle and live.live_count:
                    record.add(live.p50_us, live.p99_us)
                consumer.reset_live()
                whole_cycle = True
            latest = now

    def next_boundary(self) -> int:
        """Wait for one more boundary, two intervals at most; return how many there are then."""
        first = self.boundaries() or 0
        limit_us = self.now_us() + round(2 * self.interval_s * 1e6)
        while (now := self.boundaries() or 0) == first and self.now_us() < limit_us:
            self.wait(min(limit_us, self.now_us() + POLL_US), limit_us)
        return now

    def cycles(self, count: int, *, after: int, least_s: float, longest_s: float) -> None:
        """Wait until `count` more boundaries than `after` are reported and `least_s` is nearly over.

        `longest_s` bounds the wait for an engine whose cycles take longer, or that reports none.
        """
        begin_us = self.now_us()
        least_us = begin_us + round(least_s * 1e6)
        longest_us = begin_us + round(longest_s * 1e6)
        early_us = round(EARLY * self.interval_s * 1e6)
        while self.now_us() < longest_us:
            self.wait(min(longest_us, self.now_us() + POLL_US), least_us)
            enough = (self.boundaries() or 0) - after >= count
            if enough and self.now_us() >= least_us - early_us:
                return


__all__ = ["BoundaryWatch"]
