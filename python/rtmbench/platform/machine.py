"""What this machine has, and the load and sizes that it can hold."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from rtmbench.errors import ConfigurationError
from rtmbench.platform.cgroups import unescape
from rtmbench.platform.cpus import CpuSets, divide, physical_cores

_MIB = 1024 * 1024
_ENGINE_MEMORY_MB = (1536, 4096)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The resources that a process of rtmbench can use: in a container, less than the host has."""

    cpu: str
    cores: int
    """Logical processors, after affinity and cgroup quota, at least 1."""
    memory_mb: int
    """Total, MiB, after the cgroup limit."""
    available_mb: int
    """What could be taken now without swapping, MiB."""
    os: str
    kernel: str
    physical_cores: tuple[tuple[int, ...], ...] = ()
    """Logical processors that this process may use, those of one physical core together; empty where unknown."""

    @property
    def cpu_sets(self) -> CpuSets | None:
        """The processors of broker and harness, and those of engines; None where all share."""
        return divide(self.physical_cores, self.cores)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The default load and sizes for a machine. A flag overrides each of them."""

    name: Literal["spec", "laptop"]
    rate: int
    """Events per second."""
    partitions: int
    shuffle_partitions: int
    """Of keyed stages in Spark, which takes a thread for each where its shuffle streams."""
    engine_memory_mb: int
    """For all processes of one engine together."""
    kafka_heap_mb: int
    shared_cores: bool
    """Engines, broker and harness compete for the same cores; they do below 4."""
    note: str
    """One line on what was scaled down and why; empty when nothing was."""


def describe() -> Machine:
    """Describe the machine as this process may use it."""
    memory = psutil.virtual_memory()
    total_mb, available_mb = memory.total // _MIB, memory.available // _MIB
    limits = Cgroup.of_this_process()
    limit_mb, free_mb = limits.memory_mb()
    return Machine(
        cpu=_cpu_name(),
        cores=_cores(limits.cpus()),
        memory_mb=total_mb if limit_mb is None else min(total_mb, limit_mb),
        available_mb=available_mb if free_mb is None else min(available_mb, free_mb),
        os=_os_name(),
        kernel=f"{platform.system()} {platform.release()}",
        physical_cores=physical_cores(),
    )


def scale(machine: Machine, requested: str | None = None) -> Profile:
    """Choose the published setup where the machine can hold it, and a smaller one elsewhere.

    `requested` chooses one by name, whatever the machine.

    Raises ConfigurationError for a name other than `spec` and `laptop`.
    """
    if requested not in {None, "spec", "laptop"}:
        raise ConfigurationError(f"Unknown profile {requested!r}. The profiles are: spec, laptop.")
    least, most = _ENGINE_MEMORY_MB
    # A 16 GiB machine reports some hundred MiB less than it has.
    holds = machine.cores >= 8 and machine.memory_mb >= 15 * 1024  # noqa: PLR2004
    name: Literal["spec", "laptop"] = "spec" if requested == "spec" or (requested is None and holds) else "laptop"
    if name == "spec":
        rate, partitions, memory, heap = 10_000, 16, most, 1024
    else:
        rate, partitions = (5_000, 8) if machine.cores >= 4 else (1_000, 4)  # noqa: PLR2004
        memory = max(least, min(most, machine.available_mb // 4))
        heap = 512
    # A thread for each, in addition to those of the input: as many as Flink has keyed subtasks.
    shuffle = partitions
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    size = f"{cores}, {machine.memory_mb / 1024:.1f} GiB"
    note = ""
    if name == "laptop":
        note = (
            f"scaled to this machine ({size}): {rate:,} events/s, {partitions} partitions, "
            f"{shuffle} shuffle partitions, {memory:,} MB per engine; the full setup (10,000 events/s, 16 partitions, "
            "16 shuffle partitions, 4,096 MB) needs 8 cores and 16 GiB"
        )
    elif not holds:
        note = (
            f"the spec profile is requested on a machine ({size}) that is smaller than the 8 cores and 16 GiB "
            "that the profile needs: expect backlog rather than latency"
        )
    return Profile(
        name=name,
        rate=rate,
        partitions=partitions,
        shuffle_partitions=shuffle,
        engine_memory_mb=memory,
        kafka_heap_mb=heap,
        shared_cores=machine.cpu_sets is None,
        note=note,
    )


def filesystem(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """Return the type of the file system that a path is on, such as `ext4`; None where the system does not report it.

    A path that does not exist counts as the nearest directory above it that does.
    """
    text = _read(mounts)
    partitions: list[tuple[str, str]]
    if text is None:
        partitions = [(partition.mountpoint, partition.fstype) for partition in psutil.disk_partitions(all=True)]
    else:
        fields = [line.split(" ") for line in text.splitlines()]
        partitions = [(unescape(field[1]), field[2]) for field in fields if len(field) > 2]  # noqa: PLR2004
    place = path.expanduser().resolve()
    # Of several mounts on one directory, the last covers the others.
    covering = [
        (len(Path(mount).parts), number, kind)
        for number, (mount, kind) in enumerate(partitions)
        if place.is_relative_to(mount)
    ]
    return max(covering)[2] if covering else None


@dataclass(frozen=True, kw_only=True)
class Cgroup:
    """The limits of a control group (v2 or v1) and of the groups around it. Linux only."""

    v2: tuple[Path, ...] = ()
    """Directories of the unified hierarchy, innermost first."""
    v1_cpu: tuple[Path, ...] = ()
    v1_memory: tuple[Path, ...] = ()

    @classmethod
    def of_this_process(cls, proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Cgroup:
        """Read which groups this process is in; none at all where the system has no such thing."""
        groups: dict[str, tuple[Path, ...]] = {}
        for line in (_read(proc) or "").splitlines():
            _, controllers, path = line.split(":", 2)
            names = controllers.split(",")
            if controllers == "":
                groups["v2"] = _ancestors(root, path)
            if "cpu" in names:
                groups["v1_cpu"] = _ancestors(root / "cpu", path)
            if "memory" in names:
                groups["v1_memory"] = _ancestors(root / "memory", path)
        return cls(**groups)

    def cpus(self) -> float | None:
        """Return the smallest CPU quota in processors, None without one."""
        quotas = []
        for directory in self.v2:
            quota, _, period = (_read(directory / "cpu.max") or "").partition(" ")
            if quota.isdigit() and period.isdigit():
                quotas.append(int(quota) / int(period))
        for directory in self.v1_cpu:
            quota = _read(directory / "cpu.cfs_quota_us") or ""
            period = _read(directory / "cpu.cfs_period_us") or ""
            if quota.isdigit() and period.isdigit():
                quotas.append(int(quota) / int(period))
        return min(quotas, default=None)

    def memory_mb(self) -> tuple[int | None, int | None]:
        """Return the smallest memory limit and the smallest room left below one, MiB."""
        limits, rooms = [], []
        names = [(directory, "memory.max", "memory.current") for directory in self.v2] + [
            (directory, "memory.limit_in_bytes", "memory.usage_in_bytes") for directory in self.v1_memory
        ]
        for directory, limit_name, usage_name in names:
            limit = _read(directory / limit_name) or ""
            usage = _read(directory / usage_name) or ""
            if not limit.isdigit():
                continue
            limits.append(int(limit) // _MIB)
            if usage.isdigit():
                # The page cache counts as usage but is given back under pressure.
                cached = re.search(
                    r"^(?:total_)?inactive_file (\d+)$",
                    _read(directory / "memory.stat") or "",
                    re.MULTILINE,
                )
                used = int(usage) - (int(cached[1]) if cached else 0)
                rooms.append(max(0, int(limit) - used) // _MIB)
        return min(limits, default=None), min(rooms, default=None)


def _ancestors(root: Path, path: str) -> tuple[Path, ...]:
    inner = root / path.lstrip("/")
    return tuple(group for group in (inner, *inner.parents) if group == root or root in group.parents)


def _cores(quota: float | None) -> int:
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return cores if quota is None else max(1, min(cores, int(quota)))


def _cpu_name() -> str:
    if sys.platform == "darwin":
        try:
            name = subprocess.run(
                ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
                capture_output=True,
                text=True,
                timeout=5,
                check=False,
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            name = ""
    else:
        match = re.search(r"^model name\s*: (.+)$", _read(Path("/proc/cpuinfo")) or "", re.MULTILINE)
        name = match[1].strip() if match else ""
    return name or platform.processor() or platform.machine()


def _os_name() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
