"""`produce` and `measure` as a user calls them, against the mock broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import jsonschema
import pytest
from confluent_kafka import Producer

from rtmbench import _core
from rtmbench.results import json_schema

FIGURES = ["count", "min", "p50", "p90", "p95", "p99", "p99_9", "max"]


@pytest.fixture
def broker(broker):
    broker.create_topic("topic", partitions=2)
    return broker


@pytest.fixture
def quick(tmp_path):
    """Client properties with which the mock broker answers at once."""
    path = tmp_path / "client.properties"
    path.write_text("fetch.wait.max.ms=1\n", encoding="utf-8")
    return path


def start(*arguments, cwd, broker=None):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KAFKA_")}
    if broker is not None:
        environment["KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
    return subprocess.Popen(
        [sys.executable, "-m", "rtmbench", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(*arguments, cwd, broker=None):
    with start(*arguments, cwd=cwd, broker=broker) as process:
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def test_produce_prints_one_document(broker, tmp_path):
    code, out, err = call(
        "produce", "--topic", "topic", "--rate", 2000, "--count", 1000, "--json", cwd=tmp_path, broker=broker
    )
    assert code == 0, err
    document = json.loads(out)
    jsonschema.validate(document, json_schema("produce-1"))
    assert document["client"] == {"linger_ms": 0.0, "batch_bytes": 16384, "acks": "all", "compression": "none"}
    assert (document["topic"], document["acked"], document["failed"]) == ("topic", 1000, 0)
    assert document["rate"] == pytest.approx(1000 / document["seconds"])
    assert 0.45 < document["seconds"] < 5
    assert list(document["slip_us"]) == FIGURES
    assert document["slip_us"]["count"] == 1000
    assert sum(_core.end_offsets({"bootstrap.servers": broker.bootstrap_servers}, "topic")) == 1000


def test_produce_tells_people_what_it_did(broker, tmp_path):
    code, out, err = call(
        "produce", "--topic", "topic", "--rate", 500, "--duration", "1.5s", cwd=tmp_path, broker=broker
    )
    assert code == 0
    assert "topic: 750 events acknowledged" in out
    assert "schedule slip: p50" in out
    assert "1 s · " in err


@pytest.mark.parametrize(
    ("options", "linger_ms", "batch_bytes"),
    [
        (["--rate", "4999"], 0.0, 16_384),
        (["--rate", "5000"], 1.0, 16_384),
        (["--rate", "10", "--schedule", "step:0.1@10,60@8000"], 1.0, 16_384),
        (["--rate", "max"], 5.0, 131_072),
        (["--rate", "max", "--linger", "0.5", "--batch-size", "1000"], 0.5, 1_000),
    ],
)
def test_the_settings_of_the_client_follow_the_rate(options, linger_ms, batch_bytes, broker, tmp_path):
    code, out, err = call("produce", "--topic", "topic", "--count", 5, "--json", *options, cwd=tmp_path, broker=broker)
    assert code == 0, err
    client = json.loads(out)["client"]
    assert (client["linger_ms"], client["batch_bytes"]) == (linger_ms, batch_bytes)


def test_the_file_overrides_the_rate_and_an_option_overrides_the_file(broker, tmp_path):
    file = tmp_path / "client.properties"
    file.write_text("queue.buffering.max.ms=7\ncompression.type=lz4\nacks=1\n", encoding="utf-8")
    options = ["--topic", "topic", "--count", 5, "--rate", 9000, "--kafka-properties", file, "--compression", "zstd"]
    code, out, err = call("produce", *options, cwd=tmp_path, broker=broker)
    assert code == 0, err
    assert "client: linger 7 ms · batches up to 16,384 bytes · acks 1 · compression zstd" in out


@pytest.mark.parametrize(
    ("schedule", "rate", "count"),
    [
        ("poisson", "1000", 1000),
        ("burst:50", "1000", 1000),
        ("ramp:0:1", "1000", 500),
        ("step:0.5@200,0.5@1800", "1000", 1000),
    ],
)
def test_schedules_have_their_rate(schedule, rate, count, broker, tmp_path):
    options = ["--topic", "topic", "--schedule", schedule, "--rate", rate, "--duration", "1", "--json"]
    code, out, err = call("produce", *options, cwd=tmp_path, broker=broker)
    assert code == 0, err
    assert json.loads(out)["acked"] == pytest.approx(count, rel=0.15)


def test_shards_of_padded_events_make_the_whole(broker, tmp_path):
    options = ["--topic", "topic", "--rate", "max", "--count", 2000, "--payload", 400, "--json"]
    acked = []
    for shard in ("1/3", "2/3", "3/3"):
        code, out, err = call("produce", *options, "--shard", shard, cwd=tmp_path, broker=broker)
        assert code == 0, err
        acked.append(json.loads(out)["acked"])
    assert sum(acked) == 2000
    assert min(acked) > 100
    code, _, err = call("produce", *options, "--shard", "4/3", cwd=tmp_path, broker=broker)
    assert code == 2, err


def test_as_fast_as_it_goes_has_no_slip(broker, tmp_path):
    options = ["--topic", "topic", "--rate", "max", "--count", 5000, "--acks", "1", "--json"]
    code, out, err = call("produce", *options, cwd=tmp_path, broker=broker)
    assert code == 0, err
    assert json.loads(out)["slip_us"] is None
    assert json.loads(out)["acked"] == 5000


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["produce", "--rate", "many"], 2, "not a rate"),
        (["produce", "--rate", "max", "--schedule", "poisson"], 2, "--rate max"),
        (["produce", "--schedule", "wave"], 2, "burst:SIZE"),
        (["produce", "--schedule", "ramp:1"], 2, "--schedule ramp:1"),
        (["produce", "--schedule", "step:1@0"], 2, "--schedule step:1@0"),
        (["produce", "--keys", "0", "--count", "1"], 2, "keys"),
        (["produce", "--topic", "missing", "--count", "1"], 1, "--create"),
        (["measure", "--topic", "missing", "--duration", "1"], 1, "missing"),
        (["measure", "--duration", "soon"], 2, "not a duration"),
        (["measure", "--hlog", "none/x.hlog"], 2, "none/x.hlog"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_request_is_answered(arguments, code, message, broker, tmp_path):
    found, out, err = call(*arguments, cwd=tmp_path, broker=broker)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_without_a_kafka_it_asks_which(tmp_path):
    for command in ("produce", "measure"):
        code, _, err = call(command, cwd=tmp_path)
        assert code == 2
        assert "--bootstrap-servers" in err


def test_measure_prints_one_document_and_an_interval_log(broker, quick, tmp_path):
    hlog = tmp_path / "out.hlog"
    options = ["--topic", "topic", "--duration", "3s", "--kafka-properties", quick, "--hlog", hlog, "--json"]
    config = {"bootstrap.servers": broker.bootstrap_servers}
    # What is there before it starts is not measured.
    _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.unpaced(), count=100).run()
    with start("measure", *options, cwd=tmp_path, broker=broker) as process:
        assert process.stderr.readline() == "measuring topic\n"
        _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(500), count=500).run()
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    document = json.loads(out)
    jsonschema.validate(document, json_schema("measure-1"))
    assert document["timestamp"] == {
        "field": "scheduled_at_us",
        "unit": "epoch µs",
        "units": {"epoch µs": 500},
        "resolution_us": 1,
    }
    assert document["clock"] == {
        "negative": 0,
        "share": 0,
        "median_us": document["latency_us"]["p50"],
        "ahead_us": 0,
        "ok": True,
    }
    assert document["seconds"] == pytest.approx(3, abs=0.5)
    assert list(document["latency_us"]) == [*FIGURES, "negative"]
    latency = document["latency_us"]
    assert latency["count"] == 500
    assert 0 < latency["min"] <= latency["p50"] <= latency["p99"] <= latency["max"]
    assert document["malformed"] == latency["negative"] == 0
    assert "p95" in err
    assert "resolution" not in err
    intervals = _core.read_interval_log(hlog)
    assert sum(histogram.count for _, _, histogram in intervals) == 500
    assert [length for _, length, _ in intervals[:3]] == pytest.approx([1_000_000] * 3, rel=0.3)


def test_milliseconds_are_said_to_be_coarse(broker, quick, tmp_path):
    config = {"bootstrap.servers": broker.bootstrap_servers}
    _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.unpaced(), count=100).run()
    options = ["--topic", "topic", "--duration", "0.5", "--from-beginning", "--kafka-properties", quick]
    code, out, err = call("measure", *options, "--timestamp", "produced_at", cwd=tmp_path, broker=broker)
    assert code == 0, err
    assert "topic: 100 records" in out
    assert "time stamps: produced_at is epoch ms; resolution 1 ms, rounded down" in err


def test_kafkas_own_time_stamp_is_measured_from_and_named(broker, quick, tmp_path):
    config = {"bootstrap.servers": broker.bootstrap_servers}
    _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.unpaced(), count=100).run()
    code, document, err = measured(broker, quick, tmp_path, "--timestamp", "kafka")
    assert code == 0, err
    jsonschema.validate(document, json_schema("measure-1"))
    assert document["timestamp"] == {
        "field": "kafka",
        "unit": "epoch ms",
        "units": {"epoch ms": 100},
        "resolution_us": 1_000,
        "kafka_type": "CreateTime",
    }
    assert "the topic keeps the producer's time of each record (CreateTime)" in err


def test_a_header_is_measured_from(broker, quick, tmp_path):
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for age_us in range(1_000, 100_000, 1_000):
        at_us = _core.now_us() - age_us
        producer.produce("topic", b"no JSON", partition=0, headers=[("at", str(at_us).encode())])
    assert producer.flush(10) == 0
    code, document, err = measured(broker, quick, tmp_path, "--timestamp", "header:at")
    assert code == 0, err
    assert (document["latency_us"]["count"], document["malformed"]) == (99, 0)
    assert document["timestamp"]["field"] == "header:at"
    assert document["timestamp"]["unit"] == "epoch µs"
    code, document, err = measured(broker, quick, tmp_path, "--timestamp", "header:other")
    assert code == 1
    assert (document["latency_us"]["count"], document["malformed"]) == (0, 99)
    assert "has no header `other`" in err


def stamp_of(at_us, form):
    """Give a time in one of the forms that people send."""
    seconds = at_us / 1e6
    text = datetime.fromtimestamp(seconds, tz=UTC).isoformat()
    return {
        "s": at_us // 1_000_000,
        "ms": at_us // 1_000,
        "us": at_us,
        "ns": at_us * 1_000 + 7,
        "float s": seconds,
        "quoted ms": str(at_us // 1_000),
        "ISO": text,
        "ISO without trailing zeros": _without_trailing_zeros(text.replace("+00:00", "")) + "Z",
    }[form]


def _without_trailing_zeros(text):
    # A whole second has no digits to lose: those of the second itself stay.
    return text.rstrip("0").rstrip(".") if "." in text else text


def send(broker, records):
    """Send records to the topic, each a dictionary."""
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for record in records:
        producer.produce("topic", json.dumps(record), partition=0)
    assert producer.flush(10) == 0


def measured(broker, quick, cwd, *options):
    everything = ["--topic", "topic", "--duration", "0.5", "--from-beginning", "--kafka-properties", quick, "--json"]
    code, out, err = call("measure", *everything, *options, cwd=cwd, broker=broker)
    assert "Traceback" not in err
    return code, json.loads(out), err


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("s", ("epoch s", 1_000_000)),
        ("ms", ("epoch ms", 1_000)),
        ("us", ("epoch µs", 1)),
        ("ns", ("epoch ns", 1)),
        ("float s", ("epoch s", 1)),
        ("quoted ms", ("epoch ms", 1_000)),
        ("ISO", ("ISO 8601", 1)),
        ("ISO without trailing zeros", ("ISO 8601", 1)),
    ],
)
def test_measure_recognises_the_unit_and_names_it(form, expected, broker, quick, tmp_path):
    unit, resolution_us = expected
    # The last one is on a whole second: as a text it loses all of its digits.
    start_us = _core.now_us() // 1_000_000 * 1_000_000
    ages_us = [*range(20_001, 500_000, 5_003), 1_000_000]
    send(broker, ({"payload": {"source": {"at": stamp_of(start_us - age, form)}}} for age in ages_us))
    code, document, err = measured(broker, quick, tmp_path, "--timestamp", "payload.source.at")
    assert code == 0, err
    assert document["malformed"] == 0
    assert document["timestamp"] == {
        "field": "payload.source.at",
        "unit": unit,
        "units": {unit: len(ages_us)},
        "resolution_us": resolution_us,
    }
    assert document["latency_us"]["max"] < 60_000_000, "an hour is what a wrong unit gives"
    lines = [line for line in err.splitlines() if line.startswith("time stamps: ")]
    assert len(lines) == 1
    assert f"payload.source.at is {unit}" in lines[0]
    step = {1_000_000: "1 s", 1_000: "1 ms"}.get(resolution_us)
    assert ("resolution" in lines[0]) == (step is not None)
    assert step is None or f"may be too long by up to {step}" in lines[0]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (45_000_000_000, "as epoch s it is in the year 3395, as epoch ms it is in the year 1971"),
        (638_355_536_001_234_567, "it may be .NET ticks"),
        ("yesterday", "neither an ISO 8601 time nor a number"),
        ("1970-01-20T16:13:20Z", "epoch s that were read as ms or µs give a time in 1970"),
    ],
)
def test_a_field_in_no_unit_is_an_error_that_names_the_likely_one(value, reason, broker, quick, tmp_path):
    send(broker, [{"at": value}] * 3)
    code, document, err = measured(broker, quick, tmp_path, "--timestamp", "at")
    assert code == 1
    assert document["latency_us"]["p50"] is None
    assert (document["malformed"], document["timestamp"]["unit"]) == (3, None)
    assert reason in err.splitlines()[-1].replace("\\", ""), err


def test_records_that_are_all_hours_old_give_no_figures(broker, quick, tmp_path):
    hlog = tmp_path / "out.hlog"
    send(broker, [{"at": _core.now_us() // 1_000_000 - 7_200}] * 3)
    code, document, err = measured(broker, quick, tmp_path, "--timestamp", "at", "--hlog", hlog)
    assert code == 1
    assert document["timestamp"]["unit"] == "epoch s"
    assert document["latency_us"] == {**dict.fromkeys(FIGURES), "count": 3, "negative": 0}
    assert "more than 1 h old by its 'at', which is read as epoch s" in err
    assert not hlog.exists()
    assert "the interval log" in err


def test_a_clock_that_is_ahead_gives_no_percentiles(broker, quick, tmp_path):
    ahead_us = [5_000_000 + 1_000 * n for n in range(100)]
    now_us = _core.now_us()
    send(broker, ({"at": now_us + ahead} for ahead in ahead_us))
    code, document, err = measured(broker, quick, tmp_path, "--timestamp", "at")
    assert code == 1
    assert document["latency_us"] == {**dict.fromkeys(FIGURES), "count": 100, "negative": 100}
    clock = document["clock"]
    assert (clock["negative"], clock["share"], clock["ok"]) == (100, 1, False)
    assert -5_100_000 < clock["median_us"] < -1_000_000
    assert clock["ahead_us"] > -clock["median_us"]
    assert "The clocks disagree: 100 of 100 records (100.0%) arrived before their time stamp" in err
    assert "chrony" in err
    assert "p50" not in err


def test_a_clock_that_is_ahead_of_some_is_a_warning(broker, quick, tmp_path):
    now_us = _core.now_us()
    send(broker, ({"at": now_us + (5_000_000 if n < 40 else -50_000)} for n in range(100)))
    code, document, err = measured(broker, quick, tmp_path, "--timestamp", "at")
    assert code == 0, err
    clock = document["clock"]
    assert (clock["negative"], clock["share"], clock["ok"]) == (40, 0.4, True)
    assert clock["median_us"] == document["latency_us"]["p50"] > 0
    assert "warning: 40 of 100 records (40.0%) arrived before their time stamp" in err
    assert "every latency is too low" in err


def test_nothing_to_measure_is_no_success(broker, quick, tmp_path):
    options = ["--topic", "topic", "--duration", "0.5", "--kafka-properties", quick, "--json"]
    code, out, err = call("measure", *options, cwd=tmp_path, broker=broker)
    assert code == 1
    assert json.loads(out)["latency_us"]["p50"] is None
    assert "0 records arrived" in err


@pytest.mark.parametrize("command", ["produce", "measure"])
def test_an_interrupt_ends_with_the_report(command, broker, quick, tmp_path):
    options = ["--topic", "topic", "--kafka-properties", quick, "--json"]
    if command == "produce":
        options += ["--rate", 1000]
    config = {"bootstrap.servers": broker.bootstrap_servers}
    feeder = _core.Generator(config, "topic", _core.Workload(2), _core.Schedule.constant(500))
    with start(command, *options, cwd=tmp_path, broker=broker) as process:
        if command == "measure":
            process.stderr.readline()
            feeder.start()
        # The first line of the counters: it is well under way.
        process.stderr.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        before = time.monotonic()
        out, err = process.communicate(timeout=10)
        took = time.monotonic() - before
    feeder.stop()
    assert process.returncode == 130, err
    document = json.loads(out)
    done = document["acked"] if command == "produce" else document["latency_us"]["count"]
    assert done > 300
    assert took < 1.5
    assert "Traceback" not in err


def test_a_broker_that_went_away_holds_up_no_interrupt(quick, tmp_path):
    with _core.MockBroker() as broker:
        broker.create_topic("topic")
        options = ["--topic", "topic", "--kafka-properties", quick, "--rate", 1000, "--json"]
        process = start("produce", *options, cwd=tmp_path, broker=broker)
        process.stderr.readline()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    before = time.monotonic()
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - before < 2
    assert process.returncode == 130, err
    document = json.loads(out)
    assert document["acked"] > 300
    assert document["failed"] > 300 or "not confirmed" in err


def test_secrets_stay_out_of_messages(tmp_path):
    path = tmp_path / "client.properties"
    path.write_text("security.protocol=hunter2\nsasl.password=hunter2\nssl.key.password=hunter2\n", encoding="utf-8")
    options = ["--kafka-properties", path, "--bootstrap-servers", "127.0.0.1:1"]
    for command in ("produce", "measure"):
        code, out, err = call(command, *options, cwd=tmp_path)
        assert code in {1, 2}
        assert "security.protocol" in err
        assert "hunter2" not in out + err
