"""Every trial of a run: its figures, how it was measured, and what else the machine did meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtmbench.formatting import NO_FIGURE, milliseconds
from rtmbench.report.document import Block, Items, Paragraph, Table
from rtmbench.report.rows import (
    HEAD,
    HOP_HEAD,
    PERCENTILES,
    boundaries_text,
    interval_text,
    trial_figures,
    trial_hop_text,
)
from rtmbench.results.outputs import bytes_per_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtmbench.results import Cell, Result, Trial
    from rtmbench.results.model import Interference, RoleLoad, WarmUp

INTERVALS = ("p99", "p99_9")
"""Percentiles that are shown with their interval: a few boundaries decide them."""
ROLES = {"engine": "engine", "kafka": "broker", "harness": "harness"}
ENDED_BY = {
    "boundaries": "boundaries reached",
    "bound": "time limit",
    "time": "fixed length",
}


def blocks(result: Result) -> list[Block]:
    """Return every attempt with its reasons, then the details of its measurement."""
    return [*_figures(result), *_measurement(result)]


def interference(result: Result) -> list[Block]:
    """Return the interference ledger of the trials; nothing where none was recorded."""
    rows = [
        (trial_name(cell, trial), *_ledger(trial.interference), trial.status.value)
        for cell, trial in _all(result)
        if trial.interference is not None
    ]
    if not rows:
        return []
    about = (
        "Run delay is the time in which threads of a role were ready to run and waited for a processor, summed over "
        "its threads. Pressure is the time in which some task of the machine waited for one."
    )
    return [
        Table(
            caption="Interference ledger of each measuring phase; in brackets the share of the machine's CPU time",
            header=(
                "trial",
                *(f"{name}: run delay s / switches per s" for name in ROLES.values()),
                "other processes, CPU s",
                "steal, CPU s",
                "pressure, share of the time",
                "broker GC ms",
                "status",
            ),
            rows=tuple(rows),
            marks=tuple(row[-1] for row in rows),
        ),
        Paragraph(about),
    ]


def trial_name(cell: Cell, trial: Trial) -> str:
    """Name a trial: `flink@1.20 trial 2`, with its attempt where there were two."""
    again = f", attempt {trial.attempt}" if trial.attempt > 1 else ""
    return f"{cell.name} trial {trial.trial}{again}"


def figure_row(trial: Trial) -> list[str]:
    """Show a trial's percentiles in ms, those of `INTERVALS` with their interval where there is one."""
    figures = trial_figures(trial)
    if figures is None or trial.latency_us is None:
        return [NO_FIGURE for _ in PERCENTILES]
    latency = trial.latency_us
    return [
        text + (interval_text(latency, name) if name in INTERVALS else "")
        for name, text in zip(PERCENTILES, figures.texts(), strict=True)
    ]


def _figures(result: Result) -> Iterator[Block]:
    rows, reasons = [], []
    for cell, trial in _all(result):
        name = trial_name(cell, trial)
        slip = milliseconds(trial.slip_us.p99) if trial.slip_us else NO_FIGURE
        rate = f"{trial.rate.achieved:,.0f}" if trial.rate.achieved is not None else NO_FIGURE
        figures = (*figure_row(trial), trial_hop_text(trial), boundaries_text([trial]), slip, rate)
        rows.append((name, *figures, trial.status.value))
        if trial.reasons:
            reasons.append(f"{name}, {trial.status.value}: {'; '.join(trial.reasons)}")
    intervals = any(trial.latency_us is not None and trial.latency_us.intervals for _, trial in _all(result))
    explained = "; in square brackets the 95 % interval from resampling whole cycles" if intervals else ""
    yield Table(
        caption=f"Every attempt, void ones too{explained}",
        header=("trial", *HEAD, HOP_HEAD, "boundaries", "slip p99 ms", "events/s", "status"),
        rows=tuple(rows),
        marks=tuple(row[-1] for row in rows),
    )
    if reasons:
        yield Paragraph("What to know about the figures:")
        yield Items(tuple(reasons))


def _measurement(result: Result) -> Iterator[Block]:
    rows = []
    for cell, trial in _all(result):
        size = bytes_per_record(trial)
        facts = (
            *_warm_up(trial.warm_up),
            NO_FIGURE if trial.seconds is None else f"{trial.seconds:,.1f}",
            boundaries_text([trial]),
            NO_FIGURE if size is None else f"{size:,.0f}",
            _partitions(trial.unread_partitions),
        )
        if trial.warm_up is not None or size is not None or trial.unread_partitions is not None:
            rows.append((trial_name(cell, trial), *facts))
    if rows:
        yield Table(
            caption="How each trial was measured",
            header=(
                "trial",
                "warm-up s",
                "boundaries in it",
                "ended by",
                "measured s",
                "boundaries measured",
                "bytes per output record",
                "unread input partitions",
            ),
            rows=tuple(rows),
            numeric=False,
        )


def _warm_up(warm_up: WarmUp | None) -> tuple[str, str, str]:
    if warm_up is None:
        return (NO_FIGURE, NO_FIGURE, NO_FIGURE)
    boundaries = NO_FIGURE if warm_up.boundaries is None else f"{warm_up.boundaries}"
    ended = ENDED_BY.get(warm_up.ended_by, warm_up.ended_by)
    return (f"{warm_up.seconds:,.0f}", boundaries, f"{ended}, still falling" if warm_up.falling else ended)


def _partitions(partitions: list[int] | None) -> str:
    if partitions is None:
        return NO_FIGURE
    return ", ".join(map(str, partitions)) or "none"


def _ledger(ledger: Interference) -> tuple[str, ...]:
    machine = ledger.seconds * ledger.cores
    pressure = None if ledger.pressure_s is None or not ledger.seconds else ledger.pressure_s / ledger.seconds
    return (
        *(_role(ledger.roles.get(role), ledger.seconds) for role in ROLES),
        _share(ledger.other_cpu_s, machine),
        _share(ledger.steal_s, machine),
        NO_FIGURE if pressure is None else f"{pressure:.1%}",
        NO_FIGURE if ledger.broker_gc_ms is None else f"{ledger.broker_gc_ms:,.0f}",
    )


def _role(load: RoleLoad | None, seconds: float) -> str:
    if load is None:
        return NO_FIGURE
    delay = NO_FIGURE if load.run_delay_s is None else f"{load.run_delay_s:,.2f}"
    switches = NO_FIGURE if load.switches is None or not seconds else f"{load.switches / seconds:,.0f}"
    return f"{delay} / {switches}"


def _share(cpu_s: float | None, machine_s: float) -> str:
    if cpu_s is None:
        return NO_FIGURE
    return f"{cpu_s:,.2f} ({cpu_s / machine_s:.1%})" if machine_s else f"{cpu_s:,.2f}"


def _all(result: Result) -> Iterator[tuple[Cell, Trial]]:
    return ((cell, trial) for cell in (*result.cells, *result.floors) for trial in cell.trials)


__all__ = ["blocks", "figure_row", "interference", "trial_name"]
