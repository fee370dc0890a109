"""The recorded sample of `rtmbench.sample()`: `record` measures it on a quiet machine, `pack` puts it into the package.

    python tools/sample.py record DIRECTORY     half an hour; nothing else may run
    python tools/sample.py pack DIRECTORY       some seconds; writes docs/matrix.md too
    python tools/sample.py rejudge              after a change of the rules: headlines and comparisons of what is packed

Pattern 02 gets six pairs of trials, and more where pairs are missing; the others get one trial. All runs are quick, so
none of their comparisons has a verdict. What names this machine or a path on it is left out, and packing ends with an
error where something of the kind is found in what is left.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rtmbench
from rtmbench.patterns import find_pattern
from rtmbench.report import markdown
from rtmbench.report.document import Document, Section, Table
from rtmbench.report.sections import FOOTER, outcome
from rtmbench.results.comparison import PAIRS_FOR_A_VERDICT, compare_all, is_quick
from rtmbench.results.histogram_log import merged, trial_log
from rtmbench.results.model import Result
from rtmbench.results.statistics import headline
from rtmbench.results.store import DOCUMENT, list_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rtmbench.results.model import Cell, Trial

ENGINES = ("flink@1.20", "spark@4.1", "spark@4.3")
DECIDED = "02"
"""The pattern with six pairs of trials or more."""
RUNS = ([DECIDED, "--trials", str(PAIRS_FOR_A_VERDICT)], ["01", "03", "04"])
PATTERNS = ("01", "02", "03", "04")
SAMPLE = Path(__file__).resolve().parents[1] / "python" / "rtmbench" / "data" / "sample"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "matrix.md"
NO_VALID_TRIAL = 4
LIMIT_BYTES = 3_000_000
# Kafka's and Spark's class names have dots, a unit has one slash: neither is a path.
PATH = re.compile(r"(?:file:|(?<![\w.]))/(?:[\w.+-]+/)+[\w.+-]*")
ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\w://")


def record(results: Path) -> int:
    """Run what the sample consists of; the results are under `results`."""
    results.mkdir(parents=True, exist_ok=True)
    # Nobody's own settings may leak into the sample; where the engines are kept changes no figure.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RTMBENCH_")}
    kept |= {name: os.environ[name] for name in ("RTMBENCH_CACHE",) if name in os.environ}
    kept.pop("KAFKA_BOOTSTRAP_SERVERS", None)

    def command_line(*what: str) -> int:
        print("$ rtmbench", " ".join(what), flush=True)
        command = [sys.executable, "-m", "rtmbench", *what, "--results", str(results.absolute())]
        # In the directory of the results no `rtmbench.toml` of a checkout applies.
        code = subprocess.run(command, check=False, env=kept, cwd=results).returncode
        print(f"exit code {code}", flush=True)
        # That a cell has no valid trial is a result too, and is shown as such.
        return 0 if code == NO_VALID_TRIAL else code

    for what in RUNS:
        code = command_line("run", *what, "--quick", "--engines", ",".join(ENGINES))
        if code:
            return code
        short = _short_of_a_verdict(results) if DECIDED in what else {}
        for run_id, trials in short.items():
            # A pair with a contended trial does not count. Whether it does is not known by what it would show.
            command_line("run", "--resume", run_id, "--trials", str(trials))
    return 0


def _short_of_a_verdict(results: Path) -> dict[str, int]:
    """Give, for the newest run of the pattern to be decided, how many trials it needs where pairs are missing."""
    result = next(
        entry.result for entry in list_runs(results) if entry.result is not None and entry.result.pattern == DECIDED
    )
    pairs = next(
        comparison.pairs
        for comparison in result.comparisons
        if (comparison.baseline, comparison.other) == (ENGINES[0], ENGINES[-1])
    )
    missing = max(0, PAIRS_FOR_A_VERDICT - pairs)
    return {result.run_id: PAIRS_FOR_A_VERDICT + missing} if missing else {}


def pack(results: Path) -> int:
    """Put the newest complete run of each pattern under `results` into the package, and check what was put there."""
    chosen = {}
    for entry in list_runs(results):
        candidate = entry.result
        if candidate is not None and candidate.complete and candidate.pattern in PATTERNS and _has_engines(candidate):
            chosen.setdefault(candidate.pattern, (candidate, entry.path))
    missing = [pattern for pattern in PATTERNS if pattern not in chosen]
    if missing:
        print(f"no complete run of {', '.join(missing)} with {', '.join(ENGINES)} under {results}", file=sys.stderr)
        return 1
    for old in SAMPLE.glob("*/"):
        shutil.rmtree(old)
    for pattern, (result, directory) in sorted(chosen.items()):
        _pack(result, directory, SAMPLE / pattern)
    PAGE.write_text(page(), encoding="utf-8")
    problems = [*_traces(), *_lost(), *_size()]
    for problem in problems:
        print(f"! {problem}", file=sys.stderr)
    return 1 if problems else 0


def rejudge() -> int:
    """Judge the trials that are packed by the rules of today, and write documents and page again."""
    for path in sorted(SAMPLE.glob(f"*/{DOCUMENT}")):
        result = Result.from_dict(json.loads(path.read_text(encoding="utf-8")), source=str(path))
        path.write_text(rejudged(result).to_json(), encoding="utf-8")
        print(path.relative_to(SAMPLE))
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def rejudged(result: Result) -> Result:
    """Give a run with the headlines and comparisons that follow from its trials, as no noise band is packed with it."""
    cells = [dataclasses.replace(cell, headline=headline(cell.trials)) for cell in result.cells]
    floors = [dataclasses.replace(cell, headline=headline(cell.trials, floor=True)) for cell in result.floors]
    return dataclasses.replace(
        result,
        cells=cells,
        floors=floors,
        comparisons=compare_all(cells, quick=is_quick(result)),
        unlike_work=find_pattern(result.pattern).unlike_work,
    )


def page() -> str:
    """Return the page of the documentation that shows the sample; of quick runs, which are cold, no latency."""
    runs = [run.result for run in rtmbench.sample()]
    cold = any(run.settings.get("quick") for run in runs)
    document = Document(
        title="The matrix",
        verdicts=(),
        sections=tuple(
            Section(
                title=f"Pattern {result.pattern}: {find_pattern(result.pattern).title}",
                blocks=(_modes(result),) if cold else tuple(outcome(result)),
            )
            for result in runs
        ),
        footer=() if cold else (FOOTER,),
    )
    title, rest = markdown.render(document).split("\n\n", 1)
    engines = ",".join(ENGINES)
    commands = "\n".join(f"rtmbench run {' '.join(what)} --quick --engines {engines}" for what in RUNS)
    return f"{title}\n\n{_about(runs, cold=cold)}\n\n```bash\nmake sample     # which runs\n{commands}\n```\n\n{rest}"


def _about(runs: Sequence[Result], *, cold: bool) -> str:
    host, settings = runs[0].host, runs[0].settings
    rates = {trial.rate.requested for result in runs for cell in result.cells for trial in cell.trials}
    about = (
        f"Recorded on {runs[0].created_at[:10]}: {host.cpu}, {host.cores} cores shared by Kafka, one engine at a time "
        f"and the harness; {', '.join(f'{rate:,.0f}' for rate in sorted(rates))} events/s, {settings['partitions']} "
        f"partitions, {settings['keys']} keys, batches and checkpoints of {settings['checkpoint_interval_s']:g} s."
    )
    if cold:
        return (
            f"{about} The engines had {settings['warmup_s']:g} s of load before the measurement, so they were cold: "
            "latencies, ratios and verdicts [are withdrawn](retractions.md) until the next recording. What holds is "
            "what ran, in which mode, and that its output was right as far as the oracle of that version proves it. "
            "The same runs are in the package, as an example of a result: `rtmbench.sample()`."
        )
    return (
        f"{about} It is one small machine: the page shows what to expect of the form, and `rtmbench run` what holds on "
        "yours. The same runs, with every trial and their latency logs, are in the package: `rtmbench.sample()`."
    )


def _modes(result: Result) -> Table:
    rows = []
    for cell in result.cells:
        counts = [trial.counts for trial in cell.trials if trial.counts is not None]
        faults = sum(
            trial_counts.missing + trial_counts.unexpected + trial_counts.wrong + trial_counts.duplicate
            for trial_counts in counts
        )
        expected = sum(trial_counts.expected for trial_counts in counts)
        output = f"{expected:,} expected events, {faults} faults" if counts else "-"
        rows.append(
            (cell.name, cell.build, cell.mode or "-", cell.emit, f"{len(cell.trials)}", output, cell.remark or "")
        )
    return Table(
        caption="What ran, and what the oracle found in its output",
        header=("engine", "build", "mode", "emission", "trials", "output", "what to know"),
        rows=tuple(rows),
        numeric=False,
    )


def _has_engines(result: Result) -> bool:
    names = [cell.name.partition(":")[0] for cell in result.cells]
    return sorted(names) == sorted(ENGINES)


def _pack(result: Result, directory: Path, target: Path) -> None:
    target.mkdir(parents=True)
    kernel = ".".join(result.host.kernel.split(".")[:2])
    clean = dataclasses.replace(
        rejudged(result),
        host=dataclasses.replace(result.host, kernel=kernel),
    )
    clean = dataclasses.replace(
        clean, cells=[_cell(cell) for cell in clean.cells], floors=[_cell(cell) for cell in clean.floors]
    )
    (target / DOCUMENT).write_text(clean.to_json(), encoding="utf-8")
    print(f"{result.pattern}  {result.run_id}")
    for cell in (*clean.cells, *clean.floors):
        for trial in cell.trials:
            for name in (trial.files or {}).values():
                shutil.copyfile(directory / name, target / name)
        statuses = ", ".join(f"{trial.trial}: {trial.status.value}" for trial in cell.trials)
        print(f"    {cell.name:<26} {cell.status.value:<12} {statuses}")
    for comparison in clean.comparisons:
        cells = f"{comparison.other} against {comparison.baseline}"
        print(f"    {cells}: {comparison.verdict} (p99 × {comparison.ratio_p99}) {comparison.note}")


def _cell(cell: Cell) -> Cell:
    # The details hold an engine's whole configuration, with paths and ports.
    facts = None if cell.facts is None else dataclasses.replace(cell.facts, details=None)
    return dataclasses.replace(cell, facts=facts, trials=[_trial(trial) for trial in cell.trials])


def _trial(trial: Trial) -> Trial:
    files = {name: path for name, path in (trial.files or {}).items() if name == "latency"}
    return dataclasses.replace(trial, files=files or None)


def _traces() -> list[str]:
    """Return a sentence for each text that names a path, an address or this machine."""
    own = {socket.gethostname(), os.environ.get("USER", ""), Path.home().name} - {"", "root", "localhost"}
    # A short name occurs in other words.
    words = [word for word in own if len(word) > 3]  # noqa: PLR2004
    own_names = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in words) or r"(?!)")
    traces = []
    for path in sorted(SAMPLE.rglob("*.json")):
        text = path.read_text(encoding="utf-8")
        for pattern in (PATH, ADDRESS, own_names):
            traces += [f"{path.parent.name}/{path.name} has {match[0]!r}" for match in pattern.finditer(text)]
    return traces


def _lost() -> Iterator[str]:
    """Yield a sentence for each trial whose log does not hold the samples that its document counts."""
    for entry in list_runs(SAMPLE):
        if entry.result is None:
            yield str(entry.problem)
            continue
        for cell in (*entry.result.cells, *entry.result.floors):
            for trial in cell.trials:
                if trial.latency_us and merged(trial_log(trial, entry.path)).count != trial.latency_us.count:
                    yield f"{entry.result.pattern}: the log of {cell.name} trial {trial.trial} is not whole"


def _size() -> list[str]:
    size = sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file())
    print(f"{size:,} bytes")
    return [f"{size:,} bytes are more than {LIMIT_BYTES:,}"] if size >= LIMIT_BYTES else []


def main() -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["record", "pack", "rejudge"])
    parser.add_argument("results", type=Path, nargs="?", metavar="DIRECTORY", help="holds the recorded runs")
    arguments = parser.parse_args()
    if arguments.what == "rejudge":
        return rejudge()
    if arguments.results is None:
        parser.error(f"{arguments.what} takes the DIRECTORY of the recorded runs")
    return record(arguments.results) if arguments.what == "record" else pack(arguments.results)


if __name__ == "__main__":
    sys.exit(main())
