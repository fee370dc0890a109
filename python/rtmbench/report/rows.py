"""A cell's figures as one row of a table: in the result, and at each point of a sweep."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from rtmbench.report.text import NO_FIGURE, headline_text, milliseconds

if TYPE_CHECKING:
    from rtmbench.results import Cell

PERCENTILES = ("p50", "p95", "p99", "p99_9", "max")
HEAD = tuple(f"{name.replace('_', '.')} ms" for name in PERCENTILES)
CELL_HEAD = (*HEAD, "stall share", "valid trials", "status")


def cell_row(cell: Cell) -> tuple[str, ...]:
    """Give the row for `CELL_HEAD`: figures in brackets where no trial is valid, with ≥ where they are lower bounds."""
    valid = sum(trial.valid for trial in cell.trials)
    shares = [trial.stall_share for trial in cell.trials if trial.stall_share is not None]
    return (
        *_figures(cell),
        f"{statistics.median(shares):.1%}" if shares else NO_FIGURE,
        f"{valid} of {len(cell.trials)}",
        cell.status.value,
    )


def _figures(cell: Cell) -> list[str]:
    if cell.headline is not None:
        texts = [headline_text(cell.headline, f"{name}_us") for name in PERCENTILES]
        return texts if cell.headline.valid_trials else [f"({text})" for text in texts]
    latencies = [trial.latency_us for trial in cell.trials if trial.latency_us is not None]
    if not latencies:
        return [NO_FIGURE for _ in PERCENTILES]
    texts = []
    for name in PERCENTILES:
        sign = "≥" if any(one.is_lower_bound(name) for one in latencies) else ""
        texts.append(f"({sign}{milliseconds(statistics.median(getattr(one, name) for one in latencies))})")
    return texts
