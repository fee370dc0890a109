"""What a custom job is fed: rtmbench's events, a JSON template, or events that a Python function made."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench import _core
from rtmbench.custom_jobs.functions import load, name_of, said
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Text = tuple[bytes | None, str]

MAX_EVENTS = 100_000
"""As many events are taken from a Python function; they are sent again and again, with new time stamps."""

STAMPS = ("scheduled_at_us", "scheduled_at_ns", "scheduled_at_iso", "scheduled_at_ms", "scheduled_at_s")
"""The placeholders of the intended time, the finest first."""
_NUMBER = re.compile(r'"(\{\{\s*(?:i|value|scheduled_at_(?:ns|us|ms|s))\s*\}\})"')
# Any time will do; its µs, ms and text differ from each other and from what else a record may hold.
_AT_US = 1_700_000_000_123_456


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Payload:
    """The input records of a job."""

    label: str
    """What they are, in words."""
    field: str
    """Where an input record has its time stamp, names with dots between."""
    texts: tuple[Text, ...] | None = None
    """Kafka key (None: the event's) and template of each record in turn; None: rtmbench's own events."""
    digest: str = ""
    """Identifies the payload; empty for rtmbench's own events."""
    note: str = ""

    def record_bytes(self, payload_bytes: int | None) -> int | None:
        """Return the size of the longest record, as far as it is known before it is filled in; None: an event's."""
        return payload_bytes if self.texts is None else max(len(text.encode()) for _, text in self.texts)

    def workload(self, seed: int, keys: int, payload_bytes: int | None, zipf: float | None = None) -> _core.Workload:
        """Return the workload that makes them."""
        if self.texts is None:
            return _core.Workload(seed, keys=keys, zipf_exponent=zipf, payload_bytes=payload_bytes)
        return _core.Workload(seed, keys=keys, zipf_exponent=zipf, templates=list(self.texts))


OWN_EVENTS = Payload(label="rtmbench's own events", field="scheduled_at_us")


def of_template(template: str | os.PathLike[str] | Mapping[str, Any]) -> Payload:
    """Read a JSON template: a file, or from Python also a dictionary.

    Raises ConfigurationError if it cannot be read, is not a JSON object after the filling, or has no time stamp.
    """
    if isinstance(template, str | os.PathLike):
        path = Path(template)
        try:
            text, label = path.read_text(encoding="utf-8").strip(), f"template {path.name}"
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"--template names {template}, which cannot be read: {error}.") from error
        texts = _lines(text)
    else:
        text, label = _json(template, "The template"), "a template"
        texts = [(None, text)]
    fields = _fields(texts[0][1], label)
    for number, (_, each) in enumerate(texts[1:], 2):
        there = _fields(each, f"{label}, line {number},")
        if not (common := [field for field in fields if field in there]):
            raise ConfigurationError(
                f"{label}, line {number}, has no time stamp in `{fields[0]}`, where others have it."
            )
        fields = common
    many = f"the payload is {len(texts):,} records of {label}, sent repeatedly with new time stamps"
    return Payload(
        label=label,
        field=fields[0],
        texts=tuple(texts),
        digest=_digest(texts),
        note=many if len(texts) > 1 else "",
    )


def _lines(text: str) -> list[Text]:
    """Return the templates of a file: one over all lines, or one in each line, with a Kafka key and a tab before it."""
    texts: list[Text] = []
    # Not at U+2028 and the like, which a text of a record may contain.
    for line in text.split("\n"):
        before, tab, after = line.rstrip("\r").rpartition("\t")
        if not (after.startswith("{") and after.endswith("}")):
            return [(None, text)]
        texts.append((before.encode() if tab else None, after))
    if len(texts) > MAX_EVENTS:
        raise ConfigurationError(f"--template has {len(texts):,} lines; give {MAX_EVENTS:,} at most.")
    return texts or [(None, text)]


def of_events(source: str | Callable[[], Iterable[Any]]) -> Payload:
    """Take events from a function or from `FILE.py:FUNCTION`.

    The function takes no argument and returns or yields dictionaries, or pairs of a Kafka key and a dictionary. In
    these, rtmbench replaces a text such as `"{{scheduled_at_us}}"` at send time.

    Raises ConfigurationError if the function does not exist, raises, or returns something other than such events.
    """
    function = load(source, "--events") if isinstance(source, str) else source
    name = name_of(function)
    texts: list[Text] = []
    field = ""
    for number, event in enumerate(itertools.islice(_events(function, name), MAX_EVENTS)):
        key, fields = event if isinstance(event, tuple) and len(event) == 2 else (None, event)  # noqa: PLR2004 - a pair
        what = f"Event {number} of {name}"
        if not isinstance(fields, dict) or not isinstance(key, str | bytes | None):
            raise ConfigurationError(
                f"{what} is {repr(event)[:80]}; give a dictionary, or a pair of a Kafka key and a dictionary."
            )
        text = _json(fields, what)
        if not field:
            field = _fields(text, what)[0]
        elif not _has(fields, field):
            raise ConfigurationError(f"{what} has no time stamp in `{field}`, where event 0 has it.")
        texts.append((key.encode() if isinstance(key, str) else key, text))
    if not texts:
        raise ConfigurationError(f"{name} returned no event. Change it to return or yield dictionaries.")
    return Payload(
        label=f"events {name} ({len(texts):,})",
        field=field,
        texts=tuple(texts),
        digest=_digest(texts),
        note=f"the payload is {len(texts):,} events of {name}, sent repeatedly with new time stamps",
    )


def _events(function: Callable[[], Iterable[Any]], name: str) -> Iterator[Any]:
    try:
        yield from function()
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{name} raised an exception: {said(error)}.") from error


def _json(fields: Mapping[str, Any], what: str) -> str:
    try:
        text = json.dumps(fields, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{what} cannot be written as JSON: {error}.") from error
    # In a dictionary a placeholder for a number can only be a text.
    return _NUMBER.sub(r"\1", text)


def _fields(text: str, what: str) -> list[str]:
    """Fill a template in, and find the fields of its time stamp, the finest first."""
    try:
        workload = _core.Workload(1, templates=[(None, text)])
        record = json.loads(workload.event(0, _AT_US))
    except ValueError as error:
        raise ConfigurationError(
            f"{what} is not a JSON object after the placeholders are filled in: {error}."
        ) from error
    if not isinstance(record, dict):
        raise ConfigurationError(f"{what} is not a JSON object, but {str(record)[:60]!r}.")
    stamps = {
        "scheduled_at_ns": _AT_US * 1_000,
        "scheduled_at_us": _AT_US,
        "scheduled_at_ms": _AT_US // 1_000,
        "scheduled_at_s": _AT_US // 1_000_000,
        "scheduled_at_iso": "2023-11-14T22:13:20.123456Z",
    }
    leaves = dict(_leaves(record))
    fields = [
        path
        for name in STAMPS
        for path, value in leaves.items()
        # A number may be in quotes.
        if str(value) == str(stamps[name])
    ]
    if not fields:
        raise ConfigurationError(
            f"{what} has no time stamp, so no output could identify its event. Add a field with the value "
            "{{scheduled_at_us}}, {{scheduled_at_ms}} or {{scheduled_at_iso}}."
        )
    return fields


def _leaves(record: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        # A name with a dot in it cannot be distinguished from two names.
        if not name or "." in name:
            continue
        if isinstance(value, dict):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _has(fields: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(fields, dict) or name not in fields:
            return False
        fields = fields[name]
    return isinstance(fields, str) and fields.strip().strip("{}").strip() in STAMPS


def _digest(texts: Iterable[Text]) -> str:
    digest = hashlib.sha256()
    for key, text in texts:
        digest.update(repr((key, text)).encode())
    return digest.hexdigest()[:12]


__all__ = ["MAX_EVENTS", "OWN_EVENTS", "Payload", "of_events", "of_template"]
