"""Where plots are drawn: a page that brings its own colours, or a notebook, and how a figure becomes SVG.

matplotlib is the extra `rtmbench[report]`; it is imported only when something is drawn.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rtmbench.errors import PreflightError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtmbench.report.figure import Plot


@dataclass(frozen=True, kw_only=True)
class Style:
    """Colours and sizes of a plot."""

    ink: str
    faint: str
    grid: str
    series: tuple[str, ...]
    paper: str | None
    """Behind the plot; `None` leaves it open."""
    size_in: tuple[float, float]
    font_points: float
    legend_letters: int
    """How many letters fit next to each other in a legend."""


# matplotlib needs colours; the page has variables. Each colour represents one variable, until the SVG is text.
PAGE = Style(
    ink="#010101",
    faint="#020202",
    grid="#030303",
    series=tuple(f"#0a0a0{n}" for n in range(1, 7)),
    paper=None,
    # Small on purpose: at the width of a phone the letters keep their size.
    size_in=(4.7, 3.0),
    font_points=9,
    legend_letters=62,
)
NOTEBOOK = Style(
    ink="#1b1f24",
    faint="#57606a",
    grid="#d8dee4",
    series=("#0b63c5", "#b5420c", "#1a7f37", "#8250df", "#9a6700", "#bf3989"),
    # A dark notebook would swallow the letters.
    paper="#ffffff",
    size_in=(7.2, 3.8),
    font_points=10,
    legend_letters=88,
)
_VARIABLES = {
    PAGE.ink: "var(--ink)",
    PAGE.faint: "var(--faint)",
    PAGE.grid: "var(--grid)",
    **{colour: f"var(--series-{n})" for n, colour in enumerate(PAGE.series, start=1)},
}
_COORDINATES = re.compile(r"( (?:d|x|y)=\")([^\"]*)\"")
_NUMBER = re.compile(r"-?\d+\.\d{2,}")


def require(what: str, otherwise: str = "") -> None:
    """Raise PreflightError where matplotlib, by which `what` is drawn, is not installed."""
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise PreflightError(
            f"{what} drawn with matplotlib, which is not installed here. Install it with "
            f"`pip install 'rtmbench[report]'`{otherwise}."
        ) from error


@contextmanager
def canvas(
    style: Style, rows: tuple[float, ...] | None = None, height: float | None = None
) -> Iterator[tuple[Plot, Any]]:
    """Give a figure and its axes (one, or one for each row), without touching the caller's matplotlib settings."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    from rtmbench.report.figure import Plot  # noqa: PLC0415

    settings: Any = {
        "text.parse_math": False,
        "axes.formatter.use_mathtext": False,
        "font.size": style.font_points,
        "text.color": style.ink,
        "axes.labelcolor": style.ink,
        "axes.edgecolor": style.faint,
        "xtick.color": style.faint,
        "ytick.color": style.faint,
        "xtick.labelcolor": style.ink,
        "ytick.labelcolor": style.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": style.grid,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "lines.linewidth": 1.6,
        "hatch.color": style.faint,
        "hatch.linewidth": 0.6,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        figure = Plot(figsize=(style.size_in[0], height or style.size_in[1]), layout="constrained")
        figure.patch.set_visible(style.paper is not None)
        figure.patch.set_facecolor(style.paper or "none")
        axes: Any = figure.subplots(len(rows) if rows else 1, 1, height_ratios=rows)
        for panel in np.atleast_1d(axes):
            panel.patch.set_visible(False)
        yield figure, axes


def svg(figure: Plot) -> str:
    """Return a figure in the style `PAGE` as SVG that takes its colours and letters from the page around it."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    buffer = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "rtmbench", "text.parse_math": False})
        metadata: Any = {"Date": None, "Creator": None}
        figure.savefig(buffer, format="svg", dpi=110, transparent=True, metadata=metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    # The page's policy admits the page's own style sheet and no other; it has these rules too.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"^<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", r'<svg viewBox="\1">', text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    text = text.replace("'DejaVu Sans', 'Bitstream Vera Sans'", "inherit,'DejaVu Sans'")
    text = _COORDINATES.sub(lambda match: match[1] + _NUMBER.sub(_shorter, match[2]) + '"', text)
    return re.sub(r">\s+<", "><", text).strip()


def _shorter(number: re.Match[str]) -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


__all__ = ["NOTEBOOK", "PAGE", "Style", "canvas", "require", "svg"]
