"""What is shown of a comparison besides its end-to-end ratios: the engines' own hops, and unlike output bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.formatting import NO_FIGURE
from rtmbench.results.outputs import output_bytes_note
from rtmbench.results.verdict import ratio_text

if TYPE_CHECKING:
    from rtmbench.results import Comparison, Result


def bytes_note(result: Result, comparison: Comparison) -> str:
    """Return the note on unlike output bytes of the two compared cells; empty where the comparison has it, or none."""
    cells = {cell.name: cell for cell in result.cells}
    baseline, other = cells.get(comparison.baseline), cells.get(comparison.other)
    if baseline is None or other is None:
        return ""
    note = output_bytes_note(baseline, other)
    return "" if note in comparison.note else note


def hop_ratios(comparison: Comparison) -> str:
    """Show the ratios of the engines' own hops as `p50 / p99`."""
    ratios = (comparison.ratio_engine_p50, comparison.ratio_engine_p99)
    if ratios == (None, None):
        return NO_FIGURE
    return " / ".join(NO_FIGURE if ratio is None else ratio_text(ratio) for ratio in ratios)


__all__ = ["bytes_note", "hop_ratios"]
