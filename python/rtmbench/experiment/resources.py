"""CPU time and memory of engine, broker and harness over a measuring phase, and what disturbed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from rtmbench.platform.interference import InterferenceMeter
from rtmbench.results.model import Resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.platform.process import Process
    from rtmbench.results.model import Interference

MIB = 1024 * 1024
ROLES = ("engine", "kafka", "harness")


class ResourceMeter:
    """Reads the processes' own counters at both ends of the measuring phase; nothing is read in between."""

    def __init__(self, *, kafka: Process | None, others: bool = True) -> None:
        self._kafka = kafka
        self._engine: Sequence[Process] = ()
        self._harness = psutil.Process()
        self._before: dict[str, float | None] = {}
        self._cpu_s: dict[str, float | None] = dict.fromkeys(ROLES)
        self._peak_mb: dict[str, float | None] = dict.fromkeys(ROLES)
        self._ledger = InterferenceMeter(kafka, others=others)
        self.interference: Interference | None = None
        """The ledger of the phase, once it has ended; None where the system has no such counters."""

    def start(self, engine: Sequence[Process], drivers: Sequence[Process] = ()) -> None:
        """Begin the measuring phase; `drivers` are what runs here of an engine that runs elsewhere."""
        self._engine = engine
        self._before = self._read()
        self._ledger.start(engine, drivers)

    def stop(self) -> None:
        """End the measuring phase."""
        self.interference = self._ledger.stop()
        after = self._read()
        for role in ROLES:
            first, last = self._before.get(role), after[role]
            if first is not None and last is not None:
                self._cpu_s[role] = round(last - first, 3)

    def resources(self) -> tuple[Resources, Resources]:
        """Return CPU seconds within the phase, and peak resident memory since the start in MiB.

        None where nothing was observed.
        """
        peaks = {role: None if value is None else round(value, 1) for role, value in self._peak_mb.items()}
        return Resources(**self._cpu_s), Resources(**peaks)

    def _read(self) -> dict[str, float | None]:
        """Return each role's CPU seconds since its start, and keep the largest memory seen."""
        cpu_s: dict[str, float | None] = dict.fromkeys(ROLES)
        own = self._harness.cpu_times()
        cpu_s["harness"] = own.user + own.system
        self._keep("harness", self._harness.memory_info().rss / MIB)
        groups = {"engine": self._engine, "kafka": [self._kafka] if self._kafka else ()}
        for role, processes in groups.items():
            usages = [process.usage() for process in processes]
            if usages:
                cpu_s[role] = sum(usage.cpu_seconds for usage in usages)
                self._keep(role, sum(usage.peak_rss_mb for usage in usages))
        return cpu_s

    def _keep(self, role: str, value: float) -> None:
        self._peak_mb[role] = max(self._peak_mb[role] or 0.0, value)
