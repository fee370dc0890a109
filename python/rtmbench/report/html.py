"""A report as one HTML file: no script, nothing loaded from anywhere, every foreign text escaped and isolated.

The page's form is in `templates`; jinja2 escapes whatever they insert.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import re
from typing import TYPE_CHECKING, Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rtmbench.formatting import clean
from rtmbench.report.document import Code, Document, Figure, Items, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = {
    "HEADING": 120,
    "CELL": 300,
    "SENTENCE": 1_500,
    # All reasons of a trial: cause and way out are at the end of each.
    "ITEM": 20_000,
    "COMMAND": 2_000,
}
"""The most characters of each kind of text, by the name that the templates use."""
WIDE_TEXT = 40
_IDENTIFIER = re.compile(r'( id="|url\(#|href="#)')
_SIGNS = re.compile(r"[\u2068\u2069]")


def render(document: Document) -> str:
    """Return the document as HTML text."""
    template = _environment().get_template("page.html.jinja")
    return template.render(document=document, number=itertools.count(1).__next__)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rtmbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # jinja2's annotations know its own filters only.
    names, filters, tests = (
        cast("dict[str, Any]", table) for table in (environment.globals, environment.filters, environment.tests)
    )
    names.update(LIMITS)
    filters.update(
        shown=_shown,
        # For an attribute or the title, where no element can isolate a text and its own marks have to do.
        plain=clean,
        drawing=_drawing,
        letters=_letters,
        sha256=_sha256,
    )
    kinds = (Table, Figure, Paragraph, Items, Code)
    tests.update({kind.__name__.lower(): _instance_of(kind) for kind in kinds})
    tests.update(long=_long, wide=_wide)
    return environment


def _letters(text: str) -> str:
    return re.sub("[^a-z]", "", text)


def _sha256(text: str) -> str:
    """Return the hash of a text as a policy of a page names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(text: str, limit: int) -> str:
    """Clean and cut a text; one with letters that run from right to left is isolated, by an element."""
    cleaned = clean(text, limit)
    bare = _SIGNS.sub("", cleaned)
    return Markup("<bdi>{}</bdi>").format(bare) if bare != cleaned else bare


def _drawing(figure: Figure, number: int) -> Markup:
    """Return a plot as markup with names of its own: matplotlib uses the same names in each plot."""
    svg = _IDENTIFIER.sub(rf"\g<1>p{number}-", figure.svg)
    start = Markup('<svg role="img" aria-label="{}"').format(clean(figure.alt, LIMITS["SENTENCE"]))
    return start + Markup(svg.removeprefix("<svg"))  # noqa: S704 - `canvas.svg` made it; matplotlib escapes its texts


def _instance_of(kind: type) -> Callable[[object], bool]:
    return lambda block: isinstance(block, kind)


def _long(cell: str) -> bool:
    return len(cell) > WIDE_TEXT


def _wide(table: Table) -> bool:
    return not table.numeric or any(_long(cell) for row in table.rows for cell in row)


__all__ = ["render"]
