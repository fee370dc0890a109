"""Lengths of time as people write them."""

from __future__ import annotations

import string

_UNITS = {
    **dict.fromkeys(("", "s", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
}


def seconds(text: str) -> float:
    """Return the seconds of `90`, `90s`, `5m`, `1h` or `500ms`; also as Spark writes it, `90 seconds`.

    Raises ValueError where the text is not a length of time.

    >>> seconds("5m"), seconds("250ms"), seconds("90 seconds")
    (300.0, 0.25, 90.0)
    """
    text = text.strip()
    number = text.rstrip(string.ascii_letters)
    unit = _UNITS.get(text[len(number) :].lower())
    try:
        if unit is not None:
            return float(number) * unit
    except ValueError:
        pass
    raise ValueError(f"{text!r} is not a length of time; give 90, 90s, 5m or 1h")


__all__ = ["seconds"]
