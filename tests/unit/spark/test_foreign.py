"""What is noticed of the queries that a custom PySpark file starts; no Spark is started."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest

from rtmbench.spark.facts import FactsFile, ProgressFile
from rtmbench.spark.foreign import _of, _Watch
from rtmbench.spark.query_starts import QueryStarts


class Query:
    isActive = True  # noqa: N815 - PySpark's name


@pytest.fixture
def writer_class(monkeypatch):
    """A stand-in for PySpark's DataStreamWriter, whose start gives a query each time."""

    class DataStreamWriter:
        _spark = object()

        def __init__(self):
            self.given = {}

        def format(self, source):
            self.given["format"] = source
            return self

        def option(self, key, value):
            self.given[key] = value
            return self

        def queryName(self, queryName):  # noqa: N802, N803 - PySpark's names
            self.given["queryName"] = queryName
            return self

        def options(self, **options):
            self.given.update(options)
            return self

        def start(self, *_, **options):
            self.given.update(options)
            return Query()

    module = types.ModuleType("pyspark.sql.streaming")
    module.DataStreamWriter = DataStreamWriter
    for name in ("pyspark", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "pyspark.sql.streaming", module)
    return DataStreamWriter


def test_a_query_that_the_file_starts_again_is_a_restart(writer_class, tmp_path):
    path = tmp_path / "facts.json"
    watch = _Watch(FactsFile(path), ProgressFile(None))
    QueryStarts(watch.begin).hook()
    writer = writer_class()
    first = writer.start()
    assert watch.query is first
    writer.start()
    assert not path.exists(), "a second query beside the first is no restart"
    first.isActive = False
    writer.start()
    writer.start()
    assert json.loads(path.read_text())["restarts"] == 2
    assert watch.query is first


def test_of_several_queries_the_one_that_writes_the_output_is_followed(writer_class):
    followed = []
    QueryStarts(lambda query, _: followed.append(query), output_topic="out").hook()
    writer_class().format("console").start()
    writer_class().start(None, "memory", queryName="debug")
    writer_class().format("kafka").option("topic", "dead-letters").start()
    writer_class().format("kafka").start(topic="audit")
    assert followed == []
    queries = [
        writer_class().format("Kafka").option("Topic", "out").start(),
        writer_class().format("kafka").options(topic="out").start(),
        writer_class().start(format="kafka", topic="out"),
        # The records may name the topic themselves.
        writer_class().format("kafka").start(),
    ]
    assert followed == queries


def test_each_query_has_a_fresh_checkpoint_whatever_the_file_names(writer_class):
    QueryStarts(lambda *_: None, checkpoints="file:/trial/checkpoints").hook()
    first, second = writer_class().option("checkpointLocation", "/fixed"), writer_class()
    first.queryName("orders")
    query = first.start()
    second.start(checkpointLocation="/also/fixed")
    assert first.given["checkpointLocation"] == "file:/trial/checkpoints/query-1"
    assert second.given["checkpointLocation"] == "file:/trial/checkpoints/query-2"
    # A query that has failed goes on from its own checkpoint.
    query.isActive = False
    other = writer_class().option("checkpointLocation", "/other")
    other.start()
    assert other.given["checkpointLocation"] == "file:/trial/checkpoints/query-3", (
        "another query than the one that ended"
    )
    again = writer_class().option("checkpointLocation", "/fixed").queryName("orders")
    again.start()
    assert again.given["checkpointLocation"] == "file:/trial/checkpoints/query-1"


def test_a_trigger_of_a_newer_spark_is_named_with_the_way_out():
    error = TypeError("DataStreamWriter.trigger() got an unexpected keyword argument 'realTime'")
    message = _of(error, Path("job.py")).message
    assert "came with Spark 4.2" in message
    assert "rtmbench.spark.real_time_trigger" in message
    assert (
        "unexpected keyword argument 'other'"
        in _of(TypeError("unexpected keyword argument 'other'"), Path("x")).message
    )
