"""Where engines keep their checkpoints: this machine, a storage that answers late, or any URI that they know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from rtmbench.durations import milliseconds
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = "local"
SLOW = "slow"
LONGEST_MS = 60_000
SPARK_CLASSES = {
    "spark.hadoop.fs.slow.impl": "io.rtmbench.storage.SlowFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.slow.impl": "io.rtmbench.storage.SlowFs",
}
"""The classes with which Spark reads and writes `slow://…`; Flink finds its own."""
_SLOW = re.compile(r"slow:(?P<median>[^,]+)(,p99=(?P<p99>[^,]+))?")


@dataclass(frozen=True, kw_only=True)
class SlowStorage:
    """A storage on this machine in which each request takes its time, as in an object store."""

    median_us: int
    p99_us: int

    def uri(self, directory: Path, seed: int) -> str:
        """Return the URI of a directory in it: both engines draw the same delays, each process from the start."""
        return f"{SLOW}://m{self.median_us}-p{self.p99_us}-s{seed}{directory.absolute().as_posix()}"


def parse(text: str) -> SlowStorage | str | None:
    """Read `local` (None), `slow:30ms`, `slow:30ms,p99=200ms`, or a URI (as it is).

    Raises ConfigurationError for anything else.
    """
    if text == LOCAL:
        return None
    if text.startswith(f"{SLOW}:"):
        return _slow(text)
    parts = urlsplit(text)
    if not parts.scheme or not (parts.path or parts.netloc) or parts.password:
        raise ConfigurationError(
            f"--checkpoint-storage is {LOCAL}, {SLOW}:30ms, {SLOW}:30ms,p99=200ms, or a URI without a password, such "
            "as file:///SHARED/checkpoints, hdfs://HOST/PATH or s3a://BUCKET/PATH."
        )
    return text


def trial_directory(text: str, *, work: Path, seed: int) -> str | None:
    """Return the URI of the directory of one trial; None: below its work directory."""
    storage = parse(text)
    if storage is None:
        return None
    if isinstance(storage, SlowStorage):
        return storage.uri(work / "checkpoints", seed)
    return f"{storage.rstrip('/')}/rtmbench-{uuid4().hex[:12]}"


def name(text: str) -> str:
    """Return a storage as a result names it: a URI is a team's own, so only its scheme."""
    return f"{urlsplit(text).scheme}://" if isinstance(parse(text), str) else text


def _slow(text: str) -> SlowStorage:
    match = _SLOW.fullmatch(text)
    median_ms = None if match is None else _milliseconds(match["median"])
    p99_ms = median_ms if match is None or match["p99"] is None else _milliseconds(match["p99"])
    if median_ms is None or p99_ms is None:
        raise ConfigurationError(
            f"--checkpoint-storage {text}: give the median of the delays, such as {SLOW}:30ms, and the 99th percentile "
            f"if it is to be larger, such as {SLOW}:30ms,p99=200ms."
        )
    if not 0 < median_ms <= p99_ms <= LONGEST_MS:
        raise ConfigurationError(
            f"--checkpoint-storage {text}: the median must be above 0, and the 99th percentile at least as large and "
            f"at most {LONGEST_MS / 1000:g} s."
        )
    return SlowStorage(median_us=round(median_ms * 1000), p99_us=round(p99_ms * 1000))


def _milliseconds(text: str) -> float | None:
    try:
        return milliseconds(text)
    except ValueError:
        return None


__all__ = ["LOCAL", "SLOW", "SPARK_CLASSES", "SlowStorage", "name", "parse", "trial_directory"]
