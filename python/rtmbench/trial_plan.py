"""What a trial is to do, and what was found of its outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rtmbench import _core
    from rtmbench.patterns import Pattern
    from rtmbench.platform.process import Process
    from rtmbench.report.live import LiveState
    from rtmbench.results.model import Counts, Outputs
    from rtmbench.results.store import RunDirectory
    from rtmbench.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What was found of a trial's outputs: by the oracle of a pattern, or of a job of the user's own."""

    verdict: _core.Verdict
    counts: Counts | None = None
    outputs: Outputs | None = None
    faults: Sequence[str] = ()
    notes: Sequence[str] = ()
    unread_partitions: Sequence[int] = ()
    """Input partitions that hold records of the trial of which nothing was read."""


@dataclass(frozen=True, kw_only=True)
class TrialPlan:
    """What one trial is to do."""

    pattern: Pattern
    settings: Settings
    name: str
    """The cell's name, such as `flink@1.20`."""
    trial: int
    trials: int
    """How many there are going to be."""
    attempt: int
    warmup_s: float
    measure_s: float
    tail_s: float
    """For how long load goes on after the measuring phase, so that its windows close."""
    cycles: int
    slots: int
    bootstrap_servers: str
    kafka: Process | None
    """The local broker, for its CPU time and its health; None for an existing one."""
    directory: RunDirectory
    scratch: Path
    show: Callable[[LiveState], None]

    @property
    def slug(self) -> str:
        """A name for the trial's topics and files, such as `flink-1.20-1`."""
        again = f"-attempt-{self.attempt}" if self.attempt > 1 else ""
        return f"{self.name.replace('@', '-').replace(':', '-')}-{self.trial}{again}"


__all__ = ["Judged", "TrialPlan"]
