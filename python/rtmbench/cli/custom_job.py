"""The options of `rtmbench run` for a custom job."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.run_settings import SettingValues

Command = TypeVar("Command", bound="Callable[..., Any]")

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--spark-job", metavar="FILE.py", help="PySpark file to measure instead of a pattern."),
    click.option("--spark-args", metavar="TEXT", help="Arguments of the PySpark file, as on a command line."),
    click.option("--flink-jar", metavar="FILE.jar", help="Flink job to measure instead of a pattern."),
    click.option("--flink-class", metavar="NAME", help="Main class of the Flink job. [default: the jar's Main-Class]"),
    click.option("--flink-args", metavar="TEXT", help="Program arguments of the Flink job, as on a command line."),
    click.option(
        "--flink-args-only",
        is_flag=True,
        default=None,
        help="Pass no other arguments than --flink-args: the job reads brokers and topics from the environment, or has "
        "its own.",
    ),
    click.option("--input", metavar="TOPIC", help="Input topic of the job. [default: a new topic, named to the job]"),
    click.option("--output", metavar="TOPIC", help="Output topic of the job. [default: a new topic, named to the job]"),
    click.option(
        "--timestamp-field",
        metavar="PATH",
        help="Field of an output record with its event's time stamp, e.g. `meta.created`. [default: as in the input]",
    ),
    click.option("--template", metavar="FILE", help="File with the JSON of an input record, with {{placeholders}}."),
    click.option("--events", metavar="FILE.py:FUNCTION", help="Python function that returns the input records."),
    click.option(
        "--oracle",
        metavar="FILE.py:FUNCTION",
        help="Python function that checks the output. [default: the output is not checked]",
    ),
    click.option(
        "--filters",
        is_flag=True,
        default=None,
        help="The job drops or merges events by design: measure only what it writes.",
    ),
    click.option(
        "--first-output",
        metavar="SECONDS",
        type=float,
        help="Seconds to wait for the first output of the job. [default: 120]",
    ),
)


NAMES = (
    "spark_job",
    "spark_args",
    "flink_jar",
    "flink_class",
    "flink_args",
    "flink_args_only",
    "input",
    "output",
    "timestamp_field",
    "template",
    "events",
    "oracle",
    "filters",
    "first_output",
)
"""The parameters that the options fill."""


def job_options(command: Command) -> Command:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def take_job(values: SettingValues) -> CustomJob | None:
    """Take the options out of the values, and make a job of them; None if there is none.

    Raises ConfigurationError, and click's usage error for options that go with a job where there is none.
    """
    arguments = {name: values.pop(name) for name in NAMES}
    arguments = {name: value for name, value in arguments.items() if value is not None}
    if not arguments:
        return None
    if not arguments.keys() & {"spark_job", "flink_jar"}:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in arguments)
        raise click.UsageError(f"{flags} requires a custom job: add --spark-job, --flink-jar, or both.")
    from rtmbench.custom_jobs.model import custom_job  # noqa: PLC0415 - `--help` must not wait for it

    if "first_output" in arguments:
        arguments["first_output_s"] = arguments.pop("first_output")
    for name in {"spark_args", "flink_args"} & arguments.keys():
        arguments[name] = _words(name, arguments[name])
    return custom_job(**arguments)


def _words(name: str, text: str) -> list[str]:
    """Split the arguments of a job as a shell does."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise click.UsageError(f"--{name.replace('_', '-')} cannot be split into words: {error}.") from error
