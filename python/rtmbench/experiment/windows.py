"""How long the windows of a run are, and what their watermarks need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from rtmbench.patterns import Pattern

OVERLAP = 5
"""How many sliding windows an event falls into if the request has only one of window and slide, as in the spec."""
RARE = 10
"""Below this many events in the watermark's delay, a partition may well be silent for as long."""
MOST_KEYS = 100_000


def sized(pattern: Pattern, *, window_s: float | None, slide_s: float | None, quick: bool) -> tuple[Pattern, list[str]]:
    """Return the pattern with the window and slide of a run, and the sentences that report the changes.

    Raises ConfigurationError where the slide is longer than the window.
    """
    if pattern.window_ms is None:
        return pattern, []
    window_ms = None if window_s is None else round(window_s * 1000)
    slide_ms = None if slide_s is None or pattern.slide_ms is None else round(slide_s * 1000)
    if window_ms is None and slide_ms is None:
        if not quick or pattern.quick_ms is None:
            return pattern, []
        window_ms, slide_ms = pattern.quick_ms
        why = "quick"
    else:
        why = "as requested"
        if window_ms is None:
            window_ms = OVERLAP * slide_ms if slide_ms is not None else pattern.window_ms
        elif slide_ms is None and pattern.slide_ms is not None:
            slide_ms = max(1, window_ms // OVERLAP)
    assert window_ms is not None  # noqa: S101 - decided above
    if slide_ms is not None and slide_ms > window_ms:
        raise ConfigurationError(
            f"--slide is {slide_ms / 1000:g} s and --window {window_ms / 1000:g} s: windows that start further apart "
            "than they are long would omit events. Give a slide of at most the window."
        )
    if (window_ms, slide_ms) == (pattern.window_ms, pattern.slide_ms):
        return pattern, []
    note = f"{why}: the windows of pattern {pattern.id} are {_length(window_ms, slide_ms)}"
    note += f" instead of {_length(pattern.window_ms, pattern.slide_ms)}"
    return replace(pattern, window_ms=window_ms, slide_ms=slide_ms), [note]


def idleness(
    *, rate: float, keys: int, partitions: int, watermark_delay_ms: int, zipf: float | None = None
) -> tuple[int, list[str]]:
    """Return after how long Flink ignores a silent partition (ms; 0: never), and the sentence with the reason.

    A partition without events holds the watermark back, and no window ever closes. Few keys leave partitions empty, and
    few events leave a partition without events for the delay.
    """
    fewest = min(_shares(keys, partitions, zipf or 0.0))
    expected = rate * fewest * watermark_delay_ms / 1000
    if expected >= RARE:
        return 0, []
    reason = (
        f"{keys:,} keys leave some of {partitions} partitions without data"
        if fewest == 0
        else f"a partition gets only {expected:.1f} events within the watermark's delay"
    )
    idle_ms = max(1_000, watermark_delay_ms)
    return idle_ms, [f"{reason}: after {idle_ms / 1000:g} s without events, Flink's watermark ignores it"]


def _shares(keys: int, partitions: int, zipf: float) -> list[float]:
    """Return the share of the events that falls on each partition; of many keys only the first ones count.

    Key number r has a weight of r^-zipf. The later keys of many are the rarest, and as evenly spread.
    """
    shares = [0.0] * partitions
    for number in range(1, min(keys, MOST_KEYS) + 1):
        shares[_core.partition_of(f"user_{number}".encode(), partitions)] += number**-zipf
    total = sum(shares)
    return [share / total for share in shares]


def _length(window_ms: int, slide_ms: int | None) -> str:
    slide = "" if slide_ms is None else f", every {slide_ms / 1000:g} s"
    return f"{window_ms / 1000:g} s{slide}"


__all__ = ["idleness", "sized"]
