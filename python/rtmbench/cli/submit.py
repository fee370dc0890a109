"""`rtmbench submit`: one pattern's job on one engine, on an existing Kafka."""

from __future__ import annotations

from typing import Any

import click

from rtmbench.cli.options import Duration, existing_kafka, settings, take_settings


@click.command()
@click.argument("engine")
@click.argument("pattern")
@existing_kafka
@click.option(
    "--input-topic", default="benchmark-input", show_default=True, help="Topic that the job reads, from its beginning."
)
@click.option("--output-topic", default="benchmark-output", show_default=True, help="Topic that the job writes.")
@click.option("--duration", type=Duration(), help="Time after which to stop. [default: until interrupted]")
@settings("submit", without=("bootstrap-servers", "kafka-properties"))
def submit(
    engine: str, pattern: str, *, input_topic: str, output_topic: str, duration: float | None, **values: Any
) -> None:
    """Start PATTERN's job on ENGINE, on existing topics, and keep it running until Ctrl-C.

    ENGINE is as in `run`: flink@1.20, spark@4.3, spark@4.1:microbatch. The engine runs on this machine, or
    the job on the cluster of --flink-url or --spark-master. `submit` sends no load and measures nothing: run `produce`
    and `measure` at the same time. For a --spark-master yarn or k8s://…, it prints the command that starts the job.
    """
    from rtmbench import submit as submitting  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.experiment.settings import RunRequest  # noqa: PLC0415

    request = RunRequest(patterns=(pattern,), engines=(engine,), **take_settings(values))
    topics = submitting.Topics(input=input_topic, output=output_topic)
    if (command := submitting.remote_command(request, topics)) is not None:
        click.echo(command)
        click.echo("rtmbench does not start queries there. Run this command where spark-submit is.", err=True)
        return
    submitting.submit(request, topics, duration_s=duration, say=lambda text: click.echo(text, err=True))
