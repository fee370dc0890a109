"""The figures of runs as flat tables, for a spreadsheet or a notebook: CSV, or Parquet with pyarrow."""

from __future__ import annotations

import csv
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from rtmbench.errors import PreflightError
from rtmbench.results.cost import cost
from rtmbench.results.histogram_log import trial_log
from rtmbench.results.hops import HOPS
from rtmbench.results.model import PERCENTILES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rtmbench.results import Cell, Result, Trial
    from rtmbench.results.stored_run import StoredRun

Row: TypeAlias = "dict[str, int | float | str | bool | None]"

LONGEST_TEXT = 1_000
INTERVALS = ("p99", "p99_9")
ROLES = ("engine", "kafka", "harness")
COUNTS = ("produced", "expected", "received", "missing", "unexpected", "wrong", "duplicate", "late_dropped")


def tables(runs: Sequence[StoredRun]) -> dict[str, list[Row]]:
    """Return the tables by name; each row has the same columns, `None` for a missing figure.

    `trials` has one row for each attempt, `timeline` one for each second of it, `cycles` one for each measured cycle
    (from one observed boundary to the next), `interruptions` one for each boundary, checkpoint, pause and stall,
    `histogram` one for each second and recorded latency (µs, the bucket's upper end).
    """
    rows_by_table: dict[str, list[Row]] = {
        "trials": [],
        "timeline": [],
        "cycles": [],
        "interruptions": [],
        "histogram": [],
    }
    for result, directory in runs:
        for floor, cells in ((False, result.cells), (True, result.floors)):
            for cell in cells:
                for trial in cell.trials:
                    key = _key(result, cell, trial)
                    rows_by_table["trials"].append({**key, "floor": floor, **_trial(trial)})
                    rows_by_table["timeline"].extend({**key, **row} for row in _timeline(trial))
                    rows_by_table["cycles"].extend({**key, **row} for row in _cycles(trial))
                    rows_by_table["interruptions"].extend({**key, **row} for row in _interruptions(trial))
                    rows_by_table["histogram"].extend({**key, **row} for row in _histogram(trial, directory))
    return rows_by_table


def write(runs: Sequence[StoredRun], directory: Path, kind: str) -> list[Path]:
    """Write every table that has rows to `directory/NAME.csv` or `.parquet`, and return the paths.

    Raises PreflightError where pyarrow is missing for Parquet, or the files cannot be written.
    """
    save = _parquet if kind == "parquet" else _csv
    paths = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, rows in tables(runs).items():
            if rows:
                path = directory / f"{name}.{kind}"
                save(path, rows)
                paths.append(path)
    except OSError as error:
        raise PreflightError(
            f"The tables cannot be written to {directory}: {error.strerror or error}. Name another directory with "
            "`--output DIR`."
        ) from error
    return paths


def _key(result: Result, cell: Cell, trial: Trial) -> Row:
    return {
        "experiment_id": result.experiment_id,
        "run_id": result.run_id,
        "pattern": result.pattern,
        "cell": cell.name,
        "trial": trial.trial,
        "attempt": trial.attempt,
    }


def _trial(trial: Trial) -> Row:
    latency, counts, spent = trial.latency_us, trial.counts, cost(trial)
    row: Row = {
        "status": trial.status.value,
        "valid": trial.valid,
        "reasons": "; ".join(trial.reasons),
        "started_at": trial.started_at,
        "seconds": trial.seconds,
        "cycles": trial.cycles,
        "boundaries_seen": trial.boundaries_seen,
        "rate_requested": trial.rate.requested,
        "rate_achieved": trial.rate.achieved,
    }
    for name in ("count", "censored", "min", *PERCENTILES, "max", "negative"):
        row[f"latency_{name}" + ("" if name in ("count", "censored", "negative") else "_us")] = (
            None if latency is None else getattr(latency, name)
        )
    row |= _intervals(trial)
    row["lower_bounds"] = None if latency is None else " ".join(latency.censored_percentiles)
    row |= {f"slip_{name}_us": getattr(trial.slip_us, name, None) for name in ("p50", "p99", "max")}
    for hop in HOPS:
        spread = (trial.hops_ms or {}).get(hop)
        row |= {f"hop_{hop}_{name}_ms": getattr(spread, name, None) for name in ("mean", "p50", "p99")}
    row |= {"stall_share": trial.stall_share, "stall_max_us": trial.stall_max_us}
    row |= {f"count_{name}": getattr(counts, name, None) for name in COUNTS}
    for party in ("engine", "kafka", "harness"):
        row[f"cpu_seconds_{party}"] = getattr(trial.cpu_seconds, party, None)
        row[f"peak_rss_mb_{party}"] = getattr(trial.peak_rss_mb, party, None)
        row[f"cpu_seconds_per_million_{party}"] = getattr(spent, party, None)
    return row | _conditions(trial)


def _intervals(trial: Trial) -> Row:
    intervals = (trial.latency_us.intervals if trial.latency_us is not None else None) or {}
    return {
        f"latency_{name}_{bound}_us": intervals[name][place] if name in intervals else None
        for name in INTERVALS
        for place, bound in enumerate(("low", "high"))
    }


def _conditions(trial: Trial) -> Row:
    """Return warm-up, interference and what was read and written, `None` where it was not recorded."""
    warm, ledger, unread = trial.warm_up, trial.interference, trial.unread_partitions
    row: Row = {
        "warm_up_s": getattr(warm, "seconds", None),
        "warm_up_boundaries": getattr(warm, "boundaries", None),
        "warm_up_ended_by": getattr(warm, "ended_by", None),
        "output_bytes": trial.output_bytes,
        "unread_partitions": None if unread is None else " ".join(map(str, unread)),
    }
    for role in ROLES:
        load = ledger.roles.get(role) if ledger is not None else None
        row |= {f"{name}_{role}": getattr(load, name, None) for name in ("run_delay_s", "switches")}
    return row | {
        name: getattr(ledger, name, None) for name in ("other_cpu_s", "steal_s", "pressure_s", "broker_gc_ms")
    }


def _cycles(trial: Trial) -> Iterator[Row]:
    for number, cycle in enumerate(trial.cycle_figures or [], 1):
        yield {"cycle": number, **asdict(cycle)}


def _timeline(trial: Trial) -> Iterator[Row]:
    line = trial.timeline
    if line is None:
        return
    columns = zip(line.count, line.p50_us, line.p99_us, line.max_us, line.backlog, strict=True)
    for second, (count, p50, p99, most, backlog) in enumerate(columns):
        yield {"second": second, "count": count, "p50_us": p50, "p99_us": p99, "max_us": most, "backlog": backlog}


def _interruptions(trial: Trial) -> Iterator[Row]:
    for interruption in trial.interruptions or []:
        yield {
            "kind": interruption.kind,
            "source": interruption.source,
            "at_ms": interruption.at_ms,
            "duration_ms": interruption.duration_ms,
            "detail": interruption.detail,
        }


def _histogram(trial: Trial, directory: Path | None) -> Iterator[Row]:
    for interval in trial_log(trial, directory):
        values, counts = interval.histogram.counts()
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            yield {"second": interval.start_s, "latency_us": value, "count": count}


def _csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({name: _inert(value) for name, value in row.items()} for row in rows)


def _inert(value: Any) -> Any:
    """Keep a spreadsheet from taking a foreign text for a formula, and a line from growing without end."""
    if not isinstance(value, str):
        return value
    text = value if len(value) <= LONGEST_TEXT else value[: LONGEST_TEXT - 1] + "…"
    text = text.replace("\x00", "\\x00")
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _parquet(path: Path, rows: list[Row]) -> None:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise PreflightError(
            "Parquet files are written with pyarrow, which is not installed here. Install it with "
            "`pip install 'rtmbench[report]'`, or ask for `--format csv`."
        ) from error
    columns = {name: [_encodable(row[name]) for row in rows] for name in rows[0]}
    parquet.write_table(pa.table(columns), path)


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


__all__ = ["tables", "write"]
