"""The progress of an experiment, and who may observe it. The experiment knows no view."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """How far the whole run has got, floors included."""

    trial: int
    """Number of the trial that runs: 1, 2, …"""
    trials: int
    """How many trials the run has; more where one has to be repeated."""
    share: float
    """0 … 1: the part of the estimated time that has passed."""
    seconds_left: float
    """By the estimate."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of the trial that runs. Rates in events/s; `None` where nothing is known yet."""

    engine: str
    trial: int
    trials: int
    phase: str
    target_rate: float | None = None
    rate: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None
    p99_9_us: float | None = None
    behind_ms: float | None = None
    """How far the generator is behind its schedule."""
    received: int | None = None
    backlog: int | None = None
    time_left_s: float | None = None
    """Of the phase."""
    run: RunProgress | None = None
    """`None` where the number of trials is not known, as in a search for a rate."""


class RunClock:
    """Counts the trials of a run and the time that is left of it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._trial = 0
        self._trials = 0
        self._left_s = 0.0
        self._since = self._began = clock()

    def begin_trial(self, trials_left: int, seconds_left: float) -> None:
        """Note that a trial begins; `trials_left` and `seconds_left` include it."""
        self._trial += 1
        self._trials = self._trial - 1 + trials_left
        self._left_s = seconds_left
        self._since = self._clock()

    def now(self) -> RunProgress | None:
        """Return how far the run has got; None before its first trial."""
        if not self._trial:
            return None
        now = self._clock()
        left_s = max(0.0, self._left_s - (now - self._since))
        passed_s = now - self._began
        share = passed_s / (passed_s + left_s) if passed_s + left_s else 1.0
        return RunProgress(trial=self._trial, trials=self._trials, share=share, seconds_left=left_s)


class Observer(Protocol):
    """Shows or records the progress while it is entered. It may be entered again after it was left."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """End the show."""

    def update(self, progress: Progress, /) -> None:
        """Take the current state, several times a second."""

    def say(self, message: str, /) -> None:
        """Take a message that stays."""


class Silent:
    """An observer that shows nothing."""

    def __enter__(self) -> Self:
        """Do nothing."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def update(self, progress: Progress, /) -> None:
        """Ignore the state."""

    def say(self, message: str, /) -> None:
        """Ignore the message."""


SILENT: Observer = Silent()

__all__ = ["SILENT", "Observer", "Progress", "RunClock", "RunProgress", "Silent"]
