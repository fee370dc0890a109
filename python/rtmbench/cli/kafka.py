"""What `produce` and `measure` share: how to reach Kafka, durations in words, a line that follows the work."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from rtmbench.errors import ConfigurationError, RtmbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rtmbench._core import Histogram
    from rtmbench.kafka.connection import Connection

_MS = 1_000
_S = 1_000_000


def client_config(
    defaults: Callable[[Connection], Mapping[str, str]], bootstrap_servers: str | None, kafka_properties: Path | None
) -> dict[str, str]:
    """Return the client's properties: those of the harness, then the file's. Raises `ConfigurationError`."""
    from rtmbench.kafka.connection import load  # noqa: PLC0415 - `--help` must not wait for it

    connection = load(kafka_properties, bootstrap_servers)
    if connection.left_out:
        click.echo(f"{kafka_properties}: left out, not of the Kafka client: {', '.join(connection.left_out)}", err=True)
    return {**defaults(connection), **connection.tuning}


@contextlib.contextmanager
def client_errors(config: Mapping[str, str], way_out: str = "") -> Iterator[None]:
    """Turn what the client refuses into errors of the command line, without the values of secrets."""
    from rtmbench._core import KafkaError  # noqa: PLC0415
    from rtmbench.kafka.properties import redact  # noqa: PLC0415

    try:
        yield
    except KafkaError as error:
        raise RtmbenchError(redact(f"{error}{way_out}", config)) from None
    except ValueError as error:
        raise ConfigurationError(redact(str(error), config)) from None


def figures(histogram: Histogram) -> dict[str, Any]:
    """Return the fields of `Percentiles` for a histogram of µs; without samples, None except for the count."""
    some = histogram.count > 0
    quantiles = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}
    return {
        "count": histogram.count,
        "min": histogram.min if some else None,
        **{name: histogram.percentile(q) if some else None for name, q in quantiles.items()},
        "max": histogram.max if some else None,
    }


def duration_text(us: float) -> str:
    """Return a duration in the unit that suits it: 870 µs, 12.3 ms, 4.56 s."""
    if abs(us) < _MS:
        return f"{us:.0f} µs"
    if abs(us) < _S:
        return f"{us / _MS:.3g} ms" if abs(us) < 100 * _MS else f"{us / _MS:.0f} ms"
    return f"{us / _S:.3g} s"


def latency_line(latency: Histogram, since: str = "") -> str:
    """Return the percentiles of a histogram of µs in one line; `since` is where they count from, with a space first."""
    shown = (("p50", 50.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 99.9))
    texts = [f"{name} {duration_text(latency.percentile(q))}" for name, q in shown]
    return f"latency{since}: {' · '.join(texts)} · max {duration_text(latency.max)}"


class LiveLine:
    """A line on standard error that follows the work: written over on a terminal, else one line each time."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._open = False

    def show(self, text: str) -> None:
        """Show the state now."""
        if self._terminal:
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)
            self._open = True
        else:
            click.echo(text, err=True)

    def end(self) -> None:
        """Leave the line, so that others can follow it."""
        if self._open:
            click.echo(err=True)
            self._open = False
