"""How fast two large topics are compared, and in how much memory; for a quiet machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from rtmbench.artifacts import Cache
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = [pytest.mark.accept, pytest.mark.timeout(1800)]

RECORDS = 5_000_000
"""In each topic."""
RATE = 200_000
MEMORY_MB = 256
BESIDES_MB = 192
"""For Python, the Kafka client and the detection of duplicates."""


def test_topics_of_millions_are_compared_at_the_promised_rate_in_bounded_memory(tmp_path):
    (tmp_path / "state").mkdir()
    with LocalPlatform(java=find_java(), cache=Cache(), logs=tmp_path / "logs", state=tmp_path / "state") as platform:
        kafka = ["--bootstrap-servers", platform.kafka().bootstrap_servers]
        command = [sys.executable, "-m", "rtmbench"]
        for topic, partitions in (("first", "4"), ("second", "3")):
            load = ["produce", "--topic", topic, "--create", "--partitions", partitions, "--count", str(RECORDS)]
            subprocess.run([*command, *load, "--rate", "max", *kafka], cwd=tmp_path, check=True)
        fields = ["--key", "event_id", "--ignore", "produced_at,scheduled_at_us"]
        options = [*fields, "--once", "--memory", str(MEMORY_MB), "--json", *kafka]
        with subprocess.Popen(
            [*command, "diff", "first", "second", *options], cwd=tmp_path, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            document = json.loads(process.stdout.read())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert (document["matched"], document["differences"]) == (RECORDS, 0)
    rate = (document["a"]["read"] + document["b"]["read"]) / document["seconds"]
    peak_mb = usage.ru_maxrss / 1024
    assert rate >= RATE, f"{rate:,.0f} records/s, {peak_mb:,.0f} MiB at most"
    assert peak_mb <= MEMORY_MB + BESIDES_MB
