"""`rtmbench init`: the files that a measurement of a custom job begins with."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from rtmbench.errors import ConfigurationError

FILES = {
    "job.py": "a PySpark job; replace it with yours",
    "template.json": "the events that are sent to it",
    "checks.py": "an oracle, which checks its output",
    "rtmbench.toml": "settings",
}
_COMMAND = "rtmbench run --quick --spark-job job.py --template template.json --oracle checks.py:check"


@click.command()
@click.argument("directory", default=".", type=click.Path(path_type=Path, file_okay=False))
def init(directory: Path) -> None:
    """Write a job, a template, an oracle and rtmbench.toml, with which a custom job is measured at once.

    An existing file is not overwritten.
    """
    if existing := [name for name in FILES if (directory / name).exists()]:
        verb = "exists" if len(existing) == 1 else "exist"
        raise ConfigurationError(f"{' and '.join(existing)} {verb} in {directory}. Name another directory.")
    source = resources.files("rtmbench") / "data" / "starter"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (directory / name).write_bytes((source / name).read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{directory} cannot be written: {error.strerror}.") from error
    for name, what in FILES.items():
        click.echo(f"{directory / name}: {what}")
    click.echo("\nMeasure it:\n")
    if directory != Path():
        click.echo(f"    cd {directory}")
    click.echo(f"    {_COMMAND}\n")
    click.echo("Then, for your own job:\n")
    for number, step in enumerate(_STEPS, 1):
        click.echo(f"{number}. {step}")


_STEPS = (
    (
        "Name your job: --spark-job FILE.py, --flink-jar FILE.jar, or both to compare them.\n"
        "   A PySpark file takes the brokers and topics from KAFKA_BOOTSTRAP_SERVERS, RTMBENCH_INPUT_TOPIC and\n"
        "   RTMBENCH_OUTPUT_TOPIC, a Flink job from these or from --bootstrap-servers, --input-topic and\n"
        "   --output-topic. Where the job has topics of its own, name them with --input and --output."
    ),
    (
        "Send it what it gets: `rtmbench template --from-topic TOPIC --bootstrap-servers HOST:PORT` makes a template\n"
        "   of the records of a topic, without their values."
    ),
    (
        "Let each output carry the time stamp of its event, and name the field with --timestamp-field. Where the job\n"
        "   drops or merges events, add --filters."
    ),
    "Write into checks.py what you know of the output, or leave --oracle out.",
)
