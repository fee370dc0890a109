"""A template from the records of an existing topic: their shapes, sizes and keys, and none of their values.

| of a record | in the template |
| --- | --- |
| a time within a day of the time that Kafka keeps of the record | the intended time, in the same unit |
| another time | the first of January 2001, in the same form |
| a text | as many random letters; as a UUID where it is one |
| a number | as many random digits |
| a text or a number that no two records share | one that no two events share |
| a Kafka key, and fields equal to it | its rank, or the event's key where the records show too few of the keys |
| true, false, null | the same |
| the name of a field | the same where it is frequent, else `field_1`, `field_2` … |
"""

from __future__ import annotations

import collections
import json
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtmbench import _core
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    Record = tuple[int, int, bytes | None, bytes | None, int | None]

_DAY_US = 86_400_000_000
_PLACEHOLDERS = {
    "epoch s": "{{scheduled_at_s}}",
    "epoch ms": "{{scheduled_at_ms}}",
    "epoch µs": "{{scheduled_at_us}}",
    "epoch ns": "{{scheduled_at_ns}}",
    "ISO 8601": "{{scheduled_at_iso}}",
}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_DIGIT = re.compile(r"\d")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MANY = 20
"""So many values at least show that no two are equal by design."""
_RARE = 0.01
"""The share of the records in which the name of a field must be to be kept: rarer ones may be data."""
_NEW_KEYS = 0.1
"""The share of the records whose key no other one has, above which the topic has more keys than the records show."""
_INDEX_DIGITS = 6
"""What a number of an event takes, about."""


@dataclass(frozen=True, kw_only=True)
class TopicTemplate:
    """What the records of a topic look like, without their values."""

    lines: tuple[str, ...]
    """The template of each record, with its Kafka key and a tab before it where it has one of its own."""
    records: int
    """Records that were read."""
    skipped: int
    """Of these, records that are left out: they are not JSON objects, or lack the time that most have."""
    times: dict[str, str]
    """The fields that get the intended time, and their units."""
    keys: int | None
    """Distinct keys of the topic, estimated where the records do not show them all; None: the records have no key."""
    keys_estimated: bool
    rate: float | None
    """Records per second, by the times that Kafka keeps; None where they do not tell."""
    sizes: tuple[int, int, int]
    """The least, median and greatest size of a value, bytes."""
    unknown_fields: tuple[str, ...]
    """Of the fields whose values were to be kept, those that no record has."""


def topic_template(
    topic: str, records: Sequence[Record], *, keep: Collection[str] = (), seed: int = 1
) -> TopicTemplate:
    """Make a template of records as `newest_records` returns them; the fields in `keep` keep their values.

    Raises ConfigurationError where they are not JSON objects, or no field of them is a time.
    """
    parsed = [(record, value) for record in records if (value := _object(record[3])) is not None]
    if not parsed:
        raise ConfigurationError(
            f"{topic} has no record to make a template of: {len(records):,} were read, and none is a JSON object."
        )
    times = _times(parsed)
    if not times:
        raise ConfigurationError(
            f"No field of the records in {topic} is a time within a day of the time that Kafka keeps of them, so no "
            "output could identify its event. Write a template by hand, with a field such as "
            '"created_at": {{scheduled_at_ms}}.'
        )
    present = collections.Counter(path for path in times for _, value in parsed if _at(value, path) is not None)
    everywhere = present.most_common(1)[0][0]
    # An event without the time stamp could not be recognised in the output.
    parsed = [(record, value) for record, value in parsed if _at(value, everywhere) is not None]
    keys = _Keys([record[2] for record, _ in parsed])
    mask = _Mask(parsed, times, keys, frozenset(keep), seed)
    sizes = sorted(len(record[3] or b"") for record, _ in parsed)
    return TopicTemplate(
        lines=tuple(mask.line(number) for number in range(len(parsed))),
        records=len(records),
        skipped=len(records) - len(parsed),
        times={path: unit for path, unit in times.items() if path not in mask.keep},
        keys=keys.total,
        keys_estimated=keys.open,
        rate=_rate(records),
        sizes=(sizes[0], sizes[len(sizes) // 2], sizes[-1]),
        unknown_fields=tuple(sorted(mask.keep - mask.paths)),
    )


def _object(value: bytes | None) -> dict[str, Any] | None:
    try:
        record = json.loads(value, parse_constant=_refuse) if value is not None else None
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _times(parsed: Sequence[tuple[Record, dict[str, Any]]]) -> dict[str, str]:
    """Return the fields that are the time of their record, and the unit of each."""
    paths = {path for _, value in parsed for path, leaf in _leaves(value) if isinstance(leaf, str | int | float)}
    times = {}
    for path in sorted(paths):
        units: collections.Counter[str] = collections.Counter()
        near = others = 0
        for (_, _, _, text, at_ms), value in parsed:
            if _at(value, path) is None:
                continue
            stamp = _core.timestamp_of(text or b"", path)
            if stamp is None or at_ms is None or abs(stamp[0] - at_ms * 1_000) > _DAY_US:
                others += 1
            else:
                near += 1
                units[stamp[1]] += 1
        if near > others and len(units) == 1:
            times[path] = next(iter(units))
    return times


def _leaves(record: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        # A name with a dot in it cannot be distinguished from two names.
        if name and "." not in name:
            if isinstance(value, dict):
                yield from _leaves(value, f"{before}{name}.")
            else:
                yield f"{before}{name}", value


def _at(record: Any, path: str) -> Any:
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


def _rate(records: Sequence[Record]) -> float | None:
    """Return the records per second over all partitions, each over the time of its own records."""
    times: dict[int, list[int]] = collections.defaultdict(list)
    for partition, _, _, _, at_ms in records:
        if at_ms is not None:
            times[partition].append(at_ms)
    rate = 0.0
    for each in times.values():
        span_ms = max(each) - min(each)
        if len(each) > 1:
            if span_ms == 0:
                return None
            rate += (len(each) - 1) / span_ms * 1_000
    return rate or None


class _Keys:
    """The Kafka keys of the records."""

    def __init__(self, keys: Sequence[bytes | None]) -> None:
        counts = collections.Counter(key for key in keys if key is not None)
        ranks = {key: rank for rank, (key, _) in enumerate(counts.most_common())}
        once = sum(1 for count in counts.values() if count == 1)
        twice = sum(1 for count in counts.values() if count == 2)  # noqa: PLR2004 - Chao's estimator counts pairs
        self.open = once > _NEW_KEYS * max(1, sum(counts.values()))
        """Whether the topic has more keys than the records show."""
        # Chao's lower bound of the number of kinds, from those that occur once and twice.
        unseen = once * (once - 1) / (2 * (twice + 1)) if self.open else 0
        self.total = len(counts) + round(unseen) if counts else None
        numbers = all(key.isdigit() for key in counts)
        self._names = {key: str(rank) if numbers else f"key_{rank}" for key, rank in ranks.items()}

    def name(self, key: bytes | None) -> str | None:
        """Return the key of the template; None: the event's."""
        return None if key is None or self.open else self._names[key]


class _Raw(str):
    """A text that stands in the template as it is."""

    __slots__ = ()


def _placed(text: str) -> _Raw:
    """Return a text of the record that has a placeholder in it."""
    return _Raw(f'"{text}"')


class _Mask:
    """Replaces the values of records."""

    def __init__(
        self,
        parsed: Sequence[tuple[Record, dict[str, Any]]],
        times: dict[str, str],
        keys: _Keys,
        keep: frozenset[str],
        seed: int,
    ) -> None:
        self._parsed = parsed
        self._times = times
        self._keys = keys
        self.keep = keep
        self._seed = seed
        values: dict[str, list[Any]] = collections.defaultdict(list)
        names: collections.Counter[tuple[str, str]] = collections.Counter()
        for _, record in parsed:
            for path, value in _leaves(record):
                values[path].append(value)
            names.update(_names(record))
        self.paths = frozenset(values)
        self._unique = {path for path, each in values.items() if len(each) >= _MANY and _all_differ(each)}
        rare = sorted(name for name, count in names.items() if count < _RARE * len(parsed))
        self._renamed = {name: f"field_{number}" for number, name in enumerate(rare, 1)}

    def line(self, number: int) -> str:
        (_, _, key, _, _), record = self._parsed[number]
        name = self._keys.name(key)
        rng = random.Random(f"{self._seed} {number}")  # noqa: S311 - letters of a template, no secret
        text = _json(self._masked(record, "", None if key is None else key.decode("utf-8", "replace"), name, rng))
        return text if name is None else f"{name}\t{text}"

    def _masked(self, value: Any, path: str, key: str | None, name: str | None, rng: random.Random) -> Any:
        if isinstance(value, dict):
            before = f"{path}." if path else ""
            return {
                self._renamed.get((path, field), field): self._masked(each, f"{before}{field}", key, name, rng)
                for field, each in value.items()
            }
        if path in self.keep or isinstance(value, bool) or value is None:
            return value
        if isinstance(value, list):
            return [self._masked(each, f"{path}[]", None, None, rng) for each in value]
        return self._leaf(value, path, key, name, rng)

    def _leaf(self, value: str | float, path: str, key: str | None, name: str | None, rng: random.Random) -> Any:
        if path in self._times:
            placeholder = _PLACEHOLDERS[self._times[path]]
            return _placed(placeholder) if isinstance(value, str) else _Raw(placeholder)
        if key is not None and str(value) == key:
            return self._key(value, name, rng)
        if isinstance(value, str):
            return self._text(value, path, rng)
        digits = _digits(repr(value), rng)
        return _Raw("{{i}}" if isinstance(value, int) and path in self._unique else digits)

    def _key(self, value: Any, name: str | None, rng: random.Random) -> Any:
        """Return what stands in a field that is equal to the Kafka key."""
        if isinstance(value, str):
            return _placed("{{key}}") if name is None else name
        return _Raw(_digits(repr(value), rng) if name is None else name)

    def _text(self, value: str, path: str, rng: random.Random) -> str | _Raw:
        if _UUID.fullmatch(value):
            return _placed("{{event_id}}")
        if _DATE.fullmatch(value):
            return "2001-01-01" + _DIGIT.sub("0", value[10:])
        length = len(value.encode("utf-8"))
        alphabet = "0123456789" if value.isdecimal() else _LETTERS
        if path in self._unique:
            return _placed("".join(rng.choices(alphabet, k=max(0, length - _INDEX_DIGITS))) + "{{i}}")
        return "".join(rng.choices(alphabet, k=length))


def _names(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give the path of each object, and the name of each of its fields; those of the elements of an array once."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield path, name
            yield from _names(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        yield from {pair for each in value for pair in _names(each, f"{path}[]")}


def _all_differ(values: Sequence[Any]) -> bool:
    texts = {json.dumps(value) for value in values}
    return len(texts) == len(values)


def _digits(text: str, rng: random.Random) -> str:
    """Return a number of as many digits, with the same sign and point; the first digit is not 0 unless it was."""
    mantissa, exponent, power = text.partition("e")
    first = next((at for at, each in enumerate(mantissa) if each in "123456789"), None)

    def digit(match: re.Match[str]) -> str:
        at = match.start()
        return (
            match.group() if first is None or at < first else rng.choice("123456789" if at == first else "0123456789")
        )

    return _DIGIT.sub(digit, mantissa) + exponent + power


def _json(value: Any) -> str:
    if isinstance(value, _Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(name)}:{_json(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    # Two braces would begin a placeholder.
    return json.dumps(text, ensure_ascii=False).replace("{{", "\\u007b{")


__all__ = ["TopicTemplate", "topic_template"]
