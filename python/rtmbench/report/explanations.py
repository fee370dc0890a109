"""What the errors, statuses and exit codes mean that users of rtmbench, Spark and Flink meet, and what to do.

The texts are in `explanations.toml`.
"""

from __future__ import annotations

import difflib
import functools
import sys
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtmbench.json_object import JsonObject

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One code: its meaning, its cause, and the way out."""

    code: str
    of: str
    """The origin of the code: `Spark`, `Flink`, `Kafka` or `rtmbench`."""
    meaning: str
    why: str
    do: str
    aliases: tuple[str, ...] = ()


def explain(code: str) -> Explanation | None:
    """Return the explanation of a code, whatever its case, or of its family (`A` for `A.B`); None for others."""
    name, known = _normal(code), _by_name()
    while name not in known and "." in name:
        name = name.rpartition(".")[0]
    return known.get(name)


def closest(code: str, count: int = 5) -> list[str]:
    """Return the known codes most like `code`, the likeliest first."""
    names = {_normal(explanation.code): explanation.code for explanation in explanations()}
    requested_name = _normal(code)
    inside = [
        shown for name, shown in names.items() if requested_name and (requested_name in name or name in requested_name)
    ]
    similar = [names[name] for name in difflib.get_close_matches(requested_name, names, n=count, cutoff=0.3)]
    return list(dict.fromkeys([*inside, *similar]))[:count]


@functools.cache
def explanations() -> tuple[Explanation, ...]:
    """Return every explanation, in the order of the file."""
    text = resources.files("rtmbench.report").joinpath("explanations.toml").read_text(encoding="utf-8")
    return tuple(_explanation(entry) for entry in tomllib.loads(text)["explanation"])


def _explanation(entry: JsonObject) -> Explanation:
    aliases = tuple(entry.pop("aliases", ()))
    return Explanation(aliases=aliases, **{name: " ".join(text.split()) for name, text in entry.items()})


@functools.cache
def _by_name() -> dict[str, Explanation]:
    return {
        _normal(name): explanation
        for explanation in explanations()
        for name in (explanation.code, *explanation.aliases)
    }


def _normal(code: str) -> str:
    return code.strip().strip("[]").replace("-", "_").replace(" ", "_").upper()


__all__ = ["Explanation", "closest", "explain", "explanations"]
