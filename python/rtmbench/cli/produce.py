"""`rtmbench produce`: open-loop load into a topic of any Kafka."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import click

from rtmbench.cli.kafka import LiveLine, client_config, client_errors, duration_text, figures, kafka_options
from rtmbench.cli.options import Duration, json_option, setting
from rtmbench.errors import ConfigurationError, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rtmbench._core import Generator, GeneratorReport, Histogram, Schedule

_WIND_UP_S = 0.7


class Rate(click.ParamType[float]):
    """Events per second, or `max`, which is infinite."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the rate; a click usage error for any other text."""
        if value == "max":
            return float("inf")
        try:
            rate = float(value)
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            self.fail(f"{value!r} is not a rate; use events per second, or max", param, ctx)
        return rate


class Shard(click.ParamType[tuple[int, int]]):
    """A part of a workload: `2/3`."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the number and the count of parts; raise click's usage error for any other text."""
        if isinstance(value, tuple):
            return value
        number, _, of = str(value).partition("/")
        try:
            return int(number), int(of)
        except ValueError:
            self.fail(f"{value!r} is not a shard; use I/N, as in 2/3", param, ctx)


@click.command()
@kafka_options
@click.option("--topic", default="benchmark-input", show_default=True, help="Topic to send to.")
@setting("rate", type=Rate(), default=10_000, metavar="N|max", help="Events per second.")
@click.option("--duration", type=Duration(), help="Length of the schedule. [default: until interrupted]")
@click.option("--count", type=click.IntRange(min=1), help="Number of events; with --duration, whichever ends first.")
@setting("keys")
@setting("zipf")
@setting("seed")
@click.option(
    "--schedule",
    default="constant",
    show_default=True,
    metavar="SHAPE",
    help="constant, poisson, burst:SIZE, ramp:FROM:SECONDS (up to --rate), step:SECONDS@RATE,… (its own rates).",
)
@setting("payload", type=click.IntRange(min=1))
@click.option(
    "--shard",
    type=Shard(),
    metavar="I/N",
    help="Send the keys of part I of N. Together, the N parts of a seed produce the full load; --count and --rate are "
    "totals.",
)
@click.option(
    "--first-index", type=click.IntRange(min=0), default=0, help="Index of the first event; continues an earlier run."
)
@click.option(
    "--precision",
    type=click.Choice(["low", "default", "high"]),
    default="default",
    show_default=True,
    help="CPU time to spend on an exact schedule.",
)
@click.option(
    "--spin-share",
    type=click.FloatRange(0, 1),
    help="Maximum fraction of one core to spend busy-waiting. [default: 0.5 with --precision high]",
)
@click.option(
    "--acks",
    type=click.Choice(["0", "1", "all"]),
    default="all",
    show_default=True,
    help="Acknowledgements to wait for. Below `all` the producer is not idempotent: a retry may reorder or duplicate.",
)
@click.option("--create", is_flag=True, help="Create the topic if it does not exist.")
@setting("partitions", type=click.IntRange(min=1), help="Partitions of a topic that --create creates. [default: 16]")
@json_option
def produce(
    topic: str,
    *,
    bootstrap_servers: str | None,
    kafka_properties: Path | None,
    rate: float,
    schedule: str,
    acks: str,
    create: bool,
    partitions: int | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Send events on a schedule that is never re-based: lateness shows as schedule slip.

    Events are JSON with `produced_at` (epoch ms) and `scheduled_at_us` (epoch µs), the time each was meant for; the
    same seed makes the same events. `rtmbench measure` reads them anywhere downstream. An interrupt ends it with the
    report of what was sent, and exit 130.
    """
    from rtmbench import _core  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.kafka.clients import harness_producer  # noqa: PLC0415

    config = client_config(harness_producer, bootstrap_servers, kafka_properties)
    config["acks"] = acks
    if acks != "all":
        config["enable.idempotence"] = "false"
    with client_errors(config):
        generator = _core.Generator(
            config,
            topic,
            _core.Workload(
                values["seed"], keys=values["keys"], zipf_exponent=values["zipf"], payload_bytes=values["payload"]
            ),
            _schedule(schedule, rate, values["seed"]),
            count=values["count"],
            duration_s=values["duration"],
            first_index=values["first_index"],
            precision=values["precision"],
            spin_share=values["spin_share"],
            shard=values["shard"],
        )
    if create:
        with client_errors(config):
            _create(config, topic, partitions or 16)
    with client_errors(config, "" if create else " If the topic is missing, --create makes it."):
        generator.start()
    interruption, outcome = _follow(generator, config)
    outcome["topic"] = topic
    slip = outcome.pop("slip")
    unpaced = rate == float("inf")
    if as_json:
        names = ("topic", "acked", "failed", "seconds", "rate")
        document = {name: outcome[name] for name in names}
        document["slip_us"] = None if unpaced or slip is None else figures(slip)
        click.echo(json.dumps(document, indent=2))
    else:
        _print(outcome, None if unpaced else slip)
    if interruption is not None:
        raise interruption
    if outcome["failed"]:
        from rtmbench.kafka.properties import redact  # noqa: PLC0415

        reasons = "; ".join(outcome["errors"][:3]) or "no reason reported"
        raise RunFailedError(redact(f"{outcome['failed']:,} events were not delivered: {reasons}", config))


def _schedule(shape: str, rate: float, seed: int) -> Schedule:
    from rtmbench._core import Schedule  # noqa: PLC0415
    from rtmbench.experiment.arrivals import parse_arrivals  # noqa: PLC0415

    if rate == float("inf"):
        if shape != "constant":
            raise ConfigurationError(f"--rate max has no schedule: leave --schedule {shape} out, or give a rate.")
        return Schedule.unpaced()
    return parse_arrivals(shape, option="--schedule", steps=True).schedule(rate, seed)


def _create(config: Mapping[str, str], topic: str, partitions: int) -> None:
    from rtmbench import _core  # noqa: PLC0415

    _core.wait_for_broker(config, 30.0)
    try:
        _core.end_offsets(config, topic)
    except _core.KafkaError:
        _core.create_topics(config, [topic], partitions=partitions)


def _follow(generator: Generator, config: Mapping[str, str]) -> tuple[BaseException | None, dict[str, Any]]:
    """Wait for the end, showing the counters each second; return what interrupted it, and what was sent."""
    from rtmbench.signals import Terminated, shielded  # noqa: PLC0415

    started = time.monotonic()
    live = LiveLine()
    interruption: BaseException | None = None
    report: GeneratorReport | None = None
    try:
        report = _watch(generator, live, started)
    except (KeyboardInterrupt, Terminated) as raised:
        interruption = raised
        # Where the broker confirms no more, what is known now is the report.
        with shielded(), client_errors(config), contextlib.suppress(TimeoutError):
            generator.stop()
            report = generator.join(_WIND_UP_S)
    live.end()
    if report is None:
        now = generator.snapshot()
        seconds = time.monotonic() - started
        unconfirmed = now.generated - now.acked - now.failed
        click.echo(f"rtmbench: {unconfirmed:,} events were sent and not confirmed", err=True)
        sent = {"acked": now.acked, "failed": now.failed, "seconds": seconds, "rate": now.acked / seconds}
        return interruption, {**sent, "slip": None, "errors": []}
    names = ("acked", "failed", "seconds", "rate", "errors")
    return interruption, {**{name: getattr(report, name) for name in names}, "slip": report.slip_all}


def _watch(generator: Generator, live: LiveLine, started: float) -> GeneratorReport:
    while True:
        with contextlib.suppress(TimeoutError):
            return generator.join(1.0)
        now = generator.snapshot()
        failed = f" · {now.failed:,} failed" if now.failed else ""
        live.show(f"{time.monotonic() - started:4.0f} s · {now.generated:,} sent · {now.acked:,} acked{failed}")


def _print(outcome: Mapping[str, Any], slip: Histogram | None) -> None:
    click.echo(
        f"{outcome['topic']}: {outcome['acked']:,} events acknowledged in {outcome['seconds']:.1f} s "
        f"({outcome['rate']:,.0f}/s), {outcome['failed']:,} failed"
    )
    if slip is not None and slip.count:
        texts = [f"{name} {duration_text(slip.percentile(q))}" for name, q in (("p50", 50), ("p95", 95), ("p99", 99))]
        click.echo(f"schedule slip: {' · '.join(texts)} · max {duration_text(slip.max)}")
