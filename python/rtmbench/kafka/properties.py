"""Files of Kafka client properties: their syntax, and which of their values are secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SECRET = re.compile(r"password|secret|token|jaas|credential|user\.info|\.key(\.|$)|\.pem$", re.IGNORECASE)
"""Found in the names of the settings whose values are never shown."""
_LINE = re.compile(r"\s*(?P<name>[^\s=:]+)\s*(?:[=:]|\s)\s*(?P<value>.*?)\s*$")


def entries(path: Path) -> Iterator[tuple[int, str, str]]:
    r"""Give the entries of a properties file: number of the line, name, value.

    `name=value` lines, `#` and `!` comments, `\` at the end of a line continues it.

    Raises `ConfigurationError` for a file that cannot be read, and a line that is not an entry; no message shows a
    value.
    """
    # No library: a pipeline reads its file too, inside Spark, where only rtmbench itself is installed.
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The Kafka properties {path} cannot be read: {error}.") from error
    for number, line in _lines(text):
        match = _LINE.match(line)
        if match is None:
            raise ConfigurationError(f"{path}, line {number}, is not `name=value`.")
        yield number, match["name"], match["value"]


def redact(message: str, properties: Mapping[str, str]) -> str:
    """Return a message without the values of properties that hold secrets."""
    secrets = {value for name, value in properties.items() if SECRET.search(name) and value}
    for secret in sorted(secrets, key=len, reverse=True):
        message = message.replace(secret, "***")
    return message


def _lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending = ""
    first = 0
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not pending and (not stripped or stripped[0] in "#!"):
            continue
        first = first if pending else number
        if stripped.endswith("\\"):
            pending += stripped[:-1]
            continue
        lines.append((first, pending + stripped))
        pending = ""
    if pending:
        lines.append((first, pending))
    return lines


__all__ = ["SECRET", "entries", "redact"]
