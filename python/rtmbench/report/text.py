"""Parts of a result as words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.formatting import NO_FIGURE, milliseconds

if TYPE_CHECKING:
    from rtmbench.results.model import Headline

WORDS = {
    "batch_boundary": "batch boundaries",
    "checkpoint": "checkpoints",
    "savepoint": "savepoints",
    "gc_pause": "GC pauses",
    "safepoint": "other pauses of the JVM",
    "stall": "stalls",
}
"""The names of the kinds of interruption, in the plural."""


def headline_text(headline: Headline | None, name: str) -> str:
    """Show a figure of a headline (`p99_us`) in ms: with `≥` where it is a lower bound, else `failed in k of n`.

    `-` without a headline.
    """
    if headline is None:
        return NO_FIGURE
    value: int | None = getattr(headline, name)
    if value is None:
        return f"failed in {headline.failed or 0} of {headline.trials or headline.attempts}"
    return milliseconds(value, lower_bound=headline.is_lower_bound(name))
