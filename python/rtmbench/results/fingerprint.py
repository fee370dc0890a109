"""Which machine and which settings a result belongs to, so that only equal machines and settings are compared."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from rtmbench.run_settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtmbench.results.model import Host, Result
    from rtmbench.run_settings import SettingValues

MEMORY_STEP_MB = 256
"""Memory is compared in steps: a kernel takes some MiB more or less, and sizes are derived from what is free."""
WITHOUT_EFFECT = frozenset({"aa", "engines", "notes", "slo", "until_verdict"}) | {
    row.field for row in SETTINGS.values() if not row.measured
}
"""Settings that do not change what a single trial measures. Everything else does."""


def machine(host: Host) -> dict[str, str | float | bool]:
    """Give what makes a machine the same machine for latency figures."""
    facts: dict[str, str | float | bool] = {
        "cpu": host.cpu,
        "cores": host.cores,
        "memory_gib": round(host.memory / MEMORY_STEP_MB) * MEMORY_STEP_MB / 1024,
        "os": host.os,
        "kernel": host.kernel,
        "shared_cores": host.shared_cores,
    }
    if host.priority is not None:
        facts |= {"priority_mechanism": host.priority.mechanism, "priority_effective": host.priority.effective}
    facts.update({f"filesystem_{name}": kind for name, kind in (host.filesystems or {}).items()})
    return facts


def machine_id(host: Host) -> str:
    """Give a short name for the machine: the same for two runs if, and only if, `machine` is the same."""
    return _digest(machine(host))


def machine_changes(before: Host, after: Host) -> list[str]:
    """Give what differs between two machines, as `cores 2 → 8`."""
    return _changes(machine(before), machine(after))


def settings(result: Result) -> SettingValues:
    """Give the settings of a run that decide what its trials measure."""
    values = {name: value for name, value in result.settings.items() if name not in WITHOUT_EFFECT}
    if isinstance(values.get("memory_mb"), int):
        values["memory_mb"] = round(values["memory_mb"] / MEMORY_STEP_MB) * MEMORY_STEP_MB
    return values


def settings_id(result: Result) -> str:
    """Give a short name for the settings that decide what the run's trials measure."""
    return _digest(settings(result))


def settings_changes(before: Result, after: Result) -> list[str]:
    """Give what differs between the settings of two runs, as `rate 1000 → 5000`."""
    return _changes(settings(before), settings(after))


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = sorted(before.keys() | after.keys())
    return [f"{n} {_shown(before.get(n))} → {_shown(after.get(n))}" for n in names if before.get(n) != after.get(n)]


def _shown(value: Any) -> str:
    if value is None:
        return "(none)"
    return f"{value:g}" if isinstance(value, float) else str(value)[:60]
