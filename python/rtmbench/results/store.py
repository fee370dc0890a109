"""One directory per run: the document, its files, and a manifest of their hashes.

    results/20261123T093000123Z-01-5f2c9a/
        result.json      the document, replaced after each trial; `complete: false` until the end
        manifest.json    SHA-256 and size of every other file
        *.hlog, logs/…   what the trials kept

Every write goes to a temporary file, is flushed to disk and renamed: whoever reads, or kills the
run, sees the document before or after a trial, never half of one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.results.model import Result

if TYPE_CHECKING:
    from rtmbench.json_object import JsonObject

DOCUMENT = "result.json"
MANIFEST = "manifest.json"
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


def new_run_id(pattern: str, now: dt.datetime | None = None) -> str:
    """Give a fresh run id: sortable by time (UTC, ms), unique, safe as a file name."""
    now = (now or dt.datetime.now(dt.timezone.utc)).astimezone(dt.timezone.utc)
    stamp = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z"
    safe = re.sub(r"[^0-9A-Za-z]+", "-", pattern).strip("-")[:20] or "run"
    return f"{stamp}-{safe}-{secrets.token_hex(6)}"


class RunDirectory:
    """The directory of one run, open for writing. `path` is absolute; `run_id` is its name."""

    def __init__(self, path: Path) -> None:
        self._lock = -1
        self.path = path.absolute()
        self.run_id = path.name
        self._hashes: dict[str, tuple[int, int, str]] = {}
        self._lock = _lock(path)

    @classmethod
    def create(cls, root: Path, run_id: str) -> RunDirectory:
        """Make the directory `root/run_id`, parents included, and prove that it can be written.

        Raises:
            PreflightError: the directory exists, or cannot be made or written.
            ConfigurationError: `run_id` is not a plain file name.

        """
        if not _NAME.fullmatch(run_id):
            raise ConfigurationError(f"The run id {run_id[:80]!r} is not a plain file name.")
        path = Path(root) / run_id
        try:
            Path(root).mkdir(parents=True, exist_ok=True)
            path.mkdir()
            # Making a directory proves little: a full disk still takes a name, but no content.
            _write(path / ".probe", b"rtmbench")
            (path / ".probe").unlink()
        except OSError as error:
            raise PreflightError(
                f"Results cannot be written to {Path(root).absolute()}: "
                f"{error.strerror or error}. Make the directory writable, or name another with "
                "`--results DIR`."
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Open the directory of an existing run to continue it.

        Raises:
            PreflightError: another process is writing to it, or it cannot be written.

        """
        try:
            return cls(path)
        except OSError as error:
            raise PreflightError(f"The run {path} cannot be continued: {error.strerror or error}.") from error

    def file(self, name: str) -> Path:
        """Give the path for a file of the run (parents made), `name` relative to the directory."""
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise ConfigurationError(f"{name[:80]!r} leads out of the run's directory.")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, result: Result) -> None:
        """Replace the document and the manifest; called after each trial.

        Raises:
            PreflightError: the disk is full or the directory no longer writable.

        """
        self.put(DOCUMENT, result.to_json(), complete=result.complete)

    def put(self, name: str, text: str, *, complete: bool) -> None:
        """Replace the document `name` and the manifest, as `write` does for a result.

        Raises:
            PreflightError: the disk is full or the directory no longer writable.

        """
        try:
            _write(self.path / name, text.encode())
            manifest = {"run_id": self.run_id, "complete": complete, "files": self._files()}
            _write(self.path / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())
        except OSError as error:
            raise PreflightError(
                f"The results of run {self.run_id} could not be written to {self.path}: "
                f"{error.strerror or error}. Free space there, or name another directory with "
                "`--results DIR`."
            ) from error

    def close(self) -> None:
        """Give the directory up, so that another process may continue the run. Safe to call again."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __del__(self) -> None:
        self.close()

    def finish(self, result: Result) -> Result:
        """Write the document for the last time, marked complete, and give it back so marked."""
        finished = dataclasses.replace(result, complete=True)
        self.write(finished)
        return finished

    def _files(self) -> dict[str, JsonObject]:
        files = {}
        for path in sorted(self.path.rglob("*")):
            name = path.relative_to(self.path).as_posix()
            if name == MANIFEST or path.is_symlink() or not path.is_file():
                continue
            stat = path.stat()
            known = self._hashes.get(name)
            # Files of earlier trials do not change; they are hashed once.
            if known is None or known[:2] != (stat.st_size, stat.st_mtime_ns):
                known = (stat.st_size, stat.st_mtime_ns, _sha256(path))
                self._hashes[name] = known
            files[name] = {"sha256": known[2], "bytes": known[0]}
        return files


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """A run found on disk; `result` is `None` where the document cannot be read: see `problem`."""

    path: Path
    result: Result | None
    problem: str | None = None


def load(reference: str | os.PathLike[str], root: Path = Path("results")) -> Result:
    """Read the document of a run by its id (under `root`), its directory or its file.

    Raises:
        ConfigurationError: no such run, not a result, of an unknown major version, cut short.

    """
    path = locate(reference, root)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"The result {path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise ConfigurationError(
            f"The result {path} is not JSON ({error}). The file may be truncated or edited."
        ) from error
    return Result.from_dict(document, source=str(path))


def locate(reference: str | os.PathLike[str], root: Path = Path("results")) -> Path:
    """Give the path of a run's document, for its id, its directory or the file itself.

    Raises:
        ConfigurationError: the run is unknown; the message names the newest runs.

    """
    name = os.fspath(reference)
    candidates = [Path(name)]
    if _NAME.fullmatch(name):
        candidates.insert(0, Path(root) / name)
    for candidate in candidates:
        if (candidate / DOCUMENT).is_file():
            return candidate / DOCUMENT
        if candidate.is_file():
            return candidate
    newest = [path.name for path in _directories(root)][:3]
    known = f"The newest runs are {', '.join(newest)}." if newest else "The directory contains no runs."
    raise ConfigurationError(
        f"Unknown run {name[:120]!r} in {Path(root).absolute()}. {known} "
        "Name a run's id, its directory or its result.json, or another place with `--results DIR`."
    )


def list_runs(root: Path = Path("results")) -> list[RunEntry]:
    """Give all runs under `root`, newest first; unreadable ones with their problem."""
    return [_entry(path) for path in _directories(root)]


def verify_manifest(path: Path) -> list[str]:
    """Check a run's files against its manifest; give a sentence per difference, none if all match.

    Raises:
        ConfigurationError: the manifest is missing or unreadable.

    """
    try:
        files: dict[str, JsonObject] = json.loads((path / MANIFEST).read_text("utf-8"))["files"]
        expected_digests = {name: str(entry["sha256"]) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"The manifest of {path} cannot be read: {error}.") from error
    problems = []
    for name, digest in expected_digests.items():
        file = path / name
        if not file.is_file():
            problems.append(f"{name} is missing")
        elif _sha256(file) != digest:
            problems.append(f"{name} was changed after the run")
    return problems


def write_file(path: Path, document: Any) -> None:
    """Write a JSON file next to the runs, whole or not at all; create its directory.

    Raises:
        PreflightError: the directory cannot be written.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise PreflightError(
            f"{path} could not be written: {error.strerror or error}. Make its directory writable, or name another "
            "place with `--results DIR`."
        ) from error


def load_all(reference: str | os.PathLike[str], root: Path = Path("results")) -> list[Result]:
    """Read the documents of a run, or of all runs of an experiment, oldest first.

    Raises:
        ConfigurationError: no such run or experiment, or a document of it cannot be read.

    """
    return [load(path, root) for path in locate_all(reference, root)]


def locate_all(reference: str | os.PathLike[str], root: Path = Path("results")) -> list[Path]:
    """Give the paths of the documents that a run's or an experiment's id, a directory or a file names.

    Raises:
        ConfigurationError: the run or experiment is unknown.

    """
    try:
        return [locate(reference, root)]
    except ConfigurationError as unknown:
        name = os.fspath(reference)
        entries = [entry for entry in list_runs(root) if entry.result and entry.result.experiment_id == name]
        if not entries:
            raise unknown from None
        return [entry.path / DOCUMENT for entry in reversed(entries)]


def _entry(path: Path) -> RunEntry:
    try:
        return RunEntry(path=path, result=load(path))
    except ConfigurationError as error:
        return RunEntry(path=path, result=None, problem=str(error))


def _directories(root: Path) -> list[Path]:
    try:
        return sorted((p.parent for p in Path(root).glob(f"*/{DOCUMENT}")), reverse=True)
    except OSError:
        return []


def _lock(path: Path) -> int:
    """Claim a run's directory for this process; the claim ends with the process, however that ends."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise PreflightError(
            f"The run {path.name} is being written by another process. Wait until that has ended, or end it."
        ) from None
    return descriptor


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a power cut, finds the old content or the new."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    # The rename itself lives in the directory, which has to reach the disk too.
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
