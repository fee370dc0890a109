"""The hops of a trial, and the engine's own: from the append of the input to the append of the output.

All times are in ms. Two of the four moments are Kafka's time stamps, so the resolution of a hop is 1 ms.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench.results.model import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rtmbench.results.model import Cell, Spread, Trial

HOPS = ("scheduled_to_input", "input_to_output", "output_to_received")
"""In the order of time."""
ENGINE_HOP = "input_to_output"


@dataclass(frozen=True, kw_only=True)
class EngineHop:
    """The engine's own hop, ms."""

    p50: float
    p99: float


def engine_hop(trial: Trial) -> EngineHop | None:
    """Return the engine's own hop of a trial; `None` without an engine (the transport floor) or without figures."""
    hop = (trial.hops_ms or {}).get(ENGINE_HOP)
    if hop is None or not trial.status.has_figures:
        return None
    return EngineHop(p50=hop.p50, p99=hop.p99)


def cell_engine_hop(cell: Cell) -> EngineHop | None:
    """Return the median over a cell's trials that have figures, of each percentile; void trials have none."""
    hops = [hop for trial in cell.trials if trial.status is not Status.VOID and (hop := engine_hop(trial)) is not None]
    if not hops:
        return None
    return EngineHop(p50=statistics.median(hop.p50 for hop in hops), p99=statistics.median(hop.p99 for hop in hops))


def have_means(spreads: Iterable[Mapping[str, Spread]]) -> bool:
    """Whether every hop of these trials has a mean; documents written by older versions have medians only."""
    every_hop = [hop for hops in spreads for hop in hops.values()]
    return bool(every_hop) and all(hop.mean is not None for hop in every_hop)


def parts(hops: Mapping[str, Spread], *, means: bool) -> dict[str, float]:
    """Return where the time goes, ms by hop: the signed means, which add up, or the medians, which do not."""
    return {name: hop.mean if means and hop.mean is not None else hop.p50 for name, hop in hops.items()}


__all__ = ["ENGINE_HOP", "HOPS", "EngineHop", "cell_engine_hop", "engine_hop", "have_means", "parts"]
