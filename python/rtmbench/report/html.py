"""A report as one HTML file: no script, nothing loaded from anywhere, every foreign text escaped and isolated."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from importlib import resources
from typing import TYPE_CHECKING

from rtmbench.formatting import clean
from rtmbench.report.document import Block, Document, Figure, Items, Paragraph, Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

CELL = 300
SENTENCE = 1_500
# All reasons of a trial: cause and way out are at the end of each.
ITEM = 20_000
COMMAND = 2_000
WIDE_TEXT = 40
_IDENTIFIER = re.compile(r'( id="|url\(#|href="#)')
_SIGNS = re.compile(r"[\u2068\u2069]")


def render(document: Document) -> str:
    """Return the document as HTML text."""
    style = resources.files("rtmbench.report").joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # matplotlib's SVG carries its colours in style attributes; the page has no script that a policy could allow.
    policy = (
        f"default-src 'none'; style-src-elem 'sha256-{digest}'; style-src-attr 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    numbered = list(enumerate(document.sections, start=1))
    links = "".join(
        f'<li><a href="#s{number}">{_text(section.title, 120)}</a></li>'
        for number, section in numbered
        if section.level == 2 or len(numbered) < 12  # noqa: PLR2004 - a longer list is not an overview
    )
    verdicts = "".join(f'<p class="verdict">{_text(sentence, SENTENCE)}</p>' for sentence in document.verdicts)
    page = _Page()
    body = "".join(_section(number, section, page) for number, section in numbered)
    footer = "".join(f"<p>{_text(sentence, SENTENCE)}</p>" for sentence in document.footer)
    return (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark">'
        # An empty icon keeps a browser from asking for one.
        '<link rel="icon" href="data:,">'
        f"<title>{html.escape(_plain(document.title, 120))}</title><style>{style}</style></head><body>\n"
        '<a class="skip" href="#content">Skip to the result</a>'
        f"<header><h1>{_text(document.title, 120)}</h1>{verdicts}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        f'<main id="content">{body}</main>\n<footer>{footer}</footer>\n</body></html>\n'
    )


class _Page:
    """Gives the parts of a page unique names: matplotlib uses the same names in each plot."""

    def __init__(self) -> None:
        self.count = 0
        self.section = 0

    def number(self) -> int:
        self.count += 1
        return self.count

    def inline(self, svg: str, alt: str) -> str:
        renamed = _IDENTIFIER.sub(rf"\g<1>p{self.number()}-", svg)
        label = html.escape(_plain(alt, SENTENCE))
        return renamed.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _section(number: int, section: Section, page: _Page) -> str:
    level, page.section = section.level, number
    head = f'<h{level} id="h{number}">{_text(section.title, 120)}</h{level}>'
    blocks = "".join(_blocks(section.blocks, page))
    return f'<section id="s{number}" aria-labelledby="h{number}">{head}{blocks}</section>\n'


def _blocks(blocks: tuple[Block, ...], page: _Page) -> Iterator[str]:
    open_grid = False
    for block in blocks:
        if isinstance(block, Figure) != open_grid:
            open_grid = not open_grid
            yield '<div class="figures">' if open_grid else "</div>"
        if isinstance(block, Figure):
            yield (
                f"<figure><figcaption>{_text(block.title, 120)}</figcaption>{page.inline(block.svg, block.alt)}"
                f"<details><summary>The figures of “{_text(block.title, 120)}” as a table</summary>"
                f"{_table(block.table, page)}</details></figure>\n"
            )
        elif isinstance(block, Table):
            yield _table(block, page)
        elif isinstance(block, Paragraph):
            strong = ' class="strong"' if block.strong else ""
            yield f"<p{strong}>{_text(block.text, SENTENCE)}</p>\n"
        elif isinstance(block, Items):
            yield "<ul>" + "".join(f"<li>{_text(text, ITEM)}</li>" for text in block.texts) + "</ul>\n"
        else:
            yield f"<pre><code>{_text(block.text, COMMAND)}</code></pre>\n"
    if open_grid:
        yield "</div>"


def _table(table: Table, page: _Page) -> str:
    # The caption stands outside of what scrolls, so that a narrow screen shows the whole of it.
    name = f"t{page.number()}"
    wide = not table.numeric or any(len(cell) > WIDE_TEXT for row in table.rows for cell in row)
    kind = ' class="wide"' if wide else ""
    side = ' class="n"' if table.numeric else ""
    header = "".join(
        f'<th scope="col"{side if index else ""}>{_text(name, CELL)}</th>' for index, name in enumerate(table.header)
    )
    rows = []
    for index, row in enumerate(table.rows):
        mark = table.marks[index] if table.marks else ""
        status = f' class="s-{re.sub("[^a-z]", "", mark)}"' if mark else ""
        cells = "".join(f"<td{_kind(cell, side)}>{_text(cell, CELL)}</td>" for cell in row[1:])
        rows.append(f'<tr{status}><th scope="row"{_kind(row[0], "")}>{_text(row[0], CELL)}</th>{cells}</tr>')
    return (
        f'<p class="caption" id="{name}">{_text(table.caption, CELL)}</p>'
        f'<div class="scroll" role="region" aria-labelledby="h{page.section} {name}" tabindex="0">'
        f'<table{kind} aria-labelledby="{name}">'
        f"<thead><tr>{header}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>\n"
    )


def _kind(cell: str, otherwise: str) -> str:
    return ' class="long"' if len(cell) > WIDE_TEXT else otherwise


def _plain(text: str, limit: int) -> str:
    """Clean a text for an attribute, where no element can isolate it and its own marks have to do."""
    return clean(text, limit)


def _text(text: str, limit: int) -> str:
    """Clean, cut and escape a text; one with letters that run from right to left is isolated."""
    shown = clean(text, limit)
    escaped = html.escape(_SIGNS.sub("", shown))
    return f"<bdi>{escaped}</bdi>" if shown != _SIGNS.sub("", shown) else escaped


__all__ = ["render"]
