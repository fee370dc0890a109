"""Where a setting comes from: flag > `RTMBENCH_*` > `rtmbench.toml` in the current directory > default.

The file and the environment are for all commands: a setting without a meaning for a command may be in them.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench.errors import ConfigurationError
from rtmbench.run_settings import SETTINGS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtmbench.run_settings import SettingValues

FILE = Path("rtmbench.toml")

# Read elsewhere than by a command's options: by the cache, the build, the tests, the supervisor, and the pipelines'
# own processes.
OTHER_VARIABLES = frozenset(
    f"RTMBENCH_{name}"
    for name in (
        "CACHE",
        "CHECKPOINT_DIR",
        "CLAIMS_LOG",
        "FACTS",
        "INPUT_TOPIC",
        "KAFKA_PROPERTIES",
        "MODE",
        "OUTPUT_TOPIC",
        "PATTERN",
        "PROGRESS",
        "REMOVE_CHECKPOINT",
        "REQUIRE_JARS",
        "SUPERVISED",
        "TEST_CHROMIUM",
    )
)

TARGETS = "slo"
"""The one key that is not a setting of a run but a target of its result. Its flag is repeatable."""


def load(environment: Mapping[str, str]) -> SettingValues:
    """Read `rtmbench.toml` into defaults for the commands.

    Raises `ConfigurationError` for a key of the file, or an `RTMBENCH_*` variable, that is unknown.
    """
    rows = {name: row for name, row in SETTINGS.items() if row.configurable and row.commands}
    keys = {*rows, TARGETS}
    variables = {row.variable for row in rows.values()} | {f"RTMBENCH_{TARGETS.upper()}"} | OTHER_VARIABLES
    for variable in environment:
        if variable.startswith("RTMBENCH_") and variable not in variables:
            raise ConfigurationError(
                f"Unknown environment variable {variable}{_guess(variable, variables)}. Unset or correct it."
            )
    try:
        text = FILE.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{FILE} cannot be read: {error}.") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{FILE} is not valid TOML: {error}.") from error
    defaults: dict[str, SettingValues] = {}
    for key, value in document.items():
        if key not in keys:
            raise ConfigurationError(
                f"Unknown key {key!r} in {FILE}{_guess(key, keys)}. Its keys are: {', '.join(sorted(keys))}."
            )
        values = [str(item) for item in value] if isinstance(value, list) else [str(value)]
        if key == TARGETS:
            # click takes a text for a list of characters where an option may be given again.
            defaults.setdefault("run", {})[TARGETS] = values
            continue
        for command in rows[key].commands:
            # A list is as good as its values with commas between.
            defaults.setdefault(command, {})[rows[key].parameter] = (
                ",".join(values) if isinstance(value, list) else value
            )
    # `engines fetch` is a command of a group.
    defaults["engines"] = {"fetch": defaults.pop("engines fetch", {})}
    return defaults


def _guess(wrong: str, known: Any) -> str:
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
