"""`rtmbench doctor`: one line per check, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from rtmbench.cli.options import json_option, settings, take_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.doctor import Check

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN…|all]")
@settings("doctor")
@json_option
def doctor(patterns: tuple[str, ...], *, as_json: bool, **values: Any) -> int:
    """Check whether this machine can do a run of PATTERNs (01), and show how to fix what it lacks.

    The options are those of `run` that change the answer. Exits 3 if something has to be fixed first; a warning alone
    does not stop a run.
    """
    # Imported late, so that `--help` does not wait for it.
    from rtmbench.artifacts import Cache  # noqa: PLC0415
    from rtmbench.doctor import DoctorRequest, checks  # noqa: PLC0415
    from rtmbench.errors import PreflightError  # noqa: PLC0415
    from rtmbench.experiment.settings import RunRequest, resolve  # noqa: PLC0415
    from rtmbench.platform.machine import describe  # noqa: PLC0415

    machine = describe()
    settings = resolve(RunRequest(patterns=patterns or ("01",), **take_settings(values)), machine)
    request = replace(DoctorRequest.of(settings), verify=True)
    results = checks(request, Cache(offline=settings.offline), machine)
    failed = any(check.status == "fail" for check in results)
    if as_json:
        document = {"ok": not failed, "checks": [asdict(check) for check in results]}
        click.echo(json.dumps(document, indent=2))
    else:
        _print(results)
    return PreflightError.exit_code if failed else 0


def _print(checks: Sequence[Check]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    width = max(len(check.name) for check in checks)
    table = Table.grid(padding=(0, 1))
    for check in checks:
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
