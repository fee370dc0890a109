"""Padding, shards, interval logs and the relay from Python, on librdkafka's mock brokers."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from rtmbench import _core


def samples(path) -> list[int]:
    """How many samples each interval of a log has, read with another implementation than ours."""
    with closing(HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))) as reader:
        counts = []
        while (histogram := reader.get_next_interval_histogram()) is not None:
            counts.append(histogram.get_total_count())
    return counts


def test_a_padded_record_has_its_size_and_the_same_event():
    plain, padded = _core.Workload(1), _core.Workload(1, payload_bytes=1000)
    assert (plain.payload_bytes, padded.payload_bytes) == (None, 1000)
    for index in range(50):
        record = padded.event(index, 5_000_000 + index)
        assert len(record) == 1000
        event = json.loads(record)
        padding = event.pop("padding")
        assert event == json.loads(plain.event(index, 5_000_000 + index))
        assert len(set(padding)) > 40
    for bad in (0, 255, 1_000_001):
        with pytest.raises(ValueError, match="payload_bytes must be 256 to 1000000"):
            _core.Workload(1, payload_bytes=bad)


def test_shards_make_one_workload_that_the_oracle_accepts(broker, config, tmp_path):
    broker.create_topic("topic", partitions=2)
    consumer = _core.LatencyConsumer(config, "topic", spool=tmp_path / "spool", hlog=tmp_path / "received.hlog")
    consumer.start()
    start_us = _core.now_us() + 200_000
    workload = _core.Workload(4, keys=30, payload_bytes=300)
    generators = [
        _core.Generator(
            config,
            "topic",
            workload,
            _core.Schedule.constant(1000),
            count=1500,
            start_us=start_us,
            shard=(number, 3),
            slip_log=tmp_path / f"{number}.hlog",
        )
        for number in (1, 2, 3)
    ]
    for generator in generators:
        generator.start()
    reports = [generator.join(30) for generator in generators]
    assert sum(report.generated for report in reports) == 1500
    assert {report.next_index for report in reports} == {1500}
    slips = [samples(tmp_path / f"{number}.hlog") for number in (1, 2, 3)]
    assert [len(seconds) for seconds in slips] == [2, 2, 2]
    assert [sum(seconds) for seconds in slips] == [report.generated for report in reports]
    assert sum(seconds[0] for seconds in slips) == 1000
    deadline = time.monotonic() + 20
    while consumer.snapshot().received < 1500 and time.monotonic() < deadline:
        time.sleep(0.01)
    consumer.stop()
    assert consumer.join().received == sum(samples(tmp_path / "received.hlog")) == 1500
    verdict = _core.verify(
        "transport",
        config,
        input_topic="topic",
        output_topic="topic",
        spool=tmp_path / "spool",
        workload=workload,
        measure=(start_us, start_us + 1_500_000),
        deadline_us=_core.now_us(),
    )
    assert verdict.correct, verdict.offending
    assert verdict.latency.count == 1500


def test_bad_shards_and_spin_shares_are_refused(config):
    def generator(**options):
        return _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.unpaced(), **options)

    for shard in ((0, 2), (3, 2)):
        with pytest.raises(ValueError, match=f"no shard {shard[0]}/2"):
            generator(shard=shard)
    for share in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="spin share must be 0 to 1"):
            generator(spin_share=share)
    generator(shard=(2, 2), spin_share=0.2, precision="high")


def test_a_log_that_cannot_be_written_ends_the_generator(broker, config, tmp_path):
    broker.create_topic("topic")
    log = tmp_path / "nowhere" / "slip.hlog"
    generator = _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(100), count=1, slip_log=log)
    with pytest.raises(_core.KafkaError, match=r"cannot create .*slip\.hlog"):
        generator.run()
    with pytest.raises(FileNotFoundError):
        _core.LatencyConsumer(config, "topic", hlog=log).start()


def test_the_relay_copies_and_ends_when_asked(broker, config):
    for name in ("input", "output"):
        broker.create_topic(name, partitions=2)
    with pytest.raises(ValueError, match="another topic than its input"):
        _core.Relay(config, "input", "input")
    with pytest.raises(_core.KafkaError, match="nowhere"):
        _core.Relay(config, "input", "nowhere").start()
    relay = _core.Relay(config, "input", "output")
    with pytest.raises(_core.RtmbenchError, match="not started"):
        relay.join()
    relay.start()
    schedule = _core.Schedule.constant(2000)
    _core.Generator(config, "input", _core.Workload(1, keys=10), schedule, count=500).run()
    deadline = time.monotonic() + 20
    while relay.snapshot().acked < 500 and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(TimeoutError):
        relay.join(0.05)
    relay.stop()
    ended = relay.join(10)
    assert (ended.consumed, ended.acked, ended.failed, ended.queue_full) == (500, 500, 0, 0)
    assert "acked=500" in repr(ended)
    assert _core.end_offsets(config, "input") == _core.end_offsets(config, "output")
