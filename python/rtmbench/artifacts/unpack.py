"""Take the named members out of an archive; nothing that it contains is ever run."""

from __future__ import annotations

import gzip
import hashlib
import stat
import tarfile
import zipfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from rtmbench.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_CHUNK = 1 << 20


class Member:
    """One regular file of an archive: its name, whether it is executable, how to read it."""

    def __init__(self, name: str, *, regular: bool, executable: bool, opener: Callable[[], IO[bytes]]) -> None:
        self.name = name
        self.regular = regular
        self.executable = executable
        self.open = opener


def unpack(
    archive: Path,
    rules: Mapping[str, str],
    into: Path,
    *,
    check: Callable[[], None] = lambda: None,
) -> str:
    """Unpack what `rules` names from a `.tar.gz`, `.whl` or `.zip` into a directory.

    A rule's key is a member, or a directory when it ends in `/`; its value is the path below
    `into`. The one top directory of a `.tar.gz` is left out of the names. `check` is called now
    and then and may raise to stop.

    Returns the manifest: a line `sha256  path` for each file, sorted, as `sha256sum` writes them.
    Raises ArtifactError, for an unreadable archive, a name that leaves the directory, a link where
    a file is expected, a rule that matches nothing.
    """
    lines: dict[str, str] = {}
    unmatched = set(rules)
    try:
        with _members(archive) as members:
            for member in members:
                check()
                _refuse_traversal(archive, member.name)
                rule = _matching(member.name, rules)
                if rule is None:
                    continue
                unmatched.discard(rule)
                target = rules[rule] + member.name.removeprefix(rule) if rule[-1] == "/" else rules[rule]
                if not member.regular or target in lines:
                    kind = "is a link or a device" if not member.regular else "occurs twice"
                    raise ArtifactError(
                        f"{archive.name} was not unpacked: its member {member.name!r} {kind}, "
                        "which no archive in the lock should hold."
                    )
                lines[target] = _write(member, into / target)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, gzip.BadGzipFile) as error:
        raise ArtifactError(f"{archive.name} is not a readable archive: {error}.") from error
    if unmatched:
        raise ArtifactError(f"{archive.name} does not hold {', '.join(sorted(unmatched))}, which the lock requires.")
    return "".join(f"{lines[path]}  {path}\n" for path in sorted(lines))


def read_manifest(text: str) -> dict[str, str]:
    """Read a manifest back: path → SHA-256."""
    return {line[66:]: line[:64] for line in text.splitlines()}


def _matching(name: str, rules: Mapping[str, str]) -> str | None:
    for rule in rules:
        if name == rule or (rule.endswith("/") and name.startswith(rule)):
            return rule
    return None


def _refuse_traversal(archive: Path, name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        raise ArtifactError(f"{archive.name} was not unpacked: its member {name!r} points outside the directory.")


def _write(member: Member, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with member.open() as source, target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            sink.write(chunk)
    target.chmod(0o755 if member.executable else 0o644)
    return digest.hexdigest()


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    if archive.name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(archive) as bundle:
            yield _zip_members(bundle)
    else:
        # Read in one pass: the archive's index would cost a second decompression.
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as bundle:
            yield _tar_members(archive, bundle)


def _zip_members(bundle: zipfile.ZipFile) -> Iterator[Member]:
    for info in bundle.infolist():
        mode = info.external_attr >> 16
        if not info.is_dir():
            yield Member(
                info.filename,
                regular=stat.S_IFMT(mode) in {0, stat.S_IFREG},
                executable=bool(mode & stat.S_IXUSR),
                opener=partial(bundle.open, info),
            )


def _tar_members(archive: Path, bundle: tarfile.TarFile) -> Iterator[Member]:
    for info in bundle:
        # Before the top directory is cut off: it may itself be `..`.
        _refuse_traversal(archive, info.name)
        if not info.isdir():
            yield Member(
                info.name.partition("/")[2] or info.name,
                regular=info.isreg(),
                executable=bool(info.mode & stat.S_IXUSR),
                opener=partial(_extract, bundle, info),
            )


def _extract(bundle: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = bundle.extractfile(info)
    if stream is None:
        raise tarfile.ReadError(f"{info.name} has no content")
    return stream
