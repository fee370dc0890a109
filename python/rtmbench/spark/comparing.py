"""A pipeline that orchestrates: its own Spark query and its Flink twin, run and compared.

What that takes is imported only when it is called: a pipeline under `spark-submit` needs none of it.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rtmbench.errors import ConfigurationError, RtmbenchError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from typing_extensions import Unpack

    from rtmbench.api import RunSettings
    from rtmbench.measured import Comparison
    from rtmbench.spark.runner import Build

FLAG = "--compare"


def compare(
    pattern: str,
    *,
    engines: Iterable[str] = ("flink@1.20", "spark@4.1"),
    results: str | os.PathLike[str] = "results",
    **settings: Unpack[RunSettings],
) -> Comparison:
    """Run a pattern's Spark query and its Flink twin, and compare all engines that were named with each other.

    Settings and errors are those of `rtmbench.run`; the run itself is `rtmbench.runs(results)[0]`.
    """
    from rtmbench.api import run  # noqa: PLC0415 - see above

    return run(pattern, engines=engines, results=results, **settings).compare_all()


def command_line(build: Build, arguments: Sequence[str]) -> NoReturn:
    """Do what `rtmbench run` does for the pattern that `build` belongs to, and exit with its code.

    `arguments` are those of `rtmbench run`; the flag that led here is left out of them.
    """
    from rtmbench import cli  # noqa: PLC0415 - see above

    try:
        pattern = pattern_of(build)
    except RtmbenchError as error:
        print(f"rtmbench: {error}", file=sys.stderr)  # noqa: T201 - a pipeline is a program of its own
        sys.exit(getattr(error, "exit_code", 1))
    cli.main(["run", pattern, *(argument for argument in arguments if argument != FLAG)])


def pattern_of(build: Any) -> str:
    """Return the id of the pattern whose Spark pipeline defines `build`.

    A checkout's file is that of an installed wheel as long as both are the same. Raises `ConfigurationError` where none
    is: a run would measure another file than the one that was called.
    """
    from rtmbench.patterns import PATTERNS  # noqa: PLC0415 - see above
    from rtmbench.pipelines import locate  # noqa: PLC0415

    try:
        path = Path(inspect.getfile(build)).resolve()
    except TypeError:
        path = None
    ours = {pattern: locate(pattern, "spark").resolve() for pattern in PATTERNS}
    for pattern, file in ours.items():
        if path is not None and (file == path or file.read_bytes() == path.read_bytes()):
            return pattern
    raise ConfigurationError(
        f"{path or repr(build)} is none of rtmbench's pipelines, so {FLAG} has no Flink twin to run beside it. The "
        f"pipelines are: {', '.join(map(str, ours.values()))}."
    )
