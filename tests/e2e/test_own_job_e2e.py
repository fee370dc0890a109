"""Jobs that are not rtmbench's, in a directory that is not: measured on both engines, and failing in every way."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from commandline import await_nothing_alive, running

import rtmbench
from rtmbench.results.model import json_schema

pytestmark = [pytest.mark.e2e, pytest.mark.full, pytest.mark.timeout(500)]

PROJECT = Path(__file__).parent / "data" / "user-job"
GENTLE = [
    "--quick",
    "--rate",
    "500",
    "--partitions",
    "4",
    "--template",
    "order.json",
    "--timestamp-field",
    "created_at",
    "--filters",
]
JAR = ["--flink-jar", "target/large-orders.jar"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The team's project, built by its own Maven file."""
    directory = tmp_path_factory.mktemp("team") / "large-orders"
    shutil.copytree(PROJECT, directory)
    command = ["mvn", "-q", "-B", "-ntp", "package"]
    built = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=400)
    assert built.returncode == 0, built.stdout
    return directory


def test_what_init_writes_is_measured_by_the_command_that_it_prints(tmp_path):
    with running("init", "mine", cwd=tmp_path) as run:
        assert run.wait(30) == 0, run.stderr
    (command,) = [line.split() for line in run.stdout.splitlines() if line.strip().startswith("rtmbench run")]
    # Its settings are those of two cores, as in the other tests.
    with running(*command[1:], "--rate", "500", "--partitions", "4", "--json", cwd=tmp_path / "mine") as run:
        code = run.wait(300)
        await_nothing_alive(run, 10)
    assert code == 0, run.stderr
    ((trial,),) = [cell["trials"] for cell in json.loads(run.stdout)["cells"]]
    outputs = trial["outputs"]
    assert trial["status"] in ("valid", "contended")
    assert (outputs["oracle"], outputs["complaints"]) == ("checks.py:check", [])
    assert outputs["covered_timestamps"] == outputs["distinct_timestamps"] > 0


def test_a_query_and_a_jar_are_measured_side_by_side(project):
    flags = ["--spark-job", "large_orders.py", *JAR, "--oracle", "checks.py:large_orders", "--json"]
    with running("run", *flags, *GENTLE, cwd=project) as run:
        code = run.wait(400)
        await_nothing_alive(run, 10)
    assert code == 0, run.stderr
    document = json.loads(run.stdout)
    jsonschema.Draft202012Validator(json_schema()).validate(document)
    flink, spark = document["cells"]
    assert (flink["name"], spark["name"]) == ("flink@1.20", "spark@4.1")
    assert (flink["emit"], spark["emit"], spark["mode"]) == ("output", "output", "rtm")
    for cell in (flink, spark):
        (trial,) = cell["trials"]
        outputs = trial["outputs"]
        assert trial["counts"] is None
        assert outputs["received"] == outputs["matched"] > 0
        assert (outputs["without"], outputs["foreign"], outputs["complaints"]) == (0, 0, [])
        assert outputs["oracle"] == "checks.py:large_orders"
        assert outputs["resolution_us"] == 1_000
        # Amounts are 1 to 1000, alike: four in five orders are large. Five standard deviations either way.
        measured = trial["rate"]["requested"] * trial["seconds"]
        assert abs(trial["latency_us"]["count"] - 0.801 * measured) < 5 * (measured * 0.8 * 0.2) ** 0.5
        assert trial["slip_us"]["p99"] > 0
        assert any("up to 1 ms" in reason for reason in trial["reasons"])
        assert any(reason.startswith("coverage ") for reason in trial["reasons"])
        assert trial["latency_us"]["censored"] == 0
    (floor,) = document["floors"]
    assert all(trial["valid"] for trial in floor["trials"])
    assert floor["headline"]["p50_us"] < min(flink["headline"]["p50_us"], spark["headline"]["p50_us"])
    assert {"spark job", "flink job"} <= document["versions"].keys()
    assert str(project) not in json.dumps([document["settings"], document["versions"]])
    assert "silent" not in run.stdout


def test_python_measures_a_job_with_events_of_its_own_and_named_topics(project, monkeypatch):
    monkeypatch.chdir(project)
    run = rtmbench.run_job(
        flink_jar="target/large-orders.jar",
        events="checks.py:orders",
        timestamp_field="created_at",
        input="orders",
        output="large-orders",
        oracle="checks.py:large_orders",
        filters=True,
        quick=True,
        rate=500,
        partitions=2,
        trials=2,
        warmup_s=5,
    )
    trials = run.trials["flink@1.20"]
    assert len(trials) == 2
    for trial in trials:
        assert (trial.topics.input, trial.topics.output) == ("orders", "large-orders")
        assert trial.outputs.resolution_us == 1
        assert trial.outputs.earlier_events == trial.outputs.foreign_timestamp == 0
        assert trial.outputs.complaints == []
        assert trial.status.has_figures, trial.reasons
    assert run.engines == ["flink@1.20"]


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("silent", "events within 10 s"),
        ("no-stamp", "has a time stamp in `created_at`"),
        ("crash", "no price for order"),
        ("no-start", "the price list is missing"),
    ],
)
def test_a_flink_job_that_fails_says_how(project, behaviour, said):
    flags = [*JAR, "--flink-args", f"--behaviour {behaviour}", "--first-output", "10", "--json"]
    with running("run", *flags, *GENTLE, cwd=project) as run:
        code = run.wait(200)
        await_nothing_alive(run, 10)
    _assert_failed(code, run, said)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [("crash", "the price list is missing (large_orders.py, line 12)"), ("no-query", "started no streaming query")],
)
def test_a_spark_job_that_fails_says_how(project, behaviour, said):
    flags = ["--spark-job", "large_orders.py", "--json"]
    with running("run", *flags, *GENTLE, cwd=project, env={"ORDERS_BEHAVIOUR": behaviour}) as run:
        code = run.wait(200)
        await_nothing_alive(run, 10)
    _assert_failed(code, run, said)


def _assert_failed(code, run, said):
    assert code == 1, run.stderr
    document = json.loads(run.stdout)
    (cell,) = document["cells"]
    assert cell["status"] == "failed"
    assert said in cell["trials"][0]["reasons"][0]
    assert document["complete"] is True
    assert all(trial["valid"] for trial in document["floors"][0]["trials"])
