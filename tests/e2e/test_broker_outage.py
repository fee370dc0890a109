"""Generator and relay on a real broker that goes away for a while."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.engines import create_engine, parse_engine
from rtmbench.engines.base import TrialIo
from rtmbench.kafka import clients
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = pytest.mark.e2e

PARTITIONS = 2
RATE = 500
LOAD_S = 22.0
OUTAGE_S = 10.0


@pytest.fixture
def platform(tmp_path: Path):
    state = tmp_path / "state"
    state.mkdir()
    with LocalPlatform(java=find_java(), cache=Cache(), logs=tmp_path / "logs", state=state) as platform:
        yield platform


def test_a_broker_that_is_away_for_ten_seconds_loses_nothing_that_was_acknowledged(platform, tmp_path):
    service = platform.kafka()
    admin = {"bootstrap.servers": service.bootstrap_servers}
    _core.create_topics(admin, ["topic"], partitions=PARTITIONS)
    workload = _core.Workload(3, keys=20)
    start_us = _core.now_us() + 500_000
    generator = _core.Generator(
        # A queue of four seconds: after that the generator has to wait, which must show as lateness.
        {**clients.harness_producer(service.connection), "queue.buffering.max.messages": str(4 * RATE)},
        "topic",
        workload,
        _core.Schedule.constant(RATE),
        duration_s=LOAD_S,
        start_us=start_us,
    )
    generator.start()
    time.sleep(3)
    confirmed = generator.snapshot().acked
    assert confirmed > 0
    # The same program on the same port with the same files: what a restart of the broker is.
    argv, work = service.process.argv, Path(service.process.argv[-1]).parent
    platform.stop(service.process)
    gone = time.monotonic()
    time.sleep(OUTAGE_S)
    platform.spawn("kafka", argv, cwd=work, last=True)
    _core.wait_for_broker(admin, 60)
    assert time.monotonic() - gone > OUTAGE_S
    report = generator.join(60)
    total = round(RATE * LOAD_S)
    assert (report.generated, report.acked, report.failed) == (total, total, 0), report.errors
    assert report.queue_full > 0
    assert report.slip_all.max > 2_000_000
    spool = tmp_path / "spool"
    consumer = _core.LatencyConsumer(admin, "topic", spool=spool)
    consumer.start()
    deadline = time.monotonic() + 20
    while consumer.snapshot().received < total and time.monotonic() < deadline:
        time.sleep(0.05)
    consumer.stop()
    assert consumer.join().received == total
    verdict = _core.verify(
        "transport",
        admin,
        input_topic="topic",
        output_topic="topic",
        spool=spool,
        workload=workload,
        # Had the schedule been re-based, the last events would be intended for a time after this window.
        measure=(start_us, start_us + round(LOAD_S * 1e6)),
        deadline_us=_core.now_us(),
    )
    assert verdict.correct, verdict.offending
    assert verdict.latency.count == total
    assert verdict.latency.max > OUTAGE_S * 1e6


def test_the_relay_engine_copies_the_input_in_a_process_of_its_own(platform, tmp_path):
    connection = platform.kafka().connection
    admin = connection.admin
    _core.create_topics(admin, ["input", "output"], partitions=PARTITIONS)
    engine = create_engine(parse_engine("relay"), platform=platform, pattern="01")
    engine.prepare()
    engine.start(
        TrialIo(
            connection=connection,
            input_topic="input",
            output_topic="output",
            partitions=PARTITIONS,
            slots=PARTITIONS,
            checkpoint_interval_ms=5000,
            work=platform.scratch("relay"),
            logs=tmp_path / "engine",
            memory_mb=512,
        )
    )
    try:
        (process,) = engine.processes()
        schedule = _core.Schedule.constant(1000)
        _core.Generator(clients.harness_producer(connection), "input", _core.Workload(1), schedule, count=1000).run()
        deadline = time.monotonic() + 20
        while sum(_core.end_offsets(admin, "output")) < 1000 and time.monotonic() < deadline:
            time.sleep(0.05)
        engine.check()
        assert _core.end_offsets(admin, "input") == _core.end_offsets(admin, "output")
        assert process.usage().cpu_seconds > 0
        assert engine.facts().settings.kafka_clients["sink.acks"] == "all"
    finally:
        engine.stop()
    assert engine.processes() == []
    assert "acked=1000" in process.log.read_text()
