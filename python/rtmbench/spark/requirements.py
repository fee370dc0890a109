"""What some pipelines need in addition to Spark: Python packages, and a class in a separate jar."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

from rtmbench.errors import PreflightError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STATEFUL_PYTHON = {"pandas": (2, 2), "pyarrow": (18, 0), "protobuf": (6, 33)}
"""The packages that PySpark's transformWithState imports, and the oldest version of each that it takes."""


def require_stateful_python() -> None:
    """Refuse to start where PySpark's transformWithState would fail in its first batch.

    Raises `PreflightError`, which names what is missing or too old and the command that installs it.
    """
    lacking: list[str] = []
    for name, least in STATEFUL_PYTHON.items():
        requirement = f"{name}>={'.'.join(map(str, least))}"
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            lacking.append(requirement)
            continue
        if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < least:
            lacking.append(f"{requirement} (there is {version})")
    if lacking:
        raise PreflightError(
            f"PySpark's transformWithState needs {', '.join(lacking)} in {sys.executable}. Install the extra:"
            f" {sys.executable} -m pip install 'rtmbench[spark]'"
        )


def jvm_class(spark: SparkSession, name: str, *, jar: str) -> Any:
    """Return a class of Spark's JVM, by its full name; `jar` is the file it comes in.

    Raises `PreflightError` where the jar is not on the class path of Spark's driver.
    """
    java_class = getattr(spark._jvm, name)  # noqa: SLF001 - PySpark has no other way to a class of the JVM
    # For a name that is not a class, py4j creates a package.
    if type(java_class).__name__ != "JavaClass":
        raise PreflightError(
            f"Spark's class path has no {name}. It comes in {jar}: start with --jars and its path, or run the pipeline"
            " through `rtmbench run`. In a checkout, `mvn -q -f pipelines/pom.xml package` builds it."
        )
    return java_class
