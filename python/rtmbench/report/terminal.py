"""The result of a run on a terminal: at most 100 columns, figures never without their status."""

from __future__ import annotations

import io
import itertools
import statistics
import sys
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.constrain import Constrain
from rich.padding import Padding
from rich.text import Text

from rtmbench.formatting import clean, milliseconds, plural
from rtmbench.report.explanations import explain
from rtmbench.report.rows import hop_figure
from rtmbench.report.side_by_side import bytes_note
from rtmbench.report.terminal_table import ENGINE_HOP, STYLES, cells_table, trials_table
from rtmbench.report.text import WORDS, headline_text
from rtmbench.results import Status
from rtmbench.results.hops import cell_engine_hop
from rtmbench.results.slo import SIGNS
from rtmbench.results.verdict import BETTER, WORSE, interval_percent, ratio_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from rich.console import RenderableType

    from rtmbench.results import Cell, Comparison, Headline, Result
    from rtmbench.results.model import TargetOutcome

WIDTH = 100
TELLING = 0.25
"""The share of the tail from which on a kind of interruption is worth a line."""
_NAME = 26


def render(result: Result) -> RenderableType:
    """Give the whole report of a run: table, trials, reasons, oracle, comparisons, summary."""
    title = "Latency in ms, from an event's scheduled time to the receipt of its result"
    parts: list[RenderableType] = [_heading(result), Text(), Text(title, style="italic")]
    if any(cell_engine_hop(cell) for cell in result.cells):
        about = f"{ENGINE_HOP.capitalize()}: from the append of the input to the append of the output, resolution 1 ms"
        parts.append(Text(about, style="italic"))
    parts.append(cells_table(result))
    if any(len(cell.trials) > 1 for cell in (*result.cells, *result.floors)):
        parts += [Text(), Text("Every trial", style="italic"), trials_table(result)]
    blocks = (_variants, _unlike, _close, _reasons, _oracle, _outputs, _tails, _comparisons, _targets)
    for lines in (block(result) for block in blocks):
        block = [Padding(line, (0, 0, 0, 2), expand=False) for line in lines]
        if block:
            parts += [Text(), *block]
    parts += [Text(), Text(summary(result), style="bold")]
    return Constrain(Group(*parts), WIDTH)


def print_result(result: Result, file: TextIO | None = None) -> None:
    """Print the report to `file` (standard output); plain if that is not a terminal.

    `NO_COLOR` is respected.
    """
    stream = file or sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # Not by FORCE_COLOR: a notebook's kernel sets it.
    console = Console(file=stream, highlight=False, emoji=False, force_jupyter=False, force_terminal=stream.isatty())
    if console.is_terminal and encoding.lower().startswith("utf"):
        console.print(render(result))
        return
    # A file or a pipe has no width of its own, and no use for the blanks that fill a line.
    buffer = io.StringIO()
    width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    plain = Console(file=buffer, width=width, highlight=False, emoji=False, force_jupyter=False, force_terminal=False)
    plain.print(render(result))
    text = "".join(line.rstrip() + "\n" for line in buffer.getvalue().split("\n")[:-1])
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        # Losing this sign would turn a lower bound into a figure.
        text = text.replace("≥", ">=").encode(encoding, "replace").decode(encoding)
    stream.write(text)


def summary(result: Result) -> str:
    """Summarise the measurement in one sentence, without a new verdict."""
    shown = [c for c in result.cells if c.headline is not None and c.headline.valid_trials and c.headline.p99_us]
    measured = [(_labelled(c), c.headline) for c in shown if c.headline is not None]
    parts = []
    if measured:
        figures = " and ".join(f"{headline_text(h, 'p99_us')} ms on {n}" for n, h in measured)
        parts.append(f"p99 was {figures} ({_basis([h for _, h in measured])})")
        parts += _own_hops(shown)
        parts += [_floor_figure(floor) for floor in result.floors if floor.headline is not None]
    parts += [f"{clean(cell.name, _NAME)} {_without_figure(cell)}" for cell in result.cells if cell not in shown]
    if not result.cells:
        parts.append("no trial is finished")
    verdicts = {_verdict(comparison) for comparison in result.comparisons}
    parts += sorted(verdicts)
    parts += [_target(outcome) for outcome in result.slo or ()]
    if not result.complete:
        parts.append("the run is not finished")
    return "; ".join(parts) + "."


def _own_hops(cells: Sequence[Cell]) -> list[str]:
    """Name the engines' own hops at p99, where all of the cells have one."""
    hops = [hop for cell in cells if (hop := cell_engine_hop(cell)) is not None]
    if len(hops) < len(cells):
        return []
    figures = " and ".join(hop_figure(hop.p99) for hop in hops)
    took = "the engine's own hop took" if len(hops) == 1 else "the engines' own hops took"
    return [f"{took} {figures} ms at p99"]


def _heading(result: Result) -> Text:
    text = Text(f"Pattern {clean(result.pattern, 40)}", style="bold")
    text.append(f" · run {clean(result.run_id, 60)}", style="not bold")
    if not result.complete:
        text.append(" · INCOMPLETE", style="bold red")
    trials = [trial for cell in result.cells for trial in cell.trials]
    facts = [f"{trial.rate.requested:,.0f} events/s" for trial in trials[:1]]
    settings = {name: result.settings.get(name) for name in ("keys", "partitions")}
    facts += [f"{value:,} {name}" for name, value in settings.items() if isinstance(value, int)]
    seconds = [trial.seconds for trial in trials if trial.seconds is not None]
    if seconds:
        facts.append(f"{statistics.median(seconds):,.0f} s measured per trial")
    cores = f"{plural(result.host.cores, 'core')}"
    facts.append(cores + (" shared by all" if result.host.shared_cores else ""))
    if result.host.priority is not None and not result.host.priority.effective:
        facts.append("priority of the engines without effect")
    return text.append("\n" + " · ".join(facts), style="not bold")


_EMISSIONS = {
    "row": "one result for each event",
    "update": "one running result for each event",
    "batch": "one running result for each key and batch",
    "close": "one final result for each key and window",
    "output": "a custom job",
}


def _variants(result: Result) -> Iterator[Text]:
    """Name the variant of each engine, if a pattern has more than one."""
    if all(cell.emit == "row" and not cell.remark for cell in result.cells):
        return
    for cell in result.cells:
        words = _EMISSIONS.get(cell.emit, cell.emit)
        mode = clean(cell.mode, 40) or "set by the job"
        line = f": mode {mode}, emission {clean(cell.emit, 40)} ({words})"
        yield (
            Text(clean(cell.name, _NAME), style="bold")
            .append(line, style="not bold")
            .append(f"; {clean(cell.remark)}" if cell.remark else "", style="not bold")
        )


def _unlike(result: Result) -> Iterator[Text]:
    unlike = unlike_work(result)
    if unlike:
        yield Text(unlike)


def unlike_work(result: Result) -> str:
    """Return how the work of the two engines differs in meaning; empty for equal work or a single engine."""
    return (result.unlike_work or "") if len({cell.engine for cell in result.cells}) > 1 else ""


def _close(result: Result) -> Iterator[Text]:
    """Give the close latency of engines that emit final results; under 30 windows the median alone."""
    for cell in result.cells:
        latencies = [trial.close_latency_us for trial in cell.trials if trial.close_latency_us is not None]
        if not latencies:
            continue
        windows = sum(latency.count for latency in latencies)
        figures = f"p50 {milliseconds(statistics.median(latency.p50 for latency in latencies))} ms"
        tails = [latency.p99 for latency in latencies if latency.p99 is not None]
        if len(tails) == len(latencies):
            figures += f", p99 {milliseconds(statistics.median(tails))} ms"
        shown = "" if len(tails) == len(latencies) else " (too few for more than the median)"
        after = "after a window's end and the watermark's delay"
        yield Text(f"{clean(cell.name, _NAME)}: close latency {figures} {after}, {plural(windows, 'window')}{shown}")


def _reasons(result: Result) -> Iterator[Text]:
    """Give each refusal, then each reason once with its trials."""
    cells = (*result.cells, *result.floors)
    trials_by_reason: dict[tuple[Status, str], list[str]] = {}
    for cell in cells:
        if cell.refusal is not None:
            text = Text(f"{clean(cell.name, _NAME)}, refused: ", style=STYLES[Status.REFUSED])
            text.append(clean(cell.refusal.code, 80), style="bold")
            text.append(f": {clean(cell.refusal.message, None)}", style="default")
            if explain(cell.refusal.code) is not None:
                text.append(f" What to do: `rtmbench explain {clean(cell.refusal.code, 80)}`.", style="default")
            yield text
        for trial in cell.trials:
            if trial.status is Status.REFUSED and cell.refusal is not None:
                continue
            number = f" trial {trial.trial}" if len(cell.trials) > 1 else ""
            for index, reason in enumerate(trial.reasons):
                # The first reason decided the status; the others are remarks.
                status = Status.VALID if index else trial.status
                # Whole: cause and way out are at the end of a reason.
                names = trials_by_reason.setdefault((status, clean(reason, None)), [])
                names.append(clean(cell.name, _NAME) + number)
    everyone = sum(len(cell.trials) for cell in cells)
    for (status, reason), names in trials_by_reason.items():
        who = "all trials" if len(names) == everyone > 1 else ", ".join(names)
        word = "" if status is Status.VALID else f", {status.value}"
        style = "" if status is Status.VALID else STYLES[status]
        yield Text(f"{who}{word}: ", style=style).append(reason, style="default")


def _oracle(result: Result) -> Iterator[Text]:
    for cell in (*result.cells, *result.floors):
        counts = [trial.counts for trial in cell.trials if trial.counts is not None]
        if not counts:
            continue
        names = ("missing", "unexpected", "wrong", "duplicate", "late_dropped")
        sums = {name: sum(getattr(c, name) for c in counts) for name in names}
        if any(c.late for c in counts):
            # Late events were sent, so that the engine drops them.
            del sums["late_dropped"]
        expected = sum(c.expected for c in counts)
        equal = expected > 0 and not any(sums.values())
        if equal and cell in result.floors:
            continue
        what = "outputs proven equal" if equal else "outputs NOT proven equal"
        shown = ", ".join(
            f"{name.replace('_', ' ')} {number:,}" for name, number in sums.items() if number or name in names[:3]
        )
        line = f"{what}: {plural(expected, 'event')}, {shown}"
        yield Text(f"{clean(cell.name, _NAME)}: ").append(line, "" if equal else "bold red")


def _outputs(result: Result) -> Iterator[Text]:
    """Describe the outputs of a custom job, and whether an oracle checked them."""
    for cell in result.cells:
        outputs = [trial.outputs for trial in cell.trials if trial.outputs is not None]
        if not outputs:
            continue
        names = list(dict.fromkeys(clean(output.oracle or "", _NAME) for output in outputs))
        checked = f"output checked by {', '.join(names)}" if all(names) else "output not checked"
        complaints = sum(len(output.complaints) for output in outputs)
        faults = sum(output.missing_timestamp + output.foreign_timestamp for output in outputs)
        stamped, produced = sum(output.matched for output in outputs), sum(output.produced for output in outputs)
        checked += f", {plural(complaints, 'complaint')}" if complaints else ""
        field = clean(outputs[0].timestamp_field, _NAME)
        line = (
            f"{checked}: {plural(stamped, 'record')} for {plural(produced, 'event')}, each with an event's time stamp "
            f"in {field}"
        )
        if faults:
            line += f"; {plural(faults, 'record')} without an event's time stamp"
        yield Text(f"{clean(cell.name, _NAME)}: ").append(line, "bold red" if faults or complaints else "")


def _tails(result: Result) -> Iterator[Text]:
    """Name what most of a cell's slowest events coincide with, if that is well above chance in every trial."""
    for cell in result.cells:
        attributions = [trial.attribution for trial in cell.trials if trial.attribution is not None]
        shares: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for coincidence in itertools.chain.from_iterable(attribution.coincidences for attribution in attributions):
            if (
                coincidence.tail_share is not None
                and coincidence.tail_share >= TELLING
                and coincidence.tail_share > 2 * coincidence.time_share
            ):
                shares.setdefault((coincidence.kind, coincidence.source), []).append(
                    (coincidence.tail_share, coincidence.time_share)
                )
        for (kind, source), pairs in shares.items():
            if len(pairs) == len(attributions):
                tail, time = (statistics.median(column) for column in zip(*pairs, strict=True))
                text = f"{tail:.0%} of the slowest 1% of the events coincide with the {WORDS.get(kind, kind)} of "
                yield Text(
                    f"{clean(cell.name, _NAME)}: {text}{clean(source, _NAME)}, which take {time:.0%} of the time"
                )


def _comparisons(result: Result) -> Iterator[Text]:
    for comparison in result.comparisons:
        yield Text(_comparison(comparison))
        note = bytes_note(result, comparison)
        if note:
            yield Text(clean(note))


def _targets(result: Result) -> Iterator[Text]:
    for outcome in result.slo or ():
        yield Text(f"{_target(outcome)} ({clean(outcome.detail)})")


def _comparison(comparison: Comparison) -> str:
    baseline, other = clean(comparison.baseline, _NAME), clean(comparison.other, _NAME)
    verdict = f"{clean(comparison.verdict, 40)} ({clean(comparison.note)})"
    if comparison.ratio_p50 is None or comparison.ratio_p99 is None:
        return f"{other} against {baseline}: no ratio; {verdict}"
    p50, p99 = (
        ratio_text(ratio, interval)
        for ratio, interval in (
            (comparison.ratio_p50, comparison.interval_p50),
            (comparison.ratio_p99, comparison.interval),
        )
    )
    basis = f"mean and {interval_percent(comparison)} interval" if comparison.interval else "median"
    own = [
        f"{name} {ratio_text(ratio)}"
        for name, ratio in (("p50", comparison.ratio_engine_p50), ("p99", comparison.ratio_engine_p99))
        if ratio is not None
    ]
    hops = f", {ENGINE_HOP} {', '.join(own)}" if own else ""
    return (
        f"{other} divided by {baseline}: p50 {p50}, p99 {p99}{hops} "
        f"({basis} of {plural(comparison.pairs, 'pair')}; above 1: {other} took longer); {verdict}"
    )


def _labelled(cell: Cell) -> str:
    return clean(cell.name, _NAME) + _remark(cell)


def _remark(cell: Cell) -> str:
    head = cell.headline
    if head is not None and head.failed:
        return f" (failed in {head.failed} of {plural(head.trials or head.attempts, 'trial')})"
    return "" if cell.status is Status.VALID else f" ({cell.status.value})"


def _verdict(comparison: Comparison) -> str:
    if comparison.noise_band is not None:
        baseline, other = clean(comparison.baseline, _NAME), clean(comparison.other, _NAME)
        p99, p50 = clean(comparison.verdict, 40), clean(comparison.verdict_p50, 40)
        return f"{other} against {baseline}: {p99} at p99, {p50} at p50"
    reason = clean(comparison.note.partition(";")[0], 200)
    if comparison.verdict in (WORSE, BETTER):
        baseline, other = clean(comparison.baseline, _NAME), clean(comparison.other, _NAME)
        return f"{other} is {comparison.verdict} than {baseline} ({reason})"
    return f"{clean(comparison.verdict, 40)} ({reason})"


def _target(outcome: TargetOutcome) -> str:
    sign = SIGNS.get(outcome.outcome, "?")
    return f"{clean(outcome.cell, _NAME)} {sign} {clean(outcome.target, 40)} {clean(outcome.outcome, 40)}"


def _basis(headlines: Sequence[Headline]) -> str:
    trials = {head.trials or head.valid_trials for head in headlines}
    if trials == {1}:
        return "one trial each" if len(headlines) > 1 else "one trial"
    if len(trials) == 1:
        return f"median of {trials.pop()} trials"
    return f"median of {min(trials)} to {max(trials)} trials"


def _floor_figure(floor: Cell) -> str:
    p99 = headline_text(floor.headline, "p99_us")
    return f"the {clean(floor.name, _NAME)} floor is {p99} ms{_remark(floor)}"


def _without_figure(cell: Cell) -> str:
    if cell.emit == "close" and cell.status.usable:
        return "writes final results only, so it has a close latency and no update latency"
    if cell.headline is not None and cell.headline.failed:
        return f"failed in {cell.headline.failed} of {plural(cell.headline.trials or cell.headline.attempts, 'trial')}"
    return {
        Status.REFUSED: "refused the query",
        Status.FAILED: "failed",
        Status.UNSUSTAINED: "did not sustain the rate",
        Status.VOID: "has no valid trial",
    }.get(cell.status, "was measured over less than an interval, so it has no headline")
