"""The timing gates. They need a quiet machine with two cores or more, and mean nothing elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.accept, pytest.mark.timeout(1200)]

COMMAND = [sys.executable, "-m", "rtmbench", "run", "01", "--rate", "1000", "--partitions", "4", "--json"]


@pytest.fixture(scope="module")
def headlines(tmp_path_factory):
    """Headline figures by cell, in µs, of one trial per engine, fully warmed up."""
    directory = tmp_path_factory.mktemp("accept")
    done = subprocess.run([*COMMAND, "--trials", "1"], cwd=directory, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    document = json.loads(done.stdout)
    for _cell in document["cells"] + document["floors"]:
        pass
    return {cell["name"]: cell["headline"] for cell in document["cells"] + document["floors"]}


@pytest.mark.parametrize(
    ("cell", "figure", "most_us"),
    [
        ("transport", "p50_us", 1_000),
        ("transport", "p99_us", 4_000),
        ("flink@1.20", "p50_us", 5_000),
        ("flink@1.20", "p99_us", 15_000),
        ("spark@4.1", "p50_us", 5_000),
    ],
)
def test_pattern_01_at_1000_events_a_second(headlines, cell, figure, most_us):
    assert headlines[cell][figure] <= most_us


def test_a_quick_run_with_a_warm_cache_takes_under_150_seconds(tmp_path):
    quick = [sys.executable, "-m", "rtmbench", "run", "01", "--quick"]
    assert subprocess.run(quick, cwd=tmp_path, timeout=150, check=False).returncode == 0
