"""`--checkpoint-storage slow:…`: both engines keep checkpoints where each request takes its time."""

from __future__ import annotations

import json
import statistics

import pytest
from commandline import running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DELAY_MS = 150
LOAD = ("--quick", "--rate", "300", "--partitions", "2", "--warmup", "5s", "--json")


def test_checkpoints_and_batch_boundaries_wait_for_the_storage(tmp_path):
    storage = f"slow:{DELAY_MS}ms"
    engines = ("--engines", "flink@1.20,spark@4.3")
    with running("run", "02", *engines, *LOAD, "--checkpoint-storage", storage, cwd=tmp_path) as run:
        assert run.wait(250) == 0, run.stderr
    document = json.loads(run.stdout)
    assert document["settings"]["checkpoint_storage"] == storage
    for cell in document["cells"]:
        (trial,) = cell["trials"]
        assert trial["valid"], trial["reasons"]
        assert trial["counts"]["received"] == trial["counts"]["expected"] > 0
        kinds = {"checkpoint", "batch_boundary"}
        durations_ms = [one["duration_ms"] for one in trial["interruptions"] if one["kind"] in kinds]
        # On a local disk both are far shorter, but for the boundaries of a cold Spark.
        assert statistics.median(durations_ms) >= DELAY_MS, cell["name"]
