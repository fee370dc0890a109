"""Outputs known by their time stamps, on a real Kafka: the mock broker does not stamp its input itself."""

from __future__ import annotations

import json
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.experiment.subject import TOPIC_PROPERTIES
from rtmbench.kafka.clients import harness_consumer
from rtmbench.kafka.connection import Connection
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = pytest.mark.e2e

RATE = 2_000
COUNT = 6_000
PARTITIONS = 2


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stamped")
    (directory / "state").mkdir()
    with LocalPlatform(java=find_java(), cache=Cache(), logs=directory / "logs", state=directory / "state") as platform:
        yield platform.kafka().bootstrap_servers


def pass_on(servers, source, target, made):
    """Send what `made` makes of each record of a topic; leave out those of which it makes nothing."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": source})
    consumer.assign([TopicPartition(source, partition, 0) for partition in range(PARTITIONS)])
    producer = Producer({"bootstrap.servers": servers})
    seen, deadline = 0, time.monotonic() + 60
    while seen < COUNT:
        assert time.monotonic() < deadline
        for message in consumer.consume(500, 0.1):
            assert message.error() is None
            seen += 1
            record = made(message)
            if record is not None:
                producer.produce(target, json.dumps(record), key=message.key())
                producer.poll(0)
    assert producer.flush(30) == 0
    consumer.close()


@pytest.mark.parametrize(
    ("name", "made", "expected"),
    [
        ("append-time", lambda message: {"ts": message.timestamp()[1]}, {"append_time": True}),
        (
            "filtered-append-time",
            lambda message: {"ts": message.timestamp()[1]} if message.offset() % 3 == 0 else None,
            {"append_time": True},
        ),
        (
            "field-in-ms",
            lambda message: {"ts": json.loads(message.value())["produced_at"]},
            {"append_time": False, "foreign": 0, "unread_partitions": []},
        ),
        (
            "one-partition",
            lambda message: (
                {"ts": json.loads(message.value())["scheduled_at_us"]} if message.partition() == 0 else None
            ),
            {"append_time": False, "foreign": 0, "unread_partitions": [1]},
        ),
    ],
)
def test_the_time_of_the_append_is_told_from_the_events_own(name, made, expected, servers, tmp_path):
    config = {"bootstrap.servers": servers}
    source, target = f"{name}-in", f"{name}-out"
    _core.create_topics(config, [source, target], partitions=PARTITIONS, properties=TOPIC_PROPERTIES)
    consumer = _core.LatencyConsumer(
        harness_consumer(Connection(bootstrap_servers=servers)), target, spool=tmp_path / "spool", timestamp_field="ts"
    )
    consumer.start()
    sent = _core.Generator(config, source, _core.Workload(1), _core.Schedule.poisson(RATE, seed=1), count=COUNT).run()
    assert sent.acked == COUNT
    pass_on(servers, source, target, made)
    deadline = time.monotonic() + 20
    while consumer.snapshot().received < sum(_core.end_offsets(config, target)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    consumer.stop()
    consumer.join()
    _, found = _core.verify_stamped(
        harness_consumer(Connection(bootstrap_servers=servers)),
        input_topic=source,
        input_field="scheduled_at_us",
        output_topic=target,
        output_field="ts",
        spool=tmp_path / "spool",
        measure=(sent.start_us, sent.start_us + COUNT * 1_000_000 // RATE),
        deadline_us=_core.now_us(),
    )
    assert {key: found[key] for key in expected} == expected, found
    if expected["append_time"]:
        # At this rate nearly every ms is that of some event, so the outputs alone look sound.
        assert found["foreign"] < 0.3 * found["received"], found
