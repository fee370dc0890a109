"""The documents against the tree: links, quoted code, commands, and the fields that they describe."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

import click
import pytest
from places import ROOT

from rtmbench.claims.document import ClaimsRun
from rtmbench.claims.registry import CLAIMS
from rtmbench.claims.stated import STATED
from rtmbench.cli import COMMANDS, rtmbench
from rtmbench.results.model import Cell, Result, Trial

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "docker/*.md", "notebooks/*.md", "pipelines/*.md", "pipelines/*/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
QUOTED = re.compile(r"<!-- from (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(?:^|`|-m |bin/)rtmbench ([a-z]+)\b([^`\n#]*)", re.MULTILINE)
CLAIM = re.compile(r"\[`([a-z0-9-]+)`\]\(limitations\.md#claims-and-evidence\)")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    text = FENCE.sub("", path.read_text("utf-8"))
    heads = [re.sub(r"[`*\[\]]|\(.*?\)", "", head) for head in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path):
    for link in LINK.findall(path.read_text("utf-8")):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(found), f"{link}: there is no such heading"


def test_quoted_code_is_the_code():
    text = (ROOT / "docs" / "patterns.md").read_text("utf-8")
    quotes = QUOTED.findall(text)
    assert quotes
    assert len(quotes) == text.count("```java") + text.count("```python"), "a quote names no file"
    for file, quote in quotes:
        lines = iter(line.strip() for line in (ROOT / file).read_text("utf-8").splitlines())
        for wanted in filter(None, map(str.strip, quote.splitlines())):
            found = any(line == wanted or line.startswith(f"{wanted}  #") for line in lines)
            assert found, f"{file} has no line {wanted!r} there"


def code(path: Path) -> str:
    """Return a document's blocks of code and its spans of code, a line each."""
    text = path.read_text("utf-8")
    return "\n".join([*FENCE.findall(text), *re.findall(r"`([^`]+)`", FENCE.sub("", text))])


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_and_their_options_exist(path):
    for command, rest in COMMAND.findall(code(path)):
        assert command in COMMANDS, f"rtmbench {command}"
        found = rtmbench.get_command(click.Context(rtmbench), command)
        group = isinstance(found, click.Group)
        known = {
            option
            for one in (found.commands.values() if group else (found,))
            for parameter in one.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", rest):
            assert option in known | {"--help"}, f"rtmbench {command} {option}"


@pytest.mark.parametrize("document", STATED)
def test_a_broken_claim_names_every_document_that_states_it(document):
    cited = set(CLAIM.findall((ROOT / document).read_text("utf-8")))
    assert cited == {claim.id for claim in CLAIMS.values() if document in claim.documents}


def test_no_other_document_refers_to_claims():
    others = [path for path in DOCUMENTS if name(path) not in STATED]
    assert [name(path) for path in others if CLAIM.search(path.read_text("utf-8"))] == []


def test_the_effects_of_settings_are_those_of_the_stored_run():
    text = (ROOT / "docs" / "tuning.md").read_text("utf-8")
    rows = re.findall(r"^\| .+ \| (.+) \| \[`([a-z-]+)`\]", text, re.MULTILINE)
    assert rows
    assert len(rows) == len(CLAIM.findall(text)), "a claim is quoted outside of the table"
    run = ClaimsRun.load(ROOT / "docs" / "claims.json")
    for seen, claim in rows:
        stored = " ".join(one.observation.detail for one in run.outcomes if one.claim == claim and one.observation)
        figures = re.findall(r"([\d,.]+) ms", seen)
        assert figures
        # The median of a latency is rounded to 0.1 ms in the documents, and to 1 µs in the stored run.
        known = re.findall(r"([\d,.]+) ms", stored) + [
            f"{one.observation.latency.p50 / 1000:{',.1f' if one.observation.latency.p50 < 100_000 else ',.0f'}}"
            for one in run.outcomes
            if one.claim == claim and one.observation and one.observation.latency
        ]
        assert set(figures) <= set(known), claim


RETRACTIONS = "docs/retractions.md"
VERDICT_CELL = re.compile(r"^\|.*\| *(?:faster|slower|better|worse) *\|", re.MULTILINE)
LATENCY_HEAD = re.compile(r"^\|.*\bp(?:50|95|99)\b.*\|$\n\|[ |:-]+\|$", re.MULTILINE)


def cold_figures(text: str) -> list[str]:
    """Return what a page must not have: a verdict in a table, and a table of latencies from a quick run.

    A section with its own `--warmup` is of warm engines.
    """
    found = [row[0] for row in VERDICT_CELL.finditer(text)]
    for section in re.split(r"^(?=#+ )", text, flags=re.MULTILINE):
        if "--quick" in section and "--warmup" not in section:
            found += [head[0] for head in LATENCY_HEAD.finditer(section)]
    return found


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if name(path) != RETRACTIONS], ids=name)
def test_no_page_has_a_verdict_or_a_latency_of_cold_engines(path):
    assert cold_figures(path.read_text("utf-8")) == []


def test_figures_of_cold_engines_are_found():
    table = "| engine | p50 | p99 |\n| --- | ---: | ---: |\n| a | 1 | 2 |\n"
    assert len(cold_figures(f"### Seen\n\n`rtmbench run 02 --quick`\n\n{table}")) == 1
    assert cold_figures(f"### Seen\n\n`rtmbench run 02 --quick --warmup 5m`\n\n{table}") == []
    assert cold_figures("| b / a | 6 | 1.71 | slower | no verdict |") == ["| b / a | 6 | 1.71 | slower |"]


def test_withdrawn_statements_stay_withdrawn():
    withdrawn = ("1.71 [1.20", "8.97", "1441.67", "109.77", "1.11 ×", "the best of these for both")
    listed = (ROOT / RETRACTIONS).read_text("utf-8")
    for statement in withdrawn:
        assert statement in listed
        for path in DOCUMENTS:
            if name(path) != RETRACTIONS:
                assert statement not in path.read_text("utf-8").replace("\\", ""), name(path)


ROW = re.compile(r"^\| (`.+?) \| (.+) \|$", re.MULTILINE)


def named(cell: str) -> set[str]:
    """Return the fields that a cell of a table names as code: of `rate{requested, achieved}` it is `rate`."""
    return {re.split(r"[.\[{]", span)[0] for span in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("model", [Result, Cell, Trial])
def test_every_field_of_the_document_is_in_its_table(model):
    text = (ROOT / "docs" / "results.md").read_text("utf-8")
    document, trial = (dict(ROW.findall(part)) for part in text.partition("\n## Status\n")[0].split("\nA trial has\n"))
    described = {Result: " ".join(document), Cell: document["`cells[]`"], Trial: " ".join(trial)}
    assert {field.name for field in fields(model)} - named(described[model]) == set()
