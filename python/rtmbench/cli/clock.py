"""`rtmbench clock`: lets other hosts compare their clocks with the clock of this one."""

from __future__ import annotations

import click

from rtmbench.errors import PreflightError


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:9123",
    show_default=True,
    metavar="HOST:PORT",
    help="Address to answer at. Other hosts need one that they can reach.",
)
def clock(listen: str) -> None:
    """Answer with the time of this host until Ctrl-C, for `measure --clock` on other hosts.

    Run it where the events get their time stamps, for example next to `produce`.
    """
    from rtmbench.clocks import ClockServer  # noqa: PLC0415 - `--help` must not wait for it

    try:
        server = ClockServer(listen)
    except OSError as error:
        raise PreflightError(f"{listen} cannot be used: {error.strerror or error}. Give another --listen.") from None
    with server:
        click.echo(f"clock at {server.address}; Ctrl-C stops it", err=True)
        server.serve_forever()
