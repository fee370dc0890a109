"""The live view of a run: one panel on a terminal, a plain line now and then elsewhere.

The view has no separate thread: it draws when it receives an update, at most four times a
second, so that it takes next to nothing from the machine that is being measured.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rtmbench.formatting import NO_FIGURE, clean, duration, milliseconds, minutes

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import IO

    from typing_extensions import Self

    from rtmbench.experiment.progress import Progress

LINE_EVERY_S = 5.0
DRAW_EVERY_S = 0.25
_NAME = 40
_BAR = 32


class StderrConsole(Console):
    """A console on standard error (or `file`) whose reader may go away without ending the run."""

    def __init__(self, file: IO[str] | None = None) -> None:
        # A notebook's kernel sets FORCE_COLOR, which rich takes for a terminal; there is none to move a cursor on.
        terminal = (file or sys.stderr).isatty()
        super().__init__(
            file=file,
            stderr=file is None,
            highlight=False,
            emoji=False,
            force_jupyter=False,
            force_terminal=terminal,
        )

    def on_broken_pipe(self) -> None:
        """Fall silent. The library would close standard output too, and exit."""
        self.quiet = True


class LiveView:
    """Shows the progress of a run while it is entered; on standard error by default.

    On a terminal a panel is redrawn in place and vanishes at the end. Elsewhere a line is printed
    whenever engine, trial or phase change, and at most one every five seconds in between.
    """

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or StderrConsole()
        self._clock = clock
        self._live: Live | None = None
        self._step: tuple[str, int, str] | None = None
        self._shown_at = float("-inf")
        self._latest: Progress | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            # Standard output belongs to the result: the view must not catch what is printed there.
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            with contextlib.suppress(OSError):
                self._live.stop()
            self._live = None

    def update(self, state: Progress) -> None:
        """Show `state`, now or with the next drawing."""
        self._latest = state
        step = (state.engine, state.trial, state.phase)
        every = LINE_EVERY_S if self._live is None else DRAW_EVERY_S
        now = self._clock()
        if step == self._step and now - self._shown_at < every:
            return
        self._step, self._shown_at = step, now
        # A closed standard error must not end a run that is otherwise well.
        with contextlib.suppress(OSError):
            if self._live is not None:
                self._live.update(_panel(state), refresh=True)
            else:
                self._line(_line(state))

    def say(self, message: str) -> None:
        """Print a message that stays, above the panel where there is one."""
        with contextlib.suppress(OSError):
            self._line(clean(message, 1_000))

    def _line(self, text: str) -> None:
        # Soft wrap keeps a message one line of a log file, however narrow the console claims to be.
        self._console.print(Text(text), soft_wrap=True)


def _facts(state: Progress) -> dict[str, str]:
    """Give what is known of the state, by name, in the order of reading."""
    facts = {}
    if state.rate is not None:
        target = "" if state.target_rate is None else f" of {state.target_rate:,.0f}"
        facts["rate"] = f"{state.rate:,.0f}{target} events/s"
    elif state.target_rate is not None:
        facts["target"] = f"{state.target_rate:,.0f} events/s"
    for name, value in (("p50", state.p50_us), ("p99", state.p99_us), ("p99.9", state.p99_9_us)):
        if value is not None:
            facts[name] = f"{milliseconds(value)} ms"
    if state.behind_ms is not None:
        facts["slip"] = f"{state.behind_ms:,.0f} ms"
    if state.received is not None:
        facts["received"] = f"{state.received:,}"
    if state.backlog is not None:
        facts["backlog"] = f"{state.backlog:,}"
    if state.time_left_s is not None:
        facts["left"] = duration(state.time_left_s)
    return facts


def _title(state: Progress) -> str:
    return f"{clean(state.engine, _NAME)} trial {state.trial}/{state.trials}"


def _run(state: Progress) -> str:
    """Show how far the whole run has got; nothing where that is not known."""
    run = state.run
    return "" if run is None else f"trial {run.trial} of {run.trials}, {minutes(run.seconds_left)} left"


def _line(state: Progress) -> str:
    facts = [f"{name} {value}" for name, value in _facts(state).items()]
    run = f"[{text}] " if (text := _run(state)) else ""
    return run + " · ".join([_title(state), clean(state.phase, _NAME), *facts])


def _panel(state: Progress) -> Table:
    facts = {"phase": clean(state.phase, _NAME), **_facts(state)}
    # Figures keep their places from phase to phase, known or not.
    for name in ("rate", "p50", "p99", "p99.9", "slip", "received", "backlog", "left"):
        facts.setdefault(name, NO_FIGURE)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text(_title(state), style="bold"), Text(facts.pop("phase"), style="cyan"))
    grid.add_row(*_pairs(facts, ("rate", "target", "left")))
    grid.add_row(*_pairs(facts, ("p50", "p99", "p99.9")))
    grid.add_row(*_pairs(facts, ("received", "backlog", "slip")))
    if state.run is not None:
        grid.add_row(ProgressBar(total=1, completed=state.run.share, width=_BAR), Text(_run(state), style="bold"))
    return grid


def _pairs(facts: dict[str, str], names: tuple[str, ...]) -> list[Text]:
    return [Text.assemble((f"{name} ", "bright_black"), facts[name]) for name in names if name in facts]
