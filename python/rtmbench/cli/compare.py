"""`rtmbench compare`: two runs, two engines of a run, or a run and a stored baseline."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from rtmbench.cli.options import json_option, setting
from rtmbench.errors import ConfigurationError, NotMetError

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.results.across import Report

_RUN, _RUNS, _CELLS = 1, 2, 3


class FailOn(click.ParamType[float]):
    """`regression` or `regression:10%`; the value is the threshold, 0.1 for 10 %."""

    name = "regression[:PERCENT]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the threshold; a click usage error where the text is something else."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"regression(?::(\d+(?:\.\d+)?)%)?", str(value).strip())
        if match is None:
            self.fail(f"{value!r} should be `regression` or `regression:10%`", param, ctx)
        return float(match[1] or 0) / 100


@click.command()
@click.argument("references", nargs=-1, required=True, metavar="RUN [RUN | CELL CELL]")
@click.option("--baseline", metavar="NAME", help="Compare RUN with the stored baseline NAME.")
@click.option("--save-baseline", metavar="NAME", help="Store RUN as the baseline NAME, and compare nothing.")
@click.option(
    "--fail-on",
    type=FailOn(),
    help="Exit with 5 if the second one is slower, by verdict and by more than 10 %, or fails more often.",
)
@setting("results")
@json_option
def compare(
    references: tuple[str, ...],
    *,
    baseline: str | None,
    save_baseline: str | None,
    fail_on: float | None,
    results: Path,
    as_json: bool,
) -> int:
    """Compare runs, or engines of a run, and name the differences that the data show.

    \b
    compare RUN RUN            the same cells of two runs: is the second slower?
    compare RUN CELL CELL      two engines of a run, such as flink@1.20 spark@4.3
    compare RUN                every engine of a run with each other
    compare --baseline NAME RUN

    RUN is a run's or an experiment's id, a directory or a file.
    """  # noqa: D301 - click's sign for lines that stay as they are
    from rtmbench.results import baseline as baselines  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.results.store import load_all  # noqa: PLC0415

    if save_baseline is not None:
        if len(references) != 1 or baseline is not None:
            raise ConfigurationError("--save-baseline takes one RUN and compares nothing.")
        path = baselines.save(save_baseline, load_all(references[0], results), results)
        click.echo(f"saved the baseline {save_baseline} in {path}", err=True)
        return 0
    report = _report(references, baseline, results)
    regressed = [entry for entry in report.entries if fail_on is not None and entry.regressed(fail_on)]
    if as_json:
        document = report.to_dict() | {"regressions": [entry.sentence for entry in regressed]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        from rtmbench.report.comparison import print_comparison  # noqa: PLC0415

        print_comparison(report)
    if fail_on is None:
        return 0
    for entry in regressed:
        click.echo(f"rtmbench: regression: {entry.sentence}", err=True)
    undecided = sum(entry.comparison.verdict == "no verdict" for entry in report.entries)
    if undecided:
        click.echo(f"rtmbench: {undecided} of {len(report.entries)} comparisons have no verdict on p99", err=True)
    return NotMetError.exit_code if regressed else 0


def _report(references: tuple[str, ...], baseline: str | None, root: Path) -> Report:
    from rtmbench.results import across  # noqa: PLC0415
    from rtmbench.results import baseline as baselines  # noqa: PLC0415
    from rtmbench.results.noise import NoiseBands  # noqa: PLC0415
    from rtmbench.results.store import load_all  # noqa: PLC0415

    bands = NoiseBands(root)
    if baseline is not None:
        if len(references) != _RUN:
            raise ConfigurationError(f"--baseline {baseline} is compared with one RUN; {len(references)} were named.")
        return across.compare_runs(baselines.load(baseline, root), load_all(references[0], root), bands)
    if len(references) == _RUN:
        return across.compare_engines(load_all(references[0], root), bands)
    if len(references) == _RUNS:
        before, after = (load_all(reference, root) for reference in references)
        return across.compare_runs(before, after, bands)
    if len(references) == _CELLS:
        run, first, second = references
        return across.compare_cells(load_all(run, root), first, second, bands)
    raise ConfigurationError("compare takes one RUN, two RUNs, or a RUN and two of its CELLs.")
