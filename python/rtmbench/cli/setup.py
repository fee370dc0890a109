"""`rtmbench setup`: the topics and jobs that `produce`, `submit` and `measure` work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rtmbench.cli.options import existing_kafka, setting

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@existing_kafka
@click.option("--input-topic", default="benchmark-input", show_default=True, help="Topic for the events.")
@click.option("--output-topic", default="benchmark-output", show_default=True, help="Topic for the results.")
@setting("partitions", type=click.IntRange(1, 1_024), default=16, help="Partitions per topic.")
@setting("replication-factor", type=click.IntRange(min=1))
def setup(
    bootstrap_servers: str | None,
    kafka_properties: Path | None,
    *,
    input_topic: str,
    output_topic: str,
    partitions: int,
    replication_factor: int | None,
) -> None:
    """Create the topics of the published setup, and build the Flink jobs in a checkout.

    A third topic, benchmark-latency, is for the latencies that your own tools write; rtmbench does not use it. Topics
    and jobs that exist already stay as they are. `rtmbench engines fetch` downloads the engines in advance.
    """
    from rtmbench import submit  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.kafka.connection import load  # noqa: PLC0415
    from rtmbench.patterns import PATTERNS, pipelines  # noqa: PLC0415

    topics = submit.Topics(input=input_topic, output=output_topic)
    created = submit.set_up(load(kafka_properties, bootstrap_servers), topics, partitions, replication_factor)
    for topic in (input_topic, output_topic, submit.LATENCY):
        click.echo(f"topic {topic}: {'created' if topic in created else 'exists already'}, {partitions} partitions")
    for pattern in PATTERNS:
        for jar in (
            pipelines.locate(pattern, "flink", say=_say),
            *pipelines.spark_jars(pattern, say=_say),
        ):
            click.echo(f"pattern {pattern}: {jar}")


def _say(message: str) -> None:
    click.echo(message, err=True)
