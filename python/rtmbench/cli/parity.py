"""`rtmbench parity`: the effective settings of engines side by side."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
from click.core import ParameterSource

from rtmbench.cli import shared
from rtmbench.cli.configuration import setting

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
@shared.engines
@click.option("--fresh", is_flag=True, help="Start the engines to ask them, even where a stored run has the answer.")
@setting("--profile", type=click.Choice(["spec", "laptop"]), help="Sizes. [default: what the machine holds]")
@shared.partitions
@shared.slots
@shared.shuffle_partitions
@shared.checkpoint_interval
@shared.state_backend
@shared.buffer_wait
@shared.memory
@shared.offline
@shared.results("Where runs are stored.")
@shared.as_json
@click.pass_context
def parity(context: click.Context, /, pattern: str, *, engines: str, fresh: bool, as_json: bool, **wishes: Any) -> int:
    """Show the effective settings of engines at PATTERN (01) side by side, and name what differs.

    They are those of the newest stored run of these engines, else each engine is started once, without load; so it is
    too where a setting is given here. They were read back from the running engine where it can be asked.
    """
    from rtmbench.experiment import runner  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.live_view import LiveView  # noqa: PLC0415
    from rtmbench.report.parity import print_parity  # noqa: PLC0415
    from rtmbench.experiment.settings import RunRequest  # noqa: PLC0415

    asked = any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in _ASKED)
    wishes["checkpoint_interval_s"] = wishes.pop("checkpoint_interval")
    wishes["buffer_wait_ms"] = wishes.pop("buffer_wait")
    wishes["memory_mb"] = wishes.pop("memory")
    names = tuple(name.strip() for name in engines.split(",") if name.strip())
    # Windows as in a quick run, so that a first result is soon there; the published setup has its own.
    request = RunRequest(patterns=(pattern,), engines=names, quick=wishes["profile"] != "spec", **wishes)
    found = runner.effective_settings(request, fresh=fresh or asked, view=LiveView())
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        print_parity(found)
    return 0
