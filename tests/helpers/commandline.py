"""Runs the command line as a user does, in a process of its own, and sees what it leaves behind."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import signal
    from pathlib import Path

COMMAND = [sys.executable, "-m", "rtmbench"]


class Run:
    """`rtmbench ARGUMENTS` in the background, with every process that it ever had below it."""

    def __init__(self, *arguments: str, cwd: Path, env: dict[str, str] | None = None) -> None:
        environment = {**os.environ, **(env or {})}
        self._popen = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._seen: dict[int, psutil.Process] = {}
        self.command_lines: set[str] = set()
        """Of the processes below the command."""
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.stdout = ""
        self.stderr = ""
        self._readers = [
            threading.Thread(target=self._read_stdout, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, text: str, timeout_s: float = 120) -> None:
        """Wait until a line of standard error contains `text`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.look()
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=0.1)
                if line is None:
                    raise AssertionError(f"ended before it said {text!r}:\n{self.stderr}")
                if text in line:
                    self.look()
                    return
            assert time.monotonic() < deadline, f"never said {text!r}:\n{self.stderr}"

    def look(self) -> None:
        """Remember the processes that are below the command now."""
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._popen.pid).children(recursive=True):
                if process.pid not in self._seen:
                    self._seen[process.pid] = process
                with contextlib.suppress(psutil.Error):
                    self.command_lines.add(" ".join(process.cmdline()))

    def processes(self) -> list[psutil.Process]:
        """Return the processes that have been seen below the command."""
        return list(self._seen.values())

    def send(self, number: signal.Signals) -> None:
        self.look()
        self._popen.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Wait for the end and return the exit code; looks at the processes meanwhile."""
        deadline = time.monotonic() + timeout_s
        while self._popen.poll() is None:
            assert time.monotonic() < deadline, f"still runs after {timeout_s} s:\n{self.stderr}"
            self.look()
            time.sleep(0.1)
        for reader in self._readers:
            reader.join(5)
        return self._popen.returncode

    def alive(self) -> list[str]:
        """Return the processes that the command started and that are alive now."""
        found = []
        for process in self._seen.values():
            with contextlib.suppress(psutil.Error):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:120]}")
        return found

    @property
    def started(self) -> int:
        """How many processes have been seen below the command."""
        return len(self._seen)

    def kill(self) -> None:
        """End what a failed test would leave behind."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.kill()
        self._popen.wait()
        for process in self._seen.values():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _read_stdout(self) -> None:
        assert self._popen.stdout is not None
        self.stdout = self._popen.stdout.read()
        self._popen.stdout.close()

    def _read_stderr(self) -> None:
        assert self._popen.stderr is not None
        for line in self._popen.stderr:
            self.stderr += line
            self._lines.put(line)
        self._lines.put(None)
        self._popen.stderr.close()


@contextlib.contextmanager
def running(*arguments: str, cwd: Path, env: dict[str, str] | None = None):
    run = Run(*arguments, cwd=cwd, env=env)
    try:
        yield run
    finally:
        run.kill()


def await_nothing_alive(run: Run, within_s: float) -> None:
    """Assert that within `within_s` nothing is left of what the command started."""
    deadline = time.monotonic() + within_s
    while run.alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.alive() == []
