"""Write the JSON Schemas of the documents from their model: `python tools/result_schema.py`.

Types and ranges come from the annotations, descriptions from the docstrings. What a type cannot express, such as a
trial that failed and so has no latency, is in `RULES`.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import pkgutil
from pathlib import Path
from typing import Any

import msgspec

from rtmbench.results import model
from rtmbench.results.model import Result, load

PLACE = Path(__file__).parent.parent / "python" / "rtmbench" / "results" / "schema"
DOCUMENTS = {
    "result-2": ("rtmbench result", Result),
    "produce-1": ("rtmbench produce --json", load.ProduceDocument),
    "measure-1": ("rtmbench measure --json", load.MeasureDocument),
    "merge-1": ("rtmbench merge --json", load.MergeDocument),
    "diff-1": ("rtmbench diff --json", load.DiffDocument),
}

_FIGURES = {"anyOf": [{"properties": {"latency_us": {"type": "object"}}}, {"required": ["close_latency_us"]}]}
_CHECKED = {"anyOf": [{"properties": {"counts": {"type": "object"}}}, {"required": ["outputs"]}]}
_NOTHING_WRONG = {
    "valid": {"const": True},
    "latency_us": {"type": ["object", "null"], "properties": {"censored": {"const": 0}}},
    "counts": {
        "type": ["object", "null"],
        "properties": {"missing": {"const": 0}, "unexpected": {"const": 0}, "wrong": {"const": 0}},
    },
    "outputs": {
        "type": "object",
        "properties": {
            "missing_timestamp": {"const": 0},
            "foreign_timestamp": {"const": 0},
            "complaints": {"maxItems": 0},
        },
    },
}
RULES: dict[str, dict[str, Any]] = {
    "Cell": {
        "if": {"properties": {"status": {"const": "refused"}}},
        "then": {"required": ["refusal"]},
        "else": {"not": {"required": ["refusal"]}},
    },
    "Trial": {
        "allOf": [
            {
                "if": {"properties": {"status": {"enum": ["valid", "contended"]}}},
                "then": {"properties": _NOTHING_WRONG, "allOf": [_FIGURES, _CHECKED]},
                "else": {"properties": {"valid": {"const": False}, "reasons": {"minItems": 1}}},
            },
            {
                "if": {"properties": {"status": {"enum": ["failed", "refused", "void"]}}},
                "then": {
                    "properties": {"latency_us": {"type": "null"}},
                    "not": {"required": ["close_latency_us"]},
                },
            },
        ]
    },
    "Latency": {
        "if": {"properties": {"censored": {"const": 0}}},
        "then": {"properties": {"censored_percentiles": {"maxItems": 0}}},
        "else": {"properties": {"censored_percentiles": {"contains": {"const": "max"}}}},
    },
    "CloseLatency": {
        "if": {"properties": {"count": {"maximum": model.WINDOWS_FOR_A_TAIL - 1}}},
        "then": {"properties": {name: {"type": "null"} for name in ("p90", "p95", "p99", "p99_9", "max")}},
    },
    "Comparison": {
        "if": {"properties": {"pairs": {"maximum": 5}}},
        "then": {
            "properties": {"verdict": {"enum": ["no verdict", "worse", "better"]}},
            "not": {
                "anyOf": [
                    {"required": ["interval"]},
                    {"required": ["interval_p50"]},
                    {"required": ["verdict_p50"]},
                ]
            },
        },
    },
}


def schema(name: str) -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a document."""
    title, cls = DOCUMENTS[name]
    _, components = msgspec.json.schema_components((cls,), ref_template="#/$defs/{name}")
    described = _docstrings()
    definitions = {key: _definition(key, component, described) for key, component in sorted(components.items())}
    document = definitions.pop(cls.__name__)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:rtmbench:schema:{name.replace('-', ':')}",
        "title": title,
        **document,
        "$defs": definitions,
    }


def _definition(name: str, component: dict[str, Any], described: dict[str, str]) -> dict[str, Any]:
    kept = {key: value for key, value in component.items() if key not in ("title", "description")}
    definition: dict[str, Any] = {"description": described[name], **kept}
    if "properties" not in definition:
        return definition
    cls = getattr(model, name, None) or getattr(load, name)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    definition["properties"] = {
        key: _property(
            value,
            omitted="omit" in fields[key].metadata,
            text=next((text for base in cls.__mro__ if (text := described.get(f"{base.__name__}.{key}"))), None),
        )
        for key, value in definition["properties"].items()
    }
    definition["required"] = [key for key, f in fields.items() if "omit" not in f.metadata]
    return {**definition, "additionalProperties": False, **RULES.get(name, {})}


def _property(value: dict[str, Any], *, omitted: bool, text: str | None) -> dict[str, Any]:
    definition = {key: item for key, item in value.items() if key != "default"}
    if omitted:
        # The document leaves it out instead of writing null.
        kinds = [kind for kind in definition.pop("anyOf") if kind != {"type": "null"}]
        definition |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return definition if text is None else {**definition, "description": text}


def _docstrings() -> dict[str, str]:
    """Return the docstrings of classes (`Trial`) and of their fields (`Trial.seconds`), each as one line."""
    docstrings: dict[str, str] = {}
    for module in pkgutil.iter_modules(model.__path__):
        tree = ast.parse((Path(model.__path__[0]) / f"{module.name}.py").read_text("utf-8"))
        for node in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            docstrings[node.name] = _one_line(ast.get_docstring(node) or "")
            for field, after in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(after, ast.Expr)
                    and isinstance(after.value, ast.Constant)
                ):
                    docstrings[f"{node.name}.{field.target.id}"] = _one_line(str(after.value.value))
    return docstrings


def _one_line(text: str) -> str:
    return " ".join(text.split())


def files() -> dict[Path, str]:
    """Return the text of each file."""
    return {
        PLACE / f"{name}.schema.json": json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
        for name in DOCUMENTS
    }


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
