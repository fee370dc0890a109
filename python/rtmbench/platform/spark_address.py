"""The address of an existing Spark cluster, and a file of properties for it."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtmbench.addresses import host_and_port
from rtmbench.errors import ConfigurationError, PreflightError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SCHEME = "spark://"
YARN = "yarn"
KUBERNETES = "k8s://"
ANSWER_S = 5.0
"""How long a master may take to accept a connection."""


@dataclass(frozen=True, kw_only=True)
class SparkAddress:
    """An existing Spark standalone cluster."""

    master: str
    """Its masters, such as `spark://HOST:7077`; several are separated by commas."""
    executors: int
    """How many executors a query gets there."""
    properties: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Further properties for this cluster. They may be secrets."""


def check_master(master: str) -> None:
    """Raise ConfigurationError for anything that is not the address of a Spark cluster."""
    if not is_remote(master):
        standalone_masters(master)


def is_remote(master: str) -> bool:
    """Whether a cluster is one for which rtmbench prints the command, and does not run it."""
    return master == YARN or (master.startswith(KUBERNETES) and master != KUBERNETES)


def standalone_masters(master: str) -> list[tuple[str, int]]:
    """Return host and port of each master in the address of a standalone cluster.

    Raises ConfigurationError for anything else.
    """
    if is_remote(master):
        raise ConfigurationError(
            f"rtmbench runs no query on {master}. `rtmbench submit` prints the command that starts one there."
        )
    masters = [host_and_port(text) for text in master.removeprefix(SCHEME).split(",")]
    known = [pair for pair in masters if pair is not None]
    if not master.startswith(SCHEME) or len(known) < len(masters) or re.search(r"[\s/@]", master.removeprefix(SCHEME)):
        raise ConfigurationError(
            "--spark-master is the address of a standalone cluster: spark://HOST:7077, or several masters as "
            f"spark://HOST1:7077,HOST2:7077. `submit` takes {YARN} and {KUBERNETES}… too."
        )
    return known


def way_to(master: str) -> str:
    """Return the address of this machine on the way to the first master that accepts connections.

    Raises PreflightError where none does.
    """
    problem: OSError | None = None
    for host, port in standalone_masters(master):
        try:
            with socket.create_connection((host, port), timeout=ANSWER_S) as connection:
                return str(connection.getsockname()[0])
        except OSError as error:  # noqa: PERF203 - there are few masters
            problem = error
    raise PreflightError(
        f"The Spark master of --spark-master does not answer ({problem}). Check the address, and that the cluster runs."
    )


def read_properties(path: Path) -> dict[str, str]:
    """Read a file of Spark properties, as `spark-defaults.conf` has them: a name and a value on each line.

    Raises ConfigurationError for a file that cannot be read, a line that is not an entry, and a name that is not
    Spark's. No message shows a value.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"--spark-remote-conf {path} cannot be read: {error}") from error
    return dict(_entries(path, lines))


def _entries(path: Path, lines: list[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith(("#", "!")):
            continue
        name, *rest = re.split(r"\s*[=:]\s*|\s+", text, maxsplit=1)
        if not name.startswith("spark.") or not rest:
            raise ConfigurationError(
                f"{path}, line {number}: give a Spark property and its value, such as `spark.authenticate true`."
            )
        if name == "spark.master":
            raise ConfigurationError(f"{path}, line {number}: --spark-master names the cluster, not this file.")
        yield name, rest[0]


__all__ = ["SparkAddress", "check_master", "is_remote", "read_properties", "standalone_masters", "way_to"]
