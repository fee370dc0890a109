"""`produce`, `measure` and `diff` on a real Kafka, as somebody would use them on their own."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest
from commandline import running

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    directory = tmp_path_factory.mktemp("load")
    (directory / "state").mkdir()
    with LocalPlatform(java=find_java(), cache=Cache(), logs=directory / "logs", state=directory / "state") as platform:
        yield platform.kafka().bootstrap_servers


def test_what_is_produced_is_measured(servers: str, tmp_path: Path):
    environment = {"KAFKA_BOOTSTRAP_SERVERS": servers}
    hlog = tmp_path / "latency.hlog"
    with running("produce", "--topic", "absent", "--count", "1", cwd=tmp_path, env=environment) as run:
        assert run.wait(40) == 1
        assert "--create makes it" in run.stderr
    _core.create_topics({"bootstrap.servers": servers}, ["load"], partitions=4)
    with running("measure", "--topic", "load", "--hlog", str(hlog), "--json", cwd=tmp_path, env=environment) as measure:
        measure.wait_for("measuring load")
        load = ["--topic", "load", "--create", "--partitions", "4", "--rate", "2000", "--duration", "3s", "--json"]
        with running("produce", *load, cwd=tmp_path, env=environment) as produce:
            assert produce.wait(60) == 0, produce.stderr
        time.sleep(1)
        measure.send(signal.SIGINT)
        before = time.monotonic()
        assert measure.wait(10) == 130, measure.stderr
        assert time.monotonic() - before < 3
    sent, received = json.loads(produce.stdout), json.loads(measure.stdout)
    assert (sent["acked"], sent["failed"], sent["slip_us"]["count"]) == (6000, 0, 6000)
    assert sent["rate"] == pytest.approx(2000, rel=0.1)
    assert received["latency_us"]["count"] == sent["acked"]
    assert (received["malformed"], received["latency_us"]["negative"]) == (0, 0)
    # An event cannot be received before it was sent.
    assert received["latency_us"]["max"] >= sent["slip_us"]["max"] * 0.99
    assert sum(histogram.count for _, _, histogram in _core.read_interval_log(hlog)) == 6000


def test_produce_creates_a_topic_when_asked(servers: str, tmp_path: Path):
    arguments = ["--topic", "made", "--create", "--partitions", "3", "--rate", "max", "--count", "1000", "--json"]
    with running("produce", *arguments, "--bootstrap-servers", servers, cwd=tmp_path) as run:
        assert run.wait(60) == 0, run.stderr
    ends = _core.end_offsets({"bootstrap.servers": servers}, "made")
    assert (len(ends), sum(ends)) == (3, 1000)


def test_two_topics_with_the_same_events_are_equal_until_one_has_more(servers: str, tmp_path: Path):
    environment = {"KAFKA_BOOTSTRAP_SERVERS": servers}
    config = {"bootstrap.servers": servers}
    _core.create_topics(config, ["first"], partitions=4)
    _core.create_topics(config, ["second"], partitions=3, properties={"message.timestamp.type": "LogAppendTime"})

    def produce(topic: str, *options: str):
        with running("produce", "--topic", topic, "--rate", "max", *options, cwd=tmp_path, env=environment) as run:
            assert run.wait(60) == 0, run.stderr

    def diff(*options: str):
        fields = ("--key", "event_id", "--ignore", "produced_at,scheduled_at_us")
        with running("diff", "first", "second", *fields, *options, "--json", cwd=tmp_path, env=environment) as run:
            return run.wait(60), json.loads(run.stdout), run.stderr

    for topic in ("first", "second"):
        produce(topic, "--count", "50000")
    code, document, messages = diff("--once")
    assert code == 0, messages
    assert (document["matched"], document["differences"]) == (50_000, 0)
    assert document["a"]["created"] == document["b"]["appended"] == 50_000
    produce("first", "--count", "3", "--first-index", "50000")
    code, document, messages = diff("--once")
    assert code == 5, messages
    assert (document["matched"], document["differences"], document["b"]["missing"]) == (50_000, 3, 3)
    assert [json.loads(example["a"]["text"])["event_id"] for example in document["examples"]]
    # The same, as a comparison that goes on, whose counts are stored.
    options = ("--from-beginning", "--lag", "2s", "--duration", "6s", "--state", str(tmp_path / "state.json"))
    for resumed in (False, True):
        code, document, messages = diff(*options)
        assert code == 5, messages
        assert (document["matched"], document["b"]["missing"], document["resumed"]) == (50_000, 3, resumed)
