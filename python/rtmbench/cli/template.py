"""`rtmbench template`: a template for `run --template` from the records of an existing topic."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtmbench.cli.kafka import client_config, client_errors
from rtmbench.cli.options import Names, existing_kafka, json_option
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from rtmbench.custom_jobs.topic_template import TopicTemplate


@click.command()
@existing_kafka
@click.option("--from-topic", "topic", required=True, metavar="TOPIC", help="Topic to read.")
@click.option(
    "--records",
    type=click.IntRange(1, 100_000),
    default=1_000,
    show_default=True,
    help="Records to read, the newest ones of each partition.",
)
@click.option(
    "--keep",
    type=Names(),
    default=(),
    metavar="FIELD[,FIELD…]",
    help="Fields whose values are kept, such as `status`: the job decides by them, and they name nobody.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("template.jsonl"),
    show_default=True,
    metavar="FILE",
    help="File to write; it must not exist.",
)
@json_option
def template(
    topic: str,
    *,
    bootstrap_servers: str | None,
    kafka_properties: Path | None,
    records: int,
    keep: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Write a template for a custom job from the records of a topic: their shapes, sizes and keys, no values.

    Each text is replaced by as many random letters, each number by as many random digits, each Kafka key by its rank,
    and the time of each record by that of the event. Fields named by --keep stay as they are. Read the file before you
    share it.
    """
    from rtmbench import _core  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.custom_jobs.topic_template import topic_template  # noqa: PLC0415
    from rtmbench.kafka.clients import harness_consumer  # noqa: PLC0415

    if out.exists():
        raise ConfigurationError(f"{out} exists. Name another file with --out, or remove it.")
    config = client_config(harness_consumer, bootstrap_servers, kafka_properties)
    with client_errors(config):
        described = topic_template(topic, _core.newest_records(config, topic, records), keep=keep)
    try:
        out.write_text("".join(f"{line}\n" for line in described.lines), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}.") from error
    for field in described.unknown_fields:
        click.echo(f"no record has the field {field}, which --keep names", err=True)
    if as_json:
        document = {**asdict(described), "file": str(out), "command": _command(described, out)}
        del document["lines"]
        click.echo(json.dumps(document, indent=2))
        return
    _print(topic, described, out)


def _command(described: TopicTemplate, out: Path) -> str:
    """Return the command that sends such records, without the job."""
    options = [f"--template {out}"]
    if described.keys_estimated and described.keys is not None:
        options.append(f"--keys {described.keys}")
    if described.rate is not None:
        options.append(f"--rate {max(1, round(described.rate))}")
    return f"rtmbench run {' '.join(options)}"


def _print(topic: str, described: TopicTemplate, out: Path) -> None:
    left_out = f", {described.skipped:,} of them left out" if described.skipped else ""
    click.echo(
        f"{out}: the templates of {len(described.lines):,} records of {topic} ({described.records:,} read{left_out})"
    )
    least, median, most = described.sizes
    click.echo(f"size: {least:,} to {most:,} bytes, median {median:,}")
    if described.keys is None:
        click.echo("keys: none; the events get those of --keys")
    elif described.keys_estimated:
        click.echo(f"keys: about {described.keys:,}, estimated; the events get those of --keys, uniformly")
    else:
        click.echo(f"keys: {described.keys:,}, as often as in these records")
    click.echo(f"times: {', '.join(f'{path} ({unit})' for path, unit in described.times.items())}")
    click.echo("rate: unknown" if described.rate is None else f"rate: {described.rate:,.0f} records/s")
    click.echo(f"next: {_command(described, out)} --spark-job FILE.py --flink-jar FILE.jar")
