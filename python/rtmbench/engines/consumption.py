"""Which input partitions an engine never read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def unread_partitions(
    consumed: Mapping[int, int] | None, ends: Sequence[int], starts: Sequence[int] = ()
) -> tuple[int, ...]:
    """Return the input partitions that hold records of a trial of which the engine has consumed none.

    Args:
        consumed: `Engine.consumed()`: partition → next offset; None: the engine has no account, and nothing follows.
        ends: the end offset of each input partition, after the load.
        starts: where the trial's records begin in each partition; empty: at 0.

    """
    if consumed is None:
        return ()
    first = [*starts, *[0] * (len(ends) - len(starts))]
    return tuple(
        partition
        for partition, end in enumerate(ends)
        if end > first[partition] and consumed.get(partition, 0) <= first[partition]
    )


def unread_reason(partitions: Sequence[int], ends: Sequence[int], starts: Sequence[int] = ()) -> str:
    """Return the message about partitions that were never read: which, and how much of the input they hold."""
    first = [*starts, *[0] * (len(ends) - len(starts))]
    lost = sum(ends[partition] - first[partition] for partition in partitions)
    total = sum(ends) - sum(first)
    named = ", ".join(map(str, partitions))
    return (
        f"input partition{'s' if len(partitions) > 1 else ''} {named} of {len(ends)} "
        f"{'were' if len(partitions) > 1 else 'was'} never read: {lost:,} of {total:,} input records"
    )


__all__ = ["unread_partitions", "unread_reason"]
