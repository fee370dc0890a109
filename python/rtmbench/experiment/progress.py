"""The progress of an experiment, and who may observe it. The experiment knows no view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


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

__all__ = ["SILENT", "Observer", "Progress", "Silent"]
