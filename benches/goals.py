"""The goals of the core, and the tables that compare the measurements with them."""

from __future__ import annotations


def _rate(figures, name):
    return figures[name]["events"] / figures[name]["seconds"]


def _ratio(contender, reference, least):
    def look(figures):
        ratio = _rate(figures, contender) / _rate(figures, reference)
        return f"{ratio:.2f} ×", ratio >= least

    return look


def _verified(reference, least):
    def look(figures):
        core = figures["core receive"]
        ratio = core["events"] / core["verify_seconds"] / _rate(figures, reference)
        return f"{ratio:.2f} ×", ratio >= least

    return look


def _at_most(name, key, most, show):
    def look(figures):
        value = figures[name][key]
        return show(value), value <= most

    return look


def _percent(value):
    return f"{100 * value:.1f} % of a core"


def _us(value):
    return f"{value:,.0f} µs"


def _cpu_ratio(suffix):
    def look(figures):
        ratio = figures[f"core paced, default{suffix}"]["cpu"] / figures[f"confluent-kafka paced{suffix}"]["cpu"]
        return f"{ratio:.2f} ×", ratio <= 1 / 3

    return look


def _floor_ratio(figures):
    core_us, java_us = figures["core floor at 100/s"]["p50_us"], figures["Java EndToEndLatency"]["average_us"]
    return f"{core_us:,.0f} µs, {core_us / java_us:.2f} × its mean of {java_us:,.0f} µs", core_us <= 1.2 * java_us


def _memory(figures):
    large = figures["core large"]
    peak, base = (large[key] * 1.048576 for key in ("peak_mib", "base_mib"))
    return f"{peak:,.0f} MB for {large['events']:,.0f} events, {base:,.0f} MB of them Python with NumPy", peak <= 200


def _paced(partitions, suffix):
    name = f"core paced, default{suffix}"
    return (
        (
            f"CPU of generator + consumer at 10,000 events/s, {partitions}",
            "≤ 15 % of a core",
            _at_most(name, "cpu", 0.15, _percent),
        ),
        ("", "≤ 1/3 of a confluent-kafka harness", _cpu_ratio(suffix)),
        (
            f"schedule slip at 10,000 events/s, default precision, {partitions}",
            "p50 ≤ 300 µs",
            _at_most(name, "slip_p50_us", 300, _us),
        ),
        ("", "p99 ≤ 1.5 ms", _at_most(name, "slip_p99_us", 1_500, _us)),
        (
            f"transport floor at 10,000 events/s, acks=1, {partitions}",
            "p50 ≤ 2 ms",
            _at_most(name, "p50_us", 2_000, _us),
        ),
        ("", "p99 ≤ 8 ms", _at_most(name, "p99_us", 8_000, _us)),
    )


GOALS = (
    ("produce, acked events/s", "≥ 0.9 × bare librdkafka loop", _ratio("core produce", "bare librdkafka produce", 0.9)),
    ("", "≥ 1.3 × Java ProducerPerformance", _ratio("core produce", "Java ProducerPerformance", 1.3)),
    ("", "≥ 4 × confluent-kafka, the same events", _ratio("core produce", "confluent-kafka events", 4)),
    ("", "≥ 4 × confluent-kafka, a constant payload", _ratio("core produce", "confluent-kafka produce", 4)),
    ("", "≥ 30 × kafka-python-ng", _ratio("core produce", "kafka-python-ng produce", 30)),
    (
        "receive, parse, record, spool, events/s",
        "≥ 0.8 × bare librdkafka loop",
        _ratio("core receive", "bare librdkafka consume", 0.8),
    ),
    ("", "≥ 8 × confluent-kafka with json.loads", _ratio("core receive", "confluent-kafka + json", 8)),
    ("", "≥ 1 × Java ConsumerPerformance", _ratio("core receive", "Java ConsumerPerformance", 1)),
    (
        "receive, parse, judge (oracle), join, record, events/s",
        "≥ 0.8 × bare librdkafka loop",
        _verified("bare librdkafka consume", 0.8),
    ),
    ("", "≥ 8 × confluent-kafka with json.loads", _verified("confluent-kafka + json", 8)),
    ("", "≥ 1 × Java ConsumerPerformance", _verified("Java ConsumerPerformance", 1)),
    *_paced("4 partitions", ""),
    (
        "schedule slip at 10,000 events/s, high precision",
        "p50 ≤ 20 µs",
        _at_most("core paced, high", "slip_p50_us", 20, _us),
    ),
    *_paced("1 partition", ", 1 partition"),
    ("transport floor at 100 events/s, acks=1", "p50 ≤ 1.2 × EndToEndLatency", _floor_ratio),
    ("peak memory, sent, received and checked", "≤ 200 MB", _memory),
)


def goals_table(figures):
    """Return the goals as a Markdown table; what was not measured is left out."""
    lines = ["| figure | goal | measured | met |", "| --- | --- | --- | --- |"]
    for figure, goal, look in GOALS:
        try:
            measured, met = look(figures)
        except KeyError:
            continue
        lines.append(f"| {figure} | {goal} | {measured} | {'yes' if met else '**no**'} |")
    return "\n".join(lines)


def side_by_side(figures):
    """Return every contender's rate, CPU time and memory as a Markdown table."""
    lines = [
        "| contender | events/s | CPU s per million events | broker's CPU s per million | peak MiB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, result in figures.items():
        millions = result["events"] / 1e6
        if "cpu" in result:
            per_core = f"{100 * result['cpu']:.1f} % of a core", f"{100 * result['broker_cpu']:.1f} % of a core"
        else:
            per_core = f"{result['cpu_s'] / millions:.2f}", f"{result['broker_s'] / millions:.2f}"
        rate = result["events"] / result["seconds"]
        lines.append(f"| {name} | {rate:,.0f} | {per_core[0]} | {per_core[1]} | {result['peak_mib']:,.0f} |")
    return "\n".join(lines)


PROFILED = ("core paced, default", "core paced, default, 1 partition")


def profile(figures):
    """Return what each thread of the paced core takes, as a Markdown table; empty when it was not measured."""
    if not all(name in figures for name in PROFILED):
        return ""
    prefix = "thread cpu "
    threads = {key.removeprefix(prefix) for name in PROFILED for key in figures[name] if key.startswith(prefix)}

    def cell(name, thread):
        cpu, wakes = (figures[name].get(f"thread {what} {thread}", 0) for what in ("cpu", "wakes"))
        return f"{100 * cpu:.1f} %, {wakes:,.0f}/s"

    def cpu(thread):
        return figures[PROFILED[0]].get(prefix + thread, 0)

    lines = [
        "| thread of the core at 10,000 events/s | 4 partitions: CPU, wake-ups | 1 partition: CPU, wake-ups |",
        "| --- | ---: | ---: |",
    ]
    busy = sorted((thread for thread in threads if cpu(thread) >= 0.0005), key=cpu, reverse=True)
    lines += [f"| {thread} | {' | '.join(cell(name, thread) for name in PROFILED)} |" for thread in busy]
    return "\n".join(lines)
