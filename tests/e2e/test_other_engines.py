"""Engines that are not rtmbench's own, on a real broker: a custom program, and a package that adds an engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500)]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "engine-kafka-streams"
SHORT = ["--quick", "--rate", "200", "--partitions", "2", "--warmup", "2", "--duration", "5", "--json"]
JOB = """
import json, os, signal, sys
from confluent_kafka import Consumer, Producer

stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
servers = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]}
producer = Producer({**servers, "partitioner": "murmur2_random", "linger.ms": 0})
consumer = Consumer({**servers, "group.id": "job", "auto.offset.reset": "earliest"})
consumer.subscribe([os.environ["RTMBENCH_INPUT_TOPIC"]])
assert os.environ["RTMBENCH_PATTERN"] == "01" and os.environ["RTMBENCH_MODE"] == "row"
print("rtmbench: ready", flush=True)
kept = {"click", "purchase"} if sys.argv[1] == "right" else {"click"}
while not stopped:
    record = consumer.poll(0.05)
    if record is not None and json.loads(record.value())["event_type"] in kept:
        producer.produce(os.environ["RTMBENCH_OUTPUT_TOPIC"], record.value(), record.key())
    producer.poll(0)
producer.flush(5)
"""


def the_trial(document, name):
    (cell,) = [cell for cell in document["cells"] if cell["name"] == name]
    (trial,) = cell["trials"]
    return trial


def test_a_program_runs_as_an_engine_and_is_checked_like_one(tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    commands = [f"{name}={sys.executable} job.py {name}" for name in ("right", "wrong")]
    options = [part for command in commands for part in ("--engine-cmd", command)]
    with running("run", "01", *SHORT, "--engines", "relay", *options, cwd=tmp_path) as run:
        assert run.wait(300) == 1, run.stderr
        assert run.alive() == []
    document = json.loads(run.stdout)
    right, wrong = the_trial(document, "right"), the_trial(document, "wrong")
    counts = right["counts"]
    # Valid or contended: the machine of a test may be busy.
    assert right["valid"], right["reasons"]
    assert (counts["missing"], counts["unexpected"], counts["wrong"]) == (0, 0, 0)
    assert counts["expected"] == counts["received"] > 500
    assert any(reason.startswith("boundary-free") for reason in right["reasons"])
    assert wrong["status"] == "failed"
    assert wrong["counts"]["missing"] > 100
    assert "job.py" not in run.stdout
    assert set(document["settings"]["engine_commands"]) == {"right", "wrong"}


def test_a_program_that_is_not_ready_fails_with_its_output(tmp_path):
    (tmp_path / "job.py").write_text("raise SystemExit('no such table: prices')")
    command = f"mine={sys.executable} job.py"
    with running("run", "01", *SHORT, "--engines", "relay", "--engine-cmd", command, cwd=tmp_path) as run:
        assert run.wait(200) == 1, run.stderr
    trial = the_trial(json.loads(run.stdout), "mine")
    assert trial["status"] == "failed"
    assert "no such table: prices" in trial["reasons"][0]


@pytest.mark.full
def test_the_example_package_runs_kafka_streams(tmp_path):
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(EXAMPLE)]
    subprocess.run(install, check=True)
    environment = {"PYTHONPATH": str(site)}
    engines = "flink@1.20,kafka-streams"
    with running(
        "run", "01", "02", "--quick", "--rate", "500", "--json", "--engines", engines, cwd=tmp_path, env=environment
    ) as run:
        assert run.wait(450) == 0, run.stderr
    for document in json.loads(run.stdout)["runs"]:
        assert [cell["name"] for cell in document["cells"]] == ["flink@1.20", "kafka-streams"]
        counts = the_trial(document, "kafka-streams")["counts"]
        assert (counts["missing"], counts["unexpected"], counts["wrong"]) == (0, 0, 0)
        assert counts["received"] == counts["expected"] > 1_000
        assert the_trial(document, "kafka-streams")["boundaries_seen"] >= 2
