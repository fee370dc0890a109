"""Named baselines: copies of a run's documents, kept next to the runs so that the runs may be deleted.

results/baselines/NAME.json
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

from rtmbench.errors import ConfigurationError
from rtmbench.results.model import Result
from rtmbench.results.store import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA = "rtmbench.baseline/1"
DIRECTORY = "baselines"
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


def save(name: str, results: Sequence[Result], root: Path) -> Path:
    """Keep the documents as the baseline `name` under the results directory, instead of an older one.

    Raises:
        ConfigurationError: `name` is not a plain name, or a run is not complete.
        PreflightError: the directory cannot be written.

    """
    unfinished = [result.run_id for result in results if not result.complete]
    if unfinished:
        raise ConfigurationError(
            f"The run {unfinished[0]} is not complete, so it cannot be a baseline. Finish it with "
            f"`rtmbench run --resume {unfinished[0]}`."
        )
    path = _path(name, root)
    document = {
        "schema": SCHEMA,
        "name": name,
        "saved_at": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "runs": [result.to_dict() for result in results],
    }
    write_file(path, document)
    return path


def load(name: str, root: Path) -> list[Result]:
    """Read the documents of the baseline `name`.

    Raises:
        ConfigurationError: there is none of that name (the message names those that there are), or it is damaged.

    """
    path = _path(name, root)
    try:
        document: Any = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        names = sorted(file.stem for file in path.parent.glob("*.json"))
        known = f"There are: {', '.join(names)}." if names else "There are none."
        raise ConfigurationError(
            f"Unknown baseline {name!r} in {path.parent}. {known} Save one with "
            f"`rtmbench compare --save-baseline {name} RUN`."
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The baseline {path} cannot be read: {error}.") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or not isinstance(document.get("runs"), list):
        raise ConfigurationError(f"{path} is not a baseline that this version of rtmbench reads (`{SCHEMA}`).")
    return [Result.from_dict(run, source=str(path)) for run in document["runs"]]


def _path(name: str, root: Path) -> Path:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"The baseline's name {name[:80]!r} should be letters, digits, dots, dashes and underscores, 64 at most."
        )
    return root / DIRECTORY / f"{name}.json"
