"""`rtmbench up`: a Kafka broker on this machine for as long as the command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rtmbench.cli.options import setting

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@setting("kafka-port", type=click.IntRange(0, 65_535), default=9092, help="Port for the broker; 0: any free one.")
@setting("offline")
@setting("results", help="Directory for the broker's log.")
def up(kafka_port: int, *, offline: bool, results: Path) -> None:
    """Run a Kafka broker on this machine, on the loopback address, until Ctrl-C.

    Load warms the broker up first: a broker that has just been started delays records.

    Use it with `setup`, `produce`, `submit` and `measure` in other terminals, and with `run --bootstrap-servers`. Its
    topics are deleted at the end. `run` starts its own broker and does not need this one.
    """
    from rtmbench.submit import serve_kafka  # noqa: PLC0415 - `--help` must not wait for it

    serve_kafka(results, port=kafka_port, offline=offline, say=lambda text: click.echo(text, err=True))
