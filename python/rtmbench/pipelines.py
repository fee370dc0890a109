"""Where the pipelines are: in a source checkout, which builds its Flink jobs on first use, or in the wheel."""

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

    from rtmbench.patterns import Pattern

PACKAGED = Path(__file__).parent / "_pipelines"
CHECKOUT = Path(__file__).resolve().parents[2] / "pipelines"

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

    A wheel carries both. A checkout builds the jar with Maven where it is missing or older than its sources; `say` is
    told before that, since the first build takes about half a minute.

    Raises `ConfigurationError` for an unknown pattern or engine, and `PreflightError` where the pipeline is not there
    or cannot be built.
    """
    found = find_pattern(pattern)
    if engine not in {"flink", "spark"}:
        raise ConfigurationError(f"There are no pipelines for {engine!r}, only for flink and spark.")
    # A checkout comes first: an editable install leaves copies beside the package, and they age.
    in_checkout = (checkout / "pom.xml").is_file()
    for root in (checkout, packaged) if in_checkout else (packaged,):
        directory = root / found.directory / engine
        if not directory.is_dir():
            continue
        if engine == "spark":
            return _only_python_file(directory)
        if root == packaged:
            return _packaged_jar(directory, found)
        return _built_jar(directory, found, checkout, say)
    raise PreflightError(
        f"The {engine} pipeline of pattern {found.id} is neither in this installation ({packaged}) nor in a checkout"
        f" ({checkout}). Install the rtmbench wheel again, or run from a full checkout."
    )


def _only_python_file(directory: Path) -> Path:
    files = sorted(directory.glob("*.py"))
    if len(files) != 1:
        raise PreflightError(
            f"{directory} has to hold one Python file, but holds {len(files)}. Restore it from the source."
        )
    return files[0]


def _packaged_jar(directory: Path, pattern: Pattern) -> Path:
    jar = directory / f"{pattern.name}.jar"
    if not jar.is_file():
        raise PreflightError(
            f"This installation has no {jar.name} in {directory}: the wheel was built without its Flink jobs. Install a"
            " wheel that `make wheel` has built."
        )
    return jar


def _built_jar(directory: Path, pattern: Pattern, checkout: Path, say: Callable[[str], None] | None) -> Path:
    jar = directory / "target" / f"{pattern.name}.jar"
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
            # Maven leaves a jar alone when its content is the same; it is as fresh as its sources all the same.
            os.utime(jar)
    return jar


def _stale(jar: Path, directory: Path, checkout: Path) -> bool:
    if not jar.is_file():
        return True
    built = jar.stat().st_mtime_ns
    return any(source.stat().st_mtime_ns > built for source in _sources(directory, checkout))


def _sources(directory: Path, checkout: Path) -> Iterator[Path]:
    yield checkout / "pom.xml"
    for module in (directory, checkout / "flink-common"):
        yield module / "pom.xml"
        yield from (path for path in (module / "src" / "main").rglob("*") if path.is_file())


def _build(directory: Path, checkout: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise PreflightError(
            "The Flink jobs of a source checkout are built with Maven, and there is no `mvn` on the PATH. Install"
            " Maven 3.8 or newer (Debian: apt-get install maven; macOS: brew install maven), or install the rtmbench"
            " wheel, which carries the built jobs."
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
