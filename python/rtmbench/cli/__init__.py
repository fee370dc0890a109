"""The command line: one module per command, imported when the command is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from rtmbench import signals
from rtmbench.cli import configuration
from rtmbench.errors import RtmbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "run": "Run patterns on engines and compare their latency.",
    "compare": "Compare runs, engines of a run, or a run with a stored baseline.",
    "history": "Show how latency changed from run to run.",
    "parity": "Show the effective settings of the engines side by side.",
    "claims": "Test what the documents state about the engines.",
    "doctor": "Check whether this machine can do a run, and show how to fix what it lacks.",
    "report": "Write the report of a run: one HTML page, Markdown, CSV, Parquet or JSON.",
    "explain": "Explain an error, a status or an exit code.",
    "produce": "Send events into a topic of any Kafka, on an open-loop schedule.",
    "measure": "Show the latency of the records that arrive in a topic of any Kafka.",
    "merge": "Merge the latencies that several hosts have measured.",
    "diff": "Compare two topics that must hold the same results.",
    "init": "Write the files that a measurement of a custom job begins with.",
    "template": "Write a template for a custom job from the records of a topic.",
    "clock": "Let other hosts compare their clocks with the clock of this one.",
    "up": "Run a Kafka broker on this machine until Ctrl-C.",
    "setup": "Create the topics and build the jobs for produce, submit and measure.",
    "submit": "Run the job of one pattern on one engine, on an existing Kafka.",
    "engines": "List, fetch or remove the engines in the cache.",
    "completion": "Print the completion script for bash, zsh or fish.",
}


class _Commands(click.Group):
    """A group that imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"rtmbench.cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"rtmbench.cli.{cmd_name} has no command of its name")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rtmbench", prog_name="rtmbench")
@click.pass_context
def rtmbench(ctx: click.Context) -> None:
    """Benchmark and verify streaming jobs on Apache Flink and Spark Real-Time Mode, side by side."""
    ctx.default_map = configuration.load(os.environ)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of its contract (see `docs/results.md`)."""
    signals.install()
    try:
        code = rtmbench.main(args=arguments, prog_name="rtmbench", standalone_mode=False)
    except click.Abort:
        code = 128 + signal.SIGINT
    except click.ClickException as error:
        error.show()
        code = 2
    except RtmbenchError as error:
        click.echo(f"rtmbench: {error}", err=True)
        code = getattr(error, "exit_code", 1)
    except KeyboardInterrupt:
        click.echo("rtmbench: interrupted", err=True)
        code = 128 + signal.SIGINT
    except signals.Terminated:
        click.echo("rtmbench: terminated", err=True)
        code = 128 + signal.SIGTERM
    except BrokenPipeError:
        # The reader of the output has closed it; nothing can be printed any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
