"""Options of the commands, made from the table of settings, and the way from their values to a request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtmbench import durations
from rtmbench.addresses import host_and_port
from rtmbench.run_settings import SETTINGS, of_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtmbench.run_settings import Setting, SettingValues

Command = Any


class Duration(click.ParamType[float]):
    """A duration: `90`, `90s`, `5m` or `1h`; also as Spark writes it, `90 seconds`.

    The pipelines read some of the same variables (`RTMBENCH_WINDOW` …) and hand them to Spark as they are.
    """

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; a click usage error where the text is not a duration."""
        if isinstance(value, int | float):
            return float(value)
        try:
            return durations.seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Shard(click.ParamType[tuple[int, int]]):
    """A part of a workload or of the partitions: `2/3`."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the number and the count of parts; raise click's usage error for any other text."""
        if isinstance(value, tuple):
            return value
        number, _, of = str(value).partition("/")
        try:
            return int(number), int(of)
        except ValueError:
            self.fail(f"{value!r} is not a shard; use I/N, as in 2/3", param, ctx)


class Address(click.ParamType[tuple[str, int]]):
    """An address: `127.0.0.1:9464`."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Return host and port; raise click's usage error for any other text."""
        if isinstance(value, tuple):
            return value
        address = host_and_port(str(value))
        if address is None:
            self.fail(f"{value!r} is not an address; use HOST:PORT, as in 127.0.0.1:9464", param, ctx)
        return address


class Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:  # noqa: ARG002
        """Return the names."""
        parts = value if isinstance(value, (tuple, list)) else str(value).split(",")
        return tuple(part.strip() for part in parts if part.strip())


class Listed(click.ParamType[Any]):
    """One value of another type, or several with commas between, which make a sweep."""

    def __init__(self, kind: Any) -> None:
        self.kind = click.types.convert_type(kind)
        self.name = f"{self.kind.name}[,…]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or a tuple where there are several."""
        if isinstance(value, tuple):
            return value
        # A part NAME=VALUE is a detail of the value before it, as in slow:30ms,p99=200ms.
        parts = [part for part in re.split(r",(?!\s*\w+=)", str(value)) if part.strip()]
        values = tuple(self.kind.convert(part.strip(), param, ctx) for part in parts)
        if not values:
            self.fail(f"{value!r} contains no value", param, ctx)
        return values[0] if len(values) == 1 else values


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
metrics_option = click.option(
    "--metrics",
    type=Address(),
    metavar="HOST:PORT",
    help="Address for an endpoint from which Prometheus reads the counts, such as 127.0.0.1:9464.",
)


def setting(name: str, *, sweepable: bool = False, **attributes: Any) -> Callable[[Command], Command]:
    """Return the option of one setting; `attributes` are click's, instead of those that the table gives."""
    row = SETTINGS[name]
    arguments: dict[str, Any] = {"help": _help(row, attributes), "default": row.default}
    if row.kind == "flag":
        arguments["is_flag"] = True
    elif row.kind == "repeated":
        arguments |= {"multiple": True, "metavar": row.metavar}
    else:
        several = sweepable and row.sweepable
        arguments["type"] = Listed(_type(row)) if several else _type(row)
        if row.metavar:
            arguments["metavar"] = f"{row.metavar}[,…]" if several else row.metavar
    if row.configurable:
        arguments |= {"envvar": [row.variable, *row.variables], "show_envvar": False}
    attributes.pop("help", None)
    return click.option(row.flag, row.parameter, **{**arguments, **attributes})


def settings(command: str, *, sweepable: bool = False, without: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Return a decorator that adds the options of all settings of a command, in the table's order."""
    rows = [row for row in of_command(command) if row.name not in without]

    def add(function: Command) -> Command:
        for row in reversed(rows):
            function = setting(row.name, sweepable=sweepable)(function)
        return function

    return add


def existing_kafka(command: Command) -> Command:
    """Add `--bootstrap-servers` and `--kafka-properties` to a command that needs an existing Kafka."""
    servers = setting(
        "bootstrap-servers", help="Address of the Kafka to use; or `bootstrap.servers` in the properties."
    )
    decorated: Command = servers(setting("kafka-properties")(command))
    return decorated


def take_axes(values: SettingValues) -> dict[str, tuple[Any, ...]]:
    """Take the settings with several values out: their names and values. The first value of each stays."""
    axes = {}
    for row in SETTINGS.values():
        if row.sweepable and isinstance(values.get(row.parameter), tuple):
            axes[row.name] = values[row.parameter]
            values[row.parameter] = axes[row.name][0]
    return axes


def take_settings(values: SettingValues) -> SettingValues:
    """Take the settings out of the parameters of a command: arguments for a request."""
    return {row.field: values.pop(row.parameter) for row in SETTINGS.values() if row.parameter in values}


def _type(row: Setting) -> Any:
    if row.choices:
        return click.Choice(list(row.choices))
    types: dict[str, Any] = {
        "number": float,
        "integer": int,
        "text": str,
        "duration": Duration(),
        "flag": bool,
        "path": click.Path(path_type=Path),
        "names": Names(),
        "repeated": str,
    }
    return types[row.kind]


def _help(row: Setting, attributes: dict[str, Any]) -> str:
    """Return the help text with the default, in words where the setting has none."""
    text: str = attributes.get("help", row.help)
    default = attributes.get("default", row.default)
    if row.kind in ("flag", "repeated") or attributes.get("required"):
        return text
    if default is None:
        # Another text than the table's has its own words for what happens without a value.
        return text if "help" in attributes else f"{text} [default: {row.default_text}]"
    shown = ",".join(default) if row.kind == "names" else row.text(default)
    return f"{text} [default: {shown}]"


__all__ = [
    "Address",
    "Duration",
    "Listed",
    "Names",
    "existing_kafka",
    "json_option",
    "metrics_option",
    "setting",
    "settings",
    "take_axes",
    "take_settings",
]
