"""Find the Java that Kafka, Flink and Spark will run on, or report why there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.errors import PreflightError

if TYPE_CHECKING:
    from collections.abc import Mapping

MINIMUM_MAJOR = 17
"""Kafka 4 and Spark 4 are compiled for it."""

SURPRISES = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
"""Variables from which every JVM takes options that its command line does not show."""

HOW_TO_INSTALL = (
    f"install JDK {MINIMUM_MAJOR} (Debian/Ubuntu: `sudo apt-get install "
    f"openjdk-{MINIMUM_MAJOR}-jdk-headless`; macOS: `brew install openjdk@{MINIMUM_MAJOR}`)"
)

_VERSION = re.compile(r'version "([^"]+)"')
_HOME = re.compile(r"^\s*java\.home = (.+?)\s*$", re.MULTILINE)
_MODULES = re.compile(r'^MODULES="([^"]*)"', re.MULTILINE)
_TIMEOUT_S = 30


@dataclass(frozen=True, kw_only=True)
class Java:
    """A Java that was run and answered."""

    home: Path
    """The `JAVA_HOME` of the children."""
    executable: Path
    version: str
    """As the JVM prints it, such as `17.0.15`."""
    major: int
    surprises: tuple[tuple[str, str], ...] = ()
    """(variable, value) of each option variable that is set, see `SURPRISES`."""

    def lacks_module(self, module: str) -> bool:
        """Whether this Java reports that it was built without a module (False if it reports nothing)."""
        try:
            release = (self.home / "release").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        match = _MODULES.search(release)
        return match is not None and module not in match[1].split()


def find_java(environ: Mapping[str, str] | None = None) -> Java:
    """Return the Java of `JAVA_HOME`, or where that is unset, the first one on `PATH`.

    Raises PreflightError if `JAVA_HOME` is set but unusable (without a fallback to `PATH`: the
    user named one), if no Java is installed, if it does not run, or if it is too old.
    """
    environ = os.environ if environ is None else environ
    home = environ.get("JAVA_HOME", "").strip()
    if home:
        executable = Path(home) / "bin" / "java"
        origin = f"JAVA_HOME ({home})"
        way_out = f"Point JAVA_HOME at a JDK {MINIMUM_MAJOR} or newer, or unset it to use the java on PATH."
        if not _executable(executable):
            raise PreflightError(f"JAVA_HOME is set to {home}, but {_why_unusable(executable)}. {way_out}")
    else:
        path = shutil.which("java", path=environ.get("PATH", os.defpath))
        if path is None:
            raise PreflightError(f"No Java: JAVA_HOME is not set and PATH has no java. To continue, {HOW_TO_INSTALL}.")
        executable = Path(path)
        origin = f"The java on PATH ({path})"
        way_out = f"To continue, {HOW_TO_INSTALL}, or set JAVA_HOME to one that is installed."
    return _probe(executable, origin=origin, way_out=way_out, environ=environ)


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _why_unusable(executable: Path) -> str:
    home = executable.parent.parent
    if not home.exists():
        return "that directory does not exist"
    if not home.is_dir():
        return "that is not a directory"
    if executable.is_file():
        return f"{executable} may not be executed"
    return "it has no bin/java"


def _probe(executable: Path, *, origin: str, way_out: str, environ: Mapping[str, str]) -> Java:
    command = [str(executable), "-XshowSettings:properties", "-version"]
    try:
        process = subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PreflightError(f"{origin} did not answer `java -version` within {_TIMEOUT_S} s. {way_out}") from None
    except OSError as error:
        raise PreflightError(f"{origin} cannot be run: {error.strerror or error}. {way_out}") from None
    output = process.stdout + process.stderr
    surprises = tuple((name, environ[name]) for name in SURPRISES if environ.get(name))
    version = _VERSION.search(output)
    if process.returncode != 0 or version is None:
        hint = "".join(f" {name} is set to `{value}`." for name, value in surprises)
        raise PreflightError(
            f"{origin} does not work: `java -version` ended with code {process.returncode} "
            f"and printed `{_excerpt(output)}`.{hint} {way_out}"
        )
    major = _major(version[1])
    if major < MINIMUM_MAJOR:
        raise PreflightError(
            f"{origin} is Java {major} ({version[1]}); Kafka, Flink and Spark need Java "
            f"{MINIMUM_MAJOR} or newer. {way_out}"
        )
    home = _HOME.search(output)
    return Java(
        # On PATH, java is often a chain of links or a launcher: only the JVM knows its home.
        home=Path(home[1]) if home else executable.resolve().parent.parent,
        executable=executable,
        version=version[1],
        major=major,
        surprises=surprises,
    )


def _major(version: str) -> int:
    """Return 8 for `1.8.0_402`, 17 for `17.0.15`, 25 for `25-ea`; 0 without a number."""
    numbers = [int(number) for number in re.findall(r"\d+", version)[:2]]
    if len(numbers) > 1 and numbers[0] == 1:
        return numbers[1]
    return numbers[0] if numbers else 0


def _excerpt(output: str, limit: int = 200) -> str:
    text = " ".join(output.split()) or "nothing"
    return text if len(text) <= limit else text[:limit] + "…"
