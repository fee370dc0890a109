"""The machine of a run as rows of a table: cores, priority of the engines, file systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.formatting import plural

if TYPE_CHECKING:
    from rtmbench.results import Host
    from rtmbench.results.model import EnginePriority

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
        filesystems = [f"{FILESYSTEMS.get(name, name)} on {kind}" for name, kind in host.filesystems.items()]
        rows.append(("file systems", ", ".join(filesystems)))
    return rows


def priority_text(priority: EnginePriority) -> str:
    """Name the mechanism that kept the engines below broker and harness, and whether it had an effect."""
    state = "effective" if priority.effective else "inert"
    return ", ".join(filter(None, (state, priority.mechanism, priority.detail)))


__all__ = ["host_rows", "priority_text"]
