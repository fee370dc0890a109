"""Durations as people, Spark and Flink write them."""

from __future__ import annotations

import re

_UNITS_MS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1.0),
    **dict.fromkeys(("", "s", "second", "seconds"), 1e3),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60e3),
    **dict.fromkeys(("h", "hour", "hours"), 3_600e3),
    **dict.fromkeys(("d", "day", "days"), 86_400e3),
}
_PART = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE)


def milliseconds(text: str) -> float:
    """Return the milliseconds of a duration: one or more numbers with units, such as `5s` or `1 minute 30 seconds`.

    A number without a unit is seconds. Raises ValueError where the text is not a duration.

    >>> milliseconds("1 minute 30 seconds"), milliseconds("250ms")
    (90000.0, 250.0)
    """
    position, total = 0, 0.0
    while match := _PART.match(text, position):
        unit = match[2].lower()
        # Only a number by itself may leave its unit out.
        if unit not in _UNITS_MS or (not unit and match.span() != (0, len(text))):
            break
        total += float(match[1]) * _UNITS_MS[unit]
        position = match.end()
    if position == 0 or position != len(text):
        raise ValueError(f"{text!r} is not a duration; use 90, 90s, 5m or 1h")
    return total


def seconds(text: str) -> float:
    """Return the seconds of a duration, as `milliseconds` reads it.

    >>> seconds("5m"), seconds("250ms"), seconds("90 seconds"), seconds("90")
    (300.0, 0.25, 90.0, 90.0)
    """
    return milliseconds(text) / 1e3


__all__ = ["milliseconds", "seconds"]
