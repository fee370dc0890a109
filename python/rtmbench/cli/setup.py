"""`rtmbench setup`: the topics and jobs that `produce`, `submit` and `measure` work with."""

from __future__ import annotations

import click

from rtmbench.cli import shared
from rtmbench.cli.configuration import setting


@click.command()
@shared.existing_kafka
@click.option("--input-topic", default="benchmark-input", show_default=True, help="Where the events go.")
@click.option("--output-topic", default="benchmark-output", show_default=True, help="Where results go.")
@setting("--partitions", type=click.IntRange(1, 1_024), default=16, show_default=True, help="Of each topic.")
def setup(bootstrap_servers: str, *, input_topic: str, output_topic: str, partitions: int) -> None:
    """Create the topics of the published setup, and build the Flink jobs in a checkout.

    What is there already stays as it is. `rtmbench engines fetch` downloads the engines ahead.
    """
    from rtmbench import submit  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.patterns import pipelines  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.patterns import PATTERNS  # noqa: PLC0415

    topics = submit.Topics(input=input_topic, output=output_topic)
    made = submit.set_up(bootstrap_servers, topics, partitions)
    for topic in (input_topic, output_topic):
        click.echo(f"topic {topic}: {'created' if topic in made else 'there already'}, {partitions} partitions")
    for pattern in PATTERNS:
        for jar in (
            pipelines.locate(pattern, "flink", say=_say),
            *pipelines.spark_jars(pattern, say=_say),
        ):
            click.echo(f"pattern {pattern}: {jar}")


def _say(message: str) -> None:
    click.echo(message, err=True)
