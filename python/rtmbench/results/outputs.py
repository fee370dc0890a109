"""How many bytes an engine writes, and whether two cells differ in it by more than a tenth."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtmbench.results.statistics import last_attempts

if TYPE_CHECKING:
    from rtmbench.results.model import Cell, Trial

UNLIKE_BYTES = 0.10
"""Two cells whose output bytes differ by more than this share do not write the same."""


@dataclass(frozen=True, kw_only=True)
class _Per:
    """Output bytes of the median trial, per expected event and per output record."""

    event: float
    record: float


def bytes_per_record(trial: Trial) -> float | None:
    """Return the mean size of an output record's value, bytes; `None` where it was not recorded."""
    return _ratio(trial, "record")


def bytes_per_event(trial: Trial) -> float | None:
    """Return the output bytes per expected event (per input record of a custom job); `None` where not recorded."""
    return _ratio(trial, "event")


def output_bytes_note(baseline: Cell, other: Cell) -> str:
    """Return a sentence without an end stop where the cells' output bytes differ by more than 10 %, else "".

    Cells of one emission are compared by the bytes per expected event, because they owe the same results. Cells of
    unlike emission owe different numbers of results, so there the size of a record is compared.
    """
    of_baseline, of_other = _per(baseline), _per(other)
    if of_baseline is None or of_other is None:
        return ""
    by_event = baseline.emit == other.emit
    a, b = (of_baseline.event, of_other.event) if by_event else (of_baseline.record, of_other.record)
    if not a or not b or abs(a - b) <= UNLIKE_BYTES * min(a, b):
        return ""
    unit = "expected event" if by_event else "output record"
    ratio = f"{b / a:.1f}" if b / a >= 1 else f"{b / a:.2f}"
    return f"{other.name} writes {ratio} × the bytes of {baseline.name} for each {unit} ({b:,.0f} against {a:,.0f})"


def _per(cell: Cell) -> _Per | None:
    trials = [trial for trial in last_attempts(cell.trials).values() if trial.status.has_figures]
    events = [value for trial in trials if (value := bytes_per_event(trial)) is not None]
    records = [value for trial in trials if (value := bytes_per_record(trial)) is not None]
    if not events or not records:
        return None
    return _Per(event=statistics.median(events), record=statistics.median(records))


def _ratio(trial: Trial, per: Literal["event", "record"]) -> float | None:
    if trial.output_bytes is None:
        return None
    if trial.counts is not None:
        number = trial.counts.expected if per == "event" else trial.counts.received
    elif trial.outputs is not None:
        number = trial.outputs.produced if per == "event" else trial.outputs.received
    else:
        return None
    return trial.output_bytes / number if number else None


__all__ = ["UNLIKE_BYTES", "bytes_per_event", "bytes_per_record", "output_bytes_note"]
