"""A result document together with the directory that it was read from or written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.results.model import Result


class StoredRun(NamedTuple):
    """One pattern's run as it is stored."""

    result: Result
    directory: Path | None = None
    """Holds the trials' interval logs; `None` for a document without its directory."""


__all__ = ["StoredRun"]
