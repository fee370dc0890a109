"""The options that several commands have, told once: what a setting means does not depend on the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtmbench.cli.configuration import setting
from rtmbench.cli.run import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

Command = Any

slots = setting("--slots", type=int, help="Task slots (threads) of each engine. [default: as many as each needs]")
shuffle_partitions = setting(
    "--shuffle-partitions", type=int, help="Of Spark's keyed stages. [default: 20, less on a small machine]"
)
partitions = setting("--partitions", type=int, help="Of each topic. [default: 16, less on a small machine]")
checkpoint_interval = setting(
    "--checkpoint-interval",
    type=Seconds(),
    default="5s",
    show_default=True,
    help="Checkpoints of Flink, batches of Spark.",
)
state_backend = setting(
    "--state-backend",
    type=click.Choice(["rocksdb", "hashmap"]),
    default="rocksdb",
    show_default=True,
    help="Of Flink, at patterns with state.",
)
buffer_wait = setting(
    "--buffer-wait",
    type=int,
    metavar="MS",
    default=1,
    show_default=True,
    help="Longest wait in a network buffer, of both engines.",
)
memory = setting("--memory", type=int, metavar="MIB", help="Memory of all processes of one engine.")
flink_port = setting("--flink-port", type=click.IntRange(0, 65535), default=0, help="Of Flink's web page.")
offline = setting("--offline", is_flag=True, help="Download nothing; the cache must hold what is needed.")
engines = setting(
    "--engines",
    default="flink@1.20,spark@4.1",
    show_default=True,
    help="ENGINE[@VERSION][:MODE], comma-separated.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def existing_kafka(command: Command) -> Command:
    """Add `--bootstrap-servers` to a command that needs a Kafka which is there."""
    add = setting(
        "--bootstrap-servers",
        also=["KAFKA_BOOTSTRAP_SERVERS"],
        metavar="HOST:PORT",
        required=True,
        help="The Kafka to use.",
    )
    return add(command)


def results(what: str) -> Callable[[Command], Command]:
    """Add `--results`, the directory of all runs; `what` says what the command does there."""
    return setting("--results", type=click.Path(path_type=Path), default="results", show_default=True, help=what)
