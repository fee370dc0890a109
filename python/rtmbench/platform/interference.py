"""The interference ledger: what the machine did in a measuring phase besides the engine's work.

Read at both edges of the phase and never in between, so that it does not disturb what it watches. Linux only; every
figure comes from /proc.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.results.model import Interference, RoleLoad

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtmbench.platform.process import Process

PROC = Path("/proc")
ENGINE, DRIVER, KAFKA, HARNESS = "engine", "driver", "kafka", "harness"
NS = 1e9
BUSY = (0, 1, 2)
"""Of a line of /proc/stat: user, nice, system. Interrupts are left out: most are of the traffic that is measured."""
STEAL = 7


@dataclass(frozen=True)
class _Stat:
    """What is used of /proc/PID/stat; times in clock ticks."""

    parent: int
    own: int
    children: int
    """Of descendants that have ended and were waited for."""


@dataclass
class _Reading:
    """One edge: seconds since an arbitrary start, ticks, and per thread its wait in ns and its context switches."""

    at_s: float
    busy: int
    steal: int
    pressure_us: int | None
    ticks: dict[str, int] = field(default_factory=dict)
    """Of each role's processes with all that they have waited for, but without its supervisors."""
    supervisors: int = 0
    threads: dict[str, dict[tuple[int, int], tuple[int, int]]] = field(default_factory=dict)


class InterferenceMeter:
    """Reads the scheduler's own counters of engine, broker and harness, and those of the machine."""

    def __init__(self, kafka: Process | None, *, others: bool = True, proc: Path = PROC) -> None:
        """Watch this program and the local broker, where there is one; the engine is named at the start.

        Without `others`, what is not of them is not counted: services that somebody else runs are among it.
        """
        self._others = others
        self._proc = proc
        self._kafka = kafka
        self._engine: Sequence[Process] = ()
        self._drivers: Sequence[Process] = ()
        self._before: _Reading | None = None

    def start(self, engine: Sequence[Process], drivers: Sequence[Process] = ()) -> None:
        """Begin the phase. `drivers` are what runs here of an engine that runs elsewhere: no load of others."""
        self._engine = engine
        self._drivers = drivers
        self._before = self._read()

    def stop(self) -> Interference | None:
        """End the phase and return the ledger; None where this system has no such counters."""
        before, after = self._before, self._read()
        if before is None or after is None:
            return None
        hertz = os.sysconf("SC_CLK_TCK")
        used = {role: ticks - before.ticks[role] for role, ticks in after.ticks.items() if role in before.ticks}
        known = sum(used.values()) + after.supervisors - before.supervisors
        pressure = None
        if before.pressure_us is not None and after.pressure_us is not None:
            pressure = round((after.pressure_us - before.pressure_us) / 1e6, 3)
        return Interference(
            seconds=round(after.at_s - before.at_s, 3),
            cores=_online(self._proc),
            roles={
                role: _load(max(0, ticks) / hertz, before.threads.get(role, {}), after.threads.get(role, {}))
                for role, ticks in used.items()
            },
            # The machine's counters are sampled at each tick, those of processes are exact: a small rest means nothing.
            other_cpu_s=round(max(0, after.busy - before.busy - known) / hertz, 2) if self._others else None,
            steal_s=round(max(0, after.steal - before.steal) / hertz, 2),
            pressure_s=pressure,
        )

    def _read(self) -> _Reading | None:
        try:
            machine = (self._proc / "stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
            table = _process_table(self._proc)
        except (OSError, ValueError, IndexError):
            return None
        reading = _Reading(
            at_s=time.monotonic(),
            busy=sum(int(machine[column]) for column in BUSY),
            steal=int(machine[STEAL]) if len(machine) > STEAL else 0,
            pressure_us=_pressure_us(self._proc),
        )
        supervisors = {
            ENGINE: [process.supervisor for process in self._engine],
            DRIVER: [process.supervisor for process in self._drivers],
            KAFKA: [] if self._kafka is None else [self._kafka.supervisor],
        }
        roots = {pid: role for role, pids in supervisors.items() for pid in pids if pid in table}
        roles = _roles(table, roots, os.getpid())
        for pid, role in roles.items():
            stat = table[pid]
            if pid in roots:
                # What it has waited for was its role's; what it used itself is nobody's load.
                reading.supervisors += stat.own
                used = stat.children
            else:
                used = stat.own + (stat.children if pid != os.getpid() else 0)
                reading.threads.setdefault(role, {}).update(_threads(self._proc, pid))
            reading.ticks[role] = reading.ticks.get(role, 0) + used
        return reading


def _load(
    cpu_s: float,
    before: Mapping[tuple[int, int], tuple[int, int]],
    after: Mapping[tuple[int, int], tuple[int, int]],
) -> RoleLoad:
    """Sum what the threads that live at the end have waited and switched since the start."""
    if not after:
        return RoleLoad(cpu_s=round(cpu_s, 2), run_delay_s=None, switches=None)
    delay = switches = 0
    for thread, (waited, switched) in after.items():
        first = before.get(thread, (0, 0))
        # A thread may have taken the number of one that has ended.
        delay += max(0, waited - first[0])
        switches += max(0, switched - first[1])
    return RoleLoad(cpu_s=round(cpu_s, 2), run_delay_s=round(delay / NS, 4), switches=switches)


def _process_table(proc: Path) -> dict[int, _Stat]:
    table = {}
    with os.scandir(proc) as entries:
        for entry in entries:
            if not entry.name.isdigit():
                continue
            fields = _text(f"{proc}/{entry.name}/stat").rpartition(")")[2].split()
            if len(fields) > 14:  # noqa: PLR2004 - else the process has ended
                table[int(entry.name)] = _Stat(
                    parent=int(fields[1]),
                    own=int(fields[11]) + int(fields[12]),
                    children=int(fields[13]) + int(fields[14]),
                )
    return table


def _roles(table: Mapping[int, _Stat], roots: Mapping[int, str], harness: int) -> dict[int, str]:
    """Return the role of each process of rtmbench: that of the nearest supervisor above it, else the harness."""
    roles: dict[int, str] = {}
    for pid in table:
        ancestor, steps = pid, 0
        while ancestor in table and ancestor not in roots and ancestor != harness and steps < len(table):
            ancestor, steps = table[ancestor].parent, steps + 1
        if ancestor in roots:
            roles[pid] = roots[ancestor]
        elif ancestor == harness:
            roles[pid] = HARNESS
    return roles


def _threads(proc: Path, pid: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the wait (ns) and the context switches of each thread of a process, since the thread's start."""
    threads = {}
    try:
        tasks = os.listdir(f"{proc}/{pid}/task")  # noqa: PTH208 - several hundred threads at both edges
    except OSError:
        return {}
    for task in tasks:
        schedule = _text(f"{proc}/{pid}/task/{task}/schedstat").split()
        status = _text(f"{proc}/{pid}/task/{task}/status")
        if len(schedule) < 2 or not status:  # noqa: PLR2004 - the thread has ended
            continue
        # Both lines are at the end: voluntary_ctxt_switches and nonvoluntary_ctxt_switches.
        switches = sum(int(line.split()[1]) for line in status.splitlines()[-2:] if "ctxt_switches" in line)
        threads[pid, int(task)] = (int(schedule[1]), switches)
    return threads


def _pressure_us(proc: Path) -> int | None:
    for line in _text(f"{proc}/pressure/cpu").splitlines():
        if line.startswith("some ") and "total=" in line:
            return int(line.rpartition("total=")[2])
    return None


def _online(proc: Path) -> int:
    lines = _text(f"{proc}/stat").splitlines()
    return sum(line.startswith("cpu") and not line.startswith("cpu ") for line in lines) or os.cpu_count() or 1


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - half the time of pathlib
            return file.read()
    except OSError:
        return ""


__all__ = ["DRIVER", "ENGINE", "HARNESS", "KAFKA", "InterferenceMeter"]
