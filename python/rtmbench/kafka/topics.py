"""Whether a topic exists, and where its partitions end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench import _core

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK_S = 5.0


def partition_ends(config: Mapping[str, str], topic: str, timeout_s: float = LOOK_S) -> list[int] | None:
    """Return the end offset of each partition; None where the topic does not exist.

    Raises KafkaError if that is unknown: no broker answers, or it refuses.
    """
    try:
        return _core.end_offsets(config, topic, timeout_s=timeout_s)
    except _core.KafkaError as error:
        if "nknown topic" in str(error) or "unknown to the brokers" in str(error):
            return None
        raise


__all__ = ["partition_ends"]
