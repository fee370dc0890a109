"""`measured()` around a query that is stood in for: what arrives on a mock broker's topic, and what is said of it."""

from __future__ import annotations

import io
import json
import threading
import time
from datetime import UTC, datetime

import pytest

from rtmbench import _core
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.spark import measured

OWN_LIMIT_S = 10


class Query:
    """A stream query, as far as PySpark's is used; a generator stands in for its sink."""

    def __init__(self, generator):
        """Take what sends; None for a query that sends nothing."""
        self._generator = generator
        self._ended = threading.Event()
        self.stops = 0

    @property
    def isActive(self):  # noqa: N802
        return not self._ended.is_set()

    def exception(self):
        return None

    def awaitTermination(self, timeout):  # noqa: N802
        assert timeout > 0
        return self._ended.wait(timeout)

    def stop(self):
        self.stops += 1
        self._ended.set()
        if self._generator is not None:
            self._generator.stop()
            self._generator.join(5)


class Writer:
    """A stream writer whose query sends events at 1000 a second."""

    def __init__(self, config, *, count=None, error=None):
        self._config, self._count, self._error = config, count, error

    def start(self):
        if self._error is not None:
            raise self._error
        if self._count == 0:
            return Query(None)
        schedule = _core.Schedule.constant(1000)
        generator = _core.Generator(self._config, "orders", _core.Workload(1), schedule, count=self._count)
        generator.start()
        return Query(generator)


@pytest.fixture
def config(broker):
    broker.create_topic("orders", partitions=2)
    return {"bootstrap.servers": broker.bootstrap_servers}


def start(config, field, **arguments):
    return measured(
        Writer(config, **arguments),
        "orders",
        field,
        bootstrap_servers=config["bootstrap.servers"],
        kafka_properties={"fetch.wait.max.ms": "1"},
    )


def await_records(orders, count):
    deadline = time.monotonic() + OWN_LIMIT_S
    while orders.received < count:
        assert time.monotonic() < deadline, orders
        time.sleep(0.01)


def test_what_arrives_is_measured_from_the_start_on(config):
    _core.Generator(config, "orders", _core.Workload(2), _core.Schedule.unpaced(), count=50).run()
    with start(config, "scheduled_at_us", count=400) as orders:
        await_records(orders, 400)
        while_running = orders.latency()
    assert while_running.count == orders.latency().count == orders.received == 400
    assert orders.resolution_us == 1
    assert orders.query.stops == 1
    text = repr(orders)
    assert text.startswith("orders: 400 records in ")
    assert "latency from scheduled_at_us to receipt: p50 " in text
    assert "p99 " in text
    assert "p99.9" not in text, "400 samples do not tell"
    assert "time stamps: scheduled_at_us is epoch µs" in text
    assert "resolution" not in text
    html = orders._repr_html_()
    assert "<th>p50</th>" in html
    assert "<td>" in html


def test_the_figures_are_those_of_the_records(config):
    orders = start(config, "scheduled_at_us", count=0)
    ages_ms = [10, 20, 30, 40, 1000]
    sender = _producer(config)
    for age in ages_ms:
        sender({"scheduled_at_us": _core.now_us() - age * 1000})
    await_records(orders, len(ages_ms))
    found = orders.latency()
    assert 10_000 <= found.min < 500_000
    assert 1_000_000 <= found.max < 1_500_000
    orders.stop()


def test_a_reset_leaves_out_what_came_before(config):
    with start(config, "scheduled_at_us", count=0) as orders:
        send = _producer(config)
        send({"scheduled_at_us": _core.now_us() - 60_000_000})
        send({"nothing": 1})
        await_records(orders, 2)
        assert orders.latency().max > 50_000_000
        orders.reset()
        assert orders.received == 0
        send({"scheduled_at_us": _core.now_us()})
        await_records(orders, 1)
        assert orders.latency().count == 1
        assert orders.latency().max < 50_000_000
        assert "without" not in repr(orders)


def test_milliseconds_are_said_to_be_coarse(config):
    with start(config, "produced_at", count=20) as orders:
        await_records(orders, 20)
    assert orders.resolution_us == 1000
    assert "time stamps: produced_at is epoch ms; resolution 1 ms" in repr(orders)


def test_an_output_without_the_time_stamp_is_told_with_the_field_and_a_record(config):
    with start(config, "ordered_at", count=5) as orders:
        await_records(orders, 5)
        with pytest.raises(ConfigurationError, match="No time stamp 'ordered_at' in the output: 5 records") as error:
            orders.latency()
        assert "missing field `ordered_at`" in str(error.value)
        assert '\\"event_id\\":' in str(error.value), "a record is shown"
    for shown in (repr(orders), orders._repr_html_()):
        assert "No time stamp" in shown
        assert "p50" not in shown, "no figure where there is none"


def test_the_unit_of_the_time_stamp_shows_in_its_value(config):
    with start(config, "meta.at", count=0) as orders:
        send = _producer(config)
        assert orders.resolution_us == 1
        send({"meta": {"at": time.time()}})
        await_records(orders, 1)
        assert orders.latency().max < 60_000_000
        send({"meta": {"at": int(time.time())}})
        send({"meta": {"at": datetime.now(UTC).isoformat()}})
        await_records(orders, 3)
        assert orders.latency().max < 60_000_000
        text = repr(orders)
    assert "time stamps: meta.at is epoch s (2 records) and ISO 8601 (1 record)" in text


def test_what_is_no_time_of_our_days_is_no_latency(config):
    with start(config, "at", count=0) as orders:
        send = _producer(config)
        send({"at": 45_000_000_000})
        await_records(orders, 1)
        with pytest.raises(ConfigurationError, match=r"No time stamp 'at' .* as epoch ms it is in the year 1971"):
            orders.latency()
        send({"at": int(time.time()) - 7_200})
        await_records(orders, 2)
        with pytest.raises(ConfigurationError, match=r"more than 1 h old by its 'at', which is read as epoch s"):
            orders.latency()
        assert "max" not in repr(orders)
        send({"at": int(time.time() * 1000)})
        await_records(orders, 3)
        shown = repr(orders)
    assert "max ≥ 3,600,000 ms" in shown
    assert "a record older than 1 h counts as 1 h" in shown


def test_some_without_it_are_in_no_figure_and_said(config):
    with start(config, "scheduled_at_us", count=30) as orders:
        _producer(config)({"key": "<b>"})
        await_records(orders, 31)
        assert orders.latency().count == 30
        text, html = repr(orders), orders._repr_html_()
    assert "1 record without a time stamp scheduled_at_us, in no figure; such as partition" in text
    assert "<b>" not in html


def test_a_clock_that_is_ahead_gives_no_percentiles(config):
    with start(config, "at", count=0) as orders:
        send = _producer(config)
        for _ in range(3):
            send({"at": _core.now_us() + 5_000_000})
        await_records(orders, 3)
        with pytest.raises(RunFailedError, match=r"The clocks disagree: 3 of 3 records .* \(chrony"):
            orders.latency()
        for shown in (repr(orders), orders._repr_html_()):
            assert "The clocks disagree" in shown
            assert "p50" not in shown
        followed = io.StringIO()
        threading.Timer(0.1, send, [{"at": _core.now_us() + 5_000_000}]).start()
        orders.follow(0.5, file=followed)
        assert "the clocks disagree" in followed.getvalue()
        assert "p50" not in followed.getvalue()
        # A reset leaves the clock of a warm-up out, too.
        orders.reset()
        send({"at": _core.now_us()})
        await_records(orders, 1)
        assert orders.latency().count == 1


def test_a_clock_that_is_ahead_of_some_is_a_warning(config):
    with start(config, "at", count=0) as orders:
        send = _producer(config)
        send({"at": _core.now_us() + 5_000_000})
        for _ in range(2):
            send({"at": _core.now_us()})
        await_records(orders, 3)
        assert orders.latency().count == 3
        assert "warning: 1 of 3 records (33.3%) arrived before their time stamp" in repr(orders)


def test_nothing_is_no_figure(config):
    with start(config, "scheduled_at_us", count=0) as orders:
        with pytest.raises(RunFailedError, match=r"Nothing has arrived in orders .* The query runs\."):
            orders.latency()
        assert "p50" not in repr(orders)
    with pytest.raises(RunFailedError, match=r"The query has ended\."):
        orders.latency()


def test_following_prints_a_line_a_second_until_the_end(config):
    orders = start(config, "scheduled_at_us")
    shown = io.StringIO()
    orders.follow(1.2, file=shown)
    lines = shown.getvalue().splitlines()
    assert len(lines) == 2
    assert "records · p50 " in lines[0]
    threading.Timer(0.3, orders.query.stop).start()
    before = time.monotonic()
    orders.follow(file=shown)
    assert time.monotonic() - before < 2
    counted = orders.latency().count
    assert counted > 0
    orders.stop()
    assert orders.latency().count >= counted
    orders.stop()
    assert orders.query.stops == 1


def test_a_query_that_does_not_start_ends_the_measurement(config):
    with pytest.raises(ZeroDivisionError):
        start(config, "scheduled_at_us", error=ZeroDivisionError())


def test_what_cannot_be_measured_is_refused_before_the_query_starts(config):
    writer = Writer(config, error=AssertionError("the query was started"))
    with pytest.raises(_core.KafkaError, match=r"missing.*The query was not started"):
        measured(writer, "missing", "at", bootstrap_servers=config["bootstrap.servers"])
    with pytest.raises(ConfigurationError, match=r"no\.such\.property") as error:
        measured(
            writer,
            "orders",
            "at",
            bootstrap_servers=config["bootstrap.servers"],
            kafka_properties={"no.such.property": "x", "sasl.password": "hidden"},
        )
    assert "hidden" not in str(error.value)
    with pytest.raises(ConfigurationError, match=r"takes a DataStreamWriter.*, not Query"):
        measured(Query(None), "orders", "at", bootstrap_servers=config["bootstrap.servers"])


def _producer(config):
    from confluent_kafka import Producer  # noqa: PLC0415

    producer = Producer(config)

    def send(record):
        producer.produce("orders", json.dumps(record), partition=0)
        assert producer.flush(OWN_LIMIT_S) == 0

    return send
