"""The lock file: which artifacts make up an engine, each pinned by size and SHA-256."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = "rtmbench.lock/1"
PACKAGED_LOCK = Path(__file__).with_name("lock.json")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file to be downloaded.

    `coordinate` is `maven:group:artifact:version` or `pypi:name==version`, `size` counts bytes.
    An archive names in `unpack` the required members (a name that ends in `/` is a whole
    directory) and where each goes; `tree` is the SHA-256 of the manifest of the unpacked files.
    """

    coordinate: str
    file: str
    sha256: str
    size: int
    unpack: Mapping[str, str] | None = None
    tree: str | None = None

    @property
    def registry(self) -> str:
        """`maven` or `pypi`."""
        return self.coordinate.partition(":")[0]

    @property
    def manifest(self) -> str:
        """The name, inside the bundle's directory, of the manifest of an unpacked archive."""
        return f".{self.file}.sha256"

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Artifact:
        """Read one entry of the lock; for Maven the file's name follows from the coordinate."""
        coordinate = str(document["coordinate"])
        artifact = cls(
            coordinate=coordinate,
            file=str(document.get("file") or maven_file(coordinate)),
            sha256=str(document["sha256"]),
            size=int(document["size"]),
            unpack=document.get("unpack"),
            tree=document.get("tree"),
        )
        if PurePosixPath(artifact.file).name != artifact.file:
            raise ConfigurationError(f"The lock names a file with a directory: {artifact.file!r}.")
        return artifact


@dataclass(frozen=True, kw_only=True)
class LockedBundle:
    """What belongs together: an engine, or the connector that it reads Kafka with.

    `build` is the release that runs for the version in the name (`spark@4.1` runs `4.1.4`);
    `classpath` is the directory, relative to the bundle's, that holds its jars.
    """

    name: str
    build: str
    artifacts: tuple[Artifact, ...]
    classpath: str = "."
    digest: str = ""

    @property
    def size(self) -> int:
        """Bytes to download."""
        return sum(artifact.size for artifact in self.artifacts)

    @property
    def directory(self) -> str:
        """The directory's name in the cache: another lock entry never shares it."""
        return f"{self.name.partition('@')[0]}-{self.build}-{self.digest[:12]}"


@dataclass(frozen=True, kw_only=True)
class Lock:
    """All bundles that this release of rtmbench can run."""

    bundles: Mapping[str, LockedBundle]

    def bundle(self, name: str) -> LockedBundle:
        """Look a bundle up by name; ConfigurationError lists those that exist."""
        try:
            return self.bundles[name]
        except KeyError:
            known = ", ".join(sorted(self.bundles))
            raise ConfigurationError(f"Unknown engine bundle {name!r}. The bundles in the lock are {known}.") from None

    def resolve(self, name: str) -> list[str]:
        """Return the bundles behind a bundle's name, or all that a run of an engine needs.

        `flink@1.20` (or `flink`, the first version in the lock) means Flink, its Kafka
        connector and Kafka. Raises ConfigurationError, listing what exists, for anything else.
        """
        name = name.partition(":")[0]
        known = next((bundle for bundle in self.bundles if bundle.partition("@")[0] == name), name)
        self.bundle(known)
        engine, _, version = known.partition("@")
        connector = f"{engine}-connector-kafka@{version}"
        if connector not in self.bundles:
            return [known]
        brokers = [bundle for bundle in self.bundles if bundle.startswith("kafka@")]
        return [*brokers, known, connector]

    @cached_property
    def directories(self) -> frozenset[str]:
        """The cache directories that this lock still names."""
        return frozenset(bundle.directory for bundle in self.bundles.values())


def maven_path(coordinate: str) -> str:
    """Where a Maven repository holds the jar of `maven:group:artifact:version`."""
    group, name, version = _maven_parts(coordinate)
    return f"{group.replace('.', '/')}/{name}/{version}/{name}-{version}.jar"


def maven_file(coordinate: str) -> str:
    """Return the jar's file name, `artifact-version.jar`."""
    return PurePosixPath(maven_path(coordinate)).name


def _maven_parts(coordinate: str) -> tuple[str, str, str]:
    match coordinate.split(":"):
        case ["maven", group, name, version]:
            return group, name, version
        case _:
            raise ConfigurationError(f"Not a Maven coordinate of the lock: {coordinate!r}.")


def load_lock(path: Path = PACKAGED_LOCK) -> Lock:
    """Read a lock file; without an argument the one that came with the package."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("schema") != SCHEMA:
        raise ConfigurationError(
            f"The lock file {path} has schema {document.get('schema')!r}; this release reads {SCHEMA!r}."
        )
    return Lock(
        bundles={
            name: LockedBundle(
                name=name,
                build=entry["build"],
                artifacts=tuple(Artifact.from_dict(artifact) for artifact in entry["artifacts"]),
                classpath=entry.get("classpath", "."),
                digest=hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest(),
            )
            for name, entry in document["bundles"].items()
        }
    )
