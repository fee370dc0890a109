"""`up`, `setup`, `submit`, `produce`, `measure` together: a job by hand, as the load page tells it."""

from __future__ import annotations

import json
import re
import signal
import time

import pytest
from commandline import await_nothing_alive, running

from rtmbench import _core

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.mark.parametrize("engine", ["flink@1.20", pytest.param("spark@4.3", marks=pytest.mark.full)])
def test_a_job_by_hand(tmp_path, engine):
    with running("up", "--kafka-port", "0", cwd=tmp_path) as up:
        up.wait_for("Ctrl-C stops it")
        servers = re.search(r"at (127\.0\.0\.1:\d+)", up.stderr)[1]
        environment = {"KAFKA_BOOTSTRAP_SERVERS": servers}
        with running("submit", engine, "01", cwd=tmp_path, env=environment) as early:
            assert early.wait(60) == 3
        assert "rtmbench setup" in early.stderr
        with running("setup", "--partitions", "2", cwd=tmp_path, env=environment) as setup:
            assert setup.wait(120) == 0, setup.stderr
        assert "topic benchmark-input: created, 2 partitions" in setup.stdout
        with running("submit", engine, "01", cwd=tmp_path, env=environment) as submit:
            submit.wait_for("benchmark-input → benchmark-output", 150)
            with running("measure", "--json", cwd=tmp_path, env=environment) as measure:
                measure.wait_for("measuring benchmark-output")
                load = ["--rate", "300", "--duration", "5s", "--json"]
                with running("produce", *load, cwd=tmp_path, env=environment) as produce:
                    assert produce.wait(60) == 0, produce.stderr
                kept = sum(
                    json.loads(_core.Workload(1, keys=100).event(index, 0))["event_type"] != "view"
                    for index in range(1_500)
                )
                deadline = time.monotonic() + 30
                while sum(_core.end_offsets({"bootstrap.servers": servers}, "benchmark-output")) < kept:
                    assert time.monotonic() < deadline, submit.stderr
                    time.sleep(0.1)
                time.sleep(0.5)
                measure.send(signal.SIGINT)
                assert measure.wait(10) == 130, measure.stderr
            submit.send(signal.SIGINT)
            assert submit.wait(15) == 130, submit.stderr
            await_nothing_alive(submit, 1)
        assert json.loads(measure.stdout)["latency_us"]["count"] == kept
        up.send(signal.SIGTERM)
        assert up.wait(15) == 143, up.stderr
        await_nothing_alive(up, 1)
