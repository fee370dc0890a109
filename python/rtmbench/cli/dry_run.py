"""What `run --dry-run` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rtmbench.formatting import plural

if TYPE_CHECKING:
    from rtmbench.experiment.dry_run import DryRun, PlannedCell

_MIB = 1 << 20


def print_dry_run(planned: DryRun) -> None:
    """Print a run that has not been started."""
    heads: tuple[str, ...] = ("pattern", "cell", "mode", "emits", "slots", "trials", "a trial takes")
    rows = [heads, *map(_row, planned.cells)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    settings = planned.settings[0]
    click.echo(
        f"\nload: {settings['rate']:,.0f} events/s, {settings['arrivals']}, {settings['keys']:,} keys, "
        f"{plural(settings['partitions'], 'partition')}; checkpoint or batch: {settings['checkpoint_interval_s']:g} s"
    )
    for needed in dict.fromkeys(f"{cell.name}: {cell.slots_needed}" for cell in planned.cells if cell.slots_needed):
        click.echo(f"slots of {needed}")
    downloads = ", ".join(f"{name} {size / _MIB:,.0f} MB" for name, size in planned.download_bytes.items())
    click.echo(f"downloads: {downloads or 'none'}")
    click.echo(f"disk for Kafka's data: {planned.disk_bytes / _MIB:,.0f} MB at most")
    click.echo(f"{plural(planned.trials, 'trial')}, about {planned.seconds / 60:.0f} min")
    for note in planned.notes:
        click.echo(f"note: {note}")
    for check in planned.checks:
        if check.status != "ok":
            click.echo(f"{check.status}: {check.name}: {check.detail}{f' → {check.fix}' if check.fix else ''}")


def _row(cell: PlannedCell) -> tuple[str, ...]:
    point = "".join(f" {name}={value}" for name, value in cell.point.items())
    slots = "" if cell.slots is None else str(cell.slots)
    return (f"{cell.pattern}{point}", cell.name, cell.mode, cell.emit, slots, str(cell.trials), f"{cell.trial_s:.0f} s")


__all__ = ["print_dry_run"]
