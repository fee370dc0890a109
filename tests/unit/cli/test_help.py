"""What `--help` prints for every command: read in reviews, as it is here."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

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
    # In a process of its own: click keeps the help option of a command that another test has called by itself.
    arguments = [sys.executable, "-m", "rtmbench", *command, "--help"]
    done = subprocess.run(arguments, env={**os.environ, "COLUMNS": "100"}, capture_output=True, text=True, check=True)
    assert "\\b" not in done.stdout, "a mark that keeps lines as they are is shown as text"
    assert done.stdout == snapshot
