"""`rtmbench completion`: the script by which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash  eval "$(rtmbench completion bash)"       in ~/.bashrc
    zsh   eval "$(rtmbench completion zsh)"        in ~/.zshrc
    fish  rtmbench completion fish > ~/.config/fish/completions/rtmbench.fish
    """  # noqa: D301 - click's sign for lines that stay as they are
    from rtmbench.cli import rtmbench  # noqa: PLC0415 - the group imports this module

    # The script is made from the class's template; asking bash for its version would need a bash here.
    script = SHELLS[shell](rtmbench, {}, "rtmbench", VARIABLE)
    click.echo(script.source_template % script.source_vars())


VARIABLE = "_RTMBENCH_COMPLETE"
"""What the scripts call `rtmbench` with; click answers it before anything else runs."""
