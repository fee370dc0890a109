"""`rtmbench produce`: open-loop load into a topic of any Kafka."""

from __future__ import annotations

import contextlib
import json
import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import click

from rtmbench.cli.kafka import LiveLine, client_config, client_errors, duration_text, figures
from rtmbench.cli.options import Duration, Shard, existing_kafka, json_option, setting
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.kafka.clients import LINGER_FROM_RATE, SINK, UNPACED_BATCH_BYTES, UNPACED_LINGER_MS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rtmbench._core import Generator, GeneratorReport, Histogram
    from rtmbench.experiment.arrivals import Arrivals
    from rtmbench.results.model.load import ProduceDocument, ProducerSettings
    from rtmbench.run_settings import SettingValues

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


@click.command()
@existing_kafka
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
    help="Acknowledgements to wait for. Below `all` the producer is not idempotent: a retry may reorder or duplicate. "
    "[default: all]",
)
@click.option(
    "--linger",
    type=click.FloatRange(0, 900_000),
    metavar="MS",
    help=f"Time to collect records for a request, in ms. [default: 0; 1 from {LINGER_FROM_RATE:,} events/s on; "
    f"{UNPACED_LINGER_MS} with --rate max]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 2_147_483_647),
    metavar="BYTES",
    help=f"Most bytes of one partition in a request. [default: {SINK['batch.size']}; {UNPACED_BATCH_BYTES} with "
    "--rate max]",
)
@click.option(
    "--compression",
    type=click.Choice(["none", "gzip", "snappy", "lz4", "zstd"]),
    help="Compression of the requests. [default: none]",
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
    create: bool,
    partitions: int | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Send events on a schedule that is never re-based: lateness shows as schedule slip.

    The Kafka client's settings follow the rate; the file of --kafka-properties, and then the options, override them.

    Events are JSON with `produced_at` (epoch ms) and `scheduled_at_us` (epoch µs), the time each was meant for; the
    same seed makes the same events. `rtmbench measure` reads them anywhere downstream. An interrupt ends it with the
    report of what was sent, and exit 130.
    """
    from rtmbench import _core  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.results.model.load import Percentiles, ProduceDocument  # noqa: PLC0415

    arrivals = _arrivals(schedule, rate)
    config = _config(arrivals.highest(rate), bootstrap_servers, kafka_properties, values)
    with client_errors(config):
        generator = _core.Generator(
            config,
            topic,
            _core.Workload(
                values["seed"], keys=values["keys"], zipf_exponent=values["zipf"], payload_bytes=values["payload"]
            ),
            _core.Schedule.unpaced() if math.isinf(rate) else arrivals.schedule(rate, values["seed"]),
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
    interruption, sent = _follow(generator, config)
    slip = None if math.isinf(rate) or sent.slip is None else sent.slip
    document = ProduceDocument(
        topic=topic,
        acked=sent.acked,
        failed=sent.failed,
        seconds=sent.seconds,
        rate=sent.rate,
        slip_us=None if slip is None else Percentiles(**figures(slip)),
        client=_client_settings(config),
    )
    if as_json:
        click.echo(json.dumps(asdict(document), indent=2))
    else:
        _print(document, slip)
    if interruption is not None:
        raise interruption
    if sent.failed:
        from rtmbench.kafka.properties import redact  # noqa: PLC0415

        reasons = "; ".join(sent.errors[:3]) or "no reason reported"
        raise RunFailedError(redact(f"{sent.failed:,} events were not delivered: {reasons}", config))


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """What a load came to."""

    acked: int
    failed: int
    seconds: float
    rate: float
    slip: Histogram | None = None
    errors: list[str] = field(default_factory=list[str])


def _config(
    highest_rate: float, bootstrap_servers: str | None, kafka_properties: Path | None, values: SettingValues
) -> dict[str, str]:
    """Return the producer's properties: those that suit the rate, then the file's, then the options'."""
    from rtmbench.kafka import clients  # noqa: PLC0415

    config = client_config(
        lambda connection: clients.harness_producer(
            connection, clients.generator_linger_ms(highest_rate), clients.generator_batch_bytes(highest_rate)
        ),
        bootstrap_servers,
        kafka_properties,
    )
    options = {
        "acks": values["acks"],
        "linger.ms": None if values["linger"] is None else f"{values['linger']:g}",
        "batch.size": values["batch_size"],
        "compression.codec": values["compression"],
    }
    config |= {name: str(value) for name, value in options.items() if value is not None}
    if config["acks"] not in ("all", "-1"):
        config["enable.idempotence"] = "false"
    return config


def _client_settings(config: Mapping[str, str]) -> ProducerSettings:
    from rtmbench.results.model.load import ProducerSettings  # noqa: PLC0415

    return ProducerSettings(
        linger_ms=float(config["linger.ms"]),
        batch_bytes=int(config["batch.size"]),
        acks="all" if config["acks"] == "-1" else config["acks"],
        compression=config["compression.codec"],
    )


def _arrivals(shape: str, rate: float) -> Arrivals:
    from rtmbench.experiment.arrivals import parse_arrivals  # noqa: PLC0415

    if math.isinf(rate) and shape != "constant":
        raise ConfigurationError(f"--rate max has no schedule: leave --schedule {shape} out, or give a rate.")
    return parse_arrivals(shape, option="--schedule", steps=True)


def _create(config: Mapping[str, str], topic: str, partitions: int) -> None:
    from rtmbench import _core  # noqa: PLC0415

    _core.wait_for_broker(config, 30.0)
    try:
        _core.end_offsets(config, topic)
    except _core.KafkaError:
        _core.create_topics(config, [topic], partitions=partitions)


def _follow(generator: Generator, config: Mapping[str, str]) -> tuple[BaseException | None, _Sent]:
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
        return interruption, _Sent(acked=now.acked, failed=now.failed, seconds=seconds, rate=now.acked / seconds)
    return interruption, _Sent(
        acked=report.acked,
        failed=report.failed,
        seconds=report.seconds,
        rate=report.rate,
        slip=report.slip_all,
        errors=report.errors,
    )


def _watch(generator: Generator, live: LiveLine, started: float) -> GeneratorReport:
    while True:
        with contextlib.suppress(TimeoutError):
            return generator.join(1.0)
        now = generator.snapshot()
        failed = f" · {now.failed:,} failed" if now.failed else ""
        live.show(f"{time.monotonic() - started:4.0f} s · {now.generated:,} sent · {now.acked:,} acked{failed}")


def _print(document: ProduceDocument, slip: Histogram | None) -> None:
    client = document.client
    click.echo(
        f"{document.topic}: {document.acked:,} events acknowledged in {document.seconds:.1f} s "
        f"({document.rate:,.0f}/s), {document.failed:,} failed"
    )
    if slip is not None and slip.count:
        texts = [f"{name} {duration_text(slip.percentile(q))}" for name, q in (("p50", 50), ("p95", 95), ("p99", 99))]
        click.echo(f"schedule slip: {' · '.join(texts)} · max {duration_text(slip.max)}")
    click.echo(
        f"client: linger {client.linger_ms:g} ms · batches up to {client.batch_bytes:,} bytes · acks {client.acks} · "
        f"compression {client.compression}"
    )
