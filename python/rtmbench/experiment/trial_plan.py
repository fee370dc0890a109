"""What a trial is to do, and what was found of its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtmbench.engines import FLOORS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rtmbench import _core
    from rtmbench.engines import EngineSpec
    from rtmbench.experiment.progress import Progress
    from rtmbench.experiment.settings import Settings
    from rtmbench.experiment.steady_state import WarmUpRule
    from rtmbench.kafka.connection import Connection
    from rtmbench.patterns import Pattern
    from rtmbench.platform.process import Process
    from rtmbench.platform.scheduling import SchedulingGroup
    from rtmbench.results.model import Counts, Outputs
    from rtmbench.results.store import RunDirectory


LONGEST_MEASURE = 1.5
"""An engine whose cycles last longer than this times the nominal ones is measured for fewer of them."""
SPARE_S = 30.0
"""Load that is never sent: phases end by what is observed, and a poll late."""
SET_UP_FLOOR_S = 3.0
SET_UP_ENGINE_S = 15.0
"""Rough times of a trial outside of warm-up and measurement, for the estimate before the start."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What was found of a trial's outputs: by the oracle of a pattern, or of a custom job."""

    verdict: _core.Verdict
    counts: Counts | None = None
    outputs: Outputs | None = None
    faults: Sequence[str] = ()
    notes: Sequence[str] = ()
    unread_partitions: Sequence[int] = ()
    """Input partitions that hold records of the trial of which nothing was read."""


@dataclass(frozen=True, kw_only=True)
class TimeLimits:
    """How long a trial waits, apart from its load. Seconds, or checkpoint or batch intervals (`_cycles`)."""

    ready_s: float = 120.0
    """For the first output of an engine."""
    settle_s: float = 0.5
    """After the last expected output, for outputs that nobody expects."""
    quiet_s: float = 2.0
    """Without output for this long at the drain deadline, nothing more is taken to be on its way."""
    quiet_cycles: float = 2
    """As many intervals without output show the same of an engine whose number of outputs is unknown."""
    catch_up_s: float = 10.0
    """For the consumer, to receive all that is in the output topic."""
    stamp_s: float = 2.0
    """For a first output with a time stamp, once there is one without."""


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
    warm_up: WarmUpRule
    measure_s: float
    """Length of the measuring phase at the nominal interval; whole cycles take as long as they take."""
    tail_s: float
    """For how long load goes on after the measuring phase, so that its windows close."""
    cycles: int
    """Whole cycles to measure; 0: the phase is `measure_s` long, whatever lies in it."""
    slots: int
    connection: Connection
    kafka: Process | None
    """The local broker, for its CPU time and its health; None for an existing one."""
    services_here: bool
    """Whether services that somebody else runs are on this machine: then the load of other programs is not known."""
    directory: RunDirectory
    scratch: Path
    show: Callable[[Progress], None]
    limits: TimeLimits = field(default_factory=TimeLimits)
    group: Callable[[], SchedulingGroup] | None = None
    """Makes the scheduling group of the engine; None: it is scheduled as any other program."""

    @property
    def longest_measure_s(self) -> float:
        """The longest that the load goes on to observe the cycles, with the wait for the first boundary."""
        if self.cycles == 0:
            return self.measure_s
        return LONGEST_MEASURE * self.measure_s + 4 * self.settings.checkpoint_interval_s

    @property
    def longest_load_s(self) -> float:
        """The longest that the load may go on, all phases together."""
        return self.warm_up.seconds + self.longest_measure_s + self.tail_s + SPARE_S

    @property
    def slug(self) -> str:
        """A name for the trial's topics and files, such as `flink-1.20-1`."""
        again = f"-attempt-{self.attempt}" if self.attempt > 1 else ""
        return f"{self.name.replace('@', '-').replace(':', '-')}-{self.trial}{again}"


def expected_s(settings: Settings, spec: EngineSpec, pattern: Pattern) -> float:
    """Return roughly how long a trial takes, s."""
    if spec.engine in FLOORS:
        return SET_UP_FLOOR_S + settings.floor_warmup_s + settings.floor_duration_s
    tail_s = 2 * settings.tail_s(spec, pattern)
    return SET_UP_ENGINE_S + settings.expected_warmup_s + settings.duration_s + tail_s


__all__ = ["Judged", "TimeLimits", "TrialPlan", "expected_s"]
