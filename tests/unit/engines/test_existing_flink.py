"""An existing Flink cluster: its address, what is said of a run on it, and the jar that is brought there."""

from __future__ import annotations

import json
import threading
import zipfile
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from machines import MACHINE
from trial_io import trial_io

from rtmbench.custom_jobs.model import custom_job
from rtmbench.engines import create_engine, parse_engine
from rtmbench.engines.flink.cluster import FlinkCluster
from rtmbench.engines.flink.existing import ExistingCluster, with_libraries
from rtmbench.engines.flink.source import CONNECTOR, OwnCluster
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.experiment.settings import RunRequest, resolve
from rtmbench.kafka.connection import Connection
from rtmbench.platform.base import FlinkAddress
from rtmbench.platform.existing import ExistingPlatform
from rtmbench.platform.local import LocalPlatform
from rtmbench.run_settings import RunSettings

URL = "https://ann:secret@flink.example:8081"
KAFKA = {"bootstrap_servers": "kafka.example:9092"}


def settings(**options):
    return resolve(RunRequest(patterns=("01",), **options), MACHINE)


def test_the_address_is_checked_and_needs_a_kafka_that_both_reach():
    with pytest.raises(ConfigurationError, match="needs --bootstrap-servers"):
        settings(flink_url=URL)
    with pytest.raises(ConfigurationError, match="such as http://127") as caught:
        settings(flink_url="ann:secret@flink.example:8081", **KAFKA)
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="goes with --flink-url"):
        settings(flink_bootstrap_servers="kafka:29092")


def test_the_document_says_that_there_was_one_and_not_which():
    found = settings(flink_url=URL, flink_bootstrap_servers="kafka:29092", **KAFKA)
    document = found.document()
    assert document["flink"] == "existing"
    assert "example" not in json.dumps(document)
    assert "29092" not in json.dumps(document)
    assert "flink" not in settings().document()


@pytest.mark.parametrize(("address", "parties"), [(None, ["Kafka"]), (FlinkAddress(url=URL), ["Kafka", "Flink"])])
def test_the_platform_states_what_it_cannot_observe(tmp_path, address, parties):
    local = {"java": None, "cache": None, "logs": tmp_path, "state": tmp_path}
    with ExistingPlatform(connection=Connection(bootstrap_servers="192.0.2.1:1"), flink=address, **local) as platform:
        assert [sentence.split()[0] for sentence in platform.unobserved] == parties
    with LocalPlatform(**local) as platform:
        assert list(platform.unobserved) == []


def test_a_custom_job_keeps_what_it_and_the_cluster_have(tmp_path):
    (tmp_path / "job.jar").write_bytes(b"")
    job = custom_job(flink_jar=tmp_path / "job.jar", flink_class="a.Job")
    io = trial_io(tmp_path, checkpoints="s3://bucket/rtmbench-1")
    found = ExistingCluster(FlinkAddress(url=URL), cache=None).job_configuration(io, job)
    assert found["entryClass"] == "a.Job"
    assert found["flinkConfiguration"] == {
        "restart-strategy.type": "none",
        "execution.checkpointing.interval": "5000 ms",
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": "s3://bucket/rtmbench-1",
    }


def there(url):
    """A platform with an existing Flink cluster."""
    return SimpleNamespace(flink=FlinkAddress(url=url), cache=None)


@pytest.mark.parametrize(
    ("platform", "source"), [(there(URL), ExistingCluster), (SimpleNamespace(flink=None), OwnCluster)]
)
def test_the_platform_decides_about_the_cluster(platform, source):
    engine = create_engine(parse_engine("flink@1.20"), platform=platform, pattern="01")
    assert type(engine._source) is source
    assert engine.processes() == []


def test_the_jar_brings_its_libraries(tmp_path):
    job, library = tmp_path / "job.jar", tmp_path / "connector.jar"
    with zipfile.ZipFile(job, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "Main-Class: Job\n")
    library.write_bytes(b"a library")
    fat = with_libraries(job, [library], tmp_path / "fat.jar")
    with zipfile.ZipFile(fat) as jar:
        assert jar.namelist() == ["META-INF/MANIFEST.MF", "lib/connector.jar"]
        assert jar.read("lib/connector.jar") == b"a library"


@pytest.mark.parametrize(("name", "brought"), [("a/Job.class", True), (CONNECTOR, False)])
def test_a_jar_with_a_connector_of_its_own_keeps_it(name, brought, tmp_path):
    (tmp_path / "connector.jar").write_bytes(b"a library")
    job = tmp_path / "job.jar"
    with zipfile.ZipFile(job, "w") as jar:
        jar.writestr(name, "")
    cluster = ExistingCluster(FlinkAddress(url=URL), cache=None)
    cluster._libraries = [tmp_path / "connector.jar"]
    (tmp_path / "work").mkdir()
    with zipfile.ZipFile(cluster.jar(job, trial_io(tmp_path / "work"))) as jar:
        assert ("lib/connector.jar" in jar.namelist()) is brought


@contextmanager
def answering(pages):
    """A server with these pages, by path; its address has a user and a password."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, "{}").encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://ann:secret@127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_not_flink_is_said_without_the_password():
    with answering({"/config": "<html>hello"}) as url, closing(FlinkCluster(url=url, processes=[])) as cluster:
        with pytest.raises(RunFailedError, match=r"not Flink's REST API") as caught:
            cluster.get("/config")
        assert "secret" not in str(caught.value)
    with closing(FlinkCluster(url=url, processes=[])) as cluster:
        with pytest.raises(RunFailedError, match="no connection") as caught:
            cluster.get("/config")
        assert "secret" not in str(caught.value)


def test_the_clients_settings_are_read_from_the_clusters_logs(tmp_path):
    log = "INFO ProducerConfig values:\n\tacks = -1\n\tlinger.ms = 0\nINFO Kafka version: 3.4.0\n"
    managers = {"taskmanagers": [{"id": "a"}, {"id": "b"}]}
    pages = {"/taskmanagers": json.dumps(managers), "/taskmanagers/b/log": log}
    io = trial_io(tmp_path, settings=RunSettings(buffer_wait_ms=10))
    with answering(pages) as url, closing(FlinkCluster(url=url, processes=[])) as cluster:
        source = ExistingCluster(FlinkAddress(url=url), cache=None)
        assert source.settings(io, cluster, {}, {"restart-strategy": "none"}) == {
            "buffer_wait_ms": 10,
            "restarts": "none",
            "kafka_clients": {"sink.acks": "all", "sink.linger.ms": "0", "kafka-clients": "3.4.0"},
        }


def test_a_result_has_no_place_of_the_cluster():
    configuration = {
        "jobmanager.rpc.address": "flink.example",
        "taskmanager.bind-host": "0.0.0.0",  # noqa: S104 - theirs
        "execution.checkpointing.dir": "s3://bucket.example/x",
        "s3.access-key": "******",
        "high-availability.storageDir": "hdfs://name.example/ha",
        "taskmanager.numberOfTaskSlots": "4",
        "state.backend.type": "rocksdb",
    }
    options = ["-Xmx1g", "-XX:+UseG1GC", "-Dlog.file=/var/log/flink.example.log", "-XX:HeapDumpPath=/var/x"]
    found = ExistingCluster(FlinkAddress(url=URL), cache=None).details(None, configuration, options)
    assert found == {
        "configuration": {"taskmanager.numberOfTaskSlots": "4", "state.backend.type": "rocksdb"},
        "job_manager_options": ["-Xmx1g", "-XX:+UseG1GC"],
    }
