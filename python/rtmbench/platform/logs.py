"""What a log file shows about the end of the process that wrote it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TAIL_BYTES = 128 * 1024
LINE_LIMIT = 300
_TELLING = re.compile(r"\b(ERROR|FATAL|SEVERE)\b|^(Exception|Error|Caused by)\b|(Error|Exception)(:|$)")
_FRAME = re.compile(r"^\s+(at |\.\.\. \d+ more)|^\s+File \"")
_CAUSE = re.compile(r"^(Caused by: |[\w.]+(Error|Exception)\b)")


def tail(path: Path, size: int = TAIL_BYTES) -> list[str]:
    """Return the last lines of a file, without line ends; no line where it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - size))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def telling_lines(path: Path, count: int = 3) -> list[str]:
    """Return up to `count` lines, in order, that show why a process ended: errors and causes before chatter."""
    lines = [line.strip() for line in tail(path) if line.strip() and not _FRAME.match(line)]
    errors = [line for line in lines if _TELLING.search(line)]
    causes = [line for line in errors if _CAUSE.match(line)]
    # The innermost cause is the last of its chain; the first error is what the rest follows from.
    chosen = (errors[:1] + (causes or errors)[-(count - 1) :]) if errors else lines[-count:]
    unique = list(dict.fromkeys(chosen))
    return [line if len(line) <= LINE_LIMIT else line[: LINE_LIMIT - 1] + "…" for line in unique]


def quote(path: Path, count: int = 3) -> str:
    """Return the telling lines as one clause of an error message."""
    lines = telling_lines(path, count)
    if not lines:
        return f"It wrote nothing to {path}."
    return f"Its log shows: {' / '.join(lines)} (whole log: {path})."


__all__ = ["quote", "tail", "telling_lines"]
