"""A report as data: sections of blocks, silently of HTML or Markdown. The renderers decide how it looks.

Every text here may hold what an engine, a user or a broken record wrote; making it safe is the renderers' part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of texts under a header. `numeric` columns are set to the right; the first column heads its row."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: bool = True
    """Whether every column but the first holds figures."""
    marks: tuple[str, ...] = ()
    """For each row a status word that a renderer may colour; empty, or as many as rows."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot: its drawing as SVG, what it shows in words, and the figures that it was drawn from."""

    title: str
    alt: str
    svg: str
    table: Table


@dataclass(frozen=True)
class Paragraph:
    """A text. `strong` ones carry the message of their section."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Something to be copied, such as a command."""

    text: str


Block: TypeAlias = Table | Figure | Paragraph | Items | Code


@dataclass(frozen=True, kw_only=True)
class Section:
    """A headed part of a report; `level` 2 is a section, 3 a part of the section before."""

    title: str
    blocks: tuple[Block, ...]
    level: int = 2


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report."""

    title: str
    verdicts: tuple[str, ...]
    """One sentence for each pattern: what a reader in a hurry takes away."""
    sections: tuple[Section, ...]
    footer: tuple[str, ...] = field(default=())
