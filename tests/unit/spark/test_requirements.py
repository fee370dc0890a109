"""What a pipeline needs beside Spark: slots, Python packages, a jar."""

from __future__ import annotations

import sys
from importlib import metadata

import pytest

from rtmbench.errors import PreflightError
from rtmbench.spark import Io, jvm_class, require_stateful_python, slots

ENOUGH = {"pandas": "2.2.3", "pyarrow": "18.0.0", "protobuf": "6.33.0"}


class Plan:
    """A node of a JVM's logical plan."""

    def __init__(self, name, *children):
        self._name, self._children = name, children

    def nodeName(self):  # noqa: N802
        return self._name

    def children(self):
        return self

    def size(self):
        return len(self._children)

    def apply(self, index):
        return self._children[index]


class Writer:
    """A stream writer down to its analysed plan."""

    def __init__(self, plan):
        self._df = self._jdf = self
        self._plan = plan

    def queryExecution(self):  # noqa: N802
        return self

    def analyzed(self):
        return self._plan


class Spark:
    """A session with its version, its slots and the number of its shuffle partitions."""

    def __init__(self, version, available, shuffled="3"):
        self.version, self.master = version, f"local[{available}]"
        self.sparkContext = self.conf = self
        self.defaultParallelism = available
        self._shuffled = shuffled

    def get(self, name):
        assert name == "spark.sql.shuffle.partitions"
        return self._shuffled


STATELESS = Writer(Plan("Project", Plan("Filter", Plan("StreamingRelationV2"))))
COUNTED = Writer(Plan("Project", Plan("Aggregate", Plan("Project", Plan("StreamingRelationV2")))))
TWICE = Writer(Plan("TransformWithState", Plan("Aggregate", Plan("StreamingRelationV2"))))


@pytest.fixture(autouse=True)
def four_partitions(monkeypatch):
    monkeypatch.setattr(slots, "_partitions", lambda _spark, _io: 4)


@pytest.mark.parametrize(
    ("version", "available", "writer"),
    [
        ("4.1.4", 4, STATELESS),
        ("4.3.0", 4, STATELESS),
        ("4.2.1", 4, COUNTED),
        ("4.3.0", 7, COUNTED),
        ("4.10.0", 7, COUNTED),
        ("5.0.0-preview1", 10, TWICE),
    ],
)
def test_enough_slots_start(version, available, writer):
    slots.check(Spark(version, available), Io(), writer)


@pytest.mark.parametrize(
    ("version", "available", "writer", "said"),
    [
        ("4.1.4", 3, COUNTED, "has 4 partitions, but Spark has 3 slots"),
        ("4.3.0", 3, STATELESS, "has 4 partitions, but Spark has 3 slots"),
        ("4.3.0", 6, COUNTED, "4 partitions of topic benchmark-input + 3 shuffle partitions = 7. Start with --master"),
        ("4.3.0", 9, TWICE, "needs 10 slots at once, and Spark has 9: 4 partitions of topic benchmark-input + 2 × 3"),
    ],
)
def test_too_few_are_refused_with_the_arithmetic(version, available, writer, said):
    with pytest.raises(PreflightError) as error:
        slots.check(Spark(version, available), Io(), writer)
    assert said in str(error.value)


@pytest.fixture
def installed(monkeypatch):
    versions = dict(ENOUGH)

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)
    return versions


def test_stateful_python_starts_with_its_packages(installed):
    require_stateful_python()
    installed["protobuf"] = "7.0.1rc1"
    require_stateful_python()


def test_missing_and_old_packages_are_named_with_the_command(installed):
    del installed["pandas"]
    installed["protobuf"] = "6.32.9"
    with pytest.raises(PreflightError) as error:
        require_stateful_python()
    assert error.value.exit_code == 3
    assert f"needs pandas>=2.2, protobuf>=6.33 (there is 6.32.9) in {sys.executable}." in str(error.value)
    assert f"{sys.executable} -m pip install 'rtmbench[spark]'" in str(error.value)
    assert "pyarrow" not in str(error.value)


def test_a_class_of_the_jvm_or_the_jar_that_it_comes_in():
    known = type("JavaClass", (), {})()
    session = type("Session", (), {"_jvm": type("Jvm", (), {"a.B": known, "a.C": type("JavaPackage", (), {})()})})
    assert jvm_class(session, "a.B", jar="b.jar") is known
    with pytest.raises(PreflightError, match=r"has no a\.C\. It comes in c\.jar: start with --jars"):
        jvm_class(session, "a.C", jar="c.jar")
