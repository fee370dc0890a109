"""`rtmbench run --flink-url`: a session cluster that somebody else runs, here one without a Kafka connector."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from commandline import running

from rtmbench.artifacts import Cache
from rtmbench.engines.flink.cluster import start_cluster
from rtmbench.engines.flink.config import divide_memory
from rtmbench.engines.flink.source import class_path
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.full, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """The addresses of a broker and of a Flink cluster, and the cluster."""
    root = tmp_path_factory.mktemp("theirs")
    cache = Cache()
    with LocalPlatform(java=find_java(), cache=cache, logs=root / "logs") as platform:
        kafka = platform.kafka()
        cluster = start_cluster(
            platform,
            class_path(cache.ensure("flink@1.20"), replace(cache.ensure("flink-connector-kafka@1.20"), jars=())),
            memory=divide_memory(1536),
            slots=2,
            state_backend="hashmap",
            work=root / "flink",
            logs_directory=root / "logs",
        )
        yield kafka.bootstrap_servers, cluster
        cluster.close()


def arguments(theirs, *more):
    servers, cluster = theirs
    load = ("--quick", "--rate", "500", "--partitions", "2", "--warmup", "5", "--json")
    return ("run", *more, *load, "--bootstrap-servers", servers, "--flink-url", cluster.url)


def test_a_stateful_job_runs_there_and_is_gone_afterwards(theirs, tmp_path):
    with running(*arguments(theirs, "04", "--engines", "flink@1.20"), cwd=tmp_path) as run:
        assert run.wait(200) == 0, run.stderr
    document = json.loads(run.stdout)
    assert document["settings"]["flink"] == "existing"
    assert "existing cluster" in run.stderr
    (cell,) = document["cells"]
    (trial,) = cell["trials"]
    assert trial["valid"], trial["reasons"]
    counts = trial["counts"]
    assert counts["received"] == counts["expected"] > 0
    assert counts["missing"] == counts["unexpected"] == counts["wrong"] == counts["duplicate"] == 0
    # Nothing of the cluster's processes is seen, and what is not seen is not told.
    assert trial["cpu_seconds"]["engine"] is None
    settings = cell["facts"]["settings"]
    assert "memory_mb" not in settings
    # The job's own configuration, over a cluster that has another one.
    assert settings["state_backend"] == "rocksdb"
    _, cluster = theirs
    assert cluster.url not in run.stdout
    assert {job["status"] for job in cluster.get("/jobs")["jobs"]} == {"CANCELED"}
    assert cluster.get("/jars")["files"] == []
    assert cluster.get("/overview")["slots-available"] == 2


def test_another_version_and_too_few_slots_are_refused(theirs, tmp_path):
    with running(*arguments(theirs, "01", "--engines", "flink@2.2"), cwd=tmp_path) as run:
        assert run.wait(60) == 3
    assert "runs Flink 1.20." in run.stderr
    with running("run", "01", "--engines", "flink@1.20", "--flink-url", "http://127.0.0.1:1", cwd=tmp_path) as run:
        assert run.wait(60) == 2
    assert "--flink-url needs --bootstrap-servers" in run.stderr
