"""Figures of cells and trials as texts of a table's row: in the result, for each trial, at each point of a sweep."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench.formatting import NO_FIGURE, milliseconds
from rtmbench.report.text import headline_text
from rtmbench.results.hops import cell_engine_hop, engine_hop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.results import Cell, Latency, Trial
    from rtmbench.results.hops import EngineHop

PERCENTILES = ("p50", "p95", "p99", "p99_9", "max")
HEAD = tuple(f"{name.replace('_', '.')} ms" for name in PERCENTILES)
HOP_HEAD = "engine's own hop p50 / p99 ms"
CELL_HEAD = (*HEAD, HOP_HEAD, "boundaries", "stall share", "valid trials", "status")
FAILED = "failed"
"""Instead of a figure that failed trials make infinite."""
HOP_NOTE = (
    "The engine's own hop runs from the append of the input to the append of the output, by Kafka's time stamps, with "
    "a resolution of 1 ms. The rest of a latency is the way into Kafka before it and the way to the consumer after it."
)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Latencies in µs by the names of `PERCENTILES`; `None` where failed trials leave no figure."""

    values: dict[str, float | None]
    bounds: frozenset[str]
    """Names of the values that are lower bounds."""
    usable: bool

    def texts(self) -> list[str]:
        """Show the values in ms: `≥` before a lower bound, in brackets where they may not be used."""
        return [self._text(name) for name in PERCENTILES]

    def _text(self, name: str) -> str:
        value = self.values[name]
        text = FAILED if value is None else milliseconds(value, lower_bound=name in self.bounds)
        return text if self.usable else f"({text})"


def cell_figures(cell: Cell) -> Figures | None:
    """Return a cell's headline, else the medians over the trials that have latencies; `None` without any.

    Latencies that make no headline, such as boundary-free ones, are not usable.
    """
    head = cell.headline
    if head is not None:
        values: dict[str, float | None] = {name: getattr(head, f"{name}_us") for name in PERCENTILES}
        bounds = frozenset(name for name in PERCENTILES if head.is_lower_bound(f"{name}_us"))
        return Figures(values=values, bounds=bounds, usable=head.valid_trials > 0)
    latencies = [trial.latency_us for trial in cell.trials if trial.latency_us is not None]
    if not latencies:
        return None
    # Raising a value cannot lower a median: a bound in one trial bounds the median too.
    return Figures(
        values={name: statistics.median(getattr(latency, name) for latency in latencies) for name in PERCENTILES},
        bounds=frozenset(name for latency in latencies for name in latency.censored_percentiles),
        usable=False,
    )


def trial_figures(trial: Trial) -> Figures | None:
    """Return a trial's latencies; `None` without any."""
    latency = trial.latency_us
    if latency is None:
        return None
    values: dict[str, float | None] = {name: getattr(latency, name) for name in PERCENTILES}
    return Figures(values=values, bounds=frozenset(latency.censored_percentiles), usable=trial.valid)


def cell_row(cell: Cell) -> tuple[str, ...]:
    """Return the texts under `CELL_HEAD`."""
    valid = sum(trial.valid for trial in cell.trials)
    shares = [trial.stall_share for trial in cell.trials if trial.stall_share is not None]
    return (
        *_cell_texts(cell),
        hop_text(cell_engine_hop(cell)),
        boundaries_text(cell.trials),
        f"{statistics.median(shares):.1%}" if shares else NO_FIGURE,
        f"{valid} of {len(cell.trials)}",
        cell.status.value,
    )


def _cell_texts(cell: Cell) -> list[str]:
    """Show a cell's latencies; a figure that does not exist as `failed in k of n`."""
    figures = cell_figures(cell)
    texts = figures.texts() if figures is not None else [NO_FIGURE for _ in PERCENTILES]
    if cell.headline is None:
        return texts
    missing = [getattr(cell.headline, f"{name}_us") is None for name in PERCENTILES]
    words = [headline_text(cell.headline, f"{name}_us") for name in PERCENTILES]
    return [word if gone else text for gone, word, text in zip(missing, words, texts, strict=True)]


def hop_text(hop: EngineHop | None) -> str:
    """Show an engine's own hop as `p50 / p99`, ms."""
    return NO_FIGURE if hop is None else f"{hop_figure(hop.p50)} / {hop_figure(hop.p99)}"


def trial_hop_text(trial: Trial) -> str:
    """Show a trial's own hop as `p50 / p99`, ms."""
    return hop_text(engine_hop(trial))


def hop_figure(value_ms: float) -> str:
    """Show ms with one decimal: the resolution is 1 ms."""
    return f"{value_ms:,.1f}" if abs(value_ms) < 99.95 else f"{value_ms:,.0f}"  # noqa: PLR2004 - where rounding turns


def boundaries_text(trials: Sequence[Trial], *, unit: bool = False) -> str:
    """Show how many boundaries were measured in each trial with figures: `12`, or `10–12` where they differ.

    Documents of older versions did not count them: their `3 intervals` are a length, not an observation.
    """
    known = [trial for trial in trials if trial.latency_us is not None or trial.close_latency_us is not None]
    boundaries = [trial.boundaries_seen for trial in known if trial.boundaries_seen is not None]
    if boundaries:
        noun = " boundary" if set(boundaries) == {1} else " boundaries"
        return _range(boundaries) + (noun if unit else "")
    cycles = [trial.cycles for trial in known if trial.cycles]
    noun = " interval" if set(cycles) == {1} else " intervals"
    return _range(cycles) + noun if cycles else NO_FIGURE


def interval_text(latency: Latency, name: str) -> str:
    """Show the 95 % interval of a percentile in ms, such as ` [121, 203]`; empty if there is none."""
    interval = (latency.intervals or {}).get(name)
    return f" [{', '.join(milliseconds(bound) for bound in interval)}]" if interval else ""


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low}–{high}"


__all__ = [
    "CELL_HEAD",
    "FAILED",
    "HEAD",
    "HOP_HEAD",
    "HOP_NOTE",
    "PERCENTILES",
    "Figures",
    "boundaries_text",
    "cell_figures",
    "cell_row",
    "hop_figure",
    "hop_text",
    "interval_text",
    "trial_figures",
    "trial_hop_text",
]
