"""`rtmbench up`: a Kafka broker on this machine for as long as the command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rtmbench.cli import shared
from rtmbench.cli.configuration import setting

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.platform.kafka import KafkaService


@click.command()
@setting("--kafka-port", type=click.IntRange(0, 65535), default=9092, show_default=True, help="0: any free one.")
@shared.offline
@shared.results("Where the broker's log is kept.")
def up(kafka_port: int, *, offline: bool, results: Path) -> None:
    """Run a Kafka broker here, on the loopback address, until Ctrl-C.

    For `setup`, `produce`, `submit` and `measure` in other terminals, and for `run --bootstrap-servers`. What was in
    its topics is gone at the end. `run` starts a broker of its own and needs none.
    """
    from rtmbench.submit import serve_kafka  # noqa: PLC0415 - `--help` must not wait for it

    serve_kafka(results, port=kafka_port, offline=offline, say=_say)


def _say(service: KafkaService) -> None:
    click.echo(f"Kafka {service.build} at {service.bootstrap_servers}; Ctrl-C stops it", err=True)
