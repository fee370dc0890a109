"""A matplotlib figure that a notebook shows by itself, whether or not the notebook has set matplotlib up."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

DOTS_PER_INCH = 192
"""Twice what a screen of the usual kind shows, for those that show more."""


class Plot(Figure):
    """A figure of rtmbench; everything of matplotlib applies, such as `plot.savefig("latency.svg")`."""

    def png(self) -> bytes:
        """Return the figure as PNG, twice as many dots as it is to be shown with."""
        buffer = io.BytesIO()
        with mpl.rc_context({"text.parse_math": False}):
            self.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
        return buffer.getvalue()

    def shown_width(self) -> int:
        """Return the width to show the figure with, in a page's pixels."""
        return round(self.get_figwidth() * DOTS_PER_INCH / 2)

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        return self.png(), {"width": self.shown_width()}


__all__ = ["Plot"]
