"""A report as Markdown (CommonMark with tables), for a pull request or a wiki; of a plot, its table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rtmbench.formatting import clean
from rtmbench.report.document import Block, Document, Figure, Items, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

CELL = 300
SENTENCE = 1_500
# All reasons of a trial: cause and way out are at the end of each.
ITEM = 20_000
COMMAND = 2_000
_SYNTAX = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
_NUMBERED = re.compile(r"^(\d+)([.)])(?=\s|$)")


def render(document: Document) -> str:
    """Return the document as Markdown text."""
    parts = [f"# {_text(document.title, 120)}"]
    parts += [f"**{_text(sentence, SENTENCE)}**" for sentence in document.verdicts]
    for section in document.sections:
        parts.append(f"{'#' * section.level} {_text(section.title, 120)}")
        parts += [text for block in section.blocks for text in _block(block)]
    parts += [_text(sentence, SENTENCE) for sentence in document.footer]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Figure):
        yield from _block(block.table)
    elif isinstance(block, Table):
        yield f"{_text(block.caption, CELL)}:"
        yield _table(block)
    elif isinstance(block, Paragraph):
        text = _text(block.text, SENTENCE)
        yield f"**{text}**" if block.strong else text
    elif isinstance(block, Items):
        yield "\n".join(f"- {_text(text, ITEM)}" for text in block.texts)
    else:
        # A fence longer than any in the text cannot be closed by it.
        longest = max((len(run) for run in re.findall("`+", block.text)), default=0)
        fence = "`" * max(3, longest + 1)
        yield f"{fence}\n{clean(block.text, COMMAND)}\n{fence}"


def _table(table: Table) -> str:
    rule = ["---", *(["---:" if table.numeric else "---"] * (len(table.header) - 1))]
    rows = [[_text(cell, CELL) for cell in row] for row in (table.header, *table.rows)]
    lines = [rows[0], rule, *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(text: str, limit: int) -> str:
    """Clean and cut a text, and take the meaning from every character that Markdown gives one."""
    escaped = _SYNTAX.sub(r"\\\1", clean(text, limit))
    escaped = _NUMBERED.sub(r"\1\\\2", escaped)
    # At the start of a line these would make a list or an underline.
    return f"\\{escaped}" if escaped[:1] in ("-", "+", "=") and len(escaped) > 1 else escaped


__all__ = ["render"]
