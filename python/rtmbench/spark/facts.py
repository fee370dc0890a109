"""What is true about a running query, read back from it and from its JVM, and written where `rtmbench` finds it."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rtmbench.kafka.properties import SECRET
from rtmbench.spark import cluster
from rtmbench.spark.trigger import execution_of, tasks_of, trigger_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from rtmbench.json_object import JsonObject
    from rtmbench.spark.io import Io

_JVM_OPTION = re.compile("-X")
_OF_THE_TEAM = ("bootstrap.servers", ".location", "sasl.username")

SETTINGS = (
    "spark.master",
    "spark.driver.memory",
    "spark.executor.memory",
    "spark.executor.cores",
    "spark.executor.extraJavaOptions",
    "spark.sql.shuffle.partitions",
    "spark.sql.adaptive.enabled",
    "spark.sql.execution.sortBeforeRepartition",
    "spark.sql.streaming.stateStore.providerClass",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled",
    "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage",
    "spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB",
    "spark.sql.streaming.realTimeMode.allowlistCheck",
    "spark.sql.streaming.realTimeMode.minBatchDuration",
    "spark.hadoop.fs.file.impl",
    "spark.hadoop.fs.AbstractFileSystem.file.impl",
    "spark.shuffle.streaming.networkBufferMaxWaitTimeMs",
    "spark.shuffle.streaming.networkBufferSize",
    "spark.shuffle.streaming.readerMaxMemory",
    "spark.shuffle.streaming.checksum.enabled",
    "spark.scheduler.pipelinedGroup.slotCheck.enabled",
)


def collect(spark: SparkSession, query: StreamingQuery, io: Io | None = None) -> JsonObject:
    """Read back what a running query runs on and with which settings; secrets are left out.

    `io` is a pipeline's; a custom query has none.
    """
    execution = execution_of(query)
    context = spark.sparkContext
    jvm: Any = context._jvm  # noqa: SLF001 - versions and memory of the JVM are shown nowhere else
    management = jvm.java.lang.management.ManagementFactory
    return {
        "spark_version": spark.version,
        "python": sys.version.split()[0],
        "java_version": jvm.java.lang.System.getProperty("java.version"),
        "kafka_clients": _kafka_clients(jvm),
        "query": {"id": str(query.id), "run_id": str(query.runId)},
        "trigger": trigger_of(query),
        "slots": cluster.slots(spark),
        **cluster.facts(spark),
        "tasks": tasks_of(query),
        "settings": _settings(execution.sparkSessionForStream().conf(), context.getConf()),
        "jvm": {
            "heap_max_mb": jvm.java.lang.Runtime.getRuntime().maxMemory() // 2**20,
            "gc": [bean.getName() for bean in management.getGarbageCollectorMXBeans()],
        },
        **({} if io is None else _surroundings(io)),
    }


def _surroundings(io: Io) -> JsonObject:
    return {
        "mode": io.mode,
        "source": _public(io.source_options()),
        "sink": _public(io.sink_options()),
        "checkpoint_dir": io.checkpoint_dir,
    }


def _settings(sql: Any, core: Any) -> dict[str, str]:
    values: JsonObject = {}
    for name in SETTINGS:
        # A setting that this Spark does not know, or that has no value, is simply not there.
        with suppress(Exception):
            # A script may have set it for its session, after the context had been made from the files.
            values[name] = sql.get(name) if name.startswith("spark.sql.") or not core.contains(name) else core.get(name)
    # Of a JVM's options, a system property may be a secret.
    return {
        name: " ".join(filter(_JVM_OPTION.match, str(value).split())) if name.endswith("JavaOptions") else str(value)
        for name, value in values.items()
    }


def _kafka_clients(jvm: Any) -> str | None:
    with suppress(Exception):
        return str(jvm.org.apache.kafka.common.utils.AppInfoParser.getVersion())
    return None


def _public(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options without secrets, and without what is of this team alone: addresses, files and logins."""
    return {
        name: "(hidden)" if SECRET.search(name) or name.endswith(_OF_THE_TEAM) else value
        for name, value in options.items()
    }


class FactsFile:
    """A JSON file that is always whole: each update replaces it. Without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._facts: JsonObject = {}
        self._lock = threading.Lock()

    def update(self, **facts: Any) -> None:
        """Add or replace facts and write the file."""
        with self._lock:
            self._facts.update(facts)
            if self._path is None:
                return
            fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            fresh.write_text(json.dumps(self._facts, indent=2) + "\n", encoding="utf-8")
            fresh.replace(self._path)


class ProgressFile:
    """Spark's progress events as lines of JSON, each once. Without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._last: tuple[int, str] | None = None

    def append(self, query: StreamingQuery) -> None:
        """Write the events that came since the last call; Spark keeps the latest hundred."""
        if self._path is None:
            return
        fresh: list[str] = []
        newest = None
        # PySpark's own recentProgress copies all hundred events, field by field, each time.
        for event in reversed(list(query._jsq.recentProgress())):  # noqa: SLF001
            identity = (int(event.batchId()), str(event.timestamp()))
            if identity == self._last:
                break
            newest = newest or identity
            fresh.append(str(event.json()))
        if fresh:
            self._last = newest
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in reversed(fresh))
