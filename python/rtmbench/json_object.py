"""The type of a JSON object in a program."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object, as `json.loads` gives it or `json.dumps` takes it. Only its schema states the types of its values."""

__all__ = ["JsonObject"]
