"""What the user sees while artifacts are fetched: bars on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1_000_000
_OWN_BAR_BYTES = 16 * MEGABYTE
_LINE_EVERY_S = 5.0


class Reporter(Protocol):
    """Called by the fetcher, from several threads, with its progress. Sizes are bytes."""

    def start(self, files: int, size: int) -> None:
        """Announce what will be downloaded in all."""

    def advance(self, file: str, size: int, count: int) -> None:
        """Count bytes of a file of `size` bytes; negative when it starts over."""

    def message(self, text: str) -> None:
        """Show one line."""


class Silent:
    """Shows nothing."""

    def start(self, files: int, size: int) -> None:
        """Ignore."""

    def advance(self, file: str, size: int, count: int) -> None:
        """Ignore."""

    def message(self, text: str) -> None:
        """Ignore."""


class Lines:
    """One plain line per message, and one every five seconds of downloading."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._total = self._done = 0
        self._shown_at = 0.0

    def start(self, files: int, size: int) -> None:
        """Announce the download."""
        self._total, self._done, self._shown_at = size, 0, time.monotonic()
        self.message(f"fetching {files} files, {size / MEGABYTE:,.0f} MB")

    def advance(self, file: str, size: int, count: int) -> None:  # noqa: ARG002 - the protocol's
        """Count, and show the sum once in a while."""
        with self._lock:
            self._done += count
            if time.monotonic() - self._shown_at < _LINE_EVERY_S:
                return
            self._shown_at = time.monotonic()
        share = self._done / max(self._total, 1)
        self.message(f"fetched {self._done / MEGABYTE:,.0f} of {self._total / MEGABYTE:,.0f} MB ({share:.0%})")

    def message(self, text: str) -> None:
        """Show one line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bars:
    """One bar for the sum, and one for each file that is large enough to be waited for."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._sum: TaskID | None = None
        self._bars: dict[str, TaskID] = {}

    def start(self, files: int, size: int) -> None:
        """Open the bar of the sum."""
        self._sum = self._progress.add_task(f"{files} files", total=size)

    def advance(self, file: str, size: int, count: int) -> None:
        """Move the file's bar and the sum's."""
        if self._sum is not None:
            self._progress.advance(self._sum, count)
        if size < _OWN_BAR_BYTES:
            return
        with self._lock:
            if file not in self._bars:
                self._bars[file] = self._progress.add_task(file, total=size)
        self._progress.advance(self._bars[file], count)

    def message(self, text: str) -> None:
        """Show one line above the bars."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def reporter(console: Console | None = None) -> Iterator[Reporter]:
    """Choose bars or lines for standard error (or another console)."""
    # Not by FORCE_COLOR: a notebook's kernel sets it, and is not a terminal.
    console = console or Console(file=sys.stderr, force_jupyter=False, force_terminal=sys.stderr.isatty())
    if not console.is_terminal:
        yield Lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bars(progress)
