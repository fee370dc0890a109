"""Which trials were disturbed from outside: judged over all trials of a cell, never by a trial's own figure.

A trial is contended if the machine gave its processors to others (the interference ledger), also where the engine fell
behind for want of them; or if a hop that belongs to broker and harness, or the schedule slip, was clearly above that of
the floors that bracket the trial. The cell's
median p99 decides what is clear: the more a disturbance inflates a trial's own p99, the less that may excuse it.
Judging again, when the next floor has been measured, gives the same labels for the same trials.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.results.model import Status
from rtmbench.results.statistics import cell_status, headline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtmbench.results.model import Cell, Interference, Trial

PREFIX = "contended: "
LEAST_MS = 2.0
"""An excess of a hop over the floor's that is not looked at further: append times are good to 1 ms."""
SHARE = 0.2
"""The excess that contends, as a share of the cell's median p99."""
OTHER_SHARE = 0.1
"""Share of the machine's processors that other programs may take."""
STEAL_SHARE = 0.05
"""Share of them that the hypervisor may give to others."""

HOPS = {
    "scheduled_to_input": "from the intended time to the append in Kafka",
    "output_to_received": "from the append of the output to its receipt",
}


def judged(cells: Sequence[Cell], floors: Sequence[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Return cells and floors with their contended trials labelled; everything else as it was."""
    transport = [trial for floor in floors if floor.engine == "transport" for trial in floor.trials]
    return [_cell(cell, transport) for cell in cells], [_cell(floor, []) for floor in floors]


def _cell(cell: Cell, floors: Sequence[Trial]) -> Cell:
    trials = [_without(trial) for trial in cell.trials]
    p99s = [t.latency_us.p99 for t in trials if t.latency_us is not None and t.status.has_figures]
    p99_ms = statistics.median(p99s) / 1_000 if p99s else None
    labelled = [_judge(trial, _brackets(trial, floors), p99_ms) for trial in trials]
    if labelled == cell.trials:
        return cell
    is_floor = cell.engine in ("transport", "relay")
    return replace(cell, trials=labelled, status=cell_status(labelled), headline=headline(labelled, floor=is_floor))


def _without(trial: Trial) -> Trial:
    """Return a trial as it was before it was judged."""
    if trial.status is not Status.CONTENDED:
        return trial
    reasons = [reason for reason in trial.reasons if not reason.startswith(PREFIX)]
    if reasons == trial.reasons:
        # Labelled by an earlier version, whose reasons are all that is known.
        return trial
    return replace(trial, status=Status.VALID, reasons=reasons)


def _judge(trial: Trial, floors: Sequence[Trial], p99_ms: float | None) -> Trial:
    if trial.status not in (Status.VALID, Status.UNSUSTAINED):
        return trial
    # An engine that others keep from the processors falls behind; its late events inflate no hop outside it.
    disturbances = list(_machine(trial.interference))
    if trial.status is Status.VALID:
        disturbances += _hops(trial, floors, p99_ms)
    if not disturbances:
        return trial
    reasons = [*(PREFIX + text for text in disturbances), *trial.reasons]
    return replace(trial, status=Status.CONTENDED, valid=Status.CONTENDED.usable, reasons=reasons)


def _machine(ledger: Interference | None) -> Iterator[str]:
    if ledger is None or ledger.seconds <= 0:
        return
    capacity_s = ledger.seconds * ledger.cores
    other, steal = ledger.other_cpu_s, ledger.steal_s
    if other is not None and other > OTHER_SHARE * capacity_s:
        yield (
            f"programs outside the run took {other:,.1f} CPU seconds during the measurement, "
            f"{other / capacity_s:.0%} of the machine; end them and run again"
        )
    if steal is not None and steal > STEAL_SHARE * capacity_s:
        yield (
            f"the hypervisor gave {steal:,.1f} CPU seconds of this machine to others during the measurement, "
            f"{steal / capacity_s:.0%} of it"
        )


def _hops(trial: Trial, floors: Sequence[Trial], p99_ms: float | None) -> Iterator[str]:
    if p99_ms is None or not floors:
        return
    limit_ms = max(LEAST_MS, SHARE * p99_ms)
    for name, words in HOPS.items():
        hop = (trial.hops_ms or {}).get(name)
        known = [floor.hops_ms[name].p99 for floor in floors if floor.hops_ms and name in floor.hops_ms]
        if hop is None or not known:
            continue
        if hop.p99 - min(known) > limit_ms:
            yield _excess(words, hop.p99, min(known), p99_ms)
    slips = [floor.slip_us.p99 / 1_000 for floor in floors if floor.slip_us is not None]
    if trial.slip_us is not None and slips and trial.slip_us.p99 / 1_000 - min(slips) > limit_ms:
        yield _excess("the schedule slip of the generator", trial.slip_us.p99 / 1_000, min(slips), p99_ms)


def _excess(what: str, value_ms: float, floor_ms: float, p99_ms: float) -> str:
    return (
        f"{what}: p99 {value_ms:,.1f} ms, and {floor_ms:,.1f} ms in the floor next to it, "
        f"where the cell's median p99 is {p99_ms:,.1f} ms; the machine was too busy to measure cleanly"
    )


def _brackets(trial: Trial, floors: Sequence[Trial]) -> list[Trial]:
    """Return the floor trials right before and right after the group that a trial belongs to."""
    return [f for f in floors if f.trial in (trial.trial, trial.trial + 1) and f.status.has_figures]


__all__ = ["PREFIX", "judged"]
