"""`--metrics`: what Prometheus reads of `measure` and `diff` is what their reports have."""

from __future__ import annotations

import json
import signal
import socket
import time

import pytest
import requests
from commandline import running
from confluent_kafka import Producer
from prometheus_client.parser import text_string_to_metric_families

from rtmbench import _core


@pytest.fixture
def address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def properties(broker, config, tmp_path):
    """Client properties for two topics with the same 500 events."""
    for topic in ("a", "b"):
        broker.create_topic(topic, partitions=2)
        _core.Generator(config, topic, _core.Workload(1), _core.Schedule.constant(5_000), count=500).run()
    path = tmp_path / "client.properties"
    path.write_text(f"bootstrap.servers={broker.bootstrap_servers}\nfetch.wait.max.ms=1\n", encoding="utf-8")
    return path


def read(address, until):
    """Read the samples, by name and labels, until they are as expected."""
    deadline = time.monotonic() + 20
    while True:
        answer = requests.get(f"http://{address}/metrics", timeout=5)
        assert answer.status_code == 200
        samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
        if until(samples):
            return samples
        assert time.monotonic() < deadline, samples
        time.sleep(0.1)


def test_measure_gives_its_latencies_as_a_histogram(properties, address):
    command = ("measure", "--topic", "a", "--from-beginning", "--kafka-properties", str(properties), "--json")
    with running(*command, "--metrics", address, cwd=properties.parent) as run:
        run.wait_for("measuring a")
        label = ("topic", "a")
        count = ("rtmbench_measure_latency_seconds_count", label)
        samples = read(address, lambda samples: samples.get(count) == 500)
        run.send(signal.SIGINT)
        assert run.wait(20) == 130, run.stderr
    latency = json.loads(run.stdout)["latency_us"]
    assert samples["rtmbench_measure_records_total", label] == latency["count"] == 500
    assert samples["rtmbench_measure_malformed_records_total", label] == 0
    assert samples["rtmbench_measure_clocks_agree", label] == 1
    name = "rtmbench_measure_latency_seconds_bucket"
    buckets = {float(key[1][1]): value for key, value in samples.items() if key[0] == name}
    assert list(buckets.values()) == sorted(buckets.values())
    assert buckets[float("inf")] == 500
    low = max((bound for bound in buckets if bound * 1e6 < latency["min"]), default=0)
    assert buckets.get(low, 0) == 0
    assert all(value == 500 for bound, value in buckets.items() if bound * 1e6 >= latency["max"])
    mean_s = samples["rtmbench_measure_latency_seconds_sum", label] / 500
    assert latency["min"] / 1e6 <= mean_s <= latency["max"] / 1e6


def test_latencies_by_a_clock_that_is_ahead_are_left_out(broker, properties, address):
    broker.create_topic("ahead")
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for _ in range(10):
        producer.produce("ahead", json.dumps({"at": _core.now_us() + 5_000_000}))
    assert producer.flush(10) == 0
    command = ("measure", "--topic", "ahead", "--from-beginning", "--kafka-properties", str(properties))
    with running(*command, "--timestamp", "at", "--metrics", address, cwd=properties.parent) as run:
        run.wait_for("measuring ahead")
        samples = read(address, lambda samples: samples["rtmbench_measure_clocks_agree", ("topic", "ahead")] == 0)
        run.send(signal.SIGINT)
        assert run.wait(20) == 130
    assert samples["rtmbench_measure_early_records_total", ("topic", "ahead")] == 10
    assert not [key for key in samples if "latency" in key[0]]


def test_diff_gives_its_counts(config, properties, address):
    _core.Generator(config, "a", _core.Workload(1), _core.Schedule.constant(5_000), count=20, first_index=500).run()
    fields = ("--key", "event_id", "--ignore", "produced_at,scheduled_at_us")
    command = ("diff", "a", "b", "--kafka-properties", str(properties), *fields, "--from-beginning", "--lag", "1s")
    with running(*command, "--metrics", address, "--json", cwd=properties.parent) as run:
        run.wait_for("comparing a and b")
        missing = ("rtmbench_diff_differences", ("kind", "missing"), ("topic", "b"))
        samples = read(address, lambda samples: samples.get(missing) == 20)
        run.send(signal.SIGINT)
        assert run.wait(20) == 130, run.stderr
    document = json.loads(run.stdout)
    assert document["differences"] == document["b"]["missing"] == 20
    assert samples["rtmbench_diff_read_records_total", ("topic", "a")] == 520
    assert samples["rtmbench_diff_read_records_total", ("topic", "b")] == 500
    assert samples[("rtmbench_diff_equal_records",)] == 500
    assert samples[("rtmbench_diff_waiting_records",)] == 0
    others = [value for key, value in samples.items() if key[0] == missing[0] and key != missing]
    assert others == [0] * 5


def test_an_address_in_use_is_named(properties):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        command = ("measure", "--topic", "a", "--kafka-properties", str(properties), "--metrics", address)
        with running(*command, cwd=properties.parent) as run:
            assert run.wait(20) == 3
    assert f"{address} cannot be used" in run.stderr
    assert "--metrics" in run.stderr
