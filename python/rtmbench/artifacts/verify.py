"""Check that what lies in the cache is still what was put there.

Every file is hashed in full the first time that a process asks for a bundle: 0.4 s on two cores for
the default engines (750 MB). Going by size and modification time alone would be faster and would
miss the very thing: a damaged jar fails somewhere deep in an engine or, worse, does not.
Within one process a file is hashed again only when its size, time or inode has changed.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rtmbench.artifacts.fetch import sha256
from rtmbench.artifacts.unpack import read_manifest
from rtmbench.errors import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.artifacts.lock import LockedBundle

_digests: dict[Path, tuple[str, tuple[int, int, int]]] = {}
_digests_lock = threading.Lock()


def expected_files(bundle: LockedBundle, root: Path) -> dict[str, str]:
    """Return what must be in a bundle's directory: path → SHA-256.

    For an archive that is its manifest's word, which the lock pins in turn.
    """
    files: dict[str, str] = {}
    for artifact in bundle.artifacts:
        if artifact.unpack is None:
            files[artifact.file] = artifact.sha256
            continue
        manifest = root / artifact.manifest
        if not manifest.is_file() or sha256(manifest) != artifact.tree:
            raise ArtifactError(_damaged(bundle, f"{manifest} is missing or was changed"))
        files |= read_manifest(manifest.read_text(encoding="utf-8"))
    return files


def verify(bundle: LockedBundle, root: Path) -> None:
    """Raise ArtifactError, naming the files, when a bundle differs from the lock."""
    expected = expected_files(bundle, root)
    wrong: list[str] = []
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        paths = [root / name for name in expected]
        for path, digest, actual in zip(paths, expected.values(), pool.map(_digest, paths), strict=True):
            if actual is None:
                wrong.append(f"{path} is missing or cannot be read")
            elif actual != digest:
                wrong.append(f"{path} is corrupted: its SHA-256 differs from that of the download")
    # A jar too many on a class path changes what is measured just as well as a damaged one.
    wrong += [
        f"{jar} is an unexpected file"
        for jar in (root / bundle.classpath).glob("*.jar")
        if jar.relative_to(root).as_posix() not in expected
    ]
    if wrong:
        raise ArtifactError(_damaged(bundle, "; ".join(wrong[:3]), len(wrong) - 3))


def _digest(path: Path) -> str | None:
    try:
        stat = path.stat()
        stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        with _digests_lock:
            known = _digests.get(path)
        if known and known[1] == stamp:
            return known[0]
        digest = sha256(path)
    except OSError:
        return None
    with _digests_lock:
        _digests[path] = (digest, stamp)
    return digest


def _damaged(bundle: LockedBundle, what: str, more: int = 0) -> str:
    others = f" (and {more} more)" if more > 0 else ""
    return (
        f"The cached {bundle.name} cannot be used: {what}{others}. Run `rtmbench engines fetch "
        f"{bundle.name}` to fetch it again, or `rtmbench engines prune --all` to empty the cache."
    )
