"""The cache: one directory per bundle, complete and verified or not there at all.

ROOT/bundles/NAME-BUILD-DIGEST/   jars, or what was taken out of an archive with its manifest
ROOT/downloads/                   `.part` files to be continued; nothing is used from here
ROOT/staging/                     bundles being built, renamed into place as the last step
ROOT/lock                         held by the one process that writes; readers do not need it
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock, Timeout

from rtmbench.artifacts.fetch import Fetcher, sha256
from rtmbench.artifacts.lock import Artifact, Lock, LockedBundle, load_lock
from rtmbench.artifacts.progress import MEGABYTE, Reporter, reporter
from rtmbench.artifacts.source import Sources
from rtmbench.artifacts.unpack import unpack
from rtmbench.artifacts.verify import verify
from rtmbench.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# An archive and its unpacked files are on the disk together for a moment.
_ROOM = 2.3


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle that is ready to run. `root` is absolute; Spark's is a directory for PYTHONPATH."""

    name: str
    build: str
    root: Path
    jars: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class BundleStatus:
    """What `rtmbench engines list` shows. Sizes are bytes; `cached` is 0 where nothing is."""

    name: str
    build: str
    download_size: int
    cached: bool
    cached_size: int
    path: Path


def default_root(environment: Mapping[str, str] | None = None) -> Path:
    """Return where the cache is: RTMBENCH_CACHE, else the platform's cache directory."""
    environment = os.environ if environment is None else environment
    chosen = environment.get("RTMBENCH_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("rtmbench")


class Cache:
    """Fetches, verifies and hands out bundles.

    With `offline` nothing is downloaded: what is missing is an ArtifactError. `lock` and `sources`
    are for tests; the packaged lock and this machine's configuration are the default.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        offline: bool = False,
        lock: Lock | None = None,
        sources: Sources | None = None,
    ) -> None:
        self.root = (root or default_root()).absolute()
        self.offline = offline
        self.lock = lock or load_lock()
        self._sources = sources

    def ensure(self, bundle: str, *, progress: Reporter | None = None) -> Bundle:
        """Return a bundle that is complete and verified, fetching it first where it is missing.

        Raises ConfigurationError for a name that the lock does not have, and ArtifactError, which
        names the artifact, the cause and the way out, for everything else.
        """
        return self.ensure_many([bundle], progress=progress)[bundle]

    def ensure_many(self, bundles: Iterable[str], *, progress: Reporter | None = None) -> dict[str, Bundle]:
        """Return several bundles by name; what is missing is downloaded in parallel.

        A cached bundle that is damaged is an error here, and is replaced by `fetch`.
        """
        return self._provide(bundles, progress, repair=False)

    def fetch(self, bundles: Iterable[str], *, progress: Reporter | None = None) -> dict[str, Bundle]:
        """Like `ensure_many`, but replace a cached bundle that is damaged."""
        return self._provide(bundles, progress, repair=not self.offline)

    def status(self, bundle: str) -> BundleStatus:
        """Return whether a bundle is cached, without hashing it."""
        locked = self.lock.bundle(bundle)
        path = self._path(locked)
        return BundleStatus(
            name=locked.name,
            build=locked.build,
            download_size=locked.size,
            cached=path.is_dir(),
            cached_size=_size(path),
            path=path,
        )

    def prune(self, *, everything: bool = False) -> list[tuple[Path, int]]:
        """Remove what the lock no longer names and left-over downloads; returns (path, bytes) each.

        With `everything` the whole cache goes. A run that uses it at that moment would fail.
        """
        if not self.root.is_dir():
            return []
        removed: list[tuple[Path, int]] = []
        with self._writing(None):
            keep = frozenset() if everything else self.lock.directories
            for area in ("bundles", "staging", "downloads"):
                for path in sorted(_entries(self.root / area)):
                    if area == "bundles" and path.name in keep:
                        continue
                    removed.append((path, _size(path)))
                    _remove(path)
        return removed

    def _provide(self, names: Iterable[str], progress: Reporter | None, *, repair: bool) -> dict[str, Bundle]:
        bundles = {name: self.lock.bundle(name) for name in dict.fromkeys(names)}
        missing = self._missing(bundles.values(), repair=repair)
        if missing and self.offline:
            raise ArtifactError(
                f"Not in the cache {self.root}, and downloads are off: {_list(missing)}. Run "
                f"`rtmbench engines fetch {' '.join(bundle.name for bundle in missing)}` where there "
                "is a network, or set RTMBENCH_CACHE to a cache that has them."
            )
        if missing:
            with ExitStack() as stack:
                shown = progress or stack.enter_context(reporter())
                stack.enter_context(self._writing(shown))
                # Another process may have fetched them while this one waited for its turn.
                self._populate(self._missing(missing, repair=repair), shown)
        return {name: self._ready(locked) for name, locked in bundles.items()}

    def _missing(self, bundles: Iterable[LockedBundle], *, repair: bool) -> list[LockedBundle]:
        missing = []
        for bundle in bundles:
            path = self._path(bundle)
            if path.is_dir():
                try:
                    verify(bundle, path)
                except ArtifactError:
                    if not repair:
                        raise
                else:
                    continue
            missing.append(bundle)
        return missing

    def _populate(self, bundles: list[LockedBundle], shown: Reporter) -> None:
        if not bundles:
            return
        downloads, staging = self.root / "downloads", self.root / "staging"
        self._make_room(bundles)
        for left_over in _entries(staging):
            _remove(left_over)
        for directory in (downloads, staging, self.root / "bundles"):
            directory.mkdir(parents=True, exist_ok=True)
        fetcher = Fetcher(self._sources or Sources.configured(), downloads, shown)
        building = {bundle.name: _Building(bundle, staging) for bundle in bundles}
        artifacts: dict[str, Artifact] = {}
        for bundle in bundles:
            self._reuse(bundle, downloads)
            artifacts |= {artifact.sha256: artifact for artifact in bundle.artifacts}

        def place(artifact: Artifact, file: Path) -> None:
            if artifact.unpack:
                shown.message(f"unpacking {artifact.file}")
            for unfinished in building.values():
                if unfinished.add(artifact, file, fetcher):
                    self._install(unfinished, shown)
            file.unlink()

        try:
            fetcher.fetch_all(artifacts.values(), place)
        finally:
            for unfinished in building.values():
                _remove(unfinished.root)

    def _install(self, building: _Building, shown: Reporter) -> None:
        final = self._path(building.bundle)
        if final.exists():
            # Renamed away first: a reader sees the old directory, the new one, or none.
            damaged = Path(tempfile.mkdtemp(dir=self.root / "staging", prefix="damaged-"))
            final.replace(damaged / final.name)
            _remove(damaged)
        building.root.replace(final)
        shown.message(f"{building.bundle.name} ({building.bundle.build}) is ready in {final}")

    def _reuse(self, bundle: LockedBundle, downloads: Path) -> None:
        """Take the good jars of a damaged bundle over, so that only the bad one is downloaded."""
        for artifact in bundle.artifacts:
            present = self._path(bundle) / artifact.file
            target = downloads / f"{artifact.sha256[:16]}-{artifact.file}"
            if artifact.unpack is None and present.is_file() and sha256(present) == artifact.sha256:
                shutil.copy2(present, target)

    def _make_room(self, bundles: list[LockedBundle]) -> None:
        needed = _ROOM * sum(bundle.size for bundle in bundles)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise _unwritable(self.root, error) from error
        if free < needed:
            raise ArtifactError(
                f"The cache {self.root} needs {needed / MEGABYTE:,.0f} MB for {_list(bundles)}, "
                f"and its disk has {free / MEGABYTE:,.0f} MB left. Make room, run `rtmbench engines "
                "prune`, or set RTMBENCH_CACHE to another disk."
            )

    @contextmanager
    def _writing(self, shown: Reporter | None) -> Iterator[None]:
        """Hold the cache's lock; a process that dies gives it back."""
        lock = FileLock(self.root / "lock")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if shown:
                    shown.message(f"waiting for another rtmbench that is filling {self.root}")
                lock.acquire()
        except OSError as error:
            raise _unwritable(self.root, error) from error
        try:
            yield
        finally:
            lock.release()

    def _path(self, bundle: LockedBundle) -> Path:
        return self.root / "bundles" / bundle.directory

    def _ready(self, bundle: LockedBundle) -> Bundle:
        root = self._path(bundle)
        jars = tuple(sorted((root / bundle.classpath).glob("*.jar")))
        return Bundle(name=bundle.name, build=bundle.build, root=root, jars=jars)


class _Building:
    """A bundle in the staging directory and the artifacts that it still lacks."""

    def __init__(self, bundle: LockedBundle, staging: Path) -> None:
        self.bundle = bundle
        self.root = Path(tempfile.mkdtemp(dir=staging, prefix=f"{bundle.directory}-"))
        self.root.chmod(0o755)
        self._lacks = {artifact.sha256 for artifact in bundle.artifacts}
        self._lock = threading.Lock()

    def add(self, artifact: Artifact, file: Path, fetcher: Fetcher) -> bool:
        """Place a verified file if it belongs here; True when that made the bundle complete."""
        matching = [entry for entry in self.bundle.artifacts if entry.sha256 == artifact.sha256]
        for entry in matching:
            if entry.unpack is None:
                shutil.copyfile(file, self.root / entry.file)
                continue
            manifest = unpack(file, entry.unpack, self.root, check=fetcher.check)
            path = self.root / entry.manifest
            path.write_text(manifest, encoding="utf-8")
            if sha256(path) != entry.tree:
                raise ArtifactError(
                    f"{entry.file} has the right SHA-256 but unpacks to other files than the lock "
                    "names. This is a fault of rtmbench or of its lock; please report it."
                )
        with self._lock:
            self._lacks.discard(artifact.sha256)
            return bool(matching) and not self._lacks


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def _list(bundles: Iterable[LockedBundle]) -> str:
    return ", ".join(f"{bundle.name} ({bundle.build})" for bundle in bundles)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _unwritable(root: Path, error: OSError) -> ArtifactError:
    return ArtifactError(
        f"The cache {root} cannot be written: {error.strerror or error}. Make it writable, or set "
        "RTMBENCH_CACHE to a directory that is."
    )
