"""Where a setting comes from: flag > `RTMBENCH_*` > `rtmbench.toml` in the current directory > default."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtmbench.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        "PROGRESS",
        "REQUIRE_JARS",
        "SUPERVISED",
        "TEST_CHROMIUM",
    )
)

REPEATED = frozenset({"slo"})
"""Settings whose flag may be given again."""

# What a load generator on its own shares with a run.
_OF_LOAD = frozenset({"bootstrap_servers", "keys", "partitions", "rate", "seed"})

Function = Any


def setting(flag: str, **attributes: Any) -> Callable[[Function], Function]:
    """`click.option` for a setting that may also stand in the environment and in `rtmbench.toml`."""
    name = flag.lstrip("-").replace("-", "_")
    SETTINGS[name.replace("_", "-")] = name
    variables = [f"RTMBENCH_{name.upper()}", *attributes.pop("also", ())]
    return click.option(flag, envvar=variables, show_envvar=False, **attributes)


SETTINGS: dict[str, str] = {}
"""Key in `rtmbench.toml` → name of the parameter. Filled as the commands are imported."""


def load(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read `rtmbench.toml` into defaults for the commands.

    Raises `ConfigurationError` for a key of the file, or an `RTMBENCH_*` variable, that means nothing.
    """
    import rtmbench.cli.run  # noqa: F401, PLC0415 - registers the settings

    variables = {f"RTMBENCH_{name.upper()}" for name in SETTINGS.values()} | OTHER_VARIABLES
    for variable in environment:
        if variable.startswith("RTMBENCH_") and variable not in variables:
            raise ConfigurationError(
                f"The environment variable {variable} means nothing to rtmbench{_guess(variable, variables)}. "
                "Unset or correct it."
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
    defaults = {}
    for key, value in document.items():
        if key not in SETTINGS:
            raise ConfigurationError(
                f"{FILE} has the key {key!r}, which means nothing to rtmbench{_guess(key, SETTINGS)}. "
                f"Its keys are: {', '.join(sorted(SETTINGS))}."
            )
        values = value if isinstance(value, list) else [value]
        # click takes a text for a list of characters where an option may be given again.
        joined = ",".join(map(str, values)) if isinstance(value, list) else value
        defaults[SETTINGS[key]] = list(map(str, values)) if key in REPEATED else joined
    offline = {name: value for name, value in defaults.items() if name == "offline"}
    results = {name: value for name, value in defaults.items() if name == "results"}
    broker = {name: value for name, value in defaults.items() if name in {"bootstrap_servers", "partitions"}}
    load = {name: value for name, value in defaults.items() if name in _OF_LOAD}
    return {
        "run": defaults,
        "doctor": defaults,
        "report": results,
        "compare": results,
        "history": results,
        "parity": defaults,
        "claims": {**offline, **results},
        "up": defaults,
        "setup": broker,
        "submit": defaults,
        "produce": load,
        "measure": load,
        "engines": {"fetch": offline},
    }


def _guess(wrong: str, known: Any) -> str:
    close = difflib.get_close_matches(wrong, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""
