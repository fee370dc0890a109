"""Frozen dataclasses to JSON values and back, by their type hints.

`None` fields whose metadata say `omit` are left out of the document; every other `None` is written
as `null`. Keys that a document of the same major version carries beyond the known ones are ignored
on reading, so that an older reader opens a newer minor version.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from rtmbench.errors import ConfigurationError

T = TypeVar("T")


OMIT = types.MappingProxyType({"omit": True})
"""Metadata of a dataclass field that is left out of the document when it is `None`."""


def encode(value: Any) -> Any:
    """Turn a dataclass (or any nesting of values) into what `json.dumps` takes."""
    # msgspec writes every field of a dataclass, also those that a document leaves out.
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: encode(v) for f, v in pairs if not (v is None and "omit" in f.metadata)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    # JSON has no word for NaN or an infinity; a reader must not meet one in a figure's place.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def decode(cls: type[T], document: Any, where: str = "document") -> T:
    """Build the dataclass `cls` from parsed JSON; `where` names the document in error messages.

    Raises:
        ConfigurationError: a field is missing, has the wrong type or is out of range; the message names it.

    """
    try:
        return msgspec.convert(document, cls)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        raise ConfigurationError(
            f"{where}{path.rstrip('`')}: {problem}. This is not a valid rtmbench result: the file may be truncated or "
            "edited. Run the benchmark again."
        ) from error
