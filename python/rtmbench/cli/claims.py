"""`rtmbench claims`: tests of what the documents state about the engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtmbench.cli.options import json_option, setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.claims.document import ClaimsRun
    from rtmbench.claims.model import Claim, Outcome

# Of a table that goes into a file: no line is folded.
WIDE = 320
_MARKS = {"holds": ("✓", "green"), "broken": ("✗", "red"), "not observed": ("✗", "red"), "not observable": ("–", None)}


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID…]")
@click.option("--spark", metavar="VERSIONS", help="Versions of Spark, comma-separated. [default: all, unless --flink]")
@click.option("--flink", metavar="VERSIONS", help="Versions of Flink, comma-separated. [default: all, unless --spark]")
@click.option("--list", "listing", is_flag=True, help="List the claims and run nothing.")
@json_option
@click.option(
    "--write",
    "documents",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Document to write the support matrix and the evidence into, between its markers. Repeatable.",
)
@click.option(
    "--from",
    "sources",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="RUN",
    help="Do not run; report from this stored run. Repeatable: runs of one machine are merged.",
)
@click.option("--store", type=click.Path(path_type=Path, dir_okay=False), help="With --from: file for the merged run.")
@setting("offline")
@setting("results")
def claims(
    ids: tuple[str, ...],
    *,
    spark: str | None,
    flink: str | None,
    listing: bool,
    as_json: bool,
    documents: tuple[Path, ...],
    sources: tuple[Path, ...],
    store: Path | None,
    offline: bool,
    results: Path,
) -> int:
    """Test what the documents state about the engines: each claim is an experiment on real Spark, Flink and Kafka.

    Prints and stores the support matrix. Exits 1 if a claim no longer holds, and names the document that states it.
    """
    # Imported late, so that `--help` does not wait for them.
    from rtmbench.claims import matrix, registry, runner  # noqa: PLC0415
    from rtmbench.claims.document import ClaimsRun  # noqa: PLC0415

    if listing:
        _list(registry.select(ids), as_json=as_json)
        return 0
    if sources:
        run = ClaimsRun.merged(
            ClaimsRun.load(results / source if not source.exists() else source) for source in sources
        )
        if store is not None:
            store.write_text(run.to_json(), encoding="utf-8")
    else:
        run = _run(ids, {"spark": spark, "flink": flink}, offline=offline, results=results)
    for document in documents:
        matrix.write(run, document)
    if as_json:
        click.echo(run.to_json(), nl=False)
    else:
        _print(run)
    for outcome in run.outcomes:
        if outcome.failed:
            click.echo(f"rtmbench: {runner.complaint(outcome)}", err=True)
    return runner.exit_code(run.outcomes)


def _run(ids: tuple[str, ...], requested_versions: dict[str, str | None], *, offline: bool, results: Path) -> ClaimsRun:
    """Fetch the engines, test the claims, and store the outcome after each claim."""
    from rtmbench.artifacts import Cache  # noqa: PLC0415
    from rtmbench.claims.execution import execute  # noqa: PLC0415
    from rtmbench.claims.runner import Plan  # noqa: PLC0415

    versions = {name: _split(text) for name, text in requested_versions.items() if text is not None}
    if versions:
        # One engine that is named excludes the others.
        versions = {"spark": (), "flink": (), "kafka": (), **versions}
    plan = Plan.of(ids, versions)
    run: ClaimsRun = execute(plan, Cache(offline=offline), results, say=_say)
    return run


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _say(message: str, outcome: Outcome | None = None) -> None:
    """Print progress on standard error: each tested claim and its outcome."""
    if outcome is None:
        click.echo(message, err=True)
        return
    mark, colour = _MARKS[outcome.status]
    click.echo(f"{click.style(mark, fg=colour)} {message}", err=True)


def _list(selected: Sequence[Claim], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"claims": [claim.listed() for claim in selected]}, indent=2, ensure_ascii=False))
        return
    for claim in selected:
        click.echo(f"{claim.id} ({claim.engine} {', '.join(claim.versions)})")
        click.echo(f"    {claim.statement}")


def _print(run: ClaimsRun) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from rtmbench.claims import matrix  # noqa: PLC0415
    from rtmbench.claims.registry import CLAIMS  # noqa: PLC0415

    console = Console(soft_wrap=True)
    if not console.is_terminal:
        console = Console(width=WIDE)
    heads = [f"{engine}@{version}" for engine, version in matrix.columns(run)]
    table = Table(title="Support matrix", title_justify="left")
    for head in ("feature", *heads):
        table.add_column(head, overflow="fold")
    rows = matrix.features(run)
    for name, row in rows:
        table.add_row(name, *(matrix.cell(outcome).replace("`", "") for outcome in row))
    if rows:
        console.print(table, markup=False)
    for outcome in run.outcomes:
        claim = CLAIMS.get(outcome.claim)
        if claim is not None and not claim.feature:
            summary = outcome.observation.text if outcome.observation else outcome.status
            mark, _ = _MARKS[outcome.status]
            console.print(f"{mark} {outcome.engine}@{outcome.version} {outcome.claim}: {summary}", markup=False)
