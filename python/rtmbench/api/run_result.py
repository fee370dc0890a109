"""A run that was measured, to look at: its trials, distributions, comparisons, verdicts and report."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtmbench import _core
from rtmbench.errors import ConfigurationError
from rtmbench.formatting import clean
from rtmbench.report import export, figures
from rtmbench.report.comparison import comparison_head, comparison_row, has_hops, print_comparison
from rtmbench.report.rows import HOP_HEAD, boundaries_text, hop_text
from rtmbench.report.terminal import print_result, summary
from rtmbench.report.terminal_table import cell_texts
from rtmbench.results import across, sample, slo
from rtmbench.results.comparison import is_quick
from rtmbench.results.histogram_log import merged, trial_log
from rtmbench.results.hops import cell_engine_hop
from rtmbench.results.noise import NoiseBands
from rtmbench.results.statistics import last_attempts
from rtmbench.results.stored_run import StoredRun

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from rtmbench.json_object import JsonObject
    from rtmbench.report.figure import Plot
    from rtmbench.report.figures import Kind
    from rtmbench.results.model import Cell, Result, TargetOutcome, Trial

_TEXT = (
    "experiment_id",
    "run_id",
    "pattern",
    "cell",
    "status",
    "reasons",
    "started_at",
    "lower_bounds",
    "warm_up_ended_by",
    "unread_partitions",
)
_WHOLE = ("trial", "attempt", "valid", "floor", "second")
FORMATS = {"html": ".html", "md": ".md"}
_NAME = 60


@dataclass(frozen=True, repr=False)
class Run:
    """One pattern's run: the document, and the directory with what its trials kept.

    Engines are named as in the document, such as `"spark@4.3"`; a beginning that fits one alone is enough. Floors
    (`"transport"`, `"relay"`) go by their names too.

    >>> import rtmbench
    >>> run = rtmbench.load("tests/unit/data/recorded-run")
    >>> run.run_id, run.pattern, run.complete
    ('20261125T155508089Z-01-6644f7', '01', True)
    >>> run.engines, run.floors
    (['flink@1.20', 'spark@4.1'], ['transport'])
    >>> run.latency("spark", trial=2).percentile(50)
    11551
    """

    result: Result
    """The document as dataclasses, see `rtmbench.results.model`; `result.to_dict()` gives it as JSON values."""
    directory: Path | None = None
    """Where it is kept; `None` for a document without its directory, which has no distributions."""

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.result.run_id

    @property
    def pattern(self) -> str:
        """The pattern, such as `"02"`."""
        return self.result.pattern

    @property
    def complete(self) -> bool:
        """Whether the run came to its end; an interrupted one did not."""
        return self.result.complete

    @property
    def engines(self) -> list[str]:
        """The names of the cells, in their order."""
        return [cell.name for cell in self.result.cells]

    @property
    def floors(self) -> list[str]:
        """The names of the floors: what the harness measures with no engine between the topics."""
        return [cell.name for cell in self.result.floors]

    @property
    def trials(self) -> dict[str, list[Trial]]:
        """The trials of each engine and floor, all attempts included, as in the document."""
        return {cell.name: cell.trials for cell in (*self.result.cells, *self.result.floors)}

    def table(self) -> _core.Table:
        """Return one row for each attempt of a trial, floors included, for polars, DuckDB, PyArrow or pandas.

        Latencies and slip are in µs. A figure that does not exist is NaN, a text that does not is empty. `valid` and
        `floor` are 1 or 0: a row that is not `valid` must not be used, and the figures that `lower_bounds` names are
        lower bounds. `close_*` is the latency of final results, where the engine emits at a window's close.
        `hop_input_to_output_*_ms` is the engine's own hop, in ms, with a resolution of 1 ms.

        >>> import rtmbench
        >>> table = rtmbench.load("tests/unit/data/recorded-run").table()
        >>> table["latency_p99_us"][:2]
        array([1487871.,  200191.])
        """
        return trials_table([self], f"The run {self.run_id} has no trial yet.")

    def timeline(self, engine: str, trial: int | None = None) -> _core.Table:
        """Return one row for each second of the measuring phase: count, p50, p99 and max in µs, backlog in events.

        Rows of all trials unless one is named; the columns `trial` and `attempt` identify them.

        Raises ConfigurationError for an unknown engine or trial, and where no timeline was kept.

        >>> import rtmbench
        >>> rtmbench.load("tests/unit/data/recorded-run").timeline("flink", 1)["second"][:3]
        array([0, 1, 2])
        """
        cell = self.cell(engine)
        numbers = {attempt.trial for attempt in self._chosen(cell, trial)}
        alone = replace(self.result, cells=[cell], floors=[])
        rows = [row for row in export.tables([StoredRun(alone)])["timeline"] if row["trial"] in numbers]
        return _table(rows, f"{cell.name} in run {self.run_id} has no timeline: no trial reached its measurement.")

    def latency(self, engine: str, trial: int | None = None) -> _core.Histogram:
        """Return the distribution of an engine's update latency, µs: samples of trials merged, nothing averaged.

        Without a trial, those of every usable one (status valid or contended) by its last attempt; a trial that is
        named is read whatever its status. The headline of a report is the median of the trials' percentiles, so it
        differs from the merged percentile. Samples of events without an output lie at the drain's deadline: what
        `table()` calls lower bounds is one here too.

        Raises ConfigurationError for an unknown engine or trial, where no trial is usable, and where a log is
        missing or does not hold the samples that the document speaks of.

        >>> import rtmbench
        >>> run = rtmbench.load("tests/unit/data/recorded-run")
        >>> run.latency("flink").count == sum(trial.latency_us.count for trial in run.trials["flink@1.20"])
        True
        """
        cell = self.cell(engine)
        chosen = self._chosen(cell, trial)
        if trial is None:
            chosen = [attempt for attempt in chosen if attempt.status.usable]
        chosen = [attempt for attempt in chosen if attempt.latency_us is not None]
        if not chosen:
            which = "usable trial" if trial is None else f"trial {trial}"
            raise ConfigurationError(
                f"{cell.name} in run {self.run_id} has no {which} with update latencies (status: {cell.status.value})."
            )
        total = _core.Histogram()
        for attempt in chosen:
            total.merge(self._samples(cell, attempt))
        return total

    def compare(self, baseline: str, other: str) -> Comparison:
        """Compare two engines of the run, paired by trial: ratios are `other` divided by `baseline`.

        Raises ConfigurationError where the run has no such engine; the message names those that exist.

        >>> import rtmbench
        >>> run = rtmbench.load("tests/unit/data/recorded-run")
        >>> run.compare("flink@1.20", "spark@4.1").verdict
        'no verdict'
        """
        return Comparison(across.compare_cells([self.result], baseline, other, self._bands()))

    def compare_all(self) -> Comparison:
        """Compare every engine of the run with each that comes after it, judged together.

        >>> import rtmbench
        >>> report = rtmbench.load("tests/unit/data/recorded-run").compare_all()
        >>> [(entry.comparison.baseline, entry.comparison.other) for entry in report.entries]
        [('flink@1.20', 'spark@4.1')]
        """
        return Comparison(across.compare_engines([self.result], self._bands()))

    def against(self, before: Run) -> Comparison:
        """Compare the engines of this run with the same ones of an earlier run, to see whether this one is slower.

        Raises ConfigurationError where the two have no pattern in common.

        >>> import rtmbench
        >>> run = rtmbench.load("tests/unit/data/recorded-run")
        >>> [entry.comparison.verdict for entry in run.against(run).entries]
        ['no verdict', 'no verdict']
        """
        return Comparison(across.compare_runs([before.result], [self.result], self._bands()))

    def verdict(self, slo: str | Iterable[str]) -> Verdict:
        """Judge every engine by one target or several, such as `"p99<100ms@10000/s"`.

        Raises ConfigurationError where a target cannot be read.

        >>> import rtmbench
        >>> verdict = rtmbench.load("tests/unit/data/recorded-run").verdict("p99<1ms")
        >>> verdict.met
        False
        """
        return _judge(self.result, [slo] if isinstance(slo, str) else list(slo))

    def report(self, path: str | os.PathLike[str] | None = None, format: str | None = None) -> Path:  # noqa: A002 - as on the command line
        """Write the report, `"html"` or `"md"`, into the run's directory or to `path`; return where it is.

        Without a format the end of the path's name decides, and else it is HTML. That of a run of the sample goes
        into the working directory.

        Raises ConfigurationError for another format, PreflightError where the file cannot be written, or where HTML
        is requested and matplotlib (`rtmbench[report]`) is not installed.

        >>> import rtmbench, tempfile
        >>> page = tempfile.mkdtemp() + "/page.md"
        >>> rtmbench.load("tests/unit/data/recorded-run").report(page).stat().st_size > 1000
        True
        """
        from rtmbench.report import write  # noqa: PLC0415 - `import rtmbench` must not wait for it

        kind = format or next(
            (k for k, end in FORMATS.items() if path is not None and Path(path).suffix == end), "html"
        )
        if kind not in FORMATS:
            raise ConfigurationError(f"A report is html or md, not {kind[:40]!r}; `rtmbench report` writes data files.")
        runs = [StoredRun(self.result, self.directory)]
        text = write.to_html(runs) if kind == "html" else write.to_markdown(runs)
        name = write.HTML if kind == "html" else write.MARKDOWN
        # Nothing is written into the installed package.
        kept = [StoredRun(self.result, None if sample.holds(self.directory) else self.directory)]
        where = Path(path) if path is not None else write.default_path(kept, Path(), name)
        return write.write_text(where, text)

    def plot(
        self, kind: Kind = "percentiles", engines: str | Iterable[str] | None = None, trial: int | None = None
    ) -> Plot:
        """Draw the run as a matplotlib figure, which a notebook shows and `.savefig(path)` keeps. Latencies in ms.

        >>> import rtmbench
        >>> rtmbench.load("tests/unit/data/recorded-run").plot("timeline", "spark").get_suptitle()
        'spark@4.1, trial 2'

        Args:
            kind: `"percentiles"` of the latency on a 1/(1-q) axis, or its `"cdf"`, one line for each engine;
                `"timeline"`, p50, p99 and maximum of each second of one engine's trial above its boundaries, GC
                pauses and stalls; `"heatmap"`, time and latency of such a trial; `"hops"`, where the mean time goes
                (the median time in documents without means).
            engines: one name, or several where there is a line or bar for each; floors too. All, unless given.
            trial: its number. Without one, curves are of all usable trials together, and the others of the trial with
                the median p99.

        Raises:
            ConfigurationError: an unknown kind, engine or trial, or nothing to draw.
            PreflightError: matplotlib (`rtmbench[report]`) is not installed.

        """
        return figures.draw(self, kind, engines, trial)

    def cell(self, name: str) -> Cell:
        """Return the cell or floor of that name, as in the document: its mode, remark, status and refusal.

        Raises ConfigurationError for an unknown name.

        >>> import rtmbench
        >>> rtmbench.load("tests/unit/data/recorded-run").cell("spark").mode
        'rtm'
        """
        return across.find_cell(self.result, name)

    def trial(self, engine: str, number: int) -> Trial:
        """Return the last attempt of an engine's trial, as in the document.

        Raises ConfigurationError for an unknown engine or trial.

        >>> import rtmbench
        >>> rtmbench.load("tests/unit/data/recorded-run").trial("spark", 2).counts.missing
        0
        """
        return self._chosen(self.cell(engine), number)[0]

    def has(self, engine: str) -> bool:
        """Whether the run has a cell or floor of that name.

        >>> import rtmbench
        >>> rtmbench.load("tests/unit/data/recorded-run").has("spark@4.3")
        False
        """
        try:
            self.cell(engine)
        except ConfigurationError:
            return False
        return True

    def __repr__(self) -> str:
        return _printed(lambda file: print_result(self.result, file))

    def _repr_html_(self) -> str:
        names = ("", "p50", "p95", "p99", "p99.9", "max", HOP_HEAD, "boundaries", "stall", "trials", "status")
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        rows: list[str] = []
        for cell in self._cells():
            *latencies, stall = [text.plain for text in cell_texts(cell)]
            used = sum(trial.valid for trial in last_attempts(cell.trials).values())
            texts = (
                clean(cell.name, _NAME),
                *latencies,
                hop_text(cell_engine_hop(cell)),
                boundaries_text(cell.trials),
                stall,
                f"{used}/{len(last_attempts(cell.trials))}",
                cell.status.value,
            )
            rows.append(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in texts)}</tr>")
        title = f"Pattern {clean(self.pattern, 40)} · run {clean(self.run_id, 128)}"
        if not self.complete:
            title += " · incomplete"
        return (
            f"<table><caption>{escape(title)}<br>latency in ms</caption><tr>{head}</tr>{''.join(rows)}</table>"
            f"<p>{escape(summary(self.result))}</p>{figures.picture(self)}"
        )

    def _cells(self) -> list[Cell]:
        return [*self.result.cells, *self.result.floors]

    def _chosen(self, cell: Cell, trial: int | None) -> list[Trial]:
        last = last_attempts(cell.trials)
        if trial is None:
            return list(last.values())
        if trial not in last:
            there = ", ".join(map(str, last)) or "none"
            raise ConfigurationError(f"{cell.name} in run {self.run_id} has no trial {trial}; there are: {there}.")
        return [last[trial]]

    def _samples(self, cell: Cell, trial: Trial) -> _core.Histogram:
        if self.directory is None:
            raise ConfigurationError(
                f"The distributions of run {self.run_id} are in its directory, which is not next to this document. "
                "Load the run by its directory."
            )
        histogram = merged(trial_log(trial, self.directory))
        expected_count = trial.latency_us.count if trial.latency_us else 0
        if histogram.count != expected_count:
            raise ConfigurationError(
                f"The latency log of {cell.name} trial {trial.trial} in {self.directory} is missing or was changed: "
                f"it has {histogram.count:,} of {expected_count:,} samples. Restore the run's directory."
            )
        return histogram

    def _bands(self) -> NoiseBands:
        return NoiseBands(self.directory.parent if self.directory else Path("results"))


@dataclass(frozen=True, repr=False)
class Comparison:
    """Cells side by side; printed it is a table and a sentence for each verdict.

    >>> import rtmbench
    >>> comparison = rtmbench.load("tests/unit/data/recorded-run").compare("flink", "spark")
    >>> comparison.verdict, len(comparison.entries)
    ('no verdict', 1)
    """

    report: across.Report

    @property
    def verdict(self) -> str:
        """On p99: `faster`, `slower`, `no difference shown`, or `no verdict`, for the second engine; of the only pair.

        Raises ConfigurationError where several pairs were compared: see `entries`.
        """
        if len(self.entries) != 1:
            raise ConfigurationError(f"{len(self.entries)} pairs were compared; read the verdict of each in `entries`.")
        return self.entries[0].comparison.verdict

    @property
    def entries(self) -> Sequence[across.Entry]:
        """One for each pair: `comparison` holds ratios, intervals and verdicts, `sentence` is the text."""
        return self.report.entries

    def to_dict(self) -> JsonObject:
        """Give the comparison as JSON values, as `rtmbench compare --json` prints it.

        >>> import rtmbench
        >>> document = rtmbench.load("tests/unit/data/recorded-run").compare("flink", "spark").to_dict()
        >>> document["comparisons"][0]["verdict"]
        'no verdict'
        """
        return self.report.to_dict()

    def __repr__(self) -> str:
        return _printed(lambda file: print_comparison(self.report, file))

    def _repr_html_(self) -> str:
        hops = has_hops(self.entries)
        head = "".join(f"<th>{name}</th>" for name in comparison_head(hops=hops))
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in comparison_row(entry, hops=hops))}</tr>"
            for entry in self.entries
        )
        sentences = "".join(f"<p>{escape(clean(entry.sentence, 1_000))}</p>" for entry in self.entries)
        notes = "".join(f"<li>{escape(clean(warning, 1_000))}</li>" for warning in self.report.warnings)
        return (
            "<table><caption>Ratio of latencies, the second divided by the first</caption>"
            f"<tr>{head}</tr>{rows}</table>{sentences}" + (f"<ul>{notes}</ul>" if notes else "")
        )


@dataclass(frozen=True, repr=False)
class Verdict:
    """The outcome of each engine for each target.

    >>> import rtmbench
    >>> verdict = rtmbench.load("tests/unit/data/recorded-run").verdict("p99<1ms")
    >>> verdict.met, [outcome.cell for outcome in verdict.outcomes]
    (False, ['flink@1.20', 'spark@4.1'])
    """

    outcomes: Sequence[TargetOutcome]

    @property
    def met(self) -> bool:
        """Whether every engine met every target; an inconclusive one did not."""
        return bool(self.outcomes) and all(outcome.outcome == slo.MET for outcome in self.outcomes)

    def __repr__(self) -> str:
        return "\n".join(
            f"{slo.SIGNS[outcome.outcome]} {clean(outcome.cell, _NAME)} {outcome.target}: "
            f"{outcome.outcome} ({clean(outcome.detail)})"
            for outcome in self.outcomes
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def _judge(result: Result, texts: Sequence[str]) -> Verdict:
    if not texts:
        raise ConfigurationError("No target is set. Give one such as slo='p99<100ms@10000/s'.")
    return Verdict(slo.judge_all([slo.Target.parse(text) for text in texts], result.cells, quick=is_quick(result)))


def trials_table(runs: Iterable[Run], empty: str) -> _core.Table:
    """Make the attempts of all trials of runs a table, see `Run.table`; `empty` is the error if there is none."""
    chosen = list(runs)
    rows = export.tables([StoredRun(run.result) for run in chosen])["trials"]
    attempts = [trial for run in chosen for cell in (*run.result.cells, *run.result.floors) for trial in cell.trials]
    for row, trial in zip(rows, attempts, strict=True):
        close = trial.close_latency_us
        row["close_count"] = None if close is None else close.count
        row |= {f"close_{name}_us": getattr(close, name, None) for name in ("p50", "p99", "max")}
    return _table(rows, empty)


def _table(rows: Sequence[dict[str, Any]], empty: str) -> _core.Table:
    """Make rows of one form a table whose types do not depend on what they hold."""
    if not rows:
        raise ConfigurationError(empty)
    columns: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in _TEXT:
            columns[name] = ["" if value is None else str(value) for value in values]
        elif name in _WHOLE:
            columns[name] = np.array(values, dtype=np.int64)
        else:
            columns[name] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return _core.Table(columns)


def _printed(write: Callable[[io.StringIO], None]) -> str:
    buffer = io.StringIO()
    write(buffer)
    return buffer.getvalue().rstrip("\n")


__all__ = ["Comparison", "Run", "Verdict"]
