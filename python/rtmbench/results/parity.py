"""The effective settings of several engines, side by side, as a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtmbench.results.model import ParityRow


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The settings of several engines for one pattern."""

    pattern: str
    source: str
    """Where they come from, such as `run 20261123T093000123Z-01-5f2c9a`."""
    rows: list[ParityRow]
    refused: dict[str, str]
    """Engines that refused the query, and so have no settings: name → code."""


__all__ = ["Parity"]
