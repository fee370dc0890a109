"""The settings of engines side by side on a terminal, what differs first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rtmbench.formatting import NO_FIGURE, clean, plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from rtmbench.results.model import ParityRow
    from rtmbench.results.parity import Parity

WIDTH = 100


def print_parity(parity: Parity, file: TextIO | None = None) -> None:
    """Print what differs, with what each difference means, and then what is the same."""
    stream = file or sys.stdout
    console = Console(file=stream, highlight=False, emoji=False, width=None if stream.isatty() else WIDTH)
    different = [row for row in parity.rows if not row.same]
    same = [row for row in parity.rows if row.same]
    console.print(Text(f"Pattern {parity.pattern} · settings of {parity.source}", style="bold"))
    for name, code in parity.refused.items():
        console.print(Text(f"{clean(name)} refused the query ({clean(code)}), so it has no settings."))
    for title, rows in ((f"{plural(len(different), 'difference')}", different), (f"{len(same)} the same", same)):
        if rows:
            console.print()
            console.print(Text(title, style="italic"))
            console.print(_table(rows))


def _table(rows: Sequence[ParityRow]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("setting", overflow="fold")
    for name in rows[0].values:
        table.add_column(clean(name), overflow="fold")
    explained = any(row.note for row in rows)
    if explained:
        table.add_column("what it means", overflow="fold", ratio=1)
    for row in rows:
        values = [NO_FIGURE if value is None else clean(str(value)) for value in row.values.values()]
        table.add_row(row.setting, *values, *([clean(row.note)] if explained else []))
    return table


__all__ = ["print_parity"]
