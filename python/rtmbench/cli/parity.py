"""`rtmbench parity`: the effective settings of engines side by side."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from rtmbench.cli.configuration import setting
from rtmbench.cli.run import Seconds

_ASKED = (
    "profile",
    "partitions",
    "slots",
    "shuffle_partitions",
    "checkpoint_interval",
    "state_backend",
    "buffer_wait",
    "memory",
)
"""Settings that a stored run may have had otherwise: one on the command line has the engines started."""


@click.command()
@click.argument("pattern", default="01")
@setting(
    "--engines",
    default="flink@1.20,spark@4.1",
    show_default=True,
    help="ENGINE[@VERSION][:MODE], comma-separated.",
)
@click.option("--fresh", is_flag=True, help="Start the engines to ask them, even where a stored run has the answer.")
@setting("--profile", type=click.Choice(["spec", "laptop"]), help="Sizes. [default: what the machine holds]")
@setting("--partitions", type=int, help="Of each topic. [default: 16, less on a small machine]")
@setting("--slots", type=int, help="Task slots of each engine. [default: as many as each needs]")
@setting("--shuffle-partitions", type=int, help="Of Spark's keyed stages. [default: 20, less on a small machine]")
@setting("--checkpoint-interval", type=Seconds(), default="5s", show_default=True, help="Of Flink; Spark's batches.")
@setting(
    "--state-backend",
    type=click.Choice(["rocksdb", "hashmap"]),
    default="rocksdb",
    show_default=True,
    help="Of Flink, at patterns with state.",
)
@setting(
    "--buffer-wait", type=int, metavar="MS", default=1, show_default=True, help="Longest wait in a network buffer."
)
@setting("--memory", type=int, metavar="MIB", help="Memory of all processes of one engine.")
@setting("--offline", is_flag=True, help="Download nothing; the cache must hold what is needed.")
@setting(
    "--results",
    type=click.Path(path_type=Path),
    default="results",
    show_default=True,
    help="Where runs are stored.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.pass_context
def parity(context: click.Context, /, pattern: str, *, engines: str, fresh: bool, as_json: bool, **wishes: Any) -> int:
    """Show the effective settings of engines at PATTERN (01) side by side, and name what differs.

    They are those of the newest stored run of these engines, else each engine is started once, without load; so it is
    too where a setting is given here. They were read back from the running engine where it can be asked.
    """
    from rtmbench import experiment  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.report.parity import print_parity  # noqa: PLC0415
    from rtmbench.settings import RunRequest  # noqa: PLC0415

    asked = any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in _ASKED)
    wishes["checkpoint_interval_s"] = wishes.pop("checkpoint_interval")
    wishes["buffer_wait_ms"] = wishes.pop("buffer_wait")
    wishes["memory_mb"] = wishes.pop("memory")
    names = tuple(name.strip() for name in engines.split(",") if name.strip())
    request = RunRequest(patterns=(pattern,), engines=names, quick=True, **wishes)
    found = experiment.effective_settings(request, fresh=fresh or asked)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        print_parity(found)
    return 0
