"""One scheduling group for all processes of an engine, lighter than the broker and the harness, and read back.

The first of these that works is used: a control group of version 2, one of version 1, one session (where the kernel's
autogroup gives out processor time session by session), and `nice`. A weight is in the units of `cpu.shares`, in which a
process with the default priority, or a group with the default settings, weighs 1024.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rtmbench.platform import cgroups, journal
from rtmbench.platform.session import Session, SessionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.json_object import JsonObject
    from rtmbench.platform.process import Process

Mechanism = Literal["cgroup-v2", "cgroup-v1", "autogroup", "nice", "none"]

NICE = 5
"""What an engine is lowered by where it shares the cores with the broker and the harness."""
# The kernel's table of weights (sched_prio_to_weight) for nice 0 to 19.
WEIGHTS = (1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15)
MEMORY_MARGIN = 1.25
"""The kernel's limit, as a multiple of the engine's memory: the limit counts the page cache too."""
AUTOGROUP_SWITCH = Path("/proc/sys/kernel/sched_autogroup_enabled")
NAMES = {"cgroup-v2": "cgroup v2", "cgroup-v1": "cgroup v1", "autogroup": "autogroup", "nice": "nice"}
EQUALS = "none: engines compete with broker and harness as equals"


@dataclass(frozen=True, kw_only=True)
class Priority:
    """How the processes of an engine are kept below the broker and the harness, as read back from the kernel."""

    mechanism: Mechanism
    effective: bool
    """False: nothing keeps the engine below the others, whatever the settings are."""
    weight: int | None
    """Of all processes of the engine together; with `nice`, of each thread. None: as heavy as the others."""
    detail: str
    """One sentence."""
    cpus: tuple[int, ...] | None = None
    """The processors that the engine runs on, and neither broker nor harness; None: they share all."""

    @property
    def text(self) -> str:
        """A few words for the table of settings."""
        parts = []
        if self.weight is not None:
            group = "for each thread (nice)" if self.mechanism == "nice" else f"in one group ({NAMES[self.mechanism]})"
            parts.append(f"weight {self.weight} {group}")
        if self.cpus is not None:
            parts.append(f"CPUs {ranges(self.cpus)} of its own")
        return "; ".join(parts) if self.effective else EQUALS


class SchedulingGroup:
    """The group of one engine. Pass it to `LocalPlatform.spawn`; close it when the engine's processes have ended."""

    def __init__(
        self,
        name: str,
        *,
        nice: int = NICE,
        memory_mb: int | None = None,
        cpus: Sequence[int] | None = None,
        state: Path | None = None,
        mechanisms: Sequence[Mechanism] = ("cgroup-v2", "cgroup-v1", "autogroup", "nice"),
    ) -> None:
        """Make the group by the first of `mechanisms` that works here.

        `nice` decides the weight (0: as heavy as the others). `memory_mb` (MiB) is the memory of the engine: the
        kernel enforces MEMORY_MARGIN times as much where it can. `cpus` are the only ones of the engine.
        """
        self.nice = nice
        self.cpus = tuple(cpus) if cpus else None
        self.memory_mb = memory_mb
        self.mechanism: Mechanism = "none"
        self.control: cgroups.ControlGroup | None = None
        self.session: Session | None = None
        self._problems: list[str] = []
        self._sessions_count = False
        self._members: list[Process] = []
        self._record: Path | None = None
        # Runs may be concurrent: each group has a separate name.
        self._name = f"rtmbench-{os.getpid()}-{journal.new_token()[:8]}-{re.sub('[^A-Za-z0-9.]+', '-', name)}"
        self._set_up(mechanisms, state or journal.state_directory())

    @property
    def weight(self) -> int:
        """The requested weight."""
        return WEIGHTS[min(self.nice, len(WEIGHTS) - 1)]

    def add(self, process: Process) -> None:
        """Note a process that is started in the group."""
        self._members.append(process)

    def lower(self) -> None:
        """Give the group its weight. Until then it is as heavy as the others: an engine may start at full speed.

        `nice` is not of a group but of each thread: where there is nothing better, it holds from the start.
        """
        if self.control is not None:
            self.control.set_shares(self.weight)
        elif self.session is not None:
            self.session.set_nice(self.nice)

    def options(self) -> JsonObject:
        """Return what the supervisor must do so that its child is in the group before the child is executed."""
        return {
            "cgroups": [] if self.control is None else self.control.entrances,
            "nice": self.nice if self.mechanism == "nice" else 0,
            "cpus": self.cpus,
            "own_session": self.session is None,
        }

    def read_back(self) -> Priority:
        """Return the priority in effect, for every living process of the engine."""
        pids = sorted({pid for process in self._members for pid in process.pids()})
        weight, details = None, []
        if self.nice:
            weight, detail = self._weigh(pids)
            details.append(detail)
        loose = [pid for pid in pids if self.cpus and _cpus_of(pid) != ranges(self.cpus) and _alive(pid)]
        pinned = bool(self.cpus) and not loose
        if pinned:
            details.append(f"Engines run on CPUs {ranges(self.cpus or ())}, broker and harness on the others.")
        elif self.cpus:
            details.append(
                f"{len(loose)} of {len(pids)} processes of the engine run on the CPUs of broker and harness too."
            )
        return Priority(
            mechanism=self.mechanism,
            effective=pinned or weight is not None,
            weight=weight,
            detail=" ".join(details) or "Engines compete with broker and harness as equals: no priority is requested.",
            cpus=self.cpus if pinned else None,
        )

    def memory_limit_mb(self) -> int | None:
        """Return the limit that the kernel enforces, MiB; None where it enforces none."""
        return None if self.control is None else self.control.memory_limit_mb()

    def memory_problem(self) -> str:
        """Return the sentence about a process that the kernel killed for its memory; empty without one."""
        kills = 0 if self.control is None else self.control.oom_kills()
        if not kills:
            return ""
        processes = "one of the engine's processes" if kills == 1 else f"{kills} of the engine's processes"
        return (
            f"The kernel killed {processes}: together they reached {self.memory_limit_mb():,} MiB, "
            f"{MEMORY_MARGIN:g} times the {self.memory_mb:,} MiB of the engine (--memory)."
        )

    def close(self) -> None:
        """Remove the group. Its processes must have ended; safe to call again."""
        control, self.control = self.control, None
        session, self.session = self.session, None
        if session is not None:
            session.close()
        # What cannot be removed now is left to `reap_stale`, once this program has ended.
        if (control is None or control.remove()) and self._record is not None:
            self._record.unlink(missing_ok=True)
            self._record = None

    def _set_up(self, mechanisms: Sequence[Mechanism], state: Path) -> None:
        hierarchies = cgroups.hierarchies()
        versions = {"cgroup-v2": 2, "cgroup-v1": 1}
        requested_hierarchies = [
            hierarchy for hierarchy in hierarchies if hierarchy.version in {versions.get(name) for name in mechanisms}
        ]
        self._sessions_count = _autogroup(hierarchies)
        try:
            if requested_hierarchies:
                limit = None if self.memory_mb is None else round(self.memory_mb * MEMORY_MARGIN)
                self.control = cgroups.create(
                    self._name, shares=cgroups.DEFAULT_SHARES, memory_mb=limit, found=requested_hierarchies
                )
                self.mechanism = "cgroup-v2" if self.control.version == 2 else "cgroup-v1"  # noqa: PLR2004
                self._record = journal.record_group(state, self.control.directories)
                return
        except cgroups.CgroupError as error:
            self._problems.append(f"no control group ({error})")
        if not self.nice:
            return
        if self._sessions_count and "autogroup" in mechanisms:
            try:
                self.session = Session()
                self.mechanism = "autogroup"
            except SessionError as error:
                self._problems.append(f"no autogroup ({error})")
        elif self._sessions_count:
            self._problems.append("`nice` has no effect between sessions (kernel.sched_autogroup_enabled=1)")
        elif "nice" in mechanisms:
            self.mechanism = "nice"

    def _outside(self, pids: Sequence[int]) -> tuple[list[int], int | None]:
        """Return the processes that are not in the group, and the weight that was read back."""
        if self.control is not None:
            inside = self.control.pids()
            return [pid for pid in pids if pid not in inside and _alive(pid)], self.control.shares()
        if self.session is not None:
            group = _autogroup_of(self.session.pid)
            outside = [pid for pid in pids if _autogroup_of(pid) != group and _alive(pid)]
            return outside, WEIGHTS[group[1]] if group is not None and 0 <= group[1] < len(WEIGHTS) else None
        nice = min(os.getpriority(os.PRIO_PROCESS, 0) + self.nice, len(WEIGHTS) - 1)
        outside = [pid for pid in pids if _alive(pid) and _nice_of(pid) != nice]
        return outside, self.weight

    def _weigh(self, pids: Sequence[int]) -> tuple[int | None, str]:
        """Return the weight that took effect, None where none did, and the sentence about it."""
        if self.mechanism == "none":
            return None, f"Nothing lowers engines below broker and harness: {self._why()}."
        outside, weight = self._outside(pids)
        name = NAMES[self.mechanism]
        if outside:
            return None, (
                f"{len(outside)} of {len(pids)} processes of the engine are outside of its group ({name}): their "
                "priority is that of broker and harness."
            )
        requested = self.weight if self.control is None else self.control.requested_shares
        if weight != requested or weight == WEIGHTS[0]:
            return None, f"The weight of the engine's group ({name}) reads back as {weight}, not as {self.weight}."
        own_nice = os.getpriority(os.PRIO_PROCESS, 0)
        if self.control is not None and not self._sessions_count and own_nice > 0:
            return None, (
                f"The engine's group ({name}) weighs {weight}, but rtmbench itself was started with nice {own_nice}: "
                "each thread of broker and harness weighs less than 1024."
            )
        if self.mechanism == "nice":
            return weight, (
                f"Each thread of an engine weighs {weight} (nice {self.nice}), each thread of broker and harness 1024: "
                "rtmbench could not create a group for the whole engine."
            )
        return weight, (
            f"All processes of an engine are in one group ({name}) that weighs {weight} against 1024 or more of broker "
            "and harness."
        )

    def _why(self) -> str:
        return "; ".join(self._problems) or "this system has no such mechanism"


def over_memory(peak_mb: float, memory_mb: int) -> str:
    """Return the sentence about an engine that took more memory than its setting; empty if it did not.

    Both in MiB. The peak is the sum of resident sets: pages that two processes share count twice.
    """
    if peak_mb <= memory_mb:
        return ""
    return (
        f"The engine's processes took {peak_mb:,.0f} MiB at their peak, more than the {memory_mb:,} MiB of the "
        "engine (--memory)."
    )


@functools.cache
def probe(nice: int = NICE, cpus: tuple[int, ...] | None = None) -> Priority:
    """Create a group, return its priority, and remove it again."""
    group = SchedulingGroup("probe", nice=nice, cpus=cpus)
    try:
        group.lower()
        return group.read_back()
    finally:
        group.close()


def ranges(cpus: Sequence[int]) -> str:
    """Spell processors as the kernel does: `0-3,6`."""
    parts: list[list[int]] = []
    for cpu in sorted(cpus):
        if parts and parts[-1][-1] == cpu - 1:
            parts[-1].append(cpu)
        else:
            parts.append([cpu])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def _autogroup(hierarchies: Sequence[cgroups.Hierarchy]) -> bool:
    """Whether the kernel gives out time session by session to processes like this one."""
    if not sys.platform.startswith("linux"):
        return False
    with contextlib.suppress(OSError):
        return AUTOGROUP_SWITCH.read_text(encoding="ascii").strip() == "1" and cgroups.in_root_group(hierarchies)
    return False


def _autogroup_of(pid: int) -> tuple[str, int] | None:
    """Return a process's autogroup and its nice value; None if it has none or has ended."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/autogroup").read_text(encoding="ascii")
        match = re.fullmatch(r"(/autogroup-\d+) nice (-?\d+)\s*", text)
        return (match[1], int(match[2])) if match else None
    return None


def _cpus_of(pid: int) -> str:
    """Return the processors that a process may use, as the kernel spells them."""
    with contextlib.suppress(OSError):
        return ranges(sorted(os.sched_getaffinity(pid)))
    return ""


def _nice_of(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.getpriority(os.PRIO_PROCESS, pid)
    return None


def _alive(pid: int) -> bool:
    """Whether a process is still there, not only waiting to be collected: it is in no group any more then."""
    with contextlib.suppress(OSError):
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    return False


__all__ = ["EQUALS", "MEMORY_MARGIN", "NICE", "Priority", "SchedulingGroup", "over_memory", "probe", "ranges"]
