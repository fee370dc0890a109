"""Whether the RocksDB library in an engine's jar can be loaded on this machine."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 20.0

_LIBRARIES = {
    ("Linux", "x86_64"): "librocksdbjni-linux64.so",
    ("Linux", "aarch64"): "librocksdbjni-linux-aarch64.so",
    ("Darwin", "x86_64"): "librocksdbjni-osx-x86_64.jnilib",
    ("Darwin", "arm64"): "librocksdbjni-osx-arm64.jnilib",
}


def problem(jar: Path) -> str:
    """Return why the library in a jar cannot be loaded, empty where it can.

    It is loaded as Java does it: unpacked into the directory for temporary files, and by a separate process.
    """
    name = _LIBRARIES.get((platform.system(), platform.machine()))
    if name is None:
        return f"{jar.name} has no library that is known to fit {platform.system()} on {platform.machine()}"
    with zipfile.ZipFile(jar) as archive:
        if name not in archive.namelist():
            return f"{jar.name} does not hold {name}"
        with tempfile.TemporaryDirectory(prefix="rtmbench-rocksdb-") as directory:
            library = archive.extract(name, directory)
            outcome = subprocess.run(
                [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", library],
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
    if outcome.returncode == 0:
        return ""
    errors = outcome.stderr.strip().splitlines()
    return f"{name} of {jar.name}: {errors[-1] if errors else f'exit code {outcome.returncode}'}"


__all__ = ["problem"]
