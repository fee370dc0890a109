"""The sections of a report, in order: the verdict, the evidence, and the command that repeats the run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from rtmbench.formatting import NO_FIGURE, clean, milliseconds, plural
from rtmbench.report import evidence, latency_source, points, trials
from rtmbench.report.document import Block, Code, Document, Items, Paragraph, Section, Table
from rtmbench.report.explanations import explain
from rtmbench.report.host import host_rows
from rtmbench.report.rows import CELL_HEAD, HOP_NOTE, cell_row
from rtmbench.report.side_by_side import bytes_note, hop_ratios
from rtmbench.report.terminal import summary, unlike_work
from rtmbench.report.text import headline_text
from rtmbench.report.trials import trial_name
from rtmbench.results.cost import cost
from rtmbench.results.slo import SIGNS
from rtmbench.results.verdict import ratio_text
from rtmbench.run_settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtmbench.results import Result
    from rtmbench.results.stored_run import StoredRun

FOOTER = (
    "Latency runs from the moment an event was due to the receipt of its result. ≥ marks a lower bound: the event had "
    "no output when the waiting ended. A figure in brackets is from trials of which none is valid."
)


def document(
    runs: Sequence[StoredRun], *, plots: bool, heat_maps: bool = True, vcpu_hour: float | None = None
) -> Document:
    """Build the report of one run, or of the runs of one experiment.

    Args:
        runs: each pattern's run, of one experiment.
        plots: whether to draw; without plots, the tables show the same figures.
        heat_maps: whether to draw the heat maps too, the largest of the plots.
        vcpu_hour: price of a vCPU hour, for the cost per 10⁹ events.

    """
    several = len(runs) > 1
    sections = points.sections([result for result, _ in runs], plots=plots)
    for result, directory in runs:
        title = f"Pattern {result.pattern}{points.point_name(result)}"
        sections.append(Section(title=f"{title}: result" if several else "Result", blocks=tuple(outcome(result))))
        figures = evidence.figures(result, directory, plots=plots, heat_maps=heat_maps)
        for heading, blocks in (
            ("Latency", figures),
            ("Where the latency comes from", latency_source.blocks(result, plots=plots)),
            ("CPU, memory and cost", list(_resources(result, vcpu_hour))),
            ("Every trial, and whether it is valid", trials.blocks(result)),
            ("Interference: what else the machine did", trials.interference(result)),
            ("Output: the oracle's counts", list(_output_blocks(result))),
            ("Floors: what the harness takes itself", list(_floors(result))),
            ("Parity of the settings", [_parity(result)]),
            ("Environment, and how to repeat the run", list(_environment(result))),
        ):
            if blocks:
                name = f"{title}: {_lower(heading)}" if several else heading
                sections.append(Section(title=name, blocks=tuple(blocks), level=3 if several else 2))
    names = list(dict.fromkeys(result.pattern for result, _ in runs))
    newest = runs[0][0]
    sentences = points.sentences([result for result, _ in runs])
    for result, _ in runs:
        where = f"Pattern {result.pattern}{points.point_name(result)}: " if several else ""
        sentences.append(where + summary(result) if where else _upper(summary(result)))
    version = newest.versions.get("rtmbench", "?")
    return Document(
        title=f"rtmbench report: {'pattern' if len(names) == 1 else 'patterns'} {', '.join(names)}",
        verdicts=tuple(sentences),
        sections=tuple(sections),
        footer=(
            f"Experiment {newest.experiment_id}, made {newest.created_at} by rtmbench {version}.",
            FOOTER,
        ),
    )


def outcome(result: Result) -> Iterator[Block]:
    """Give the figures of each cell, what to know about them, the comparisons and the targets."""
    if not result.complete:
        yield Paragraph("This run is not finished: the report shows the measurements so far.", strong=True)
    cells = [*result.cells, *result.floors]
    yield Table(
        caption="Latency in ms: median of each percentile over the trials that are not void",
        header=("engine", *CELL_HEAD),
        rows=tuple((f"{cell.name} (floor)" if cell in result.floors else cell.name, *cell_row(cell)) for cell in cells),
        marks=tuple(cell.status.value for cell in cells),
    )
    yield Paragraph(HOP_NOTE)
    notes = tuple(_notes(result))
    if notes:
        yield Items(notes)
    if result.comparisons:
        yield Table(
            caption="Comparisons: one engine's figures divided by the other's, with 95 % intervals from 6 pairs on",
            header=(
                "engines",
                "pairs",
                "p50 ratio",
                "p99 ratio",
                "engine's own hop p50 / p99 ratio",
                "verdict on p50",
                "verdict on p99",
                "why",
            ),
            rows=tuple(
                (
                    f"{comparison.other} / {comparison.baseline}",
                    str(comparison.pairs),
                    _ratio(comparison.ratio_p50, comparison.interval_p50),
                    _ratio(comparison.ratio_p99, comparison.interval),
                    hop_ratios(comparison),
                    comparison.verdict_p50 or NO_FIGURE,
                    comparison.verdict,
                    comparison.note,
                )
                for comparison in result.comparisons
            ),
            numeric=False,
        )
        yield Paragraph("With a ratio above 1, the engine named first took longer.")
        bytes_notes = tuple(note for comparison in result.comparisons if (note := bytes_note(result, comparison)))
        if bytes_notes:
            yield Items(bytes_notes)
    if result.slo:
        yield Table(
            caption="Targets (--slo)",
            header=("engine", "target", "outcome", "why"),
            rows=tuple(
                (
                    target_outcome.cell,
                    target_outcome.target,
                    f"{SIGNS.get(target_outcome.outcome, '?')} {target_outcome.outcome}",
                    target_outcome.detail,
                )
                for target_outcome in result.slo
            ),
            numeric=False,
        )


def _notes(result: Result) -> Iterator[str]:
    unlike = unlike_work(result)
    if unlike:
        yield unlike
    for cell in (*result.cells, *result.floors):
        if cell.refusal is not None:
            known = f" What to do: rtmbench explain {cell.refusal.code}." if explain(cell.refusal.code) else ""
            yield f"{cell.name} refused the query: {cell.refusal.code}: {clean(cell.refusal.message, None)}{known}"
        if cell.remark:
            mode = cell.mode or "set by the job"
            yield f"{cell.name} (mode {mode}, emission {cell.emit}): {cell.remark}"
        closed = [trial.close_latency_us for trial in cell.trials if trial.close_latency_us is not None]
        for latency in closed:
            p99 = "too few windows for more" if latency.p99 is None else f"p99 {milliseconds(latency.p99)} ms"
            yield (
                f"{cell.name} writes final results: close latency, from a window's end and the watermark's delay to "
                f"the receipt, p50 {milliseconds(latency.p50)} ms, {p99}, over {plural(latency.count, 'window')}."
            )


def _output_blocks(result: Result) -> Iterator[Block]:
    cells = (*result.cells, *result.floors)
    if any(trial.outputs is not None for cell in cells for trial in cell.trials):
        yield from _outputs(result)
    else:
        yield _counts(result)


def _outputs(result: Result) -> Iterator[Block]:
    """Show what is known of the outputs of a custom job."""
    rows, marks, complaints = [], [], []
    for cell in (*result.cells, *result.floors):
        for trial in cell.trials:
            outputs = trial.outputs
            if outputs is None:
                continue
            name = trial_name(cell, trial)
            figures = (
                outputs.produced,
                outputs.received,
                outputs.matched,
                outputs.missing_timestamp,
                outputs.foreign_timestamp,
                outputs.earlier_events,
            )
            share = (
                f"{outputs.covered_timestamps / outputs.distinct_timestamps:.1%}"
                if outputs.distinct_timestamps
                else NO_FIGURE
            )
            floor = cell in result.floors
            checked = "the floor" if floor else outputs.oracle or "output not checked"
            rows.append((name, *(f"{figure:,}" for figure in figures), share, f"{outputs.resolution_us:,}", checked))
            marks.append(
                "failed" if outputs.missing_timestamp or outputs.foreign_timestamp or outputs.complaints else ""
            )
            complaints += [f"{name}: {complaint}" for complaint in outputs.complaints]
    yield Table(
        caption="Records over the whole trial, warm-up and drain included, by the time stamp that each carries",
        header=(
            "trial",
            "input",
            "output",
            "of an event",
            "without time stamp",
            "of no event",
            "of earlier events",
            "time stamps covered",
            "resolution µs",
            "checked by",
        ),
        rows=tuple(rows),
        marks=tuple(marks),
    )
    yield Paragraph(
        "This is a custom job: its expected output is not known, so nothing here is proven complete. Each "
        "output record of the measuring phase is one sample, from the time stamp that it carries to its receipt. An "
        "event whose time stamp is in no output record has no sample."
    )
    if complaints:
        yield Paragraph("The oracle reports these errors:")
        yield Items(tuple(complaints))


def _counts(result: Result) -> Table:
    names = ("expected", "received", "missing", "unexpected", "wrong", "duplicate", "late_dropped")
    rows, marks = [], []
    for cell in (*result.cells, *result.floors):
        for trial in cell.trials:
            counts = trial.counts
            if counts is None:
                continue
            # Late drops are the point where late events were sent.
            faults = sum(getattr(counts, name) for name in names[2:] if name != "late_dropped" or not counts.late)
            equal = counts.expected > 0 and not faults
            verdict = "proven equal" if equal else "NOT proven equal"
            figures = (f"{getattr(counts, name):,}" for name in ("produced", *names))
            rows.append((trial_name(cell, trial), *figures, verdict))
            marks.append("valid" if equal else "failed")
    return Table(
        caption="Events over the whole trial, warm-up and drain included: the output against an independent reference",
        header=("trial", "produced", *(name.replace("_", " ") for name in names), "outputs"),
        rows=tuple(rows),
        marks=tuple(marks),
    )


def _floors(result: Result) -> Iterator[Block]:
    figures = [(cell, cell.headline) for cell in result.floors if cell.headline is not None]
    for cell, head in figures:
        p50, p99 = headline_text(head, "p50_us"), headline_text(head, "p99_us")
        yield Paragraph(
            f"The {cell.name} floor, the same harness without an engine, is {p50} ms at the median and {p99} ms at p99 "
            f"({plural(head.valid_trials, 'trial')}). No engine can "
            "be measured below the floor, and rtmbench never subtracts it."
        )


def _resources(result: Result, vcpu_hour: float | None) -> Iterator[Block]:
    rows = []
    for cell in (*result.cells, *result.floors):
        for trial in cell.trials:
            trial_cost, memory = cost(trial), trial.peak_rss_mb
            if trial_cost is None:
                continue
            price = trial_cost.per_billion(vcpu_hour) if vcpu_hour is not None else None
            rows.append(
                (
                    trial_name(cell, trial),
                    *(_number(getattr(trial_cost, party)) for party in ("engine", "kafka", "harness")),
                    _number(trial_cost.engine_cores, 2),
                    *(_number(getattr(memory, party) if memory else None, 0) for party in ("engine", "kafka")),
                    *((_number(price, 2),) if vcpu_hour is not None else ()),
                )
            )
    if not rows:
        return
    priced = ("cost per 10⁹ events",) if vcpu_hour is not None else ()
    yield Table(
        caption="CPU-seconds per million events, and peak memory, during the measuring phase",
        header=("trial", "engine", "Kafka", "harness", "engine, cores", "engine MiB", "Kafka MiB", *priced),
        rows=tuple(rows),
    )
    text = "At a low rate most of an engine's CPU time is its idle running, so the figure falls as the rate rises."
    if vcpu_hour is not None:
        text += (
            f" The cost counts the engine's CPU time at {vcpu_hour:g} per vCPU hour (--vcpu-hour), in the currency "
            "of that price: the time used, not a machine that is kept for it."
        )
    yield Paragraph(text)


def _parity(result: Result) -> Table:
    names = list(result.parity[0].values) if result.parity else []
    return Table(
        caption="Effective settings, read back from the running engines where possible",
        header=("setting", *names, "same", "note"),
        rows=tuple(
            (
                row.setting,
                *(NO_FIGURE if (value := row.values.get(name)) is None else str(value) for name in names),
                "yes" if row.same else "no",
                row.note,
            )
            for row in result.parity
        ),
        numeric=False,
        marks=tuple("" if row.same else "differs" for row in result.parity),
    )


def _environment(result: Result) -> Iterator[Block]:
    rows = [*host_rows(result.host), *result.versions.items()]
    yield Table(caption="Machine and versions", header=("what", "value"), rows=tuple(rows), numeric=False)
    if result.unobserved:
        yield Items(tuple(result.unobserved))
    settings = [(name, _value(value)) for name, value in result.settings.items() if name != "notes"]
    yield Table(
        caption="Settings as they took effect", header=("setting", "value"), rows=tuple(settings), numeric=False
    )
    notes = result.settings.get("notes")
    if isinstance(notes, list) and notes:
        yield Items(tuple(str(note) for note in notes))
    yield Paragraph("The command that repeats this run on a machine like this one:")
    yield Code(command(result))


def command(result: Result) -> str:
    """Return the command line that asks for the same run again."""
    settings = result.settings
    parts = ["rtmbench", "run", *_subject(result)]
    engines = settings.get("engines")
    if isinstance(engines, list) and engines:
        parts += ["--engines", ",".join(str(engine) for engine in engines)]
    if settings.get("quick") is True:
        parts.append("--quick")
    for row in SETTINGS.values():
        value = settings.get(row.field)
        expected = str if row.kind == "text" else (int, float)
        # The document may have been written by anybody.
        if row.repeated and isinstance(value, expected) and not isinstance(value, bool):
            parts += [row.flag, row.text(value)]
    windows = settings.get("windows_ms")
    window = windows.get(result.pattern) if isinstance(windows, dict) else None
    if isinstance(window, dict):
        parts += [
            part
            for name in ("window", "slide")
            if isinstance(window.get(name), (int, float))
            for part in (f"--{name}", f"{window[name] / 1000:g}s")
        ]
    parts += [
        f"--{name.replace('_', '-')}" for name in ("aa", "until_verdict", "find_rate") if settings.get(name) is True
    ]
    targets = settings.get("slo")
    parts += [part for text in (targets if isinstance(targets, list) else ()) for part in ("--slo", str(text))]
    if settings.get("bootstrap_servers") == "existing":
        parts += ["--bootstrap-servers", "HOST:PORT"]
    if settings.get("flink") == "existing":
        parts += ["--flink-url", "URL"]
    if settings.get("spark") == "existing":
        parts += ["--spark-master", "URL"]
    if isinstance(storage := settings.get("checkpoint_storage"), str):
        parts += ["--checkpoint-storage", "URI" if storage.endswith("://") else storage]
    return " ".join(shlex.quote(part) for part in parts)


def _subject(result: Result) -> list[str]:
    """Return the pattern, or the flags that give the custom job."""
    job = result.settings.get("job")
    if not isinstance(job, dict):
        return [result.pattern]
    flags = {
        name: f"--{name.replace('_', '-')}" for name in ("spark_job", "flink_jar", "flink_class", "input", "output")
    }
    parts = [part for name, flag in flags.items() if job.get(name) for part in (flag, str(job[name]))]
    if job.get("flink_args"):
        parts += ["--flink-args", shlex.join(str(argument) for argument in job["flink_args"])]
    kind, _, rest = str(job.get("payload", "")).partition(" ")
    if kind in ("template", "events"):
        parts += [f"--{kind}", rest.partition(" (")[0]]
    parts += ["--timestamp-field", str(job.get("timestamp_field"))]
    parts += ["--filters"] if job.get("filters") else []
    return [*parts, "--oracle", str(job["oracle"])] if job.get("oracle") else parts


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return f"{value:,.12g}" if isinstance(value, float) else str(value)


def _number(value: float | None, digits: int = 1) -> str:
    return NO_FIGURE if value is None else f"{value:,.{digits}f}"


def _ratio(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return NO_FIGURE
    return ratio_text(value, interval)


def _lower(heading: str) -> str:
    return heading if heading[1:2].isupper() else heading[:1].lower() + heading[1:]


def _upper(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:] if sentence[:2] != "p9" else sentence


__all__ = ["command", "document", "outcome"]
