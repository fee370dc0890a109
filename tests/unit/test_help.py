"""What `--help` prints for every command: read in reviews, as it is here."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from rtmbench.cli import COMMANDS, rtmbench


def _commands():
    yield ()
    for name in COMMANDS:
        yield (name,)
        command = rtmbench.get_command(click.Context(rtmbench), name)
        if isinstance(command, click.Group):
            yield from ((name, each) for each in command.commands)


@pytest.mark.parametrize("command", list(_commands()), ids=lambda command: " ".join(command) or "rtmbench")
def test_help_is_as_it_was_reviewed(command, snapshot):
    done = CliRunner().invoke(rtmbench, [*command, "--help"], prog_name="rtmbench", terminal_width=100)
    assert done.exit_code == 0
    assert done.output == snapshot
