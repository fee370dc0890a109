"""Frozen dataclasses to JSON values and back, by their type hints.

`None` fields whose metadata say `omit` are left out of the document; every other `None` is written
as `null`. Keys that a document of the same major version carries beyond the known ones are ignored
on reading, so that an older reader opens a newer minor version.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from rtmbench.errors import ConfigurationError

T = TypeVar("T")


OMIT = types.MappingProxyType({"omit": True})
"""Metadata of a dataclass field that is left out of the document when it is `None`."""


def encode(value: Any) -> Any:
    """Turn a dataclass (or any nesting of values) into what `json.dumps` takes."""
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
    """Build the dataclass `cls` from parsed JSON; `where` names the place in error messages.

    Raises:
        ConfigurationError: a field is missing or has the wrong type; the message names it.

    """
    if not isinstance(document, Mapping):
        raise ConfigurationError(_mismatch(where, "an object", document))
    arguments: dict[str, Any] = {}
    for name, (hint, required) in _fields(typing.cast("Hashable", cls)).items():
        if name in document:
            arguments[name] = _value(hint, document[name], f"{where}.{name}")
        elif required:
            raise ConfigurationError(
                f"{where} lacks the field `{name}`, so it is not a complete rtmbench result. "
                "The file may be truncated or edited. Run the benchmark again."
            )
    return cls(**arguments)


@functools.cache
def _fields(cls: Any) -> dict[str, tuple[Any, bool]]:
    hints = typing.get_type_hints(cls)
    missing = dataclasses.MISSING
    return {
        f.name: (hints[f.name], f.default is missing and f.default_factory is missing) for f in dataclasses.fields(cls)
    }


def _value(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (inner,) = [a for a in arguments if a is not type(None)]
        return _value(inner, value, where)
    if origin in (list, tuple):
        if not isinstance(value, list):
            raise ConfigurationError(_mismatch(where, "a list", value))
        items = [_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
        return tuple(items) if origin is tuple else items
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigurationError(_mismatch(where, "an object", value))
        return {str(k): _value(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return decode(typing.cast("type[Any]", hint), value, where)
    if issubclass(hint, enum.Enum):
        try:
            return hint(value)
        except ValueError:
            words = ", ".join(str(member.value) for member in hint)
            raise ConfigurationError(_mismatch(where, f"one of {words}", value)) from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigurationError(_mismatch(where, f"of type {hint.__name__}", value))
    return value


def _mismatch(where: str, wanted: str, value: Any) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "…"  # noqa: PLR2004 - one line of an error
    return f"{where} should be {wanted}, but is {shown}; the file is not a valid rtmbench result."
