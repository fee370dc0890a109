from __future__ import annotations

import json

import pytest

from rtmbench.artifacts import load_lock
from rtmbench.artifacts.lock import maven_path
from rtmbench.errors import ConfigurationError

LOCK = load_lock()


def files(name):
    return {artifact.file for artifact in LOCK.bundle(name).artifacts}


def test_everything_is_pinned():
    for bundle in LOCK.bundles.values():
        for artifact in bundle.artifacts:
            assert len(bytes.fromhex(artifact.sha256)) == 32
            assert artifact.size > 0
            assert (artifact.unpack is None) == (artifact.registry == "maven")
            assert (artifact.unpack is None) == (artifact.tree is None)


def test_builds_are_of_the_version_in_the_name():
    for name in ("kafka@4.1", "flink@1.20", "spark@4.1", "spark@4.3", "spark-connector-kafka@4.1"):
        assert LOCK.bundle(name).build.startswith(name.partition("@")[2])


@pytest.mark.parametrize("name", list(LOCK.bundles))
def test_no_jar_is_there_in_two_versions(name):
    names = [
        artifact.coordinate.rpartition(":")[0]
        for artifact in LOCK.bundle(name).artifacts
        if artifact.registry == "maven"
    ]
    assert len(names) == len(set(names))


def test_jackson_is_of_one_version():
    for name in ("kafka@4.1", "flink-connector-kafka@1.20"):
        versions = {file.rpartition("-")[2] for file in files(name) if file.startswith("jackson-")}
        assert len(versions) == 1


def test_kafkas_log_binding_fits_its_slf4j():
    names = {file.rpartition("-")[0] for file in files("kafka@4.1")}

    assert "slf4j-api-1.7.36.jar" in files("kafka@4.1")
    assert {"log4j-api", "log4j-core", "log4j-slf4j-impl"} <= names


def test_connectors_bring_nothing_that_their_engine_has():
    for name in LOCK.bundles:
        if "-connector-" in name:
            shared = ("slf4j", "log4j", "lz4", "snappy", "scala-library", "flink-connector-base")
            assert not [file for file in files(name) if file.startswith(shared)]


@pytest.mark.parametrize(
    ("name", "bundles"),
    [
        ("flink@1.20", ["kafka@4.1", "flink@1.20", "flink-connector-kafka@1.20"]),
        ("flink@1.20:close", ["kafka@4.1", "flink@1.20", "flink-connector-kafka@1.20"]),
        ("spark@4.3", ["kafka@4.1", "spark@4.3", "spark-connector-kafka@4.3"]),
        ("spark", ["kafka@4.1", "spark@4.1", "spark-connector-kafka@4.1"]),
        ("kafka", ["kafka@4.1"]),
        ("spark-connector-kafka@4.3", ["spark-connector-kafka@4.3"]),
    ],
)
def test_an_engine_stands_for_all_that_its_run_needs(name, bundles):
    assert LOCK.resolve(name) == bundles


@pytest.mark.parametrize("name", ["flink@9", "flinc", "", "spark@4.1.4"])
def test_an_unknown_engine_is_a_configuration_error_that_lists_the_known(name):
    with pytest.raises(ConfigurationError, match=r"flink@1\.20"):
        LOCK.resolve(name)


def test_where_a_maven_repository_holds_a_jar():
    assert maven_path("maven:org.a.b:some-jar_2.13:1.0-rc1") == (
        "org/a/b/some-jar_2.13/1.0-rc1/some-jar_2.13-1.0-rc1.jar"
    )
    with pytest.raises(ConfigurationError, match="maven:org"):
        maven_path("maven:org:a")


def test_another_schema_is_refused(tmp_path):
    path = tmp_path / "lock.json"
    path.write_text(json.dumps({"schema": "rtmbench.lock/2", "bundles": {}}))

    with pytest.raises(ConfigurationError, match=r"rtmbench\.lock/2"):
        load_lock(path)
