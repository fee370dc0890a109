"""Where the pipelines are: in a source checkout, which builds its jars on first use, or in the wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.patterns import find_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


PACKAGED = Path(__file__).parents[1] / "_pipelines"
CHECKOUT = Path(__file__).resolve().parents[3] / "pipelines"

BUILD_TIMEOUT_S = 900
LOG_LINES = 15


def locate(
    pattern: str,
    engine: str,
    *,
    say: Callable[[str], None] | None = None,
    packaged: Path = PACKAGED,
    checkout: Path = CHECKOUT,
) -> Path:
    """Return the job jar (`flink`) or the Python file (`spark`) of a pattern's pipeline, such as `"01"`.

    A wheel carries both. A checkout builds the jar with Maven where it is missing or older than its sources; `say`
    receives a message before that, since the first build takes about half a minute.

    Raises `ConfigurationError` for an unknown pattern or engine, and `PreflightError` where the pipeline is not there
    or cannot be built.
    """
    definition = find_pattern(pattern)
    if engine not in {"flink", "spark"}:
        raise ConfigurationError(f"Engine {engine!r} has no pipelines. The engines with pipelines are flink and spark.")
    directory = _directory(definition.directory, engine, packaged, checkout)
    if engine == "spark":
        return _only_python_file(directory)
    return _jar(directory, f"{definition.name}.jar", packaged, checkout, say)


def spark_jars(
    pattern: str,
    *,
    say: Callable[[str], None] | None = None,
    packaged: Path = PACKAGED,
    checkout: Path = CHECKOUT,
) -> list[Path]:
    """Return the additional jars that a pattern's Spark pipeline needs on Spark's class path; most need none.

    They are located, or built, and fail, as in `locate`.
    """
    definition = find_pattern(pattern)
    if definition.spark_jar is None:
        return []
    directory = _directory(definition.directory, "spark", packaged, checkout)
    return [_jar(directory, definition.spark_jar, packaged, checkout, say)]


def local_files_jar(
    *, say: Callable[[str], None] | None = None, packaged: Path = PACKAGED, checkout: Path = CHECKOUT
) -> Path:
    """Return the jar with which Spark writes local files without a process for each; as `locate` does with others."""
    directory = _directory("common", "spark", packaged, checkout)
    return _jar(directory, "local-files.jar", packaged, checkout, say)


def slow_storage_jar(
    *, say: Callable[[str], None] | None = None, packaged: Path = PACKAGED, checkout: Path = CHECKOUT
) -> Path:
    """Return the jar with the storage that answers late, for both engines; as `locate` does with others."""
    directory = _directory("common", "storage", packaged, checkout)
    return _jar(directory, "slow-storage.jar", packaged, checkout, say)


def claims_jar(
    *, say: Callable[[str], None] | None = None, packaged: Path = PACKAGED, checkout: Path = CHECKOUT
) -> Path:
    """Return the jar of the small jobs that the claims about Flink run; as `locate` does with a pattern's."""
    directory = _directory("claims", "flink", packaged, checkout)
    return _jar(directory, "claims.jar", packaged, checkout, say)


def _directory(project: str, engine: str, packaged: Path, checkout: Path) -> Path:
    # A checkout comes first: an editable install leaves copies next to the package, and they age.
    in_checkout = (checkout / "pom.xml").is_file()
    for root in (checkout, packaged) if in_checkout else (packaged,):
        directory = root / project / engine
        if directory.is_dir():
            return directory
    raise PreflightError(
        f"The {engine} pipeline in {project} is neither in this installation ({packaged}) nor in a checkout"
        f" ({checkout}). Install the rtmbench wheel again, or run from a full checkout."
    )


def _jar(directory: Path, name: str, packaged: Path, checkout: Path, say: Callable[[str], None] | None) -> Path:
    if directory.is_relative_to(packaged):
        return _packaged_jar(directory / name)
    return _built_jar(directory / "target" / name, directory, checkout, say)


def _only_python_file(directory: Path) -> Path:
    files = sorted(directory.glob("*.py"))
    if len(files) != 1:
        raise PreflightError(
            f"{directory} must hold one Python file, but holds {len(files)}. Restore it from the source."
        )
    return files[0]


def _packaged_jar(jar: Path) -> Path:
    if not jar.is_file():
        raise PreflightError(
            f"This installation has no {jar.name} in {jar.parent}: the wheel was built without its jars. Install a"
            " wheel from `make wheel`."
        )
    return jar


def _built_jar(jar: Path, directory: Path, checkout: Path, say: Callable[[str], None] | None) -> Path:
    if not _stale(jar, directory, checkout):
        return jar
    # Two runs may start at once in one checkout; the second finds the jar that the first has built.
    lock = checkout / "target" / "build.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if _stale(jar, directory, checkout):
            if say:
                say(f"Building {jar.name} with Maven …")
            _build(directory, checkout)
            if not jar.is_file():
                raise PreflightError(
                    f"Maven reported success, but {jar} is not there. Look at {directory / 'pom.xml'}."
                )
            # Maven leaves a jar alone when its content is the same; it is still as fresh as its sources.
            os.utime(jar)
    return jar


def _stale(jar: Path, directory: Path, checkout: Path) -> bool:
    if not jar.is_file():
        return True
    built = jar.stat().st_mtime_ns
    return any(source.stat().st_mtime_ns > built for source in _sources(directory, checkout))


def _sources(directory: Path, checkout: Path) -> Iterator[Path]:
    yield checkout / "pom.xml"
    modules = [directory]
    if directory.name == "flink":
        modules += [checkout / "flink-parent", checkout / "flink-common"]
    for module in modules:
        yield module / "pom.xml"
        yield from (path for path in (module / "src" / "main").rglob("*") if path.is_file())


def _build(directory: Path, checkout: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise PreflightError(
            "A source checkout needs Maven to build its jars, and PATH has no `mvn`. Install"
            " Maven 3.8 or newer (Debian: apt-get install maven; macOS: brew install maven), or install the rtmbench"
            " wheel, which carries them."
        )
    module = directory.relative_to(checkout).as_posix()
    command = [maven, "-B", "-ntp", "-q", "-f", str(checkout / "pom.xml"), "-pl", module]
    try:
        built = subprocess.run(
            [*command, "-Dmaven.test.skip=true", "package"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PreflightError(
            f"Maven has not built {module} within {BUILD_TIMEOUT_S} s. Is its repository reachable? Try"
            f" `{' '.join(command)} package` to see what it waits for."
        ) from error
    if built.returncode:
        lines = [line for line in built.stdout.splitlines() if line.strip(" \x1b[0m")]
        raise PreflightError(
            f"Maven could not build {module} (exit code {built.returncode}). It needs a JDK of 17 or newer and,"
            " the first time, its repository. Its output ends:\n" + "\n".join(lines[:LOG_LINES])
        )
