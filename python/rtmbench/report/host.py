"""The machine of a run as rows of a table: cores, priority of the engines, file systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtmbench.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtmbench.results import Host

FILESYSTEMS = {"work": "engines' work directory", "kafka_log": "broker's log"}


def host_rows(host: Host) -> list[tuple[str, str]]:
    """Return what is known of the machine, by name."""
    shared = "shared by engine, broker and harness" if host.shared_cores else "broker and harness had their own"
    rows = [
        ("machine", f"{host.cpu}, {plural(host.cores, 'core')} ({shared}), {host.memory:,} MiB"),
        ("system", f"{host.os}, {host.kernel}"),
    ]
    if host.priority is not None:
        rows.append(("priority of the engines", priority_text(host.priority)))
    if host.filesystems:
        found = [f"{FILESYSTEMS.get(name, name)} on {kind}" for name, kind in host.filesystems.items()]
        rows.append(("file systems", ", ".join(found)))
    return rows


def priority_effective(priority: Mapping[str, Any]) -> bool:
    """Whether the engines were in truth kept below broker and harness, as read back."""
    return priority.get("effective") in (True, "effective")


def priority_text(priority: Mapping[str, Any]) -> str:
    """Name the mechanism that kept the engines below broker and harness, and whether it had an effect."""
    state = "effective" if priority_effective(priority) else "inert"
    parts = [state, *(str(priority[name]) for name in ("mechanism", "detail") if priority.get(name))]
    return ", ".join(parts)


__all__ = ["host_rows", "priority_effective", "priority_text"]
