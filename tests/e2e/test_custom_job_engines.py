"""Custom jobs on real engines: too few slots, an interval of their own, objects that a job changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.custom_jobs.model import custom_job
from rtmbench.custom_jobs.oracle import Record
from rtmbench.engines import choose, create_engine, parse_engine
from rtmbench.engines.base import TrialIo
from rtmbench.engines.consumption import unread_partitions
from rtmbench.errors import RunFailedError
from rtmbench.kafka.connection import Connection
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform
from rtmbench.run_settings import RunSettings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROJECT = Path(__file__).parent / "data" / "user-job"
PARTITIONS = 4
EVENTS = 400


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    directory = tmp_path_factory.mktemp("team") / "large-orders"
    shutil.copytree(PROJECT, directory, ignore=shutil.ignore_patterns("target"))
    built = subprocess.run(
        ["mvn", "-q", "-B", "-ntp", "package"], cwd=directory, capture_output=True, text=True, check=False, timeout=250
    )
    assert built.returncode == 0, built.stdout
    return directory


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    root = tmp_path_factory.mktemp("engines")
    with LocalPlatform(java=find_java(), cache=Cache(), logs=root / "logs", kafka_heap_mb=256) as opened:
        yield opened


class Job:
    """A custom job on an engine, with topics and a directory of its own."""

    count = 0

    def __init__(self, platform, project, root, engine, *, slots=PARTITIONS, **arguments):
        Job.count += 1
        self.servers = platform.kafka().bootstrap_servers
        self.admin = {"bootstrap.servers": self.servers}
        self.input, self.output = (f"own-{Job.count}-{side}" for side in ("in", "out"))
        _core.create_topics(self.admin, [self.input, self.output], partitions=PARTITIONS)
        spec = parse_engine(engine)
        flink = spec.engine == "flink"
        self.job = custom_job(
            spark_job=None if flink else project / "large_orders.py",
            **{"flink_jar": project / "target" / "large-orders.jar" if flink else None, **arguments},
            template=project / "order.json",
            timestamp_field="created_at",
        )
        pattern = self.job.pattern()
        self.engine = create_engine(spec, pattern=pattern.id, platform=platform, job=self.job)
        assert choose(spec, pattern).emit == "output"
        work, logs = root / f"work-{Job.count}", root / f"logs-{Job.count}"
        for directory in (work, logs):
            directory.mkdir(parents=True)
        self.io = TrialIo(
            connection=Connection(bootstrap_servers=self.servers),
            input_topic=self.input,
            output_topic=self.output,
            partitions=PARTITIONS,
            slots=slots,
            checkpoint_interval_ms=5_000,
            work=work,
            logs=logs,
            memory_mb=1_536,
            settings=RunSettings(local_files="hadoop"),
        )

    def __enter__(self):
        self.engine.prepare()
        try:
            self.engine.start(self.io)
        except BaseException:
            self.engine.stop()
            raise
        return self

    def __exit__(self, *_):
        self.engine.stop()

    def send(self):
        workload = self.job.payload.workload(3, 20, None)
        _core.Generator(self.admin, self.input, workload, _core.Schedule.constant(200), count=EVENTS).run()

    def records(self, topic):
        return [Record(*record) for record in _core.read_topic(self.admin, topic)]

    def await_output(self, least, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while sum(_core.end_offsets(self.admin, self.output)) < least:
            self.engine.check()
            assert time.monotonic() < deadline, f"{_core.end_offsets(self.admin, self.output)} within {timeout_s} s"
            time.sleep(0.2)


@pytest.fixture
def start(platform, project, tmp_path):
    return lambda engine, **options: Job(platform, project, tmp_path, engine, **options)


def large(inputs, least=200):
    orders = map(json.loads, (record.value for record in inputs))
    return {order["order"]: order["amount"] for order in orders if order["amount"] >= least}


@pytest.mark.parametrize(
    ("engine", "arguments"),
    [
        ("spark@4.1", {"spark_args": ["prices"]}),
        ("flink@1.20", {"flink_args": ["--prices", "prices"], "flink_args_only": True}),
    ],
)
def test_a_job_has_the_directory_the_variables_and_the_arguments_of_its_user(
    start, monkeypatch, tmp_path, engine, arguments
):  # fmt: skip
    directory = tmp_path / "of-the-user"
    (directory / "prices").mkdir(parents=True)
    (directory / "prices" / "large.txt").write_text("500\n", encoding="utf-8")
    monkeypatch.chdir(directory)
    monkeypatch.setenv("KAFKA_ORDERS_PRICES", "large.txt")
    # A Spark and a Flink of the user's steer nothing.
    monkeypatch.setenv("SPARK_HOME", "/nowhere")
    monkeypatch.setenv("FLINK_CONF_DIR", "/nowhere")
    with start(engine, **arguments) as job:
        job.send()
        expected = large(job.records(job.input), least=500)
        job.await_output(len(expected))
        orders = map(json.loads, (record.value for record in job.records(job.output)))
        assert {order["order"]: order["amount"] for order in orders} == expected
    assert [path.name for path in directory.iterdir()] == ["prices"]


@pytest.mark.full
def test_a_checkpoint_of_the_scripts_own_does_not_outlive_a_trial(start, monkeypatch, tmp_path):
    fixed = tmp_path / "fixed"
    monkeypatch.setenv("ORDERS_CHECKPOINT", str(fixed))
    for _ in range(2):
        with start("spark@4.1") as job:
            job.send()
            job.await_output(len(large(job.records(job.input))))
    assert not fixed.exists()


@pytest.mark.parametrize("engine", ["spark@4.1", pytest.param("spark@4.3", marks=pytest.mark.full)])
def test_a_script_that_takes_slots_away_fails_with_the_arithmetic(start, engine, monkeypatch):
    monkeypatch.setenv("ORDERS_MASTER", "local[2]")
    with pytest.raises(RunFailedError) as failed, start(engine, slots=8):
        pass
    said = str(failed.value)
    assert said.startswith(
        "large_orders.py runs with 2 slots and needs 4 at once in Real-Time Mode: 4 input partitions"
    )
    assert "The script sets the master local[2], which overrides rtmbench's local[8]" in said
    assert "Remove .master(…) from the script" in said


@pytest.mark.full
def test_a_fat_jar_runs_with_the_connector_that_it_bundles(start, platform, project, tmp_path):
    connector = platform.cache.ensure("flink-connector-kafka@1.20")
    fat = tmp_path / "fat.jar"
    with zipfile.ZipFile(fat, "w") as target:
        for jar in (project / "target" / "large-orders.jar", *connector.jars):
            with zipfile.ZipFile(jar) as source:
                for name in set(source.namelist()) - set(target.namelist()):
                    target.writestr(name, source.read(name))
    with start("flink@1.20", flink_jar=fat) as job:
        job.send()
        expected = large(job.records(job.input))
        job.await_output(len(expected))
        assert job.engine.consumed() == dict(enumerate(_core.end_offsets(job.admin, job.input)))


def test_a_flink_job_wider_than_its_cluster_fails_within_seconds(start):
    job = start("flink@1.20", flink_args=["--tasks", "8"])
    begun = time.monotonic()
    with pytest.raises(RunFailedError, match=r"8 tasks of 8 need a slot") as failed, job:
        pass
    assert "the cluster has 4" in str(failed.value)
    assert "--slots 8" in str(failed.value)
    assert time.monotonic() - begun < 60, "most of it is the start of the cluster"


@pytest.mark.full
def test_groups_of_a_flink_job_that_share_no_slots_are_added_up(start):
    job = start("flink@1.20", flink_args=["--output-group", "output"])
    with pytest.raises(RunFailedError, match=r"needs 8 slots \(4 \+ 4 for its 2 slot sharing groups\)"), job:
        pass


def test_a_flink_job_that_changes_its_records_gets_its_own_results(start):
    with start("flink@1.20", flink_args=["--behaviour", "branches"]) as job:
        job.send()
        expected = large(job.records(job.input))
        job.await_output(len(expected))
        found = {
            order["order"]: order["amount"] for order in map(json.loads, (r.value for r in job.records(job.output)))
        }
        assert found == expected
        assert job.engine.facts().settings.object_reuse is False
        # All partitions were read, and the engine says so.
        ends = _core.end_offsets(job.admin, job.input)
        assert job.engine.consumed() == dict(enumerate(ends))
        assert unread_partitions(job.engine.consumed(), ends) == ()
        assert job.engine.restarts() == 0


def test_the_interval_of_a_flink_job_is_read_back(start):
    with start("flink@1.20", flink_args=["--checkpoints-ms", "60000"]) as job:
        job.send()
        assert job.engine.interval_s() == 60.0
        assert job.engine.boundaries_so_far() <= 1
        assert job.engine.facts().settings.checkpoint_interval_ms == 60_000


@pytest.mark.full
def test_a_flink_job_without_checkpoints_has_neither_interval_nor_boundaries(start):
    with start("flink@1.20", flink_args=["--no-checkpoints", "true"]) as job:
        job.send()
        assert job.engine.interval_s() is None
        assert job.engine.boundaries_so_far() == 0
        assert job.engine.interruptions(_core.now_us()) == []


def test_a_flink_job_with_the_given_interval_counts_its_checkpoints(start):
    with start("flink@1.20") as job:
        started_us = _core.now_us()
        job.send()
        assert job.engine.interval_s() == 5.0
        deadline = time.monotonic() + 40
        while job.engine.boundaries_so_far() < 2:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        interruptions = job.engine.interruptions(started_us)
        assert len(interruptions) >= 2
        assert {one.kind for one in interruptions} == {"checkpoint"}


def test_a_flink_job_that_restarts_faster_than_anybody_looks_is_found_out(start):
    with start("flink@1.20", flink_args=["--behaviour", "stumbles"]) as job:
        job.send()
        # Nobody calls `check` meanwhile.
        deadline = time.monotonic() + 60
        while job.engine.restarts() != 1:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        job.engine.check()


def test_the_interval_of_a_spark_query_is_read_back(start, monkeypatch):
    monkeypatch.setenv("ORDERS_INTERVAL", "5 minutes")
    with start("spark@4.1") as job:
        job.send()
        job.await_output(1)
        assert job.engine.interval_s() == 300.0
        assert job.engine.boundaries_so_far() == 0
        assert job.engine.interruptions(_core.now_us()) == []
        assert job.engine.consumed() is None, "no batch has ended"
        facts = job.engine.facts()
        assert facts.settings.checkpoint_interval_ms == 300_000
        assert facts.settings.local_files == "hadoop"
        assert facts.remark == ""


def test_a_spark_query_with_the_given_interval_says_what_it_consumed(start):
    with start("spark@4.1") as job:
        started_us = _core.now_us()
        job.send()
        ends = _core.end_offsets(job.admin, job.input)
        deadline = time.monotonic() + 60
        while job.engine.consumed() != dict(enumerate(ends)):
            assert time.monotonic() < deadline, job.engine.consumed()
            job.engine.check()
            time.sleep(0.5)
        assert job.engine.interval_s() == 5.0
        assert job.engine.boundaries_so_far() >= 1
        interruptions = job.engine.interruptions(started_us)
        assert len(interruptions) >= 1
        assert {one.kind for one in interruptions} == {"batch_boundary"}
        assert job.engine.restarts() == 0
