"""The machine as a result document records it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.platform import machine as machines
from rtmbench.platform import scheduling
from rtmbench.platform.scheduling import NICE
from rtmbench.results.model import EnginePriority, Host

if TYPE_CHECKING:
    from rtmbench.platform.machine import Machine


def host(machine: Machine, *, kafka: bool = True) -> Host:
    """Return the machine as in a document; `kafka` where the broker runs on it too."""
    cpu_sets = machine.cpu_sets
    # What one engine's group comes to is what each engine's comes to; what each one read back is in `parity`.
    priority = scheduling.probe(NICE) if cpu_sets is None else scheduling.probe(0, cpu_sets.engine)
    work = machines.filesystem(Path(tempfile.gettempdir()))
    filesystems = {} if work is None else {"work": work, **({"kafka_log": work} if kafka else {})}
    return Host(
        cpu=machine.cpu,
        cores=machine.cores,
        memory=machine.memory_mb,
        os=machine.os,
        kernel=machine.kernel,
        shared_cores=cpu_sets is None,
        priority=EnginePriority(mechanism=priority.mechanism, effective=priority.effective, detail=priority.detail),
        filesystems=filesystems or None,
    )
