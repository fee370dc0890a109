"""`rtmbench explain`: what an error, a status or an exit code means, and the way out."""

from __future__ import annotations

import textwrap

import click


@click.command()
@click.argument("code", required=False)
@click.option("--list", "show_all", is_flag=True, help="List all known codes.")
def explain(code: str | None, *, show_all: bool) -> None:
    """Explain CODE, an error of an engine, a status or an exit code: its meaning, its cause, and what to do."""
    from rich.console import Console  # noqa: PLC0415 - `--help` must not wait for it
    from rich.text import Text  # noqa: PLC0415

    from rtmbench.errors import ConfigurationError  # noqa: PLC0415
    from rtmbench.formatting import clean  # noqa: PLC0415
    from rtmbench.report import explanations  # noqa: PLC0415

    if show_all:
        for one in explanations.explanations():
            click.echo(f"{one.code}  ({one.of})")
        return
    if code is None:
        raise click.UsageError("Missing argument 'CODE'. `rtmbench explain --list` lists the known codes.")
    found = explanations.explain(code)
    if found is None:
        near = ", ".join(explanations.closest(code))
        hint = f"The closest are: {near}." if near else "`rtmbench explain --list` lists the known codes."
        raise ConfigurationError(f"Unknown code {clean(code, 80)!r}. {hint}")
    console = Console(highlight=False, emoji=False, markup=False)
    console.width = min(100, console.width)
    console.print(Text(found.code, style="bold").append(f"  ({found.of})", style="not bold"))
    for head, text in (("Meaning", found.meaning), ("Why", found.why), ("What to do", found.do)):
        console.print(Text(f"\n{head}", style="cyan"))
        console.print(Text(textwrap.indent(textwrap.fill(text, console.width - 2), "  ")))
