"""`rtmbench measure`: the latency of what arrives in a topic of any Kafka."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from rtmbench.cli.kafka import LiveLine, client_config, client_errors, duration_text, figures, latency_line
from rtmbench.cli.options import Duration, Shard, existing_kafka, json_option, metrics_option
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.timestamps import HOUR_US, MOST, Clock, recognised, too_old

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtmbench._core import ConsumerReport, Histogram, LatencyConsumer
    from rtmbench.clocks import ClockOffset
    from rtmbench.results.model.load import MeasureDocument

KAFKA = "kafka"
HEADER = "header:"
_KEPT: dict[str | None, str] = {
    "CreateTime": "the topic keeps the producer's time of each record (CreateTime): latency counts from there",
    "LogAppendTime": "the topic keeps the broker's time of each record (LogAppendTime): latency counts from the append "
    "to this topic, so nothing before it is in it",
}
ERROR_SHARE = 0.1
"""Of the median: the most by which the difference of the clocks may be wrong."""
_WIND_UP_S = 5.0
_SECOND_US = 1_000_000
_SHOWN = (("p50", 50.0), ("p95", 95.0), ("p99", 99.0))


@click.command()
@existing_kafka
@click.option("--topic", default="benchmark-output", show_default=True, help="Topic to read.")
@click.option("--duration", type=Duration(), help="Time to measure for. [default: until interrupted]")
@click.option(
    "--timestamp",
    "--timestamp-field",
    "timestamp",
    metavar="FIELD|header:NAME|kafka",
    help="The time to measure from: a field, such as `meta.created` (epoch s, ms, µs or ns, or ISO 8601 text); a "
    "header; or the time stamp that Kafka keeps of each record. [default: scheduled_at_us, or produced_at in a record "
    "without it]",
)
@click.option("--from-beginning", is_flag=True, help="Include the records that the topic holds already.")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Consumer threads, which share the partitions.",
)
@click.option(
    "--shard",
    type=Shard(),
    metavar="I/N",
    help="Read the partitions of part I of N; `rtmbench merge` adds the parts.",
)
@click.option(
    "--clock",
    metavar="HOST:PORT",
    help="Where `rtmbench clock` runs on the host that stamps the records: latencies are corrected by the difference "
    "of the clocks.",
)
@click.option(
    "--hlog",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File for an HdrHistogram interval log: one histogram per second, in µs.",
)
@metrics_option
@json_option
def measure(
    topic: str,
    *,
    bootstrap_servers: str | None,
    kafka_properties: Path | None,
    duration: float | None,
    timestamp: str | None,
    from_beginning: bool,
    threads: int,
    shard: tuple[int, int] | None,
    clock: str | None,
    hlog: Path | None,
    metrics: tuple[str, int] | None,
    as_json: bool,
) -> None:
    """Show how old the records of a topic are when they arrive: p50, p95 and p99, each second and in total.

    A record is JSON with a time stamp; its age is the time of its receipt here minus that time stamp, so the clocks of
    both machines must agree: where most records arrive before their time stamp, no percentile is shown, and the exit
    code is 1. A record without a time stamp is malformed. An interrupt ends it with the report, and exit 130.
    """
    from rtmbench import _core  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.clocks import compare  # noqa: PLC0415
    from rtmbench.kafka.clients import harness_consumer  # noqa: PLC0415
    from rtmbench.metrics import MeasureMetrics, served  # noqa: PLC0415
    from rtmbench.results._document import encode  # noqa: PLC0415
    from rtmbench.results.model.load import ClockComparison  # noqa: PLC0415

    config = client_config(harness_consumer, bootstrap_servers, kafka_properties)
    before = None if clock is None else compare(clock)
    with client_errors(config):
        consumer = _core.LatencyConsumer(
            config,
            topic,
            **_source(timestamp),
            threads=threads,
            from_end=not from_beginning,
            shard=shard,
            clock_offset_us=0 if before is None else before.offset_us,
        )
    if hlog is not None:
        try:
            hlog.touch()
        except OSError as error:
            raise ConfigurationError(f"The interval log {hlog} cannot be written: {error}.") from error
    with client_errors(config):
        consumer.start()
    start_us = _core.now_us()
    collector = MeasureMetrics(topic, consumer)
    with client_errors(config), served(metrics, collector):
        click.echo(f"measuring {topic}", err=True)
        interruption, report, intervals = _follow(consumer, start_us, duration, collector.add)
    seconds = sum(length for length, _ in intervals) / _SECOND_US
    field = timestamp or ("produced_at" if 0 < report.fallback == report.latency.count else "scheduled_at_us")
    compared = None if clock is None or before is None else before.then(compare(clock))
    agreement = Clock.of(report.latency, report.ahead)
    problem = agreement.problem() or _problem(topic, field, seconds, report) or _uncertain(report, compared)
    _say_what_to_know(field, report, agreement)
    if compared is not None:
        click.echo(_compared_text(compared), err=True)
    if hlog is not None:
        _write_log(hlog, start_us, intervals, withheld=problem is not None and report.latency.count > 0)
    if as_json:
        document = replace(
            _document(topic, field, seconds, report, agreement, withheld=problem is not None),
            compared_clock=None if compared is None else ClockComparison(**asdict(compared)),
            shard=None if shard is None else f"{shard[0]}/{shard[1]}",
        )
        click.echo(json.dumps(encode(document), indent=2))
    else:
        since = " since the append" if _kafka_type(field, report) == "LogAppendTime" else ""
        _print(topic, seconds, report, since, withheld=problem is not None)
    if interruption is not None:
        if problem is not None:
            click.echo(problem, err=True)
        raise interruption
    if problem is not None:
        raise RunFailedError(problem)


def _uncertain(report: ConsumerReport, compared: ClockOffset | None) -> str | None:
    """Return why the difference of the clocks is not known well enough for these latencies; None where it is."""
    if compared is None or not report.latency.count:
        return None
    p50_us = report.latency.percentile(50.0)
    if compared.error_us <= ERROR_SHARE * p50_us:
        return None
    return (
        f"The clocks of the two hosts are known to differ by {compared.offset_us:,} µs within {compared.error_us:,} µs "
        f"only, which is more than a tenth of the median latency ({duration_text(p50_us)}). Use a faster network "
        "between them, or synchronise the clocks."
    )


def _compared_text(compared: ClockOffset) -> str:
    ahead = "ahead" if compared.offset_us >= 0 else "behind"
    return (
        f"the clock that stamps the records is {abs(compared.offset_us):,} µs {ahead}, ± {compared.error_us:,} µs; "
        "latencies are corrected by it"
    )


def _source(timestamp: str | None) -> dict[str, Any]:
    """Return where a consumer finds the time to measure from."""
    if timestamp is None:
        return {"timestamp_field": "scheduled_at_us", "fallback_field": "produced_at"}
    if timestamp == KAFKA:
        return {"kafka_timestamp": True}
    if timestamp.startswith(HEADER):
        return {"timestamp_header": timestamp.removeprefix(HEADER)}
    return {"timestamp_field": timestamp}


def _kafka_type(field: str, report: ConsumerReport) -> Literal["CreateTime", "LogAppendTime", "both"] | None:
    """Return whose time Kafka keeps of the records, as the topic's `message.timestamp.type` has it."""
    if field != KAFKA or not report.latency.count:
        return None
    if not report.appended:
        return "CreateTime"
    return "LogAppendTime" if report.appended == report.latency.count else "both"


def _problem(topic: str, field: str, seconds: float, report: ConsumerReport) -> str | None:
    """Return why the latencies are invalid; None if they are valid."""
    if report.latency.count == 0:
        first = f" The first: {report.malformed_samples[0]}." if report.malformed_samples else ""
        return (
            f"Nothing in {topic} could be measured in {seconds:.0f} s: {report.received:,} records arrived, "
            f"{report.malformed:,} of them malformed.{first}"
        )
    if _kafka_type(field, report) == "both":
        return (
            f"Some records in {topic} have the producer's time (CreateTime), others the broker's (LogAppendTime), "
            "because `message.timestamp.type` of the topic was changed: their latencies are not of one kind. Leave out "
            "--from-beginning, or name a field."
        )
    return f"{too_old(field, report.units, topic)}." if report.latency.min >= HOUR_US else None


def _write_log(path: Path, start_us: int, intervals: Sequence[tuple[int, Histogram]], *, withheld: bool) -> None:
    from rtmbench import _core  # noqa: PLC0415

    if not withheld:
        _core.write_interval_log(path, start_us, intervals)
        return
    # It was created before the measurement, to see that it can be.
    path.unlink()
    click.echo(f"the interval log {path} was not written, because its latencies would be invalid", err=True)


def _follow(
    consumer: LatencyConsumer, start_us: int, duration: float | None, observe: Callable[[Histogram], None]
) -> tuple[BaseException | None, ConsumerReport, list[tuple[int, Histogram]]]:
    """Receive until the end, showing each second; return what interrupted it, the report, and each interval.

    `observe` gets the latencies of each interval.
    """
    from rtmbench import _core  # noqa: PLC0415
    from rtmbench.signals import Terminated, shielded  # noqa: PLC0415

    live = LiveLine()
    end_us = None if duration is None else start_us + int(duration * _SECOND_US)
    intervals: list[tuple[int, Histogram]] = []
    since_us, malformed, negative = start_us, 0, 0
    interruption: BaseException | None = None

    def take() -> int:
        now_us = _core.now_us()
        intervals.append((now_us - since_us, consumer.take_live()))
        observe(intervals[-1][1])
        return now_us

    try:
        while end_us is None or since_us < end_us:
            due_us = since_us - (since_us - start_us) % _SECOND_US + _SECOND_US
            due_us = due_us if end_us is None else min(due_us, end_us)
            try:
                # A consumer that has failed raises here.
                consumer.join(max(0.0, (due_us - _core.now_us()) / _SECOND_US))
            except TimeoutError:
                since_us = take()
            else:
                break
            total = consumer.snapshot()
            second = intervals[-1][1]
            early = total.negative - negative > MOST * second.count
            live.show(_line((since_us - start_us) / _SECOND_US, second, total.malformed - malformed, early=early))
            malformed, negative = total.malformed, total.negative
    except (KeyboardInterrupt, Terminated) as raised:
        interruption = raised
    with shielded():
        consumer.stop()
        report = consumer.join(_WIND_UP_S)
        take()
    live.end()
    return interruption, report, intervals


def _line(seconds: float, second: Histogram, malformed: int, *, early: bool) -> str:
    shown = [f"{seconds:4.0f} s", f"{second.count:,}/s"]
    if early:
        shown.append("most arrived before their time stamp: the clocks disagree")
    elif second.count:
        shown += [f"{name} {duration_text(second.percentile(q))}" for name, q in _SHOWN]
    if malformed:
        shown.append(f"{malformed:,} malformed")
    return " · ".join(shown)


def _say_what_to_know(field: str, report: ConsumerReport, clock: Clock) -> None:
    if whose := _KEPT.get(_kafka_type(field, report)):
        click.echo(whose, err=True)
    if 0 < report.fallback < report.latency.count:
        click.echo(f"{report.fallback:,} records have no scheduled_at_us: read by their produced_at", err=True)
    for text in (recognised(field, report.units, report.resolution_us), clock.warning()):
        if text:
            click.echo(text, err=True)
    for sample in report.malformed_samples[:3]:
        click.echo(f"malformed: {sample}", err=True)


def _document(
    topic: str, field: str, seconds: float, report: ConsumerReport, clock: Clock, *, withheld: bool
) -> MeasureDocument:
    from rtmbench.results.model import load  # noqa: PLC0415

    percentiles: dict[str, Any] = figures(report.latency)
    if withheld:
        percentiles = {name: value if name == "count" else None for name, value in percentiles.items()}
    elif report.latency.count:
        percentiles["min"] = report.min_us
    units = dict(report.units)
    return load.MeasureDocument(
        topic=topic,
        seconds=round(seconds, 3),
        timestamp=load.TimestampUnits(
            field=field,
            unit=next(iter(units), None),
            units=units,
            resolution_us=report.resolution_us,
            kafka_type=_kafka_type(field, report),
        ),
        latency_us=load.SignedPercentiles(**percentiles, negative=report.negative),
        clock=load.ClockReport(
            negative=clock.negative,
            share=round(clock.share, 6),
            median_us=clock.median_us,
            ahead_us=clock.ahead_us,
            ok=clock.agrees,
        ),
        malformed=report.malformed,
    )


def _print(topic: str, seconds: float, report: ConsumerReport, since: str, *, withheld: bool) -> None:
    latency = report.latency
    click.echo(f"{topic}: {latency.count:,} records in {seconds:.1f} s, {report.malformed:,} malformed")
    if latency.count and not withheld:
        click.echo(latency_line(latency, since))
