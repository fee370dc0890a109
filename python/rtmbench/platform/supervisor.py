"""Runs one child process and lets no part of it outlive the program that started it.

A stand-alone script (`python -I -S supervisor.py OPTIONS COMMAND…`) that imports only the standard library, and little
of it. Standard input is the lifeline: a line `stop SECONDS` asks for an orderly end, end-of-file means that the owner
is gone, however it died. Standard output carries one JSON line when the child has started and one when all has ended.

OPTIONS is a JSON object: `name`, `log` (file for the child's output), `journal` (file that exists as long as the child
may), `token` (the child's mark), `grace_s` (seconds between TERM and KILL when the lifeline breaks), `owner` (pid);
and for the child's scheduling `cgroups` (files to write `0` into), `nice` (added to the priority), `cpus` (list or
null), `own_session` (false: it stays in the session of this script).
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from rtmbench.json_object import JsonObject

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LEFTOVER_GRACE_S = 1.0
EXIT_CANNOT_START = 127


def prctl(option: int, value: int) -> None:
    """Call Linux' prctl; elsewhere, and in a Python without ctypes, do nothing."""
    if not sys.platform.startswith("linux"):
        return
    try:
        import ctypes  # noqa: PLC0415 - slow to import, and absent from some builds of Python

        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return


def process_table() -> dict[int, tuple[int, int, str]]:
    """Return pid → (parent, session or group, state) of every process that can be seen."""
    table: dict[int, tuple[int, int, str]] = {}
    if os.path.isdir("/proc/self"):  # noqa: PTH112 - pathlib would triple the start-up time
        for entry in os.listdir("/proc"):  # noqa: PTH208
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                        # The name is in parentheses and may itself hold spaces and parentheses.
                        fields = file.read().rpartition(")")[2].split()
                except OSError:
                    continue
                table[int(entry)] = (int(fields[1]), int(fields[3]), fields[0])
        return table
    with os.popen("ps -A -o pid= -o ppid= -o pgid= -o stat=") as listing:  # noqa: S605
        for line in listing:
            pid, parent, group, state = line.split()[:4]
            table[int(pid)] = (int(parent), int(group), state[0])
    return table


class Supervisor:
    """One child, its descendants, and their end."""

    def __init__(self, options: JsonObject, command: list[str]) -> None:
        self.options = options
        self.command = command
        self.child = 0
        self.status: int | None = None
        self.stop_requested = False
        self.buffer = b""
        self.wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(self.wake_read, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Note a request to end; SIGCHLD only wakes the loop."""
        if number != signal.SIGCHLD:
            self.stop_requested = True

    def report(self, **event: Any) -> None:
        """Notify the owner, if it still listens."""
        try:
            os.write(1, json.dumps(event).encode() + b"\n")
        except OSError:
            return

    def journal(self) -> None:
        """Leave word of the child for `reap_stale`, should this process be killed."""
        path = self.options["journal"]
        entry = {key: self.options[key] for key in ("name", "owner", "token")}
        entry.update(supervisor=os.getpid(), child=self.child, started=time.time())
        with open(path + ".new", "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(entry, file)
        os.replace(path + ".new", path)  # noqa: PTH105

    def start(self) -> None:
        """Fork and execute the command."""
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        error_read, error_write = os.pipe()
        supervisor = os.getpid()
        self.child = os.fork()
        if self.child == 0:
            try:
                self.become(supervisor)
            except BaseException as error:  # noqa: BLE001 - every exception is reported to the owner
                os.write(error_write, str(error).encode(errors="replace"))
            os._exit(EXIT_CANNOT_START)
        os.close(error_write)
        self.journal()
        # The pipe closes by itself when exec succeeds.
        reason = b""
        while chunk := os.read(error_read, 4096):
            reason += chunk
        os.close(error_read)
        if reason:
            os.waitpid(self.child, 0)
            self.report(event="failed", error=reason.decode(errors="replace"))
            self.forget()
            os._exit(EXIT_CANNOT_START)
        self.report(event="started", pid=self.child)

    def become(self, supervisor: int) -> None:
        """Turn the forked copy into the command. Returns only by an exception."""
        if self.options["own_session"]:
            os.setsid()
        else:
            os.setpgid(0, 0)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(EXIT_CANNOT_START)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        # Before the command runs, so that all its threads and children are in the group. What this does not achieve
        # is noticed when the group is read back.
        for entrance in self.options["cgroups"]:
            with suppress(OSError), open(entrance, "w", encoding="ascii") as file:  # noqa: PTH123
                file.write("0")
        if self.options["nice"]:
            os.nice(self.options["nice"])
        if self.options["cpus"] and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.options["cpus"])
        log = os.open(self.options["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execvp(self.command[0], self.command)  # noqa: S606

    def reap(self) -> None:
        """Collect every child that has ended, adopted ones too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.child:
                self.status = os.waitstatus_to_exitcode(status)

    def family(self) -> list[int]:
        """Return the pids of the child and its descendants that are alive."""
        table = process_table()
        own = os.getpid()
        pids = set()
        for pid, (parent, group, state) in table.items():
            if pid == own or state == "Z":
                continue
            ancestor, steps = parent, 0
            while ancestor not in (0, 1, own) and ancestor in table and steps < len(table):
                ancestor, steps = table[ancestor][0], steps + 1
            if ancestor == own or group == self.child:
                pids.add(pid)
        return sorted(pids)

    def send(self, pids: list[int], number: int) -> None:
        """Signal each of the processes that still exists."""
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, number)

    def end(self, grace_s: float) -> None:
        """End everything: the child may leave in order, then its descendants, then the rest is killed."""
        begin = time.monotonic()
        terminated_all = False
        if self.status is None:
            self.send([self.child], signal.SIGTERM)
        while True:
            self.reap()
            alive = self.family()
            if not alive:
                break
            elapsed = time.monotonic() - begin
            if elapsed >= grace_s:
                self.send(alive, signal.SIGKILL)
            elif not terminated_all and (self.status is not None or elapsed >= grace_s / 2):
                self.send(alive, signal.SIGTERM)
                terminated_all = True
            time.sleep(0.01)
        self.reap()

    def lifeline(self) -> float | None:
        """Read the lifeline; return the grace in seconds when it is time to end."""
        chunk = os.read(0, 4096)
        if not chunk:
            return float(self.options["grace_s"])
        self.buffer += chunk
        if b"\n" in self.buffer:
            return float(self.buffer.split(b"\n")[0].split()[1])
        return None

    def forget(self) -> None:
        """Remove the journal entry: nothing is left to reap."""
        try:
            os.unlink(self.options["journal"])  # noqa: PTH108
        except OSError:
            return

    def run(self) -> int:
        """Start the child, wait for its end or for the order to end it, and clean up."""
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, self.on_signal)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        self.start()
        grace: float | None = None
        while self.status is None and grace is None and not self.stop_requested:
            ready, _, _ = select.select([0, self.wake_read], [], [], 5.0)
            if self.wake_read in ready:
                os.read(self.wake_read, 4096)
            self.reap()
            if 0 in ready:
                grace = self.lifeline()
        if self.status is not None:
            grace = LEFTOVER_GRACE_S
        self.end(float(self.options["grace_s"]) if grace is None else grace)
        self.forget()
        times = os.times()
        self.report(
            event="exited",
            status=self.status,
            cpu_seconds=times.children_user + times.children_system,
        )
        status = self.status if self.status is not None else 0
        return status if status >= 0 else 128 - status


def main() -> int:
    """Run as a script."""
    return Supervisor(json.loads(sys.argv[1]), sys.argv[2:]).run()


if __name__ == "__main__":
    sys.exit(main())
