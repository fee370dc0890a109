"""`rtmbench merge`: the latencies of several hosts or processes, as one."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from rtmbench.cli.kafka import figures, latency_line
from rtmbench.cli.options import json_option


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@json_option
def merge(logs: tuple[Path, ...], *, as_json: bool) -> None:
    """Merge the interval logs that `measure --shard I/N --hlog FILE` wrote on N hosts.

    Histograms are added, so the percentiles are those of all records, and not means of percentiles.
    """
    from rtmbench.errors import ConfigurationError  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.results.histogram_log import merged, read_histogram_log  # noqa: PLC0415
    from rtmbench.results.model.load import MergeDocument, Percentiles  # noqa: PLC0415

    if len({path.resolve() for path in logs}) < len(logs):
        raise ConfigurationError("One file is named twice: its records would count twice.")
    parts = [merged(read_histogram_log(path)) for path in logs]
    total = parts[0]
    counts = [part.count for part in parts]
    for part in parts[1:]:
        total.merge(part)
    document = MergeDocument(records=counts, latency_us=Percentiles(**figures(total)))
    if as_json:
        click.echo(json.dumps(asdict(document), indent=2))
        return
    click.echo(f"{total.count:,} records of {len(logs)} logs ({', '.join(f'{count:,}' for count in counts)})")
    if total.count:
        click.echo(latency_line(total))
