"""`rtmbench report`: what a run or an experiment found, as a page to pass around or as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtmbench.cli.options import setting

if TYPE_CHECKING:
    from rtmbench.results.stored_run import StoredRun


@click.command()
@click.argument("run", required=False, metavar="[RUN|EXPERIMENT]")
@click.option(
    "--output", "-o", help="File, directory (csv, parquet), or - for stdout. [default: in the directory of the run]"
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["html", "md", "json", "csv", "parquet"]),
    help="Format of the report. [default: by the suffix of the file, else html]",
)
@click.option(
    "--vcpu-hour",
    type=click.FloatRange(min=0),
    metavar="PRICE",
    help="Price of a vCPU hour: adds the cost per 10⁹ events to the report.",
)
@setting("results")
def report(run: str | None, output: str | None, kind: str | None, vcpu_hour: float | None, results: Path) -> None:
    """Write the report of RUN, or of all runs of EXPERIMENT; by default of the newest experiment.

    The HTML report is one file that loads nothing and runs no script. Its path goes to stdout.
    """
    from rtmbench.report import export, write  # noqa: PLC0415 - `--help` must not wait for it

    kind = kind or _by_name(output)
    runs = write.find(run, results)
    _check(runs)
    if kind in ("csv", "parquet"):
        if output == "-":
            raise click.UsageError(f"--format {kind} writes several files: name a directory with --output DIR.")
        directory = Path(output) if output else write.default_path(runs, results, kind)
        for path in export.write(runs, directory, kind):
            click.echo(str(path))
        return
    if kind == "json":
        documents = [result.to_dict() for result, _ in runs]
        text = json.dumps(documents[0] if len(documents) == 1 else {"runs": documents}, indent=2) + "\n"
        output = output or "-"
    elif kind == "md":
        text = write.to_markdown(runs, vcpu_hour=vcpu_hour)
    else:
        text = write.to_html(runs, vcpu_hour=vcpu_hour)
    if output == "-":
        click.echo(text.encode("utf-8", "backslashreplace"), nl=False)
        return
    name = write.MARKDOWN if kind == "md" else write.HTML
    path = Path(output) if output else write.default_path(runs, results, name)
    click.echo(str(write.write_text(path, text)))


def _check(runs: list[StoredRun]) -> None:
    """Report the files of a run that were changed after the run."""
    from rtmbench.errors import ConfigurationError  # noqa: PLC0415
    from rtmbench.results.store import verify_manifest  # noqa: PLC0415

    for result, directory in runs:
        # A run that was killed went on writing logs after its last manifest.
        if directory is None or not result.complete:
            continue
        try:
            problems = verify_manifest(directory)
        except ConfigurationError as error:
            problems = [str(error)]
        for problem in problems:
            click.echo(f"rtmbench: run {result.run_id}: {problem}", err=True)


def _by_name(output: str | None) -> str:
    suffix = Path(output).suffix.lower() if output else ""
    return {".md": "md", ".markdown": "md", ".json": "json"}.get(suffix, "html")
