"""What the compose file publishes, from which images, and with which configuration."""

from __future__ import annotations

import re
import sys

import pytest
from places import ROOT

from rtmbench.artifacts.lock import load_lock
from rtmbench.platform.machine import scale

sys.path.insert(0, str(ROOT / "tools"))
import docker_files

COMPOSE = (ROOT / "docker" / "docker-compose.yml").read_text(encoding="utf-8")


def service(name):
    """Return the text of one service, or of one block that several share."""
    found = re.search(rf"^(?:  |x-){name}:.*?(?=^  \w[\w-]*:$|^\w|\Z)", COMPOSE, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[0]


def test_every_port_is_published_on_loopback_alone():
    published = re.findall(r'^\s+- "?([\d.:\[\]]+:\d+)"?$', COMPOSE, re.MULTILINE)
    assert len(published) == COMPOSE.count("ports:") == 2
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert "privileged" not in COMPOSE


def test_what_is_on_the_hosts_network_listens_on_loopback_alone():
    assert COMPOSE.count("network_mode: host") == 1
    assert "network_mode: host" in service("spark")
    assert "SPARK_LOCAL_IP: 127.0.0.1" in COMPOSE
    for name in ("spark", "spark-worker"):
        command = COMPOSE[COMPOSE.index(f"\n  {name}:\n") :]
        assert re.search(r'"--host"[,\s-]+"127\.0\.0\.1"', command)


@pytest.mark.parametrize("name", ["kafka@4.1", "flink@1.20", "spark@4.1"])
def test_the_images_have_the_versions_of_the_lock(name):
    engine = name.partition("@")[0]
    (image,) = re.findall(rf"image: apache/{engine}:(\d+\.\d+\.\d+)", COMPOSE)
    assert image == load_lock().bundle(name).build


def test_every_image_has_a_version():
    images = re.findall(r"image: (\S+)", COMPOSE)
    assert len(images) == 3
    assert all(re.fullmatch(r"apache/\w+:\d+\.\d+\.\d+\S*", image) for image in images)


@pytest.mark.parametrize(
    ("path", "text"),
    [(docker_files.FLINK, docker_files.flink_file()), (docker_files.SPARK, docker_files.spark_file())],
    ids=["flink", "spark"],
)
def test_the_configuration_files_are_those_of_the_profile(path, text):
    assert path.read_text(encoding="utf-8") == text, "run tools/docker_files.py"


def test_both_engines_have_the_slots_the_memory_and_the_interval_of_the_published_setup():
    profile = scale(docker_files.MACHINE, "spec")
    flink = {one.name: one.value for one in docker_files.flink_properties()}
    spark = {one.name: one.value for one in docker_files.spark_properties()}
    assert profile.partitions == 16
    assert flink["taskmanager.numberOfTaskSlots"] == flink["parallelism.default"] == spark["spark.cores.max"] == "16"
    assert flink["taskmanager.memory.process.size"] == f"{profile.engine_memory_mb}m" == "4096m"
    assert flink["execution.checkpointing.interval"] == "5000 ms"
    assert flink["state.backend.type"] == "rocksdb"
    assert spark["spark.sql.streaming.stateStore.providerClass"].endswith("RocksDBStateStoreProvider")
    assert spark["spark.sql.streaming.realTimeMode.allowlistCheck"] == "false"
    assert '"--cores"\n      - "16"' in COMPOSE
