"""Reads a report's HTML as a browser would take it apart, and makes documents that mean harm to one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from results_builder import cell, result, trial

from rtmbench.results import Refusal, Status
from rtmbench.results.model import Offence, ParityRow

VOID = {"meta", "link", "br", "hr", "img", "input", "use", "path", "rect", "image", "line", "circle"}
FOREIGN_LOADS = {"src", "srcset", "poster", "data", "action", "formaction", "background", "ping", "manifest"}
HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "closing": "</td></table></svg></title></style><h1>gone</h1><!--",
    "path": "../../../../etc/passwd",
    "long": "A" * 10_000,
    "right to left": "\u202egnp.exe \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "control": "\x1b[31mred\x00\x07\x9b\r\n\u2028end",
    "markdown": "[x](javascript:alert(1)) | **b** `c` ~~~ ![](http://evil.example/x.png)",
    "math": r"$\frac{1}{0}$ $_unclosed",
    "surrogate": "lone \ud800 half",
    "template": """{{ 7*7 }} {% raw %} {# gone #} ${7*7} "quoted" & <b>""",
}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parent: Element | None
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, tag):
        found = [self] if self.tag == tag else []
        return found + [one for child in self.children for one in child.all(tag)]

    @property
    def whole_text(self):
        return self.text + "".join(child.whole_text for child in self.children)


class Page(HTMLParser):
    """A parsed page; `problems` names tags that do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.root = self.current = Element("", {}, None)
        self.problems: list[str] = []
        self.feed(text)
        self.close()
        if self.current is not self.root:
            self.problems.append(f"<{self.current.tag}> is not closed")

    def handle_starttag(self, tag, attributes):
        element = Element(tag, {name: value or "" for name, value in attributes}, self.current)
        self.current.children.append(element)
        if tag not in VOID or (tag in VOID and self._in_svg() and not self.get_starttag_text().endswith("/>")):
            self.current = element

    def handle_startendtag(self, tag, attributes):
        self.current.children.append(Element(tag, {n: v or "" for n, v in attributes}, self.current))

    def handle_endtag(self, tag):
        if self.current.tag != tag:
            self.problems.append(f"</{tag}> closes <{self.current.tag}>")
            return
        self.current = self.current.parent

    def handle_data(self, data):
        self.current.text += data

    def _in_svg(self):
        element = self.current
        while element is not None and element.tag != "svg":
            element = element.parent
        return element is not None

    def all(self, tag):
        return self.root.all(tag)

    def everything(self):
        stack = [self.root]
        while stack:
            element = stack.pop()
            yield element
            stack.extend(element.children)


def faults(text):
    """Return what makes a page less than safe, self-contained and accessible; one sentence each."""
    page = Page(text)
    found = list(page.problems)
    policies = [m for m in page.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy"]
    if len(policies) != 1 or "default-src 'none'" not in policies[0].attributes["content"]:
        found.append("no content security policy that forbids everything else")
    identifiers = [e.attributes["id"] for e in page.everything() if "id" in e.attributes]
    found += [f"id {name} is there twice" for name in {n for n in identifiers if identifiers.count(n) > 1}]
    for element in page.everything():
        found += _dangers(element, identifiers)
        found += _barriers(element)
    levels = [int(e.tag[1]) for e in _in_order(page.root) if e.tag in {"h1", "h2", "h3", "h4"}]
    if levels.count(1) != 1 or any(b - a > 1 for a, b in itertools.pairwise(levels)):
        found.append(f"headings go {levels}")
    found += [f"no <{tag}>" for tag in ("main", "header", "footer", "nav", "title") if not page.all(tag)]
    if "lang" not in page.all("html")[0].attributes:
        found.append("no language")
    return found


def _dangers(element, identifiers):
    if element.tag in {"script", "iframe", "object", "embed", "base", "form"}:
        yield f"<{element.tag}>"
    for name, value in element.attributes.items():
        if name.startswith("on") or name in FOREIGN_LOADS or ("url(" in value and "url(#" not in value):
            yield f"{name}={value[:60]} on <{element.tag}>"
        if name.endswith("href"):
            if not value.startswith(("#", "data:image/png", "data:,")):
                yield f"{name}={value[:40]} on <{element.tag}>"
            if value.startswith("#") and value[1:] not in identifiers:
                yield f"{value} leads nowhere"


def _barriers(element):
    attributes = element.attributes
    if element.tag == "svg" and not (attributes.get("aria-label") and attributes.get("role") == "img"):
        yield "a plot without a text"
    if element.tag == "figure" and not element.all("table"):
        yield "a plot without a table"
    if element.tag == "table" and not (element.all("th") and "aria-labelledby" in attributes):
        yield "a table without headers or a name"


def _in_order(element):
    yield element
    for child in element.children:
        yield from _in_order(child)


def hostile(text):
    """Return a document with this text wherever somebody else decides what stands there."""
    refused = cell(
        f"spark@{text}",
        [trial(1, Status.REFUSED, [text], latency_us=None)],
        refusal=Refusal(code=text, message=text),
    )
    offence = Offence(kind=text, partition=None, offset=None, detail=text, record=text)
    offending = trial(1, Status.FAILED, [text, text], latency_us=None, offending=[offence])
    found = result(cell(text, [trial(1, reasons=[text], files={"latency": text})]), refused, cell("x", [offending]))
    return replace(
        found,
        run_id=text,
        pattern=text,
        experiment_id=text,
        created_at=text,
        settings={**found.settings, "engines": [text], "notes": [text], text: text},
        versions={**found.versions, text: text},
        parity=[ParityRow(setting=text, values={text: text}, same=False, note=text)],
        host=replace(found.host, cpu=text, os=text),
    )
