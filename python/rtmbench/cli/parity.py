"""`rtmbench parity`: the effective settings of engines side by side."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
from click.core import ParameterSource

from rtmbench.cli.options import json_option, settings, take_settings

_NO_SETTING_OF_AN_ENGINE = {"engines", "offline", "results"}


@click.command()
@click.argument("pattern", default="01")
@click.option("--fresh", is_flag=True, help="Start the engines even if a stored run has their settings.")
@settings("parity")
@json_option
@click.pass_context
def parity(context: click.Context, /, pattern: str, *, fresh: bool, as_json: bool, **values: Any) -> int:
    """Show the effective settings of engines for PATTERN (01) side by side, and name what differs.

    They are those of the newest stored run of these engines. Without one, or with a setting on this command line, each
    engine is started once, without load. Settings are read back from the running engine where it reports them.
    """
    from rtmbench.experiment import runner  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.experiment.settings import RunRequest  # noqa: PLC0415
    from rtmbench.live_view import LiveView  # noqa: PLC0415
    from rtmbench.report.parity import print_parity  # noqa: PLC0415

    # A stored run may have had other settings than those of this command line.
    on_command_line = {name for name in values if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    fresh = fresh or bool(on_command_line - _NO_SETTING_OF_AN_ENGINE)
    # Windows as in a quick run, so that a first result is soon there; the published setup has its own.
    request = RunRequest(patterns=(pattern,), quick=values["profile"] != "spec", **take_settings(values))
    engine_settings = runner.effective_settings(request, fresh=fresh, view=LiveView())
    if as_json:
        click.echo(json.dumps(asdict(engine_settings), indent=2))
    else:
        print_parity(engine_settings)
    return 0
