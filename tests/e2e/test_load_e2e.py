"""`produce` and `measure` side by side on a real Kafka, as somebody would use them on their own."""

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
