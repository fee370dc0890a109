"""Write docs/settings.md anew, the page that lists every setting: `python tools/settings_page.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.run_settings import SETTINGS

if TYPE_CHECKING:
    from rtmbench.run_settings import Setting

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Every setting of a run. A flag on the command line comes first, then the environment variable, then the key in
`rtmbench.toml` in the current directory, then the default. The Python API takes the name in the last column.

The file and the environment are for all commands: a setting without a meaning for a command may be in them. On the
command line of such a command it is an error. An unknown key or `RTMBENCH_*` variable is an error everywhere.

`tools/settings_page.py` writes this page from the table in `python/rtmbench/run_settings.py`.

| flag, and key without dashes | variable | meaning | unit or range | default | commands | in Python |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(f"| {' | '.join(_cells(row))} |\n" for row in SETTINGS.values())


def _cells(row: Setting) -> list[str]:
    variables = [row.variable, *row.variables] if row.configurable and row.commands else []
    several = " Several values make a sweep." if row.sweepable else ""
    return [
        f"`{row.flag}`" if row.commands else "",
        ", ".join(f"`{name}`" for name in variables),
        row.help + several,
        _range(row),
        row.default_text or f"`{_default(row)}`",
        ", ".join(f"`{name}`" for name in sorted(row.commands)),
        f"`{row.field}`",
    ]


def _range(row: Setting) -> str:
    if row.choices:
        return " or ".join(f"`{choice}`" for choice in row.choices)
    if row.least is None or row.most is None:
        return row.unit
    return f"{row.least:,} to {row.most:,} {row.unit}".rstrip()


def _default(row: Setting) -> str:
    if row.kind == "names":
        return ",".join(row.default)
    if row.kind == "repeated":
        return "none"
    return "off" if row.kind == "flag" else row.text(row.default)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
