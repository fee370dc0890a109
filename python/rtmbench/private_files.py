"""Files and directories that only this user can read: what may hold secrets."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, from its first byte on; a file that was there is replaced."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


@functools.cache
def private_directory() -> Path:
    """Return a directory that nobody else can read, and that is removed when the process ends."""
    path = Path(tempfile.mkdtemp(prefix="rtmbench-private-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


__all__ = ["private_directory", "write_private"]
