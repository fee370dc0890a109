"""All is somebody else's: three brokers with TLS, SCRAM and rights, a Spark cluster, and a Flink cluster."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from clusters import flink_cluster, spark_cluster
from commandline import running
from secured_kafka import SECRETS, secrets_in, secured_kafka, topic_exists

from rtmbench.patterns import pipelines

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

CANARY = "canary-spark-3b7e"
LOAD = ("--quick", "--rate", "300", "--partitions", "2", "--warmup", "5s", "--memory", "2048", "--json")


@pytest.fixture(scope="module")
def clusters(tmp_path_factory):
    """The three of them. Spark's daemons and the query must know a secret."""
    place = tmp_path_factory.mktemp("clusters")
    kafka_place, files = place / "kafka", place / "files"
    kafka_place.mkdir()
    files.mkdir()
    shared = {"spark.authenticate": "true", "spark.authenticate.secret": CANARY}
    with ExitStack() as stack:
        kafka = stack.enter_context(secured_kafka(kafka_place, brokers=3))
        spark = stack.enter_context(spark_cluster(place / "spark", "4.3", properties=shared))
        flink = stack.enter_context(flink_cluster(place / "flink", "1.20"))
        conf = files / "spark.conf"
        conf.write_text("# of the team\n" + "".join(f"{name} = {value}\n" for name, value in shared.items()))
        yield SimpleNamespace(
            kafka=kafka,
            spark=spark,
            flink=flink,
            options=(
                *("--kafka-properties", str(kafka.java_properties(files)), "--flink-url", flink.url),
                *("--spark-master", spark.url, "--spark-remote-conf", str(conf)),
            ),
        )


def eventually(condition, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
    return condition()


@pytest.mark.parametrize("pattern", [pytest.param("01", marks=pytest.mark.full), "02"])
def test_both_engines_run_there_and_leave_nothing(pattern, clusters, tmp_path):
    engines = ("--engines", "flink@1.20,spark@4.3")
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    storage = ("--checkpoint-storage", checkpoints.as_uri()) if pattern == "02" else ()
    with running("run", pattern, *engines, *LOAD, *clusters.options, *storage, cwd=tmp_path) as run:
        assert run.wait(300) == 0, run.stderr
    document = json.loads(run.stdout)
    cells = {cell["name"].partition("@")[0]: cell for cell in document["cells"]}
    topics = []
    for cell in cells.values():
        (trial,) = cell["trials"]
        assert trial["valid"], trial["reasons"]
        counts = trial["counts"]
        assert counts["received"] == counts["expected"] > 0
        assert counts["missing"] == counts["unexpected"] == counts["wrong"] == 0
        # What runs elsewhere is not observed, and the driver's share of it is not shown as if it were all.
        assert trial["cpu_seconds"]["engine"] is None
        assert trial["peak_rss_mb"]["engine"] is None
        topics += trial["topics"].values()
    settings = cells["spark"]["facts"]["settings"]
    assert settings["others"] == {"executors": 2}
    assert settings["slots"] == (2 if pattern == "01" else 4)
    assert cells["spark"]["facts"]["real_time"] is True
    assert [text.split()[0] for text in document["unobserved"]] == ["Kafka", "Flink", "Spark's", "They"]
    # The result has no address of a cluster.
    for text in (clusters.spark.url, clusters.flink.url, "localhost", "127.0.0.1"):
        assert text not in run.stdout
    assert secrets_in(tmp_path, run.stdout, run.stderr, *run.command_lines, secrets=(CANARY, *SECRETS)) == []
    # Nothing is left there.
    assert list(checkpoints.iterdir()) == []
    assert topics
    assert eventually(lambda: not any(topic_exists(clusters.kafka, topic) for topic in topics))
    assert {job["status"] for job in clusters.flink.account("/jobs")["jobs"]} == {"CANCELED"}
    assert clusters.flink.account("/jars")["files"] == []
    assert clusters.flink.account("/overview")["slots-available"] == 4
    assert eventually(lambda: clusters.spark.account("/json/")["activeapps"] == [])
    assert clusters.spark.account("/json/")["coresused"] == 0


@pytest.mark.full
def test_custom_jobs_run_there(clusters, tmp_path):
    jobs = ("--spark-job", str(pipelines.locate("01", "spark")), "--flink-jar", str(pipelines.locate("01", "flink")))
    stamp = ("--timestamp-field", "scheduled_at_us", "--filters")
    with running(
        "run", *jobs, *stamp, "--engines", "flink@1.20,spark@4.3", *LOAD, *clusters.options, cwd=tmp_path
    ) as run:
        assert run.wait(300) == 0, run.stderr
    for cell in json.loads(run.stdout)["cells"]:
        (trial,) = cell["trials"]
        assert trial["valid"], trial["reasons"]
        outputs = trial["outputs"]
        assert outputs["matched"] == outputs["received"] > 0
        assert outputs["foreign_timestamp"] == outputs["missing_timestamp"] == 0
    assert secrets_in(tmp_path, run.stdout, run.stderr, *run.command_lines, secrets=(CANARY, *SECRETS)) == []
    assert eventually(lambda: clusters.spark.account("/json/")["activeapps"] == [])
    assert clusters.flink.account("/jars")["files"] == []


@pytest.mark.full
def test_a_cluster_without_enough_free_cores_is_named(clusters, tmp_path):
    options = (*LOAD, "--slots", "12", *clusters.options)
    with running("run", "01", "--engines", "spark@4.3", *options, cwd=tmp_path) as run:
        assert run.wait(300) != 0
    assert "cores of the cluster" in run.stderr


def test_a_master_that_does_not_answer_is_named(clusters, tmp_path):
    options = [text.replace(clusters.spark.url, "spark://127.0.0.1:1") for text in clusters.options]
    started = time.monotonic()
    with running("run", "01", "--engines", "spark@4.3", *LOAD, *options, cwd=tmp_path) as run:
        assert run.wait(60) == 3, run.stderr
    assert time.monotonic() - started < 15
    assert "--spark-master does not answer" in run.stderr
