"""Parts of a load and of its partitions, in processes that stand for hosts, and a clock that is wrong on purpose."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading

import jsonschema
import numpy as np
import pytest
from confluent_kafka import Producer

from rtmbench import _core
from rtmbench.clocks import EXCHANGES, ClockServer
from rtmbench.results import json_schema

PARTITIONS = 4
COUNT = 2_000


def call(*arguments, cwd):
    command = [sys.executable, "-m", "rtmbench", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def kafka(broker, tmp_path):
    """Options for a mock broker that answers at once."""
    broker.create_topic("topic", partitions=PARTITIONS)
    properties = tmp_path / "client.properties"
    properties.write_text(f"bootstrap.servers={broker.bootstrap_servers}\nfetch.wait.max.ms=1\n")
    return ("--topic", "topic", "--kafka-properties", properties)


def test_two_generators_and_two_consumers_make_the_load_of_one(kafka, tmp_path):
    for part in (1, 2):
        options = ("--shard", f"{part}/2", "--count", COUNT, "--rate", 20_000, "--seed", 3, "--json")
        code, out, err = call("produce", *kafka, *options, cwd=tmp_path)
        assert code == 0, err
    counts, logs = [], []
    for part in (1, 2):
        logs.append(tmp_path / f"part-{part}.hlog")
        options = ("--shard", f"{part}/2", "--from-beginning", "--duration", 1, "--hlog", logs[-1], "--json")
        code, out, err = call("measure", *kafka, *options, cwd=tmp_path)
        assert code == 0, err
        document = json.loads(out)
        jsonschema.validate(document, json_schema("measure-1"))
        assert document["shard"] == f"{part}/2"
        counts.append(document["latency_us"]["count"])
    code, out, err = call("merge", *logs, "--json", cwd=tmp_path)
    assert code == 0, err
    merged = json.loads(out)
    jsonschema.validate(merged, json_schema("merge-1"))
    assert merged["records"] == counts
    assert min(counts) > COUNT / 4
    assert merged["latency_us"]["count"] == sum(counts) == COUNT


def test_merged_percentiles_are_those_of_one_process_over_the_same_samples(tmp_path):
    rng = np.random.default_rng(5)
    samples = [int(value) for value in rng.lognormal(8, 1, 5_000)]
    whole, parts = _core.Histogram(), [_core.Histogram(), _core.Histogram()]
    for index, sample in enumerate(samples):
        whole.record(sample)
        parts[index % 2].record(sample)
    files = []
    for index, part in enumerate(parts):
        files.append(tmp_path / f"{index}.hlog")
        _core.write_interval_log(files[-1], 1_700_000_000_000_000, [(1_000_000, part)])
    code, out, err = call("merge", *files, "--json", cwd=tmp_path)
    assert code == 0, err
    figures = json.loads(out)["latency_us"]
    assert figures["count"] == len(samples)
    # The log of one process that has received all of them.
    _core.write_interval_log(tmp_path / "whole.hlog", 1_700_000_000_000_000, [(1_000_000, whole)])
    code, out, err = call("merge", tmp_path / "whole.hlog", "--json", cwd=tmp_path)
    assert json.loads(out)["latency_us"] == figures
    for name, quantile in (("p50", 50.0), ("p95", 95.0), ("p99", 99.0), ("p99_9", 99.9)):
        assert figures[name] == whole.percentile(quantile)
    code, out, err = call("merge", *files, cwd=tmp_path)
    assert out.startswith("5,000 records of 2 logs (2,500, 2,500)\nlatency: p50 ")


def test_a_log_that_is_named_twice_or_is_none_is_an_error(tmp_path):
    log = tmp_path / "a.hlog"
    log.write_text("nothing\n")
    code, _, err = call("merge", log, log, cwd=tmp_path)
    assert (code, "named twice" in err) == (2, True)
    code, _, err = call("merge", log, cwd=tmp_path)
    assert (code, "cannot be read" in err) == (2, True)
    code, _, err = call("merge", cwd=tmp_path)
    assert code == 2


def ahead(broker, offset_us, age_us):
    """Send records whose clock is ahead by `offset_us`, and that are `age_us` old."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for index in range(200):
        at_us = _core.now_us() + offset_us - age_us
        producer.produce("topic", json.dumps({"at": at_us}), partition=index % PARTITIONS)
    assert producer.flush(10) == 0


@pytest.mark.parametrize("offset_us", [30_000_000, -30_000_000])
def test_latencies_are_corrected_by_the_difference_of_the_clocks(offset_us, broker, kafka, tmp_path):
    ahead(broker, offset_us, age_us=2_000_000)
    with ClockServer("127.0.0.1:0", lambda: _core.now_us() + offset_us) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ("--timestamp", "at", "--from-beginning", "--duration", 1, "--clock", server.address, "--json")
        code, out, err = call("measure", *kafka, *options, cwd=tmp_path)
        server.shutdown()
    assert code == 0, err
    document = json.loads(out)
    jsonschema.validate(document, json_schema("measure-1"))
    compared = document["compared_clock"]
    assert abs(compared["offset_us"] - offset_us) <= compared["error_us"] < 100_000
    assert 2_000_000 <= document["latency_us"]["min"] <= document["latency_us"]["max"] < 20_000_000
    assert "latencies are corrected by it" in err


def test_a_clock_that_is_not_known_well_enough_gives_no_percentile(broker, kafka, tmp_path):
    ahead(broker, 0, age_us=0)
    calls = itertools.count()
    # An exchange takes the time twice. After the first comparison the clock is set.
    with ClockServer("127.0.0.1:0", lambda: _core.now_us() + 3_000_000 * (next(calls) >= 2 * EXCHANGES)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = ("--timestamp", "at", "--from-beginning", "--duration", 1, "--clock", server.address, "--json")
        code, out, err = call("measure", *kafka, *options, cwd=tmp_path)
        server.shutdown()
    assert code == 1
    assert json.loads(out)["latency_us"]["p50"] is None
    assert "more than a tenth of the median latency" in err
