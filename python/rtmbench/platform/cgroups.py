"""Control groups (v2 and v1): the groups of this process, and groups for engines.

A group for an engine is made below a group that this process is in, so that every limit from above still holds.
Nothing here needs root: where a directory cannot be written, the error gives the reason.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEFAULT_SHARES = 1024
"""Weight of a group with the default settings, in the units of `cpu.shares`."""
DEFAULT_WEIGHT = 100
"""The same in the units of `cpu.weight`."""
REMOVE_TIMEOUT_S = 2.0
MEBIBYTE = 1024 * 1024


class CgroupError(Exception):
    """No control group can be made here; the message is the reason, as a clause."""


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """One mounted hierarchy, as this process sees it."""

    version: Literal[1, 2]
    controllers: frozenset[str]
    """Of version 1; version 2 names its controllers in each group."""
    mount: Path
    own: Path
    """Directory of the group that this process is in."""

    @property
    def at_root(self) -> bool:
        """Whether this process is in the root group of the machine, not only of a container."""
        if self.version == 1:
            return self.own == self.mount and (self.own / "cgroup.sane_behavior").exists()
        return self.own == self.mount and not (self.own / "cgroup.events").exists()

    def ancestors(self) -> Iterator[Path]:
        """Yield the groups from this process's own to the uppermost that can be seen."""
        for directory in (self.own, *self.own.parents):
            yield directory
            if directory == self.mount:
                return


def hierarchies(proc: Path = Path("/proc/self")) -> list[Hierarchy]:
    """Return the mounted hierarchies; none where the system has no control groups."""
    paths: dict[str, str] = {}
    for line in _read(proc / "cgroup").splitlines():
        _, names, group = line.split(":", 2)
        paths.update(dict.fromkeys(names.split(","), group))
    mounted_hierarchies = []
    for line in _read(proc / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = ([*after.split(" ", 2), "", ""])[:3]
        if kind not in {"cgroup", "cgroup2"}:
            continue
        root, mount = (unescape(field) for field in before.split(" ")[3:5])
        controllers = frozenset(options.split(",")) & paths.keys() if kind == "cgroup" else frozenset[str]()
        path = paths.get("") if kind == "cgroup2" else next((paths[name] for name in controllers), None)
        # A group outside of what is mounted cannot be reached.
        if path is None or ".." in path or not Path(path).is_relative_to(root):
            continue
        own = Path(mount) / Path(path).relative_to(root)
        version: Literal[1, 2] = 2 if kind == "cgroup2" else 1
        mounted_hierarchies.append(Hierarchy(version=version, controllers=controllers, mount=Path(mount), own=own))
    return mounted_hierarchies


def in_root_group(mounted_hierarchies: Sequence[Hierarchy]) -> bool:
    """Whether the processor time of this process is given out by the machine's root group: only there is autogroup."""
    for hierarchy in mounted_hierarchies:
        if "cpu" in hierarchy.controllers:
            return hierarchy.at_root
    for hierarchy in mounted_hierarchies:
        if hierarchy.version == 2:  # noqa: PLR2004
            groups = list(hierarchy.ancestors())
            weighed = any((group / "cpu.weight").exists() for group in groups)
            return not weighed and not (groups[-1] / "cgroup.events").exists()
    return True


class ControlGroup:
    """A group for the processes of one engine: one directory (v2), or one for each controller (v1)."""

    def __init__(
        self, version: Literal[1, 2], directories: Sequence[Path], *, shares: int, memory: Path | None = None
    ) -> None:
        self.version: Literal[1, 2] = version
        self.directories = list(directories)
        self.requested_shares = shares if version == 1 else _from_weight(_to_weight(shares))
        """What `shares` reads back if the weight took effect; version 2 knows hundredths of 1024 only."""
        self.memory = memory
        """Where the memory limit is; None where none could be set."""

    @property
    def entrances(self) -> list[str]:
        """The files that a process writes `0` into to join."""
        return [str(directory / "cgroup.procs") for directory in self.directories]

    def pids(self) -> set[int]:
        """Return the processes in the group; in version 1 those that are in it under every controller."""
        members = [{int(pid) for pid in _read(directory / "cgroup.procs").split()} for directory in self.directories]
        return set.intersection(*members) if members else set()

    def set_shares(self, shares: int) -> None:
        """Change the weight; whether it took effect, `shares` shows."""
        self.requested_shares = shares if self.version == 1 else _from_weight(_to_weight(shares))
        with contextlib.suppress(CgroupError):
            _weigh(self.directories[0], self.version, shares)

    def shares(self) -> int | None:
        """Return the weight as read back, in the units of `cpu.shares` (default 1024)."""
        text = _read(self.directories[0] / ("cpu.shares" if self.version == 1 else "cpu.weight"))
        if not text.isdigit():
            return None
        return int(text) if self.version == 1 else _from_weight(int(text))

    def memory_limit_mb(self) -> int | None:
        """Return the limit as read back, MiB; None without one."""
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        text = "" if self.memory is None else _read(self.memory / name)
        return int(text) // MEBIBYTE if text.isdigit() else None

    def oom_kills(self) -> int:
        """Return how many processes the kernel killed because the group had reached its memory limit."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        text = "" if self.memory is None else _read(self.memory / name)
        match = re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)
        return int(match[1]) if match else 0

    def remove(self, timeout_s: float = REMOVE_TIMEOUT_S) -> bool:
        """Remove the group; return False where some process is still in it after `timeout_s` seconds."""
        return remove(self.directories, timeout_s)


def create(name: str, *, shares: int, memory_mb: int | None, found: Sequence[Hierarchy]) -> ControlGroup:
    """Make a group of this weight (in the units of `cpu.shares`): version 2 where that can be, else version 1.

    `memory_mb` (MiB) is set as its limit where that can be. Raises CgroupError where no group with a weight can be.
    """
    reasons = []
    for hierarchy in sorted(found, key=lambda candidate: -candidate.version):
        try:
            if hierarchy.version == 2:  # noqa: PLR2004
                return _create_v2(name, hierarchy, shares, memory_mb)
            if "cpu" in hierarchy.controllers:
                return _create_v1(name, hierarchy, shares, memory_mb, found)
        except CgroupError as error:  # noqa: PERF203 - two rounds at most
            reasons.append(f"version {hierarchy.version}: {error}")
    raise CgroupError("; ".join(reasons) or "this system has none")


def remove(directories: Sequence[Path], timeout_s: float = REMOVE_TIMEOUT_S) -> bool:
    """Remove group directories; return False where one is still in use after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    left = list(directories)
    while left:
        for directory in list(left):
            with contextlib.suppress(OSError):
                directory.rmdir()
            if not directory.exists():
                left.remove(directory)
        if left and time.monotonic() >= deadline:
            return False
        if left:
            time.sleep(0.02)
    return True


def unescape(field: str) -> str:
    r"""Decode a path of mountinfo or mounts, where a blank is `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _create_v2(name: str, hierarchy: Hierarchy, shares: int, memory_mb: int | None) -> ControlGroup:
    reasons = []
    for parent in hierarchy.ancestors():
        try:
            return _create_v2_below(parent, name, shares, memory_mb)
        except CgroupError as error:  # noqa: PERF203 - a handful of rounds
            reasons.append(str(error))
    raise CgroupError(reasons[0] if reasons else "no group can be seen")


def _create_v2_below(parent: Path, name: str, shares: int, memory_mb: int | None) -> ControlGroup:
    if "cpu" not in _read(parent / "cgroup.controllers").split():
        raise CgroupError(f"{parent} has no cpu controller")
    # Who moves a process must be able to write to the group that is above both its old and its new place.
    if not os.access(parent, os.W_OK) or not os.access(parent / "cgroup.procs", os.W_OK):
        raise CgroupError(f"{parent} cannot be written")
    _enable(parent, "cpu")
    directory = _make(parent / name)
    try:
        _weigh(directory, 2, shares)
    except CgroupError:
        remove([directory], 0)
        raise
    memory = None
    if memory_mb is not None:
        with contextlib.suppress(CgroupError):
            _enable(parent, "memory")
            _write(directory / "memory.max", str(memory_mb * MEBIBYTE))
            memory = directory
    return ControlGroup(2, [directory], shares=shares, memory=memory)


def _create_v1(
    name: str, hierarchy: Hierarchy, shares: int, memory_mb: int | None, mounted_hierarchies: Sequence[Hierarchy]
) -> ControlGroup:
    directory = _make(hierarchy.own / name)
    try:
        _weigh(directory, 1, shares)
    except CgroupError:
        remove([directory], 0)
        raise
    memory = None if memory_mb is None else _limit_v1(name, directory, memory_mb, mounted_hierarchies)
    others = [] if memory is None or memory == directory else [memory]
    return ControlGroup(1, [directory, *others], shares=shares, memory=memory)


def _limit_v1(name: str, directory: Path, memory_mb: int, mounted_hierarchies: Sequence[Hierarchy]) -> Path | None:
    """Make the memory group that goes with `directory`; return None if the system allows none."""
    for hierarchy in mounted_hierarchies:
        # A group below the top belongs to a container manager or to systemd: rtmbench does not divide its memory.
        if "memory" not in hierarchy.controllers or hierarchy.own != hierarchy.mount:
            continue
        memory = hierarchy.own / name
        try:
            if memory != directory:
                _make(memory)
            _write(memory / "memory.limit_in_bytes", str(memory_mb * MEBIBYTE))
        except CgroupError:
            if memory != directory:
                remove([memory], 0)
            return None
        return memory
    return None


def _weigh(directory: Path, version: Literal[1, 2], shares: int) -> None:
    if version == 1:
        _write(directory / "cpu.shares", str(shares))
    else:
        _write(directory / "cpu.weight", str(_to_weight(shares)))


def _to_weight(shares: int) -> int:
    return max(1, round(shares * DEFAULT_WEIGHT / DEFAULT_SHARES))


def _from_weight(weight: int) -> int:
    return round(weight * DEFAULT_SHARES / DEFAULT_WEIGHT)


def _enable(parent: Path, controller: str) -> None:
    if controller not in _read(parent / "cgroup.subtree_control").split():
        # Refused where processes are in the group itself, unless it is the root.
        _write(parent / "cgroup.subtree_control", f"+{controller}")


def _make(directory: Path) -> Path:
    try:
        directory.mkdir()
    except OSError as error:
        raise CgroupError(f"{directory.parent} cannot be written ({error.strerror})") from error
    return directory


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise CgroupError(f"{path} cannot be set ({error.strerror})") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


__all__ = [
    "DEFAULT_SHARES",
    "CgroupError",
    "ControlGroup",
    "Hierarchy",
    "create",
    "hierarchies",
    "in_root_group",
    "remove",
]
