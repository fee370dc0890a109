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
        for entry in explanations.explanations():
            click.echo(f"{entry.code}  ({entry.of})")
        return
    if code is None:
        raise click.UsageError("Missing argument 'CODE'. `rtmbench explain --list` lists the known codes.")
    explanation = explanations.explain(code)
    if explanation is None:
        near = ", ".join(explanations.closest(code))
        hint = f"The closest are: {near}." if near else "`rtmbench explain --list` lists the known codes."
        raise ConfigurationError(f"Unknown code {clean(code, 80)!r}. {hint}")
    console = Console(highlight=False, emoji=False, markup=False)
    console.width = min(100, console.width)
    console.print(Text(explanation.code, style="bold").append(f"  ({explanation.of})", style="not bold"))
    for head, text in (("Meaning", explanation.meaning), ("Why", explanation.why), ("What to do", explanation.do)):
        console.print(Text(f"\n{head}", style="cyan"))
        console.print(Text(textwrap.indent(textwrap.fill(text, console.width - 2), "  ")))
