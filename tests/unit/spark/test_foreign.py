"""What is noticed of the queries that a custom PySpark file starts; no Spark is started."""

from __future__ import annotations

import json
import sys
import types

import pytest

from rtmbench.spark.facts import FactsFile, ProgressFile
from rtmbench.spark.foreign import _Watch


class Query:
    isActive = True  # noqa: N815 - PySpark's name


@pytest.fixture
def writer(monkeypatch):
    """A stand-in for PySpark's DataStreamWriter, whose start gives a query each time."""

    class DataStreamWriter:
        _spark = object()

        def start(self):
            return Query()

    module = types.ModuleType("pyspark.sql.streaming")
    module.DataStreamWriter = DataStreamWriter
    for name in ("pyspark", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "pyspark.sql.streaming", module)
    return DataStreamWriter()


def test_a_query_that_the_file_starts_again_is_a_restart(writer, tmp_path):
    path = tmp_path / "facts.json"
    watch = _Watch(FactsFile(path), ProgressFile(None))
    watch.hook()
    first = writer.start()
    assert watch.query is first
    writer.start()
    assert not path.exists(), "a second query beside the first is no restart"
    first.isActive = False
    writer.start()
    writer.start()
    assert json.loads(path.read_text())["restarts"] == 2
    assert watch.query is first
