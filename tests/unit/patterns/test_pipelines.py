"""Finding the pipelines, in an installed wheel and in a checkout that builds its jobs."""

from __future__ import annotations

import importlib
import os
import stat
import sys
import threading
from functools import partial

import pytest
from places import ROOT

from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.patterns.pipelines import locate, spark_jars
from rtmbench.spark import real_time_trigger

SOURCE = ROOT / "pipelines"
PATTERN = "01-stateless-passthrough"
STATE = "04-keyed-state"
JAR = "stateless-passthrough.jar"


@pytest.fixture
def checkout(tmp_path):
    """A checkout's `pipelines/` with the sources of one pattern, an hour old."""
    root = tmp_path / "checkout" / "pipelines"
    for name in (
        "pom.xml",
        "flink-parent/pom.xml",
        "flink-common/pom.xml",
        "flink-common/src/main/java/Job.java",
        f"{STATE}/spark/pom.xml",
        f"{STATE}/spark/src/main/java/KeyedCounter.java",
        f"{STATE}/spark/stateful_counter.py",
        f"{PATTERN}/flink/pom.xml",
        f"{PATTERN}/flink/src/main/java/StatelessPassthrough.java",
        f"{PATTERN}/flink/src/test/java/StatelessPassthroughTest.java",
        f"{PATTERN}/spark/stateless_rtm.py",
    ):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (1_000_000_000, 1_000_000_000))
    return root


@pytest.fixture
def find(checkout, tmp_path):
    return partial(locate, packaged=tmp_path / "wheel" / "_pipelines", checkout=checkout)


@pytest.fixture
def find_jars(checkout, tmp_path):
    return partial(spark_jars, packaged=tmp_path / "wheel" / "_pipelines", checkout=checkout)


@pytest.fixture
def maven(tmp_path, monkeypatch):
    """A stand-in for Maven, first on the PATH, that notes its calls; returns a way to say what it does."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program = directory / "mvn"
    calls = tmp_path / "calls"

    def does(script):
        program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return lambda: calls.read_text().splitlines() if calls.exists() else []

    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return does


def jar_of(checkout):
    return checkout / PATTERN / "flink" / "target" / JAR


def building(checkout):
    return f"mkdir -p {jar_of(checkout).parent} && touch -d @1000000001 {jar_of(checkout)}"


def test_a_wheel_carries_both(tmp_path):
    packaged = tmp_path / "wheel" / "_pipelines"
    jar = packaged / PATTERN / "flink" / JAR
    file = packaged / PATTERN / "spark" / "stateless_rtm.py"
    for path in (jar, file):
        path.parent.mkdir(parents=True)
        path.touch()
    # In site-packages, what would be a checkout's `pipelines/` is another directory or none.
    (tmp_path / "pipelines").mkdir()
    assert locate("01", "flink", packaged=packaged, checkout=tmp_path / "pipelines") == jar
    assert locate("1", "spark", packaged=packaged, checkout=tmp_path / "pipelines") == file


def test_a_checkout_wins_over_the_copies_of_an_editable_install(tmp_path, find, checkout, maven):
    maven(building(checkout))
    packaged = tmp_path / "wheel" / "_pipelines"
    for name in (f"flink/{JAR}", "spark/stateless_rtm.py"):
        path = packaged / PATTERN / name
        path.parent.mkdir(parents=True)
        path.touch()
    assert find("01", "flink") == jar_of(checkout)
    assert find("01", "spark") == checkout / PATTERN / "spark" / "stateless_rtm.py"


def test_a_wheel_without_its_jobs_says_so(tmp_path):
    packaged = tmp_path / "wheel" / "_pipelines"
    (packaged / PATTERN / "flink").mkdir(parents=True)
    with pytest.raises(PreflightError, match="built without its jars"):
        locate("01", "flink", packaged=packaged, checkout=tmp_path / "none")


def test_neither_wheel_nor_checkout(tmp_path):
    with pytest.raises(PreflightError, match="neither in this installation"):
        locate("01", "spark", packaged=tmp_path / "a", checkout=tmp_path / "b")


def test_a_checkout_builds_the_missing_jar_once(find, checkout, maven):
    calls = maven(building(checkout))
    said = []
    assert find("01", "flink", say=said.append) == jar_of(checkout)
    assert find("01", "flink", say=said.append) == jar_of(checkout)
    assert len(calls()) == 1
    assert f"-pl {PATTERN}/flink" in calls()[0]
    assert said == [f"Building {JAR} with Maven …"]


@pytest.mark.parametrize(
    "source",
    [
        "pom.xml",
        "flink-parent/pom.xml",
        "flink-common/pom.xml",
        "flink-common/src/main/java/Job.java",
        f"{PATTERN}/flink/pom.xml",
        f"{PATTERN}/flink/src/main/java/StatelessPassthrough.java",
    ],
)
def test_a_newer_source_makes_the_jar_stale(find, checkout, maven, source):
    calls = maven(building(checkout))
    jar = find("01", "flink")
    later = jar.stat().st_mtime + 10
    os.utime(checkout / source, (later, later))
    find("01", "flink")
    assert len(calls()) == 2


def test_a_newer_test_does_not(find, checkout, maven):
    calls = maven(building(checkout))
    jar = find("01", "flink")
    later = jar.stat().st_mtime + 10
    os.utime(checkout / PATTERN / "flink/src/test/java/StatelessPassthroughTest.java", (later, later))
    find("01", "flink")
    assert len(calls()) == 1


def test_only_pattern_04_has_a_jar_for_spark(find_jars):
    assert [find_jars(pattern) for pattern in ("01", "02", "03")] == [[], [], []]


def test_a_checkout_builds_the_jar_for_spark_from_its_own_sources(find_jars, checkout, maven):
    jar = checkout / STATE / "spark" / "target" / "keyed-counter.jar"
    calls = maven(f"mkdir -p {jar.parent} && touch -d @1000000001 {jar}")
    assert find_jars("04") == [jar]
    later = jar.stat().st_mtime + 10
    os.utime(checkout / "flink-common/src/main/java/Job.java", (later, later))
    assert find_jars("04") == [jar]
    assert len(calls()) == 1
    assert f"-pl {STATE}/spark" in calls()[0]
    os.utime(checkout / STATE / "spark/src/main/java/KeyedCounter.java", (later, later))
    find_jars("04")
    assert len(calls()) == 2


def test_a_wheel_carries_the_jar_for_spark_beside_its_pipeline(tmp_path):
    packaged = tmp_path / "wheel" / "_pipelines"
    (packaged / STATE / "spark").mkdir(parents=True)
    find = partial(spark_jars, packaged=packaged, checkout=tmp_path / "none")
    with pytest.raises(PreflightError, match=r"no keyed-counter\.jar in .*built without its jars"):
        find("04")
    jar = packaged / STATE / "spark" / "keyed-counter.jar"
    jar.touch()
    assert find("04") == [jar]


def test_two_runs_at_once_build_once(find, checkout, maven):
    calls = maven(f"sleep 0.3; {building(checkout)}")
    threads = [threading.Thread(target=find, args=("01", "flink")) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls()) == 1


def test_without_maven_the_way_out_is_said(find, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PreflightError, match=r"PATH has no `mvn`.*apt-get install maven"):
        find("01", "flink")


def test_a_failed_build_shows_what_maven_said(find, maven):
    maven("echo '[ERROR] release version 17 not supported'; exit 1")
    with pytest.raises(PreflightError, match=r"exit code 1(.|\n)*release version 17 not supported"):
        find("01", "flink")


def test_a_build_that_leaves_no_jar_is_an_error(find, maven):
    maven("exit 0")
    with pytest.raises(PreflightError, match="is not there"):
        find("01", "flink")


def test_a_second_python_file_beside_the_pipeline_is_an_error(find, checkout):
    (checkout / PATTERN / "spark" / "scratch.py").touch()
    with pytest.raises(PreflightError, match="holds 2"):
        find("01", "spark")


@pytest.mark.parametrize(("pattern", "engine"), [("99", "flink"), ("01", "storm")])
def test_unknown_names(find, pattern, engine):
    with pytest.raises(ConfigurationError):
        find(pattern, engine)


def test_this_checkout_has_the_pipelines():
    assert locate("01", "spark").read_text() == (SOURCE / PATTERN / "spark" / "stateless_rtm.py").read_text()


def test_rtm_trigger_is_the_packages(monkeypatch):
    monkeypatch.syspath_prepend(str(SOURCE))
    monkeypatch.delitem(sys.modules, "rtm_trigger", raising=False)
    assert importlib.import_module("rtm_trigger").real_time_trigger is real_time_trigger
