"""Spark on an existing cluster: its address, its properties, and how slots and memory are divided there."""

from __future__ import annotations

import datetime as dt
import json
import socket
from contextlib import closing
from types import SimpleNamespace

import pytest
from machines import MACHINE
from trial_io import trial_io

from rtmbench.engines.flink import config as flink_config
from rtmbench.engines.spark import master
from rtmbench.engines.spark.boundaries import batch_boundaries
from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.experiment.settings import RunRequest, resolve
from rtmbench.kafka.connection import Connection
from rtmbench.platform.base import FlinkAddress
from rtmbench.platform.existing import ExistingPlatform
from rtmbench.platform.spark_address import SparkAddress, read_properties, standalone_masters

URL = "spark://spark.example:7077"
KAFKA = {"bootstrap_servers": "kafka.example:9092"}


def settings(**changes):
    return resolve(RunRequest(patterns=("01",), **changes), MACHINE)


def test_a_standalone_cluster_may_have_several_masters():
    assert standalone_masters(URL) == [("spark.example", 7077)]
    assert standalone_masters("spark://a:1,b:2") == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("address", ["k8s://", "local[4]", "spark://host", "spark://a:1,b", "a:1"])
def test_other_masters_are_refused(address):
    with pytest.raises(ConfigurationError, match=r"spark://HOST:7077, or several"):
        settings(spark_master=address, **KAFKA)


def test_the_address_needs_a_kafka_that_both_reach():
    with pytest.raises(ConfigurationError, match="--spark-master needs --bootstrap-servers"):
        settings(spark_master=URL)
    with pytest.raises(ConfigurationError, match="goes with --spark-master"):
        settings(spark_remote_conf="spark.conf")


def test_the_document_says_that_there_was_one_and_not_which():
    actual = settings(spark_master=URL, checkpoint_storage="hdfs://name.example/checkpoints", **KAFKA)
    document = actual.document()
    assert (document["spark"], document["spark_executors"], document["checkpoint_storage"]) == (
        "existing",
        2,
        "hdfs://",
    )
    assert "example" not in json.dumps(document)
    assert {"spark", "spark_executors", "checkpoint_storage"}.isdisjoint(settings().document())


def test_executors_have_the_files_of_their_cluster_unless_something_else_is_asked_for():
    assert settings().local_files == "plain"
    assert settings(spark_master=URL, **KAFKA).local_files == "hadoop"
    assert settings(spark_master=URL, local_files="plain", **KAFKA).local_files == "plain"


def test_the_file_of_properties(tmp_path):
    file = tmp_path / "spark.conf"
    file.write_text("# team\n\nspark.authenticate true\nspark.authenticate.secret = a=b c\nspark.x:  y\n")
    assert read_properties(file) == {
        "spark.authenticate": "true",
        "spark.authenticate.secret": "a=b c",
        "spark.x": "y",
    }


@pytest.mark.parametrize("line", ["hadoop.x canary", "spark.authenticate.secret", "spark.master canary"])
def test_a_bad_line_of_properties_is_named_without_its_value(line, tmp_path):
    file = tmp_path / "spark.conf"
    file.write_text(f"spark.a b\n{line}\n")
    with pytest.raises(ConfigurationError, match="line 2") as caught:
        read_properties(file)
    assert "canary" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_properties(tmp_path / "none")


def cluster(properties=None, executors=2):
    return master.StandaloneCluster(SparkAddress(master=URL, executors=executors, properties=properties or {}))


def test_executors_share_the_slots_and_the_heap(tmp_path):
    io = trial_io(tmp_path, slots=5, memory_mb=4096)
    actual = cluster().configuration(io, [tmp_path / "a.jar", tmp_path / "b.jar"])
    memory = flink_config.divide_memory(4096)
    assert actual["spark.master"] == URL
    assert (actual["spark.executor.cores"], actual["spark.cores.max"]) == ("3", "6")
    assert actual["spark.executor.memory"] == f"{memory.data_plane_heap // 2}m"
    assert actual["spark.jars"] == f"{tmp_path}/a.jar,{tmp_path}/b.jar"
    assert actual[master.MANAGED_MB] == str(memory.managed // 2)
    team = cluster({"spark.executor.memory": "700m"}).configuration(io, [])
    assert team["spark.executor.memory"] == "700m", "the cluster's own properties come last"
    with pytest.raises(ConfigurationError, match="fewer --spark-executors"):
        cluster(executors=50).configuration(io, [])


def facts(hosts=("127.0.0.1", "127.0.0.1"), **settings):
    return {
        "settings": {
            "spark.master": URL,
            "spark.executor.memory": "700m",
            "spark.executor.extraJavaOptions": "-XX:+UseG1GC",
            "spark.sql.streaming.stateStore.providerClass": master.ROCKSDB,
            "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage": "true",
            master.MANAGED_MB: "64",
            **settings,
        },
        "executors": list(hosts),
        "java_version": "17",
        "jvm": {"heap_max_mb": 1024, "gc": ["G1 Young Generation"]},
    }


def test_what_is_known_of_the_executors_is_what_they_were_started_with(tmp_path):
    actual = cluster().settings(facts(), trial_io(tmp_path))
    assert actual == {
        "heap_mb": 1024 + 1400,
        "data_plane_heap_mb": 1400,
        "state_memory_mb": 128,
        "collector": "G1GC",
        "others": {"executors": 2},
    }


def test_a_result_has_no_address_of_the_cluster():
    kept = cluster().details(facts(hosts=("a.example", "b.example")))
    assert kept["executors"] == 2
    assert "example" not in json.dumps(kept)


def test_executors_elsewhere_need_a_shared_place_for_checkpoints(tmp_path):
    io = trial_io(tmp_path)
    assert cluster().problem(facts(), io) == ""
    said = cluster().problem(facts(hosts=("127.0.0.1", "192.0.2.7")), io)
    assert said.startswith("Executors run on 1 other machine, and the checkpoint directory is on this one alone.")
    shared = trial_io(tmp_path, checkpoints="file:///shared/rtmbench-1")
    assert cluster().problem(facts(hosts=("192.0.2.7",)), shared) == ""


def test_a_script_that_chooses_another_master_is_named(tmp_path):
    said = cluster().problem(facts(**{"spark.master": "local[4]"}), trial_io(tmp_path))
    assert "runs at the master local[4], and not on the cluster of --spark-master" in said


def test_the_driver_has_the_address_on_the_way_to_the_master(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        actual = master.StandaloneCluster(SparkAddress(master=f"spark://127.0.0.1:1,127.0.0.1:{port}", executors=1))
        actual.prepare()
    assert actual.environment() == {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "127.0.0.1"}
    assert actual.configuration(trial_io(tmp_path), [])["spark.driver.bindAddress"] == "127.0.0.1"
    with pytest.raises(PreflightError, match="--spark-master does not answer"):
        master.StandaloneCluster(SparkAddress(master="spark://127.0.0.1:1", executors=1)).prepare()


def test_the_platform_gives_the_place_and_says_that_it_is_not_observed(tmp_path):
    local = {"java": None, "cache": None, "logs": tmp_path, "state": tmp_path}
    there = SparkAddress(master="spark://192.0.2.7:7077", executors=2)
    with ExistingPlatform(connection=Connection(bootstrap_servers="192.0.2.1:1"), spark=there, **local) as platform:
        assert [sentence.split()[0] for sentence in platform.unobserved] == ["Kafka", "Spark's"]
        assert platform.spark is there
        assert not platform.services_here
        assert isinstance(master.master_of(platform.spark), master.StandaloneCluster)
    assert isinstance(master.master_of(None), master.LocalThreads)


def test_no_file_of_this_machine_is_named_to_executors(tmp_path):
    connection = SimpleNamespace(java={"ssl.truststore.location": "/here"}, inline=lambda: {"ssl.truststore": "inline"})
    io = trial_io(tmp_path, connection=connection)
    assert cluster().client_properties(io) == {"ssl.truststore": "inline"}
    assert master.LocalThreads().client_properties(io) == {"ssl.truststore.location": "/here"}


def test_the_drivers_log_shows_the_boundaries_of_executors_tasks():
    log = [
        "2026-11-30T22:00:04.990 INFO  TaskSetManager [main] - Finished task 0.0 in stage 0.0 (TID 0) in 4900 ms on a",
        "2026-11-30T22:00:05.000 INFO  TaskSetManager [main] - Finished task 1.0 in stage 0.0 (TID 1) in 4910 ms on b",
        "2026-11-30T22:00:05.200 INFO  TaskSetManager [main] - Starting task 0.0 in stage 1.0 (TID 2) (a, executor 0)",
        "2026-11-30T22:00:05.210 INFO  TaskSetManager [main] - Starting task 1.0 in stage 1.0 (TID 3) (b, executor 1)",
    ]
    durations = {"addBatch": 5_000, "triggerExecution": 5_100}
    event = {"batchId": 0, "timestamp": _utc("2026-11-30T22:00:00.010"), "durationMs": durations}
    (actual,) = batch_boundaries([json.dumps(event)], log, 0)
    assert actual.duration_ms == 220.0


def _utc(local):
    moment = dt.datetime.fromisoformat(local).astimezone(dt.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@pytest.mark.parametrize(
    "places",
    [
        {"connection": Connection(bootstrap_servers="192.0.2.1:1, 127.0.0.1:9092")},
        {"spark": SparkAddress(master="spark://192.0.2.7:1,127.0.0.1:1", executors=1)},
        {"flink": FlinkAddress(url="http://127.0.0.1:8081")},
    ],
)
def test_services_on_this_machine_are_not_taken_for_other_programs(places, tmp_path):
    local = {"java": None, "cache": None, "logs": tmp_path, "state": tmp_path}
    with ExistingPlatform(**{"connection": Connection(bootstrap_servers="192.0.2.1:1"), **places, **local}) as platform:
        assert platform.services_here
        assert "cannot distinguish their load from that of other programs" in platform.unobserved[-1]
