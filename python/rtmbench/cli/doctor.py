"""`rtmbench doctor`: one line per check, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtmbench.cli.configuration import setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.doctor import Check

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN…|all]")
@setting("--engines", default="flink@1.20,spark@4.1", show_default=True, help="As for `run`.")
@setting("--partitions", type=int, help="Of each topic. [default: 16, less on a small machine]")
@setting("--slots", type=int, help="Task slots of each engine. [default: as many as each needs]")
@setting("--shuffle-partitions", type=int, help="Of Spark's keyed stages. [default: 20, less on a small machine]")
@setting("--memory", type=int, metavar="MIB", help="Memory of all processes of one engine.")
@setting(
    "--bootstrap-servers",
    also=["KAFKA_BOOTSTRAP_SERVERS"],
    metavar="HOST:PORT",
    help="An existing Kafka. [default: a local one is started]",
)
@setting("--kafka-port", type=click.IntRange(0, 65535), default=0, help="Of the local Kafka.")
@setting("--flink-port", type=click.IntRange(0, 65535), default=0, help="Of Flink's web page.")
@setting("--offline", is_flag=True, help="Download nothing; the cache must hold what is needed.")
@setting(
    "--results",
    type=click.Path(path_type=Path),
    default="results",
    show_default=True,
    help="Where a run would write.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def doctor(patterns: tuple[str, ...], engines: str, *, as_json: bool, **wishes: Any) -> int:
    """Check whether this machine can do a run of PATTERNs (01), and say how to fix what it lacks.

    Exits 3 if something has to be fixed first; a warning alone does not stop a run.
    """
    # Imported late, so that `--help` does not wait for it.
    from rtmbench.artifacts import Cache  # noqa: PLC0415
    from rtmbench.doctor import DoctorRequest, checks  # noqa: PLC0415
    from rtmbench.errors import PreflightError  # noqa: PLC0415
    from rtmbench.platform.machine import describe  # noqa: PLC0415
    from rtmbench.settings import RunRequest, resolve  # noqa: PLC0415

    wishes["memory_mb"] = wishes.pop("memory")
    names = tuple(name.strip() for name in engines.split(",") if name.strip())
    machine = describe()
    settings = resolve(RunRequest(patterns=patterns or ("01",), engines=names, **wishes), machine)
    request = replace(DoctorRequest.of(settings), verify=True)
    found = checks(request, Cache(offline=settings.offline), machine)
    failed = any(check.status == "fail" for check in found)
    if as_json:
        document = {"ok": not failed, "checks": [asdict(check) for check in found]}
        click.echo(json.dumps(document, indent=2))
    else:
        _print(found)
    return PreflightError.exit_code if failed else 0


def _print(found: Sequence[Check]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    width = max(len(check.name) for check in found)
    table = Table.grid(padding=(0, 1))
    for check in found:
        mark, colour = _MARKS[check.status]
        detail = Text(check.detail)
        if check.fix:
            detail.append(f" → {check.fix}", style="bold")
        if console.is_terminal:
            table.add_row(Text(mark, style=colour), check.name, detail)
        else:
            console.print(f"{mark} {check.name:<{width}} {detail}", soft_wrap=True, markup=False)
    if console.is_terminal:
        console.print(table)
