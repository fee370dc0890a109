"""What a trial took from the machine, per event: CPU time, and what that costs where a vCPU hour has a price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtmbench.results.model import Trial

SECONDS_PER_HOUR = 3_600
PARTIES = ("engine", "kafka", "harness")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """CPU-seconds per million events for each party; `None` where it was not observed."""

    engine: float | None
    kafka: float | None
    harness: float | None
    engine_cores: float | None
    """CPU-seconds of the engine for each second of the measuring phase."""

    def per_billion(self, vcpu_hour: float) -> float | None:
        """Return the price of the engine's CPU time for 10⁹ events, one vCPU-second for each CPU-second.

        That is the time used, not the size of a machine that is kept for it: a lower bound of a bill.
        """
        return None if self.engine is None else self.engine * 1_000 / SECONDS_PER_HOUR * vcpu_hour


def cost(trial: Trial) -> Cost | None:
    """Work out the cost of a trial from its CPU time and the events put in during the measuring phase.

    Returns `None` for a trial without a figure of its CPU time or of its rate.
    """
    if trial.cpu_seconds is None or not trial.seconds or not trial.rate.achieved:
        return None
    millions = trial.rate.achieved * trial.seconds / 1e6
    used = {name: getattr(trial.cpu_seconds, name) for name in PARTIES}
    engine = used["engine"]
    return Cost(
        **{name: None if value is None else value / millions for name, value in used.items()},
        engine_cores=None if engine is None else engine / trial.seconds,
    )


__all__ = ["Cost", "cost"]
