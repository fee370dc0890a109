"""What a trial gives an engine, as far as a test does not care."""

from __future__ import annotations

from pathlib import Path

from rtmbench.engines.base import TrialIo
from rtmbench.kafka.connection import Connection


def trial_io(place=Path(), **changes) -> TrialIo:
    values = {
        "connection": Connection(bootstrap_servers="127.0.0.1:1"),
        "input_topic": "in",
        "output_topic": "out",
        "partitions": 4,
        "slots": 4,
        "checkpoint_interval_ms": 5000,
        "work": place,
        "logs": place,
        "memory_mb": 2048,
    }
    return TrialIo(**{**values, **changes})
