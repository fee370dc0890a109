"""A pipeline's run side by side with its Flink twin: `--compare` on its command line."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rtmbench.errors import ConfigurationError, RtmbenchError
from rtmbench.patterns import PATTERNS
from rtmbench.patterns.pipelines import locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.spark.runner import Build

FLAG = "--compare"


def run_with_twin(build: Build, arguments: Sequence[str]) -> NoReturn:
    """Become `rtmbench run` for the pattern that `build` belongs to.

    `arguments` are those of `rtmbench run`; `--compare` is left out of them.
    """
    try:
        pattern = pattern_of(build)
    except RtmbenchError as error:
        print(f"rtmbench: {error}", file=sys.stderr)  # noqa: T201 - a pipeline is a standalone program
        sys.exit(getattr(error, "exit_code", 1))
    command = [
        sys.executable,
        "-m",
        "rtmbench",
        "run",
        pattern,
        *(argument for argument in arguments if argument != FLAG),
    ]
    # Another program rather than a call: what runs inside Spark needs nothing of what starts it.
    os.execv(sys.executable, command)  # noqa: S606 - rtmbench's command, and no shell


def pattern_of(build: Any) -> str:
    """Return the id of the pattern whose Spark pipeline defines `build`.

    A checkout's file is that of an installed wheel as long as both are the same. Raises `ConfigurationError` where none
    is: a run would measure another file than the one that was called.
    """
    try:
        path = Path(inspect.getfile(build)).resolve()
    except TypeError:
        path = None
    pipeline_files = {pattern: locate(pattern, "spark").resolve() for pattern in PATTERNS}
    for pattern, file in pipeline_files.items():
        if path is not None and (file == path or file.read_bytes() == path.read_bytes()):
            return pattern
    raise ConfigurationError(
        f"{path or repr(build)} is not one of rtmbench's pipelines, so {FLAG} has no Flink twin to run with it. The "
        f"pipelines are: {', '.join(map(str, pipeline_files.values()))}."
    )
