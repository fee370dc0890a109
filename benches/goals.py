"""The goals of the core and the commands, and the tables that compare the measurements with them.

`figures` has what each contender measured, by its name: one mapping of figures for each round.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Figures = Mapping[str, Sequence[Mapping[str, float]]]
MIB_IN_MB = 1.048576
COMMAND, COMMAND_JAVA, COMMAND_CONFLUENT = (
    "rtmbench produce --rate max",
    "Java ProducerPerformance, 128 KiB",
    "confluent-kafka events, its batches",
)
PACED_COMMANDS = "rtmbench produce --rate 10000 and measure"
LINGER_RATES = 100, 1_000, 5_000, 10_000, 50_000
LINGERS_MS = 0, 1, 2, 5


def linger_name(rate: int, linger_ms: int) -> str:
    """Return the name of the measurement of the commands at `rate` events/s."""
    return f"commands at {rate}/s, linger {linger_ms} ms"


@dataclasses.dataclass(frozen=True)
class Goal:
    """One row of the table: what is measured, its bound, and its values over the rounds."""

    figure: str
    sign: str
    bound: float
    unit: str
    values: Callable[[Figures], list[float]]
    show: str = "{:,.2f}"
    scale: float = 1.0
    """What the values are multiplied with for the table; `bound` is in the table's unit."""

    def row(self, figures: Figures) -> str | None:
        """Return the row; None where a contender was not measured. A goal is decided where all rounds agree."""
        try:
            values = [self.scale * value for value in self.values(figures)]
        except KeyError:
            return None
        holds = [value <= self.bound if self.sign == "≤" else value >= self.bound for value in values]
        met = "yes" if all(holds) else "not decided" if any(holds) else "**no**"
        unit = " ×" if self.unit.startswith(" ×") else self.unit
        measured = spread(values, self.show) + unit
        return f"| {self.figure} | {self.sign} {self.bound:,g}{self.unit} | {measured} | {met} |"


def spread(values: Sequence[float], show: str) -> str:
    """Return the median of the rounds and, of more than one, the lowest and the highest."""
    median = show.format(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({show.format(min(values))} to {show.format(max(values))})"


def _rate(run):
    return run["events"] / run["seconds"]


def _checked(run):
    return run["events"] / run["verify_seconds"]


def _ratio(figure, contender, reference, bound, *, of=_rate):
    def values(figures):
        pairs = zip(figures[contender], figures[reference], strict=True)
        return [of(own) / _rate(other) for own, other in pairs]

    return Goal(figure, "≥", bound, f" × {reference}", values)


def _at_most(figure, name, key, bound, unit, *, show="{:,.0f}", scale=1.0):
    return Goal(figure, "≤", bound, unit, lambda figures: [run[key] for run in figures[name]], show, scale)


def _paced(partitions, suffix):
    name, harness = f"core paced, default{suffix}", f"confluent-kafka paced{suffix}"

    def cpu_ratios(figures):
        return [own["cpu"] / other["cpu"] for own, other in zip(figures[name], figures[harness], strict=True)]

    slip = f"schedule slip at 10,000 events/s, default precision, {partitions}"
    floor = f"transport floor at 10,000 events/s, acks=1, {partitions}"
    cpu = f"CPU of generator + consumer at 10,000 events/s, {partitions}"
    return (
        _at_most(cpu, name, "cpu", 15, " % of a core", show="{:.1f}", scale=100),
        Goal("", "≤", 0.33, " × a confluent-kafka harness", cpu_ratios),
        _at_most(f"{slip}, p50", name, "slip_p50_us", 300, " µs"),
        _at_most("p99", name, "slip_p99_us", 1_500, " µs"),
        _at_most(f"{floor}, p50", name, "p50_us", 2_000, " µs"),
        _at_most("p99", name, "p99_us", 8_000, " µs"),
    )


def _floor_ratios(figures):
    pairs = zip(figures["core floor at 100/s"], figures["Java EndToEndLatency"], strict=True)
    return [own["p50_us"] / java["average_us"] for own, java in pairs]


_RECEIVED = "receive, parse, record, spool, events/s"
_CHECKED = "receive, parse, judge (oracle), join, record, events/s"

GOALS = (
    _ratio("`rtmbench produce --rate max`, acked events/s", COMMAND, COMMAND_JAVA, 1.3),
    _ratio("", COMMAND, COMMAND_CONFLUENT, 4),
    _at_most("`produce --rate 10000` and `measure`, p50", PACED_COMMANDS, "p50_us", 1_500, " µs"),
    _at_most("p99", PACED_COMMANDS, "p99_us", 6_000, " µs"),
    _at_most("CPU of `produce`", PACED_COMMANDS, "producer_cpu", 18, " % of a core", show="{:.1f}", scale=100),
    _at_most("CPU of `measure`", PACED_COMMANDS, "consumer_cpu", 12, " % of a core", show="{:.1f}", scale=100),
    _ratio("produce, acked events/s", "core produce", "bare librdkafka produce", 0.95),
    _ratio("", "core produce", "Java ProducerPerformance", 2),
    _ratio("", "core produce", "confluent-kafka events", 4),
    _ratio("", "core produce", "kafka-python-ng produce", 30),
    _ratio(_RECEIVED, "core receive", "bare librdkafka consume", 0.95),
    _ratio("", "core receive", "confluent-kafka + json", 8),
    _ratio("", "core receive", "Java ConsumerPerformance", 2),
    _ratio(_CHECKED, "core receive", "bare librdkafka consume", 0.8, of=_checked),
    _ratio("", "core receive", "confluent-kafka + json", 8, of=_checked),
    _ratio("", "core receive", "Java ConsumerPerformance", 1, of=_checked),
    *_paced("4 partitions", ""),
    _at_most("schedule slip at 10,000 events/s, high precision, p50", "core paced, high", "slip_p50_us", 20, " µs"),
    *_paced("1 partition", ", 1 partition"),
    Goal("transport floor at 100 events/s, acks=1, p50", "≤", 1.2, " × the mean of EndToEndLatency", _floor_ratios),
    _at_most("peak memory, 10 million events sent, received and checked", "core large", "peak_mib", 150, " MB",
             scale=MIB_IN_MB),
)  # fmt: skip


def tables(recording: Mapping[str, Any]) -> str:
    """Return the part of the page that is made from a recording: who made what, goals, contenders, threads, lingers."""
    made, figures = recording["made"], recording["figures"]
    captions = [
        f"{', '.join(part for part in made if made[part] == each)}: {each}" for each in dict.fromkeys(made.values())
    ]
    parts = [*captions, goals_table(figures), side_by_side(figures), profile(figures), linger_table(figures)]
    return "\n\n".join(part for part in parts if part)


def goals_table(figures: Figures) -> str:
    """Return the goals as a Markdown table; what was not measured is left out."""
    lines = ["| figure | goal | measured | met |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *(row for goal in GOALS if (row := goal.row(figures)) is not None)])


def side_by_side(figures: Figures) -> str:
    """Return every contender's rate, CPU time and memory as a Markdown table."""
    lines = [
        "| contender | events/s | CPU s per million events | broker's CPU s per million | peak MiB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in figures.items():
        if "events" not in runs[0]:
            continue

        def median(of, runs=runs):
            return statistics.median(of(run) for run in runs)

        if "cpu" in runs[0]:
            own, broker = (
                f"{100 * median(lambda run, key=key: run[key]):.1f} % of a core" for key in ("cpu", "broker_cpu")
            )
        else:
            own, broker = (
                f"{median(lambda run, key=key: run[key] / run['events'] * 1e6):.2f}" for key in ("cpu_s", "broker_s")
            )
        rate = spread([_rate(run) for run in runs], "{:,.0f}")
        lines.append(f"| {name} | {rate} | {own} | {broker} | {median(lambda run: run['peak_mib']):,.0f} |")
    return "\n".join(lines)


def linger_table(figures: Figures) -> str:
    """Return what linger costs and saves at each rate, as a Markdown table; empty when it was not measured."""
    lines = [
        "| events/s | linger.ms | produce + measure, % of a core | broker, % of a core | sum | p50, ms | p99, ms |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rate in LINGER_RATES:
        for linger_ms in LINGERS_MS:
            runs = figures.get(linger_name(rate, linger_ms))
            if not runs:
                continue
            harness = [100 * (run["producer_cpu"] + run["consumer_cpu"]) for run in runs]
            broker = [100 * run["broker_cpu"] for run in runs]
            both = [own + others for own, others in zip(harness, broker, strict=True)]
            latencies = ([run[key] / 1000 for run in runs] for key in ("p50_us", "p99_us"))
            cells = [spread(values, "{:.1f}") for values in (harness, broker, both)]
            cells += [spread(values, "{:.3g}") for values in latencies]
            lines.append(f"| {rate:,} | {linger_ms} | {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


PROFILED = ("core paced, default", "core paced, default, 1 partition")


def profile(figures: Figures) -> str:
    """Return what each thread of the paced core takes, as a Markdown table; empty when it was not measured."""
    if not all(name in figures for name in PROFILED):
        return ""
    prefix = "thread cpu "
    threads = {
        key.removeprefix(prefix) for name in PROFILED for run in figures[name] for key in run if key.startswith(prefix)
    }

    def median(name, key):
        return statistics.median(run.get(key, 0) for run in figures[name])

    def cell(name, thread):
        cpu, wakes = (median(name, f"thread {what} {thread}") for what in ("cpu", "wakes"))
        return f"{100 * cpu:.1f} %, {wakes:,.0f}/s"

    def cpu(thread):
        return median(PROFILED[0], prefix + thread)

    lines = [
        "| thread of the core at 10,000 events/s | 4 partitions: CPU, wake-ups | 1 partition: CPU, wake-ups |",
        "| --- | ---: | ---: |",
    ]
    busy = sorted((thread for thread in threads if cpu(thread) >= 0.0005), key=cpu, reverse=True)
    lines += [f"| {thread} | {' | '.join(cell(name, thread) for name in PROFILED)} |" for thread in busy]
    return "\n".join(lines)
