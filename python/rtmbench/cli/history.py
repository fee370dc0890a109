"""`rtmbench history`: the trend of each cell over the runs on disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from rtmbench.cli.options import json_option, setting

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("pattern", required=False)
@click.option("--engine", metavar="CELL", help="Show only cells whose name begins with CELL, e.g. spark or flink@1.20.")
@setting("results")
@json_option
def history(pattern: str | None, *, engine: str | None, results: Path, as_json: bool) -> int:
    """Show how the latency of each engine changed from run to run, for PATTERN or for all patterns.

    Runs with different settings form separate series. A change of the machine is a warning and ends the trend.
    """
    from rtmbench.patterns import OWN, find_pattern  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.report.comparison import print_history  # noqa: PLC0415
    from rtmbench.results import history as trends  # noqa: PLC0415
    from rtmbench.results.noise import NoiseBands  # noqa: PLC0415
    from rtmbench.results.store import list_runs  # noqa: PLC0415

    pattern_id = pattern
    if pattern is not None and pattern != OWN:
        pattern_id = find_pattern(pattern).id
    entries = list_runs(results)
    for entry in entries:
        if entry.problem is not None:
            click.echo(f"rtmbench: left out: {entry.problem}", err=True)
    series = trends.history(
        (entry.result for entry in entries if entry.result is not None),
        NoiseBands(results),
        pattern=pattern_id,
        engine=engine,
    )
    if as_json:
        click.echo(json.dumps(trends.to_dict(series), indent=2, ensure_ascii=False))
    elif series:
        print_history(series)
    else:
        click.echo(f"rtmbench: no matching runs in {results.absolute()}", err=True)
    return 0
