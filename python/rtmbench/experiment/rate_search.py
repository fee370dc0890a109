"""The search for the highest sustained rate: which rate to try next, and whether a rate has passed.

Doubling from the first rate until one fails (or halving until one passes), then bisection between the highest that
passed and the lowest that did not, on a logarithmic scale, with a bounded number of rates.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtmbench.results import slo
from rtmbench.results.backlog import FLOOR_EVENTS, SLOPE_LIMIT
from rtmbench.results.model import RatePoint, Status, Sustained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.results.model import Cell, Trial

PASSED, FAILED, HARNESS = "passed", "failed", "harness"
FLOOR_FACTOR = 1.5
"""The harness must reach this many times the rate; otherwise the harness might be the part that failed."""
ACHIEVED = 0.98
DEVIATIONS = 4.0
"""As many standard deviations of a Poisson process are let pass."""
CYCLES = 10
TRIALS = 3
LEAST_RATE = 10.0


@dataclass(kw_only=True)
class RateSearch:
    """Chooses rates (events per second) one after the other; feed each outcome back before the next."""

    start: float
    most: float
    resolution: float
    """The search ends where the bounds are within this factor of each other."""
    budget: int
    """How many rates may be tried."""
    outcomes: dict[float, str] = field(default_factory=dict)

    @property
    def passed(self) -> float | None:
        """The highest rate that passed, of those below every one that did not."""
        good = [rate for rate, outcome in self.outcomes.items() if outcome == PASSED and rate < self._ceiling]
        return max(good, default=None)

    @property
    def failed(self) -> float | None:
        """The lowest rate that the engine failed."""
        return min((rate for rate, outcome in self.outcomes.items() if outcome == FAILED), default=None)

    @property
    def _ceiling(self) -> float:
        return min((rate for rate, outcome in self.outcomes.items() if outcome != PASSED), default=math.inf)

    def next(self) -> float | None:
        """Give the next rate to try, or `None` at the end of the search."""
        return None if self.limit else self._candidate()

    def record(self, rate: float, outcome: str) -> None:
        """Note the outcome of a rate: passed, failed, or undecided because of the harness."""
        self.outcomes[rate] = outcome

    @property
    def limit(self) -> str:
        """What has ended the search; empty while it goes on."""
        passed, ceiling = self.passed, self._ceiling
        if passed is not None and passed >= self.most:
            return f"the highest rate allowed, {self.most:,.0f} events/s"
        if passed is None and self.outcomes and ceiling <= LEAST_RATE:
            return f"the lowest rate of a search, {LEAST_RATE:,.0f} events/s"
        candidate = self._candidate()
        narrow = passed is not None and ceiling <= passed * self.resolution
        if narrow or candidate in self.outcomes:
            harness = self.outcomes.get(ceiling) == HARNESS
            return f"the harness, at {ceiling:,.0f} events/s" if harness else f"within {self.resolution - 1:.0%}"
        return f"{self.budget} rates tried" if len(self.outcomes) >= self.budget else ""

    def _candidate(self) -> float:
        passed, ceiling = self.passed, self._ceiling
        if not self.outcomes:
            return _rounded(min(self.start, self.most))
        if passed is None:
            return _rounded(max(LEAST_RATE, ceiling / 2))
        if math.isinf(ceiling):
            return _rounded(min(2 * passed, self.most))
        return _rounded(math.sqrt(passed * ceiling))

    def found(self, cell: str, points: Sequence[RatePoint], *, quick: bool) -> Sustained:
        """Give the result of the search for the document."""
        return Sustained(
            cell=cell,
            passed=self.passed,
            failed=self.failed,
            quick=quick,
            limit=self.limit,
            points=sorted(points, key=lambda point: point.rate),
        )


def judge_floor(floor: Trial, rate: float) -> str:
    """Return why the harness cannot reach `FLOOR_FACTOR` × `rate`; empty if it can."""
    required_rate = FLOOR_FACTOR * rate
    if floor.status is not Status.VALID:
        reason = floor.reasons[0] if floor.reasons else "no reason reported"
        return f"the harness alone at {required_rate:,.0f} events/s is {floor.status.value}: {reason}"
    if not _reached(floor.rate.achieved, required_rate, floor.seconds):
        return f"the harness alone reached {floor.rate.achieved or 0:,.0f} of {required_rate:,.0f} events/s"
    return ""


def judge_trial(trial: Trial, cell: Cell, targets: Sequence[slo.Target]) -> tuple[str, str]:
    """Return the outcome of one trial at a rate, and why it did not pass."""
    checks = (_status, _generated, _backlog)
    failed_check = next(filter(None, (check(trial) for check in checks)), None)
    if failed_check is not None:
        return failed_check[0], f"trial {trial.trial}: {failed_check[1]}"
    for target in targets:
        outcome, detail = slo.judge_trial(target, cell, trial)
        if outcome != slo.MET:
            return (FAILED if outcome == slo.MISSED else HARNESS), f"{target.text}: {detail}"
    return PASSED, ""


def _status(trial: Trial) -> tuple[str, str] | None:
    if trial.status is Status.VALID:
        return None
    disturbed = trial.status in (Status.VOID, Status.CONTENDED)
    return (HARNESS if disturbed else FAILED), trial.reasons[0] if trial.reasons else trial.status.value


def _generated(trial: Trial) -> tuple[str, str] | None:
    achieved, requested = trial.rate.achieved, trial.rate.requested
    if _reached(achieved, requested, trial.seconds):
        return None
    return HARNESS, f"the generator reached {achieved or 0:,.0f} of {requested:,.0f} events/s"


def _reached(achieved: float | None, rate: float, seconds: float | None) -> bool:
    """Return whether a rate was reached, within the variation of random arrivals in this many seconds."""
    if achieved is None:
        return False
    return achieved >= ACHIEVED * rate - DEVIATIONS * math.sqrt(rate / (seconds or math.inf))


def _backlog(trial: Trial) -> tuple[str, str] | None:
    upper = trial.backlog.slope_upper if trial.backlog else None
    if upper is None:
        return HARNESS, "too short to decide whether the backlog grew"
    # The backlog is counted in events: at a low rate 0.1 % of it is less than one.
    allowed = max(SLOPE_LIMIT * trial.rate.requested, FLOOR_EVENTS / (trial.seconds or math.inf))
    if upper <= allowed:
        return None
    return FAILED, f"the backlog may grow by {upper:,.1f} events/s, {allowed:,.1f} are allowed"


def rate_point(rate: float, run_id: str, outcome: tuple[str, str], trials: Sequence[Trial]) -> RatePoint:
    """Give one rate of the search for the document."""
    latencies = [trial.latency_us for trial in trials]
    known = [latency for latency in latencies if latency is not None]
    whole = bool(known) and len(known) == len(latencies) and not any(latency.censored for latency in known)
    return RatePoint(
        rate=rate,
        run_id=run_id,
        passed=outcome[0] == PASSED,
        reason=outcome[1],
        p50_us=round(statistics.median(latency.p50 for latency in known)) if whole else None,
        p99_us=round(statistics.median(latency.p99 for latency in known)) if whole else None,
    )


def _rounded(rate: float) -> float:
    """Give a rate with two significant digits."""
    return float(f"{rate:.1e}")
