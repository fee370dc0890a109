"""What a run would do is what it does, and nothing is started to say so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

ENGINES = ("--engines", "flink@1.20,spark@4.3")


def planned(tmp_path, *arguments, code=(0, 3)):
    """Call the command with an empty cache; the machine of the test may lack what a run needs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "RTMBENCH_"))}
    environment["RTMBENCH_CACHE"] = str(tmp_path / "cache")
    command = [sys.executable, "-m", "rtmbench", "run", *arguments, "--dry-run"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in code, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()
    assert not list((tmp_path / "cache").rglob("*.*"))
    return done


def document(tmp_path, *arguments):
    return json.loads(planned(tmp_path, *arguments, "--json").stdout)


def test_cells_trials_slots_and_downloads_are_those_of_the_run(tmp_path):
    run = document(tmp_path, "02", "04", *ENGINES, "--partitions", "4", "--trials", "6", "--rate", "1000")
    cells = [(cell["pattern"], cell["name"], cell["trials"]) for cell in run["cells"]]
    assert cells == [
        ("02", "transport", 7),
        ("02", "flink@1.20", 6),
        ("02", "spark@4.3", 6),
        ("04", "transport", 7),
        ("04", "flink@1.20", 6),
        ("04", "spark@4.3", 6),
    ]
    assert run["trials"] == sum(trials for _, _, trials in cells)
    assert run["seconds"] == pytest.approx(sum(cell["trials"] * cell["trial_s"] for cell in run["cells"]))
    spark = run["cells"][2]
    # One thread for each partition of the topic and one for each of the shuffle.
    assert (spark["mode"], spark["emit"], spark["slots"]) == ("rtm", "update", 8)
    assert run["cells"][1]["slots"] == 4
    assert {name.partition("@")[0] for name in run["download_bytes"]} >= {"kafka", "flink", "spark"}
    assert min(run["download_bytes"].values()) > 0
    assert run["disk_bytes"] > 6 * 60 * 1_000
    assert run["settings"][0]["rate"] == 1_000
    assert {check["name"] for check in run["checks"]} >= {"java", "memory", "disk", "artifacts"}


def test_a_sweep_and_an_aa_run_have_their_cells(tmp_path):
    sweep = document(tmp_path, "01", "--engines", "flink@1.20", "--rate", "500,1000", "--quick")
    assert Counter(cell["point"]["rate"] for cell in sweep["cells"]) == {500: 2, 1000: 2}
    aa = document(tmp_path, "02", "--engines", "spark@4.3", "--aa")
    assert [(cell["name"], cell["trials"]) for cell in aa["cells"]] == [
        ("transport", 7),
        ("spark@4.3", 6),
        ("spark@4.3-again", 6),
    ]


def test_people_read_it_as_a_table(tmp_path):
    out = planned(tmp_path, "02", *ENGINES, "--quick", "--partitions", "4", "--rate", "1000").stdout
    lines = out.splitlines()
    assert lines[0].split() == ["pattern", "cell", "mode", "emits", "slots", "trials", "a", "trial", "takes"]
    assert lines[2].split()[:6] == ["02", "flink@1.20", "update", "update", "4", "1"]
    assert "load: 1,000 events/s, poisson, 100 keys, 4 partitions; checkpoint or batch: 5 s" in lines
    assert [line for line in lines if line.startswith("downloads: kafka@")]
    assert [line for line in lines if line.startswith("4 trials, about ")]


@pytest.mark.parametrize("flags", [("01", "--find-rate"), ("--resume", "some-run")])
def test_a_run_whose_trials_are_not_known_has_no_plan(flags, tmp_path):
    assert "--dry-run and --" in planned(tmp_path, *flags, code=(2,)).stderr
