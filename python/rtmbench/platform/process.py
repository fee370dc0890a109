"""A supervised child process: started, checked, measured and stopped from here, ended by its supervisor in any case."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import psutil

from rtmbench.errors import RunFailedError
from rtmbench.platform import journal, logs
from rtmbench.platform.session import SessionChild, SessionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtmbench.json_object import JsonObject
    from rtmbench.platform.scheduling import SchedulingGroup

Child: TypeAlias = "subprocess.Popen[bytes] | SessionChild"

SUPERVISOR = Path(__file__).with_name("supervisor.py")
LIFELINE_GRACE_S = 3.0
SLACK_S = 2.0
MEBIBYTE = 1024 * 1024
OWN_SESSION: JsonObject = {"cgroups": [], "nice": 0, "cpus": None, "own_session": True}
"""How a child is scheduled that is in no group: as any other program."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a child and all its descendants have used so far.

    `cpu_seconds` counts ended descendants too. `rss_mb` is the sum of the resident sets (MiB, shared pages counted
    once a process); `peak_rss_mb` the sum of each living process's own peak, or the largest such sum seen.
    """

    cpu_seconds: float
    rss_mb: float
    peak_rss_mb: float


class Process:
    """One program under a separate supervisor.

    `argv` is executed with exactly `env`, in `cwd`, in another session than this program (a terminal's Ctrl-C does not
    reach it), with standard output and error appended to `log`, and in the scheduling group `group`.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        group: SchedulingGroup | None = None,
        state: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.pid: int | None = None
        self._env = dict(env)
        self._cwd = cwd
        self._group = group
        self._state = state
        self._token = journal.new_token()
        self._popen: Child | None = None
        self._code: int | None = None
        self._stopped = False
        self._cpu_s = 0.0
        self._peak_mb = 0.0

    def start(self) -> None:
        """Start the program; return when it has been executed.

        Raises RunFailedError where it cannot be.
        """
        state = self._state or journal.state_directory()
        options = {
            "name": self.name,
            "log": str(self.log),
            "journal": str(state / f"{self._token}.json"),
            "token": self._token,
            **(OWN_SESSION if self._group is None else self._group.options()),
            "grace_s": LIFELINE_GRACE_S,
            "owner": os.getpid(),
        }
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # Not through PR_SET_PDEATHSIG: that would follow the thread that starts the child, not the program.
        argv = [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(options), *self.argv]
        self._popen = self._launch(argv, {**self._env, journal.TOKEN_VARIABLE: self._token})
        if self._group is not None:
            self._group.add(self)
        event = self._event(self._popen)
        if event.get("event") != "started":
            self._finish(self._popen)
            cause = event.get("error", "its supervisor ended at once")
            raise RunFailedError(
                f"{self.name} could not be started ({self.argv[0]}): {cause}. "
                "Check that the program exists and that this user may run it."
            )
        self.pid = int(event["pid"])

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called: an end after that is not a failure."""
        return self._stopped

    def poll(self) -> int | None:
        """Return None while the program runs, then its exit code; the negative number of the signal that ended it."""
        if self._code is None and self._popen is not None and self._popen.poll() is not None:
            self._finish(self._popen)
        return self._code

    def check(self) -> None:
        """Raise RunFailedError, with the telling lines of the log, where the program has ended unasked."""
        code = self.poll()
        if code is None or self._stopped:
            return
        raise RunFailedError(f"{self.name} ended {describe_exit(code)}. {logs.quote(self.log)}")

    def request_stop(self, grace_s: float = LIFELINE_GRACE_S) -> None:
        """Ask for the end without waiting for it, so that several programs can end at the same time."""
        self._stopped = True
        if self._popen is None or self._popen.stdin is None or self._popen.stdin.closed:
            return
        with contextlib.suppress(OSError):
            self._popen.stdin.write(f"stop {grace_s}\n".encode())
        with contextlib.suppress(OSError):
            self._popen.stdin.close()

    def stop(self, grace_s: float = LIFELINE_GRACE_S) -> None:
        """End the program and all its descendants: TERM, and KILL after `grace_s` seconds. Safe to call again."""
        self.usage()
        self.request_stop(grace_s)
        if self._popen is None or self.poll() is not None:
            return
        try:
            self._popen.wait(grace_s + SLACK_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._finish(self._popen)

    def usage(self) -> Usage:
        """Return what the program and its descendants have used; after the end, what is known of it."""
        cpu_s = resident = peak = 0.0
        if self._popen is not None and self._popen.poll() is None:
            with contextlib.suppress(psutil.Error):
                supervisor = psutil.Process(self._popen.pid)
                times = supervisor.cpu_times()
                # The supervisor adopts and reaps, so what ended descendants used is booked with it.
                cpu_s = times.children_user + times.children_system
                for process in supervisor.children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        own = process.cpu_times()
                        cpu_s += own.user + own.system + own.children_user + own.children_system
                        rss = process.memory_info().rss
                        resident += rss
                        peak += max(rss, _high_water(process.pid))
        self._cpu_s = max(self._cpu_s, cpu_s)
        self._peak_mb = max(self._peak_mb, peak / MEBIBYTE)
        return Usage(cpu_seconds=self._cpu_s, rss_mb=resident / MEBIBYTE, peak_rss_mb=self._peak_mb)

    def pids(self) -> list[int]:
        """Return the program and its living descendants."""
        if self._popen is None or self._popen.poll() is not None:
            return []
        with contextlib.suppress(psutil.Error):
            return [process.pid for process in psutil.Process(self._popen.pid).children(recursive=True)]
        return []

    @property
    def supervisor(self) -> int | None:
        """The pid of the supervisor, which is the parent of all that the program leaves behind."""
        return None if self._popen is None else self._popen.pid

    def _launch(self, argv: list[str], env: dict[str, str]) -> Child:
        session = None if self._group is None else self._group.session
        if session is not None:
            try:
                return session.start(argv, env=env, cwd=self._cwd)
            except SessionError as error:
                raise RunFailedError(f"{self.name} could not be started: {error}.") from error
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=env,
            cwd=self._cwd,
            start_new_session=True,
            bufsize=0,
        )

    def _event(self, popen: Child) -> JsonObject:
        assert popen.stdout is not None  # noqa: S101 - it is a pipe
        line = popen.stdout.readline()
        event: JsonObject = json.loads(line) if line else {}
        return event

    def _finish(self, popen: Child) -> None:
        """Note how the program ended, and make sure that it did."""
        popen.wait()
        event = {} if popen.stdout is None or popen.stdout.closed else self._event(popen)
        if "status" in event:
            self._code = popen.returncode if event["status"] is None else int(event["status"])
            self._cpu_s = max(self._cpu_s, float(event["cpu_seconds"]))
        else:
            # The supervisor itself was killed: its child died with it, descendants may not have.
            self._code = popen.returncode
            journal.kill_marked(self._token)
            state = self._state or journal.state_directory()
            (state / f"{self._token}.json").unlink(missing_ok=True)
        for pipe in (popen.stdin, popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def stop_all(processes: Sequence[Process], grace_s: float = LIFELINE_GRACE_S) -> None:
    """Stop several programs at the same time."""
    for process in processes:
        process.usage()
    for process in processes:
        process.request_stop(grace_s)
    for process in processes:
        process.stop(grace_s)


def describe_exit(code: int) -> str:
    """Put an exit code into words: `with exit code 3`, `by SIGKILL`."""
    if code >= 0:
        return f"with exit code {code}"
    try:
        return f"by {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"


def _high_water(pid: int) -> int:
    """Return the peak of a process's resident set in bytes; 0 where the system does not report it."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


__all__ = ["Process", "Usage", "describe_exit", "stop_all"]
