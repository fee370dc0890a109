"""The endpoint of `--metrics`: Prometheus reads there what a running command has counted."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from rtmbench._core import Histogram
from rtmbench.errors import PreflightError
from rtmbench.timestamps import HOUR_US, Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

    from rtmbench._core import LatencyConsumer, TopicDiff

BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""The upper bounds of the buckets of a latency, s."""
_SECOND_US = 1_000_000


@contextlib.contextmanager
def served(address: tuple[str, int] | None, collector: Collector) -> Iterator[None]:
    """Answer at an address, host and port, as long as the block runs; without one, do nothing.

    Raises PreflightError where the address cannot be used.
    """
    if address is None:
        yield
        return
    host, port = address
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        reason = error.strerror or error
        raise PreflightError(f"{host}:{port} cannot be used: {reason}. Give another --metrics.") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class MeasureMetrics(Collector):
    """What `measure` has received. Latencies are left out while they are invalid."""

    def __init__(self, topic: str, consumer: LatencyConsumer) -> None:
        self._topic = topic
        self._consumer = consumer
        self._total = Histogram()
        self._lock = threading.Lock()

    def add(self, latency: Histogram) -> None:
        """Add the latencies of an interval, µs."""
        with self._lock:
            self._total.merge(latency)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics now."""
        topic, counts = self._topic, self._consumer.snapshot()
        with self._lock:
            values_us, samples = self._total.counts()
            clock = Clock.of(self._total, self._consumer.ahead())
            total, mean_us, least_us = self._total.count, self._total.mean, self._total.min
        counters = {
            "records": ("Records received.", counts.received),
            "malformed_records": ("Records without a time stamp that could be read.", counts.malformed),
            "early_records": ("Records that were received before their time stamp.", counts.negative),
        }
        for name, (text, value) in counters.items():
            yield _one(CounterMetricFamily(f"rtmbench_measure_{name}", text, labels=["topic"]), topic, value)
        agrees = GaugeMetricFamily(
            "rtmbench_measure_clocks_agree", "0: most records arrive before their time stamp.", labels=["topic"]
        )
        yield _one(agrees, topic, int(clock.agrees))
        if clock.agrees and least_us < HOUR_US:
            latency = HistogramMetricFamily(
                "rtmbench_measure_latency_seconds", "Receipt minus the record's time stamp.", labels=["topic"]
            )
            below = np.searchsorted(values_us, [bound * _SECOND_US for bound in BOUNDS_S], side="right")
            sums = np.concatenate(([0], np.cumsum(samples)))
            buckets = [(f"{bound:g}", float(sums[index])) for bound, index in zip(BOUNDS_S, below, strict=True)]
            latency.add_metric(
                [topic], buckets=[*buckets, ("+Inf", float(total))], sum_value=mean_us * total / _SECOND_US
            )
            yield latency


class DiffMetrics(Collector):
    """What `diff` has compared."""

    def __init__(self, topics: tuple[str, str], diff: TopicDiff) -> None:
        self._topics = topics
        self._diff = diff

    def collect(self) -> Iterable[Metric]:
        """Return the metrics now."""
        counts = self._diff.snapshot()
        read = CounterMetricFamily("rtmbench_diff_read_records", "Records read.", labels=["topic"])
        malformed = CounterMetricFamily(
            "rtmbench_diff_malformed_records", "Records that cannot be compared.", labels=["topic"]
        )
        reached = GaugeMetricFamily(
            "rtmbench_diff_reached_timestamp_seconds", "How far the topic has been read.", labels=["topic"]
        )
        # A difference ends when its counterpart comes, so these are not counters.
        differences = GaugeMetricFamily(
            "rtmbench_diff_differences",
            "Differences, by kind and by the topic that has them.",
            labels=["kind", "topic"],
        )
        for index, topic in enumerate(self._topics):
            _one(read, topic, counts.read[index])
            _one(malformed, topic, counts.malformed[index])
            _one(reached, topic, counts.reached_us[index] / _SECOND_US)
            differences.add_metric(["missing", topic], counts.missing[index])
            differences.add_metric(["duplicate", topic], counts.duplicates[index])
        differences.add_metric(["different", ""], counts.different)
        differences.add_metric(["late", ""], counts.late)
        gauges = {
            "equal": ("Pairs of equal records.", counts.matched),
            "waiting": ("Records that are not judged yet.", counts.waiting),
            "undecided": ("Records whose counterpart may lie before the start.", counts.undecided),
        }
        yield from (read, malformed, reached, differences)
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"rtmbench_diff_{name}_records", text, value=value)


def _one(family: CounterMetricFamily | GaugeMetricFamily, topic: str, value: float) -> Metric:
    family.add_metric([topic], value)
    return family


__all__ = ["BOUNDS_S", "DiffMetrics", "MeasureMetrics", "served"]
