"""`rtmbench diff`: whether two topics hold the same results."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from rtmbench.cli.kafka import LiveLine, client_config, client_errors, duration_text, figures
from rtmbench.cli.options import Duration, Names, existing_kafka, json_option, metrics_option
from rtmbench.errors import NotMetError, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench._core import DiffCounts, DiffReport, Histogram, TopicDiff
    from rtmbench.results.model.load import DiffDocument, DiffRecord

LAG_S = 30.0
"""Of `--lag`, where the comparison does not end by itself."""
_WIND_UP_S = 120.0
_QUIET_S = 60.0
"""Between two lines of a log in which no difference is new."""


@click.command()
@click.argument("topic_a")
@click.argument("topic_b")
@existing_kafka
@click.option(
    "--key",
    type=Names(),
    required=True,
    metavar="FIELD[,FIELD…]",
    help="The fields that identify a record, such as `user.id`; `kafka` is its Kafka key.",
)
@click.option(
    "--window",
    metavar="FIELD",
    help="The field with the time of the record's window, which identifies it too. Its unit may differ between the "
    "topics.",
)
@click.option(
    "--ignore",
    type=Names(),
    default=(),
    metavar="FIELD[,FIELD…]",
    help="Fields that need not be equal, such as the time of processing.",
)
@click.option(
    "--digits",
    type=click.IntRange(1, 15),
    help="Compare numbers to this many significant digits: the average of the same numbers in another order differs "
    "in the last ones. [default: exactly]",
)
@click.option(
    "--last", is_flag=True, help="Compare only the last record of each identity, for topics that hold updates."
)
@click.option(
    "--lag",
    type=Duration(),
    help="The longest time between two equal records. [default: 30s; with --once, no limit]",
)
@click.option("--once", is_flag=True, help="Compare what the topics hold now, and end.")
@click.option("--from-beginning", is_flag=True, help="Include the records that the topics hold already.")
@click.option("--duration", type=Duration(), help="Time to compare for. [default: until interrupted]")
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File that the comparison is stored in each minute. If it exists, the comparison continues from it.",
)
@click.option(
    "--memory",
    "memory_mb",
    type=click.IntRange(1, 1 << 20),
    default=512,
    show_default=True,
    metavar="MIB",
    help="Memory for records that wait for an equal one, and for differences: 4,096 records per MiB.",
)
@click.option(
    "--examples",
    type=click.IntRange(0, 1_000),
    default=5,
    show_default=True,
    help="Differences of each kind to show with their records.",
)
@metrics_option
@json_option
def diff(
    topic_a: str,
    topic_b: str,
    *,
    bootstrap_servers: str | None,
    kafka_properties: Path | None,
    key: tuple[str, ...],
    window: str | None,
    ignore: tuple[str, ...],
    digits: int | None,
    last: bool,
    lag: float | None,
    once: bool,
    from_beginning: bool,
    duration: float | None,
    state: Path | None,
    memory_mb: int,
    examples: int,
    metrics: tuple[str, int] | None,
    as_json: bool,
) -> None:
    """Compare two topics that must hold the same results, such as those of the old job and of the new one.

    Each record (JSON) of one topic needs one record in the other with the same key, window and values, in any order and
    within the lag. Shown are records that are missing, different, late or duplicated. The times are those that Kafka
    keeps of the records.

    Exit code 0: the topics are equal. 5: they differ. 1: nothing was compared, or some records could not be. An
    interrupt ends it with the report, and exit 130.
    """
    from rtmbench import _core  # noqa: PLC0415 - `--help` must not wait for it
    from rtmbench.kafka.clients import harness_consumer  # noqa: PLC0415
    from rtmbench.metrics import DiffMetrics, served  # noqa: PLC0415
    from rtmbench.results._document import encode  # noqa: PLC0415

    lag_s = None if lag is None and once else LAG_S if lag is None else lag
    config = client_config(harness_consumer, bootstrap_servers, kafka_properties)
    with client_errors(config):
        comparison = _core.TopicDiff(
            config,
            topic_a,
            topic_b,
            key=key,
            window=window,
            ignore=ignore,
            digits=digits,
            last=last,
            lag_s=lag_s,
            from_beginning=from_beginning,
            once=once,
            memory_mb=memory_mb,
            examples=examples,
            state=state,
        )
        comparison.start()
    topics = (topic_a, topic_b)
    started = time.monotonic()
    try:
        with client_errors(config), served(metrics, DiffMetrics(topics, comparison)):
            click.echo(f"comparing {topic_a} and {topic_b}", err=True)
            outcome = _follow(comparison, topics, duration)
    finally:
        comparison.stop()
    report, seconds = outcome.report, time.monotonic() - started
    problem = _problem(topics, report.counts, report.malformed_samples, seconds, whole=outcome.ended or not once)
    _say_what_to_know(topics, report, lag_s)
    if as_json:
        settings = {"key": key, "window": window, "ignore": ignore, "digits": digits, "last": last, "lag_s": lag_s}
        document = _document(
            topics, report, seconds, settings, equal=None if problem else not report.counts.differences
        )
        click.echo(json.dumps(encode(document), indent=2, ensure_ascii=False))
    else:
        _print(topics, report, seconds)
    if outcome.interruption is not None:
        if problem is not None:
            click.echo(problem, err=True)
        raise outcome.interruption
    if problem is not None:
        raise RunFailedError(problem)
    if number := report.counts.differences:
        raise NotMetError(f"{topic_a} and {topic_b} differ: {_counted(number, 'difference')}")


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    report: DiffReport
    ended: bool
    """Whether the comparison ended by itself."""
    interruption: BaseException | None


def _follow(comparison: TopicDiff, topics: tuple[str, str], duration: float | None) -> _Outcome:
    """Wait for the end, showing the counts."""
    from rtmbench.signals import Terminated, shielded  # noqa: PLC0415 - `--help` must not wait for it

    live = LiveLine()
    started = time.monotonic()
    shown_s, shown_differences = 0.0, 0
    quiet_s = 1.0 if sys.stderr.isatty() else _QUIET_S
    interruption: BaseException | None = None
    try:
        while duration is None or time.monotonic() - started < duration:
            left_s = 1.0 if duration is None else duration - (time.monotonic() - started)
            try:
                report = comparison.join(max(0.0, min(1.0, left_s)))
            except TimeoutError:
                pass
            else:
                live.end()
                return _Outcome(report=report, ended=True, interruption=None)
            counts, seconds = comparison.snapshot(), time.monotonic() - started
            if seconds - shown_s >= quiet_s - 0.5 or counts.differences > shown_differences:
                live.show(_line(topics, seconds, counts))
                shown_s, shown_differences = seconds, counts.differences
    except (KeyboardInterrupt, Terminated) as raised:
        interruption = raised
    live.end()
    with shielded():
        comparison.stop()
        return _Outcome(report=comparison.join(_WIND_UP_S), ended=False, interruption=interruption)


def _line(topics: tuple[str, str], seconds: float, counts: DiffCounts) -> str:
    read = " · ".join(f"{topic} {number:,}" for topic, number in zip(topics, counts.read, strict=True))
    shown = [f"{seconds:4.0f} s", read, f"{counts.matched:,} equal", _counted(counts.differences, "difference")]
    if malformed := sum(counts.malformed):
        shown.append(f"{malformed:,} malformed")
    return " · ".join([*shown, f"{counts.waiting:,} waiting"])


def _problem(
    topics: tuple[str, str],
    counts: DiffCounts,
    samples: tuple[list[str], list[str]],
    seconds: float,
    *,
    whole: bool,
) -> str | None:
    """Return why the comparison proves nothing; None if it does."""
    for topic, malformed, first in zip(topics, counts.malformed, samples, strict=True):
        if malformed:
            example = f" The first: {first[0]}." if first else ""
            return f"{_counted(malformed, 'record')} of {topic} could not be compared.{example}"
    if not whole:
        return "--duration ended the comparison before the topics were read to their ends."
    if not counts.matched and not counts.differences:
        read = " and ".join(f"{number:,} of {topic}" for topic, number in zip(topics, counts.read, strict=True))
        return (
            f"Nothing was compared in {seconds:.0f} s: {read} were read, and {counts.waiting:,} wait for an equal "
            "record. --from-beginning includes what the topics hold already; a smaller --lag judges sooner."
        )
    return None


def _say_what_to_know(topics: tuple[str, str], report: DiffReport, lag_s: float | None) -> None:
    counts = report.counts
    notes: list[str] = []
    if report.resumed:
        notes.append("continued from the stored state: the counts are those of the whole comparison")
    if counts.undecided:
        notes.append(f"{counts.undecided:,} records near the start were not judged: an equal one may lie before it")
    if counts.waiting:
        why = "the end came before" if lag_s is None else f"at the end they were younger than the lag of {lag_s:g} s"
        notes.append(f"{counts.waiting:,} records were not judged: {why}")
    own_times = [topic for topic, created in zip(topics, report.created, strict=True) if created]
    if own_times and counts.differences:
        notes.append(
            f"the times in {' and '.join(own_times)} are the producer's (CreateTime); a Flink job writes the event "
            "time there, so the lag must include the time from the event to its result"
        )
    notes += [f"malformed: {topic}: {sample}" for topic, some in _each(topics, report) for sample in some[:3]]
    for note in notes:
        click.echo(note, err=True)


def _each(topics: tuple[str, str], report: DiffReport) -> Sequence[tuple[str, list[str]]]:
    return tuple(zip(topics, report.malformed_samples, strict=True))


def _print(topics: tuple[str, str], report: DiffReport, seconds: float) -> None:
    counts = report.counts
    a, b = topics
    click.echo(
        f"{a} ({counts.read[0]:,} records) and {b} ({counts.read[1]:,} records): {counts.matched:,} equal, "
        f"{_counted(counts.differences, 'difference')}, {seconds:.1f} s"
    )
    kinds = _kinds(topics)
    numbers = {
        "different": counts.different,
        "missing_in_a": counts.missing[0],
        "missing_in_b": counts.missing[1],
        "duplicate_in_a": counts.duplicates[0],
        "duplicate_in_b": counts.duplicates[1],
        "late": counts.late,
    }
    width = max(len(kinds[name]) for name in numbers)
    for name, number in numbers.items():
        if number:
            click.echo(f"  {kinds[name]:{width}}  {number:,}")
    for first, second, apart in ((a, b, report.b_later), (b, a, report.a_later)):
        if apart.count:
            click.echo(f"{second} after {first}: {_apart(apart)}")
    for kind, place_a, place_b, record_a, record_b in report.examples:
        click.echo(f"{kinds[kind]}:")
        for topic, place, record in ((a, place_a, record_a), (b, place_b, record_b)):
            if place is not None:
                partition, offset, at_us = place
                text = "deleted from Kafka since" if record is None else record or "a tombstone, without a value"
                click.echo(f"  {topic} partition {partition} offset {offset}, {_time(at_us)}: {text}")


def _kinds(topics: tuple[str, str]) -> dict[str, str]:
    a, b = topics
    return {
        "different": "different",
        "missing_in_a": f"missing in {a}",
        "missing_in_b": f"missing in {b}",
        "duplicate_in_a": f"duplicate in {a}",
        "duplicate_in_b": f"duplicate in {b}",
        "late": "late",
    }


def _apart(apart: Histogram) -> str:
    shown = [f"{name} {duration_text(apart.percentile(q))}" for name, q in (("p50", 50.0), ("p99", 99.0))]
    return f"{_counted(apart.count, 'record')}, {' · '.join(shown)} · max {duration_text(apart.max)}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _time(us: int) -> str:
    return datetime.fromtimestamp(us / 1_000_000, tz=timezone.utc).isoformat(timespec="milliseconds")


def _document(
    topics: tuple[str, str],
    report: DiffReport,
    seconds: float,
    settings: dict[str, Any],
    *,
    equal: bool | None,
) -> DiffDocument:
    from rtmbench.results.model import load  # noqa: PLC0415 - `--help` must not wait for it

    counts = report.counts
    a, b = (
        load.DiffTopic(
            topic=topic,
            read=counts.read[index],
            malformed=counts.malformed[index],
            malformed_samples=report.malformed_samples[index],
            missing=counts.missing[index],
            duplicates=counts.duplicates[index],
            created=report.created[index],
            appended=report.appended[index],
            reached_us=counts.reached_us[index],
        )
        for index, topic in enumerate(topics)
    )

    def record(place: tuple[int, int, int] | None, text: str | None) -> DiffRecord | None:
        if place is None:
            return None
        return load.DiffRecord(partition=place[0], offset=place[1], at_us=place[2], text=text)

    return load.DiffDocument(
        equal=equal,
        a=a,
        b=b,
        seconds=round(seconds, 3),
        settings=load.DiffSettings(**settings),
        matched=counts.matched,
        different=counts.different,
        late=counts.late,
        differences=counts.differences,
        undecided=counts.undecided,
        waiting=counts.waiting,
        b_later_us=load.Percentiles(**figures(report.b_later)),
        a_later_us=load.Percentiles(**figures(report.a_later)),
        examples=[
            load.DiffExample(kind=cast("load.DiffKind", kind), a=record(place_a, record_a), b=record(place_b, record_b))
            for kind, place_a, place_b, record_a, record_b in report.examples
        ],
        resumed=report.resumed,
    )
