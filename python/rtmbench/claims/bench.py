"""Where claims that need their own processes are tried: a Spark program, a Flink cluster, a plain JVM."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtmbench.claims.lab import REAL_TIME_US, Topics, wait
from rtmbench.claims.model import BATCH_BOUND, REAL_TIME, Latency, Observation
from rtmbench.engines.flink.cluster import FlinkCluster, start_cluster
from rtmbench.engines.flink.config import divide_memory
from rtmbench.engines.flink.engine import ENDED
from rtmbench.engines.flink.source import class_path
from rtmbench.engines.spark import process as spark_process
from rtmbench.errors import RunFailedError
from rtmbench.patterns import pipelines
from rtmbench.platform.jvm import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from rtmbench import _core
    from rtmbench.artifacts import Bundle
    from rtmbench.json_object import JsonObject
    from rtmbench.platform.local import LocalPlatform
    from rtmbench.platform.process import Process

HEAP_MB = 1024
FLINK_MB = 1536
FLINK_SLOTS = 2
SLOTS = 8
SHUFFLE_PARTITIONS = 2
JOB_START_S = 30.0
LOAD_S = 5.0
RATE = 50.0


@dataclass(kw_only=True)
class Bench:
    """One version of one engine, and a broker."""

    platform: LocalPlatform
    topics: Topics
    engine: str
    version: str
    _number: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _cluster: FlinkCluster | None = None
    _jar: str = ""

    @property
    def bundle(self) -> Bundle:
        """The engine's files."""
        return self.platform.cache.ensure(f"{self.engine}@{self.version}")

    @property
    def build(self) -> str:
        """What runs, such as `4.1.4`."""
        return self.bundle.build

    @property
    def connector(self) -> Bundle:
        """The files of the engine's Kafka connector."""
        return self.platform.cache.ensure(f"{self.engine}-connector-kafka@{self.version}")

    def spark(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        slots: int = SLOTS,
        settings: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> tuple[Process, Path]:
        """Start a Python program under this version of Spark; return it and its work directory."""
        work = self.platform.scratch(name)
        spark_process.write_configuration(
            work,
            {
                "spark.master": f"local[{slots}]",
                "spark.sql.shuffle.partitions": str(SHUFFLE_PARTITIONS),
                **(settings or {}),
            },
            name=name,
            logs=self.platform.logs,
            jars=[*self.connector.jars, *pipelines.spark_jars("04")],
            heap_mb=HEAP_MB,
        )
        base = spark_process.environment(self.platform.environment(), root=self.bundle.root, work=work)
        log = self.platform.logs / f"{name}.log"
        own = {"KAFKA_BOOTSTRAP_SERVERS": self.topics.servers, "RTMBENCH_CLAIMS_LOG": str(log), **(variables or {})}
        argv = [sys.executable, *arguments]
        return self.platform.spawn(name, argv, env={**base, **own}, cwd=work), work

    def defaults(self, *names: str) -> dict[str, str]:
        """Read defaults of the Java classes of this engine and its connector."""
        jars = [*class_path(self.bundle, self.connector)] if self.engine == "flink" else [*self.bundle.jars]
        jar = pipelines.claims_jar()
        argv = [
            str(self.platform.java.executable),
            "-cp",
            os.pathsep.join(str(path) for path in [jar, *jars]),
            "io.rtmbench.claims.Defaults",
            *names,
        ]
        process = self.platform.spawn("defaults", argv, env=environment(self.platform.java))
        wait(lambda: process.poll() is not None, JOB_START_S)
        text = process.log.read_text(encoding="utf-8", errors="replace")
        values = dict(line.split("=", 1) for line in text.splitlines() if line.partition("=")[0] in names)
        if set(values) != set(names):
            raise RunFailedError(f"The defaults {', '.join(names)} were not printed (log: {process.log}).")
        return values

    @contextlib.contextmanager
    def flink_job(self, name: str, source: str, sink: str, *, buffer_ms: int = 1) -> Iterator[None]:
        """Run a job of `ClaimJob` on the cluster, with checkpoints every 5 s, and cancel it in the end."""
        cluster = self._flink()
        job = cluster.request(
            "POST",
            f"/jars/{self._jar}/run",
            json={
                "programArgsList": [
                    name,
                    *("--bootstrap-servers", self.topics.servers),
                    *("--input-topic", source),
                    *("--output-topic", sink),
                    *("--buffer-timeout-ms", str(buffer_ms)),
                    *("--checkpoint-interval-ms", "5000"),
                ],
                "parallelism": FLINK_SLOTS,
            },
            timeout_s=60,
        )["jobid"]
        try:
            wait(lambda: self._runs(cluster, job), JOB_START_S)
            yield
            if not self._runs(cluster, job):
                raise RunFailedError(f"Flink's job {name} does not run any more (log: {cluster.processes[-1].log}).")
        finally:
            with contextlib.suppress(RunFailedError):
                cluster.request("PATCH", f"/jobs/{job}", params={"mode": "cancel"})
                wait(lambda: cluster.get(f"/jobs/{job}")["state"] in ENDED - {"CANCELLING", "FAILING"}, 5)

    def flink_probe(
        self,
        name: str,
        *,
        expected: Any = lambda sent: sent,
        keys: int = 100,
        isolation: str = "read_committed",
        twice: bool = False,
        drain_s: float = 15.0,
    ) -> Observation:
        """Put load on a Flink job; observe how fast its results arrive, as `Lab.probe` does for Spark."""
        source, sink = self.topics.create(), self.topics.create()
        workload = self.topics.workload(keys)
        if twice:
            self.topics.generator(source, workload, rate=1000, seconds=0.02).join(10)
        with self.flink_job(name, source, sink):
            sent, received, latency = self.measure(
                source, sink, workload, expected=expected, isolation=isolation, drain_s=drain_s
            )
        expected_count = expected(sent)
        if received != expected_count or latency is None:
            return Observation(
                verdict="incomplete", detail=f"{received} of {expected_count} results were received", latency=latency
            )
        verdict = REAL_TIME if latency.p50 < REAL_TIME_US else BATCH_BOUND
        return Observation(verdict=verdict, detail=f"{received} results of {sent} events", latency=latency)

    def measure(
        self,
        source: str,
        sink: str,
        workload: _core.Workload,
        *,
        expected: Any,
        isolation: str = "read_committed",
        drain_s: float = 15.0,
    ) -> tuple[int, int, Latency | None]:
        """Send events until one has come through, then 5 s of load; return sent, received and the load's latency."""
        consumer = self.topics.consumer(sink, **{"isolation.level": isolation})
        try:
            first = self.topics.generator(source, workload, rate=20)
            wait(lambda: consumer.snapshot().received > 0, 30)
            first.stop()
            sent = first.join(10).generated
            wait(lambda: consumer.snapshot().received >= expected(sent), drain_s)
            consumer.reset_live()
            sent += self.topics.generator(source, workload, rate=RATE, seconds=LOAD_S, first=sent).join(30).generated
            wait(lambda: consumer.snapshot().received >= expected(sent), drain_s)
            time.sleep(0.2)
            snapshot = consumer.snapshot()
            latency = (
                Latency(count=snapshot.live_count, p50=snapshot.p50_us, p99=snapshot.p99_us)
                if snapshot.live_count
                else None
            )
            return sent, snapshot.received, latency
        finally:
            consumer.stop()
            consumer.join(10)

    def close(self) -> None:
        """Stop the cluster, where one was started."""
        if self._cluster is not None:
            self._cluster.close()
            self.platform.stop(*self._cluster.processes, grace_s=1.0)
            self._cluster = None

    def _flink(self) -> FlinkCluster:
        """Return the cluster; the first call starts it and uploads the jobs."""
        if self._cluster is None:
            self._cluster = start_cluster(
                self.platform,
                class_path(self.bundle, self.connector),
                memory=divide_memory(FLINK_MB),
                slots=FLINK_SLOTS,
                work=self.platform.scratch("flink"),
                logs_directory=self.platform.logs,
            )
            jar = pipelines.claims_jar()
            with jar.open("rb") as file:
                files = {"jarfile": (jar.name, file, "application/java-archive")}
                uploaded = self._cluster.request("POST", "/jars/upload", files=files)
            self._jar = uploaded["filename"].rpartition("/")[2]
        return self._cluster

    @staticmethod
    def _runs(cluster: FlinkCluster, job: str) -> bool:
        state = cluster.get(f"/jobs/{job}")
        if state["state"] in ENDED:
            history = cluster.get(f"/jobs/{job}/exceptions").get("exceptionHistory", {}).get("entries", [])
            cause = history[0].get("stacktrace", "").splitlines()[:1] if history else []
            raise RunFailedError(f"Flink's job is {state['state']}: {' '.join(cause)}")
        return state["state"] == "RUNNING" and all(vertex["status"] == "RUNNING" for vertex in state["vertices"])


def facts_of(work: Path) -> JsonObject:
    """Return what a pipeline has written about itself so far."""
    try:
        facts: JsonObject = json.loads((work / "facts.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return facts


__all__ = ["HEAP_MB", "SLOTS", "Bench", "facts_of"]
