"""Maintainers' command that rewrites lock.json: `python -m rtmbench.artifacts.relock [--bundle NAME]… [FILE]`.

It asks Maven for the closure of each jar bundle and the package index for each archive, downloads
what it names, and writes down what it got. Review the difference before committing it: from then on
nothing else is accepted. Needs `mvn` and a network.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import click
import requests

from rtmbench.artifacts.fetch import Fetcher, sha256
from rtmbench.artifacts.lock import PACKAGED_LOCK, SCHEMA, Artifact
from rtmbench.artifacts.progress import reporter
from rtmbench.artifacts.source import Sources, simple_links
from rtmbench.artifacts.unpack import unpack
from rtmbench.errors import ArtifactError, RtmbenchError

if TYPE_CHECKING:
    from rtmbench.json_object import JsonObject

DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a bundle is made from: `jars` with their closure less `without`, and `archives`.

    With `alone` the jars come without a closure: another bundle on the same class path has what they need.
    """

    build: str
    jars: tuple[str, ...] = ()
    alone: bool = False
    without: frozenset[str] = frozenset()
    archives: tuple[tuple[str, dict[str, str]], ...] = ()
    classpath: str = "."


LOG4J = "2.25.5"

# Compile-time annotations that come along with Guava: no class needs them to run.
_ANNOTATIONS = {
    "checker-qual",
    "error_prone_annotations",
    "j2objc-annotations",
    "jsr305",
    "listenablefuture",
}

_FLINK = {
    "deps/lib/": "lib/",
    "deps/bin/bash-java-utils.jar": "bin/bash-java-utils.jar",
    "LICENSE": "LICENSE",
    "NOTICE": "NOTICE",
}

# The layout that pyspark's own setup.py gives an installation, examples and data left out.
_SPARK = {
    "pyspark/": "pyspark/",
    "deps/jars/": "pyspark/jars/",
    "deps/bin/": "pyspark/bin/",
    "deps/licenses/": "pyspark/licenses/",
    "lib/": "pyspark/python/lib/",
    "LICENSE": "pyspark/LICENSE",
    "NOTICE": "pyspark/NOTICE",
}


def _spark(build: str) -> Recipe:
    return Recipe(
        build=build,
        archives=(
            (f"pypi:pyspark=={build}", _SPARK),
            (
                "pypi:py4j==0.10.9.9",
                {"py4j/": "py4j/", "py4j-0.10.9.9.dist-info/": "py4j-0.10.9.9.dist-info/"},
            ),
        ),
        classpath="pyspark/jars",
    )


def _spark_connector(build: str) -> Recipe:
    return Recipe(
        build=build,
        jars=(f"org.apache.spark:spark-sql-kafka-0-10_2.13:{build}",),
        # All of these are among Spark's own jars, in the versions that it was tested with.
        without=frozenset(
            {
                "hadoop-client-api",
                "hadoop-client-runtime",
                "jsr305",
                "lz4-java",
                "scala-library",
                "scala-parallel-collections_2.13",
                "slf4j-api",
                "snappy-java",
                "spark-tags_2.13",
            }
        ),
    )


RECIPES = {
    "kafka@4.1": Recipe(
        build="4.1.1",
        jars=(
            "org.apache.kafka:kafka_2.13:4.1.1",
            # Kafka's SLF4J is 1.7, so the binding is log4j-slf4j-impl and not log4j-slf4j2-impl.
            f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J}",
            f"org.apache.logging.log4j:log4j-core:{LOG4J}",
        ),
    ),
    # Kafka's own performance tools, for `make bench`.
    "kafka-tools@4.1": Recipe(build="4.1.1", jars=("org.apache.kafka:kafka-tools:4.1.1",), alone=True),
    "flink@1.20": Recipe(build="1.20.5", archives=(("pypi:apache-flink-libraries==1.20.5", _FLINK),), classpath="lib"),
    "flink-connector-kafka@1.20": Recipe(
        build="3.4.0-1.20",
        jars=("org.apache.flink:flink-connector-kafka:3.4.0-1.20",),
        # flink-dist holds flink-connector-base, lz4, snappy and SLF4J.
        without=frozenset({"flink-connector-base", "lz4-java", "slf4j-api", "snappy-java", *_ANNOTATIONS}),
    ),
    "flink@2.2": Recipe(build="2.2.1", archives=(("pypi:apache-flink-libraries==2.2.1", _FLINK),), classpath="lib"),
    "flink-connector-kafka@2.2": Recipe(
        build="5.0.0-2.2",
        jars=("org.apache.flink:flink-connector-kafka:5.0.0-2.2",),
        without=frozenset({"flink-connector-base", "lz4-java", "slf4j-api", "snappy-java", *_ANNOTATIONS}),
    ),
    "spark@4.1": _spark("4.1.4"),
    "spark-connector-kafka@4.1": _spark_connector("4.1.1"),
    "spark@4.2": _spark("4.2.1"),
    "spark-connector-kafka@4.2": _spark_connector("4.2.0"),
    "spark@4.3": _spark("4.3.0"),
    "spark-connector-kafka@4.3": _spark_connector("4.2.0"),
}


def closure(jars: tuple[str, ...], without: frozenset[str], work: Path) -> list[JsonObject]:
    """Resolve jars and all that they need at run time, as entries of the lock."""
    dependencies = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
            *map(escape, jar.split(":"))
        )
        for jar in jars
    )
    pom, listed = work / "pom.xml", work / "listed.txt"
    pom.write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>io.rtmbench</groupId><artifactId>closure</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>",
        encoding="utf-8",
    )
    command = [
        "mvn", "-q", "-B", "-f", str(pom), f"-Dmaven.repo.local={work / 'repository'}",
        f"{DEPENDENCY_PLUGIN}:list", "-DincludeScope=runtime", f"-DoutputFile={listed}",
        "-DoutputAbsoluteArtifactFilename=true",
    ]  # fmt: skip
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise ArtifactError(f"Maven could not resolve {', '.join(jars)}: {outcome.stdout.strip()}")
    entries = []
    pattern = r"^ +([\w.-]+):([\w.-]+):jar:([\w.-]+):\w+:(/\S+\.jar)"
    for group, name, version, path in re.findall(pattern, listed.read_text(), re.MULTILINE):
        if name not in without:
            entries.append(_entry(f"maven:{group}:{name}:{version}", Path(path)))
    return sorted(entries, key=lambda entry: str(entry["coordinate"]))


def _entry(coordinate: str, path: Path) -> JsonObject:
    return {"coordinate": coordinate, "sha256": sha256(path), "size": path.stat().st_size}


def archive(coordinate: str, rules: dict[str, str], work: Path) -> JsonObject:
    """Look an archive up in the index, download and unpack it: an entry of the lock."""
    sources = Sources.configured()
    artifact = _index_entry(coordinate, sources, from_source=any(name.startswith("deps/") for name in rules))
    with reporter() as shown:
        places: list[Path] = []
        Fetcher(sources, work, shown).fetch_all([artifact], lambda _, path: places.append(path))
        with tempfile.TemporaryDirectory(dir=work) as into:
            manifest = work / artifact.manifest
            manifest.write_text(unpack(places[0], rules, Path(into)), encoding="utf-8")
    return {
        "coordinate": coordinate,
        "file": artifact.file,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "unpack": rules,
        "tree": sha256(manifest),
    }


def _index_entry(coordinate: str, sources: Sources, *, from_source: bool) -> Artifact:
    """Take the universal wheel of a release, else its source archive, from a JSON index.

    `from_source` passes over the wheel, where the layout that is needed is the source archive's: Flink has both.
    """
    project, _, version = coordinate.removeprefix("pypi:").partition("==")
    with requests.Session() as session:
        url = f"{sources.pypi.urls[0]}{project}/"
        accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
        response = sources.pypi.get(session, url, headers=accept, stream=False)
        response.raise_for_status()
        names = {name for name, _ in simple_links(response)}
        files = {entry["filename"]: entry for entry in response.json()["files"]}
    stem = f"{project.replace('-', '_')}-{version}"
    wheels = () if from_source else (f"{stem}-py2.py3-none-any.whl", f"{stem}-py3-none-any.whl")
    for name in (*wheels, f"{stem}.tar.gz"):
        if name in names:
            blank = Artifact(coordinate=coordinate, file=name, sha256="", size=0)
            entry = files[name]
            return replace(blank, sha256=entry["hashes"]["sha256"], size=entry["size"])
    raise ArtifactError(f"The index {url} has no archive of {coordinate}.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default=PACKAGED_LOCK)
@click.option("--bundle", "names", multiple=True, type=click.Choice(list(RECIPES)), help="Only this one; repeatable.")
def main(file: Path, names: tuple[str, ...]) -> None:
    """Resolve every bundle, or the named ones, and write the lock FILE (by default the package's own)."""
    locked = json.loads(file.read_text(encoding="utf-8"))["bundles"] if names else {}
    bundles: JsonObject = {}
    with tempfile.TemporaryDirectory(prefix="rtmbench-relock-") as directory:
        work = Path(directory)
        for name, recipe in RECIPES.items():
            if names and name not in names:
                bundles[name] = locked[name]
                continue
            click.echo(f"resolving {name}", err=True)
            try:
                artifacts = closure(recipe.jars, recipe.without, work) if recipe.jars else []
                if recipe.alone:
                    artifacts = [jar for jar in artifacts if jar["coordinate"][len("maven:") :] in recipe.jars]
                artifacts += [archive(coordinate, rules, work) for coordinate, rules in recipe.archives]
            except RtmbenchError as error:
                click.echo(f"error: {error}", err=True)
                sys.exit(getattr(error, "exit_code", 1))
            entry: JsonObject = {"build": recipe.build}
            if recipe.classpath != ".":
                entry["classpath"] = recipe.classpath
            bundles[name] = entry | {"artifacts": artifacts}
    text = json.dumps({"schema": SCHEMA, "bundles": bundles}, indent=1)
    file.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
