"""The topics of a trial of the custom job: made afresh where they can be, used and left alone where they exist."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.errors import ConfigurationError
from rtmbench.kafka.topics import partition_ends

if TYPE_CHECKING:
    from collections.abc import Mapping

GONE_S = 2.0
"""How long a deletion is waited for; an interrupted run must end soon."""


@dataclass
class JobTopics:
    """Two topics by name."""

    admin: Mapping[str, str]
    input: str
    output: str
    existing: set[str] = field(default_factory=set)
    """Those that were there before the trial."""
    created: set[str] = field(default_factory=set)
    """Those that this trial has made: no other is ever deleted."""

    def create(self, partitions: int, properties: Mapping[str, str], *, replication: int | None = None) -> None:
        """Create those that do not exist; without `replication`, with as many replicas as is the brokers' default.

        Raises ConfigurationError where one exists with another number of partitions, and KafkaError.
        """
        for name in dict.fromkeys((self.input, self.output)):
            ends = partition_ends(self.admin, name)
            if ends is None:
                _core.create_topics(
                    self.admin, [name], partitions=partitions, replication=replication, properties=properties
                )
                self.created.add(name)
                continue
            if len(ends) != partitions:
                raise ConfigurationError(
                    f"The topic {name} exists and has {len(ends)} partitions, not {partitions}. Give --partitions "
                    f"{len(ends)}, or another topic."
                )
            self.existing.add(name)

    def starts(self, name: str) -> list[int]:
        """Return where the trial's records begin in each partition; nothing for a fresh topic, which begins at 0."""
        return _core.end_offsets(self.admin, name) if name in self.existing else []

    def delete(self) -> None:
        """Delete those that `create` made, and wait until they are gone: the next trial may use their names again."""
        created = sorted(self.created)
        if not created:
            return
        _core.delete_topics(self.admin, created, timeout_s=3)
        self.created.clear()
        deadline = time.monotonic() + GONE_S
        while (
            any(partition_ends(self.admin, name, 1.0) is not None for name in created) and time.monotonic() < deadline
        ):
            time.sleep(0.05)


__all__ = ["JobTopics"]
