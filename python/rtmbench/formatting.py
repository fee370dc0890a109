"""Figures and foreign text made fit to show: units, significant digits, nothing that can act."""

from __future__ import annotations

import math
import re
import unicodedata

ELLIPSIS = "…"
NO_FIGURE = "-"
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_MARKS = 3


def clean(text: object, limit: int | None = 300) -> str:
    """Make text of unknown origin safe for one paragraph of a terminal, at most `limit` characters; None: all of it.

    White space of every kind becomes one blank; control and formatting characters (escape
    sequences, direction overrides, invisible ones) become visible escapes; right-to-left text is
    isolated, so that it cannot reorder the text next to it. Piled-up combining marks are cut.
    """
    whole = str(text)
    # What is not going to be shown need not be cleaned; white space may shrink to a tenth.
    excerpt = whole if limit is None else whole[: 10 * limit]
    raw = re.sub(r"\s+", " ", excerpt).strip()
    shown, marks = [], 0
    for character in raw:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category[0] == "C":
            shown.append(character.encode("unicode_escape").decode())
        elif marks <= _MARKS:
            shown.append(character)
    result = "".join(shown)
    if limit is not None and (len(result) > limit or len(excerpt) < len(whole)):
        result = result[: max(0, limit - 1)].rstrip() + ELLIPSIS
    if any(unicodedata.bidirectional(c) in _RIGHT_TO_LEFT for c in result):
        return f"\u2068{result}\u2069"
    return result


def milliseconds(microseconds: float, *, lower_bound: bool = False) -> str:
    """Show µs as milliseconds without the unit, with two or three significant digits; `≥` before a lower bound."""
    value = microseconds / 1_000
    size = abs(value)
    digits = 2 if size < 9.995 else 1 if size < 99.95 else 0  # noqa: PLR2004 - where rounding turns
    return f"{'≥' if lower_bound else ''}{value:,.{digits}f}"


def duration(seconds: float) -> str:
    """Show a time to wait, as `42 s` or `3 min 05 s`."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def minutes(seconds: float) -> str:
    """Show a longer time to wait, rounded up: `1 min`, `2 h 05 min`."""
    hours, rest = divmod(math.ceil(max(0.0, seconds) / 60), 60)
    return f"{hours} h {rest:02d} min" if hours else f"{rest} min"


def plural(number: int, singular: str, several: str | None = None) -> str:
    """Show a number with its noun: `1 trial`, `3 trials`."""
    return f"{number:,} {singular if number == 1 else several or singular + 's'}"
