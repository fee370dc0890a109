"""Sets of processors: on a machine that has enough, broker and harness keep to some and engines to the others."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MIN_CORES = 4
"""Below this number all processors are needed for the engine."""
HARNESS_LEAST = 2
HARNESS_SHARE = 4
"""Broker and harness get one in so many processors, and HARNESS_LEAST at least."""
TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, kw_only=True)
class CpuSets:
    """Which logical processors are whose; no processor is in both."""

    harness: tuple[int, ...]
    """Of broker and harness."""
    engine: tuple[int, ...]


def physical_cores(topology: Path = TOPOLOGY) -> tuple[tuple[int, ...], ...]:
    """Return the processors that this process may use, those of one physical core together; none but on Linux."""
    if not sys.platform.startswith("linux"):
        return ()
    allowed = os.sched_getaffinity(0)
    cores: dict[tuple[int, ...], None] = {}
    for cpu in sorted(allowed):
        siblings = {cpu}
        with contextlib.suppress(OSError, ValueError):
            siblings |= parse(
                (topology / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text(encoding="ascii")
            )
        cores[tuple(sorted(siblings & allowed))] = None
    return tuple(cores)


def divide(cores: Sequence[Sequence[int]], usable: int) -> CpuSets | None:
    """Divide processors between broker and harness, and engines; None if they must share.

    `cores` are the processors by physical core, `usable` as many of them as a quota leaves. A physical core is in one
    set: two threads of one core would compete as before.
    """
    total = sum(map(len, cores))
    if min(total, usable) < MIN_CORES:
        return None
    harness: list[int] = []
    rest = list(cores)
    while rest and len(harness) < max(HARNESS_LEAST, total // HARNESS_SHARE):
        harness += rest.pop(0)
    engine = [cpu for core in rest for cpu in core]
    if len(engine) < len(harness):
        return None
    return CpuSets(harness=tuple(sorted(harness)), engine=tuple(sorted(engine)))


def parse(text: str) -> set[int]:
    """Read a list of processors as the kernel spells it, such as `0-3,6`. Raises ValueError."""
    processors: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        processors.update(range(int(first), int(last or first) + 1))
    return processors


class Pinned:
    """Keeps every thread of this program on some processors until `release`. New threads and children inherit it."""

    def __init__(self, cpus: Sequence[int]) -> None:
        self._before = sorted(os.sched_getaffinity(0))
        _pin(cpus)

    def release(self) -> None:
        """Allow all threads what the calling one was allowed before."""
        _pin(self._before)


def _pin(cpus: Sequence[int]) -> None:
    for task in Path("/proc/self/task").iterdir():
        # A thread may have ended since, and a processor may have gone offline.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(task.name), cpus)


__all__ = ["CpuSets", "Pinned", "divide", "parse", "physical_cores"]
