"""`rtmbench parity`: the effective settings of the engines side by side."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from rtmbench.cli.configuration import setting


@click.command()
@click.argument("pattern", default="01")
@setting(
    "--engines",
    default="flink@1.20,spark@4.1",
    show_default=True,
    help="ENGINE[@VERSION][:MODE], comma-separated.",
)
@click.option("--fresh", is_flag=True, help="Start the engines to ask them, even where a stored run has the answer.")
@setting("--offline", is_flag=True, help="Download nothing; the cache must hold what is needed.")
@setting(
    "--results",
    type=click.Path(path_type=Path),
    default="results",
    show_default=True,
    help="Where runs are stored.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def parity(pattern: str, engines: str, *, fresh: bool, offline: bool, results: Path, as_json: bool) -> int:
    """Show the effective settings of engines at PATTERN (01) side by side, and name what differs.

    They are those of the newest stored run of these engines, else each engine is started once, without load. They were
    read back from the running engine where it can be asked.
    """
    from rtmbench import experiment  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.report.parity import print_parity  # noqa: PLC0415
    from rtmbench.settings import RunRequest  # noqa: PLC0415

    names = tuple(name.strip() for name in engines.split(",") if name.strip())
    request = RunRequest(patterns=(pattern,), engines=names, quick=True, offline=offline, results=results)
    found = experiment.effective_settings(request, fresh=fresh)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        print_parity(found)
    return 0
