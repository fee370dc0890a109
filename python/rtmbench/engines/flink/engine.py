"""Apache Flink: a separate cluster for each trial, and one job that is submitted over REST."""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.engines.flink import rest
from rtmbench.engines.flink.rest import checkpoints
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.patterns import pipelines
from rtmbench.results.model import EngineFacts, EngineSettings

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.engines.base import Emission, EngineSpec, TrialIo, Variant
    from rtmbench.engines.flink.cluster import FlinkCluster
    from rtmbench.engines.flink.source import ClusterSource
    from rtmbench.json_object import JsonObject
    from rtmbench.platform.process import Process
    from rtmbench.results.model import Interruption

RUNNING_TIMEOUT_S = 120.0
CANCEL_TIMEOUT_S = 1.5
POLL_S = 0.1
METRICS_S = 0.5
METRICS_ATTEMPTS = 4
METRICS_AT_ONCE = 16
"""Names in one request: Flink takes a request line of 4,096 bytes."""
NO_SLOT_S = 5.0
"""How long a task may wait for a slot on a cluster that has none free."""
WATERMARK_INTERVAL = "rtmbench.auto-watermark-interval-ms"
"""Where rtmbench's jobs show their watermark interval, which Flink's REST API lists nowhere."""
ENDED = {"FAILED", "FAILING", "CANCELED", "CANCELLING", "FINISHED", "SUSPENDED"}


class FlinkEngine:
    """Flink running one pattern or a custom job, on the cluster that `source` gives.

    Parallelism is the number of slots, at most one subtask for each input partition. Only the job is new in each trial
    on an existing cluster.
    """

    def __init__(
        self,
        spec: EngineSpec,
        *,
        variant: Variant,
        source: ClusterSource,
        pattern: str,
        job: CustomJob | None = None,
    ) -> None:
        self.spec = spec
        self.build = ""
        self.mode = variant.mode
        self.emit: Emission = variant.emit
        self._source = source
        self._pattern = pattern
        self._own = job
        self._jar: Path | None = None
        self._uploaded = ""
        self._io: TrialIo | None = None
        self._cluster: FlinkCluster | None = None
        self._job = ""

    def prepare(self) -> None:
        """Prepare the cluster's source, and find or build the job's jar."""
        self.build = self._source.prepare(self.spec.version)
        self._jar = pipelines.locate(self._pattern, "flink") if self._own is None else self._own.file("flink")

    def start(self, io: TrialIo) -> None:
        """Open the cluster, submit the job, and return when every one of its tasks runs."""
        if self._jar is None:
            raise ConfigurationError("The Flink engine was started before it was prepared.")
        if self._own is not None:
            self._own.main_class()
        self._io = io
        io.work.mkdir(parents=True, exist_ok=True)
        cluster = self._cluster = self._source.open(io)
        self._job = self._submit(cluster, io, self._source.jar(self._jar, io))
        self._await_running(cluster)
        if self._own is None:
            backend = self._checkpoint_settings(cluster).get("state_backend", "none")
            self._source.check_job(io, short_name(backend, "StateBackend"))

    def check(self) -> None:
        """Raise RunFailedError where a process or the job has ended, or a task was restarted."""
        cluster = self._running()
        cluster.check()
        # Of the job's whole state, only this part costs the TaskManager nothing.
        self._require_alive(cluster, cluster.get(f"/jobs/{self._job}/status")["status"])

    def late_dropped(self) -> int:
        """Return how many records the window operators have dropped as late: Flink's `numLateRecordsDropped`."""
        cluster = self._running()
        total = 0.0
        vertices = cluster.get(f"/jobs/{self._job}")["vertices"]
        # That request makes the JobManager ask the TaskManager for its metrics, and does not wait for the answer.
        time.sleep(METRICS_S)
        for vertex in vertices:
            metrics = f"/jobs/{self._job}/vertices/{vertex['id']}/subtasks/metrics"
            names = [metric["id"] for metric in cluster.get(metrics)]
            late_metrics = [name for name in names if name.endswith("numLateRecordsDropped")]
            if late_metrics:
                for metric in cluster.request("GET", metrics, params={"get": ",".join(late_metrics), "agg": "sum"}):
                    total += metric["sum"]
        return round(total)

    def restarts(self) -> int:
        """Return how often the job was restarted, by Flink's own account; a fast restart escapes `check`."""
        cluster = self._running()
        metrics: list[JsonObject] = []
        with contextlib.suppress(RunFailedError):
            metrics = cluster.get(f"/jobs/{self._job}/metrics?get=numRestarts")
        return rest.restarts(cluster.get(f"/jobs/{self._job}"), metrics)

    def interval_s(self) -> float | None:
        """Return the checkpoint interval of the running job; None where it takes no checkpoints."""
        return rest.interval_s(self._checkpoint_settings(self._running()))

    def boundaries_so_far(self) -> int:
        """Return how many checkpoints have completed or failed."""
        return rest.finished_checkpoints(self._checkpoint_statistics(self._running()))

    def consumed(self) -> dict[int, int] | None:
        """Return the next offset of each input partition, by the metrics of the job's Kafka sources.

        None where no source has such metrics.
        """
        cluster, io = self._running(), self._io
        assert io is not None  # noqa: S101 - set together with the cluster
        offsets: dict[int, int] = {}
        for _ in range(METRICS_ATTEMPTS):
            vertices = cluster.get(f"/jobs/{self._job}")["vertices"]
            # As in late_dropped: asking makes the JobManager collect the metrics.
            time.sleep(METRICS_S)
            for vertex in vertices:
                for partition, offset in self._offsets(cluster, vertex["id"], io.input_topic).items():
                    offsets[partition] = max(offset, offsets.get(partition, 0))
            if len(offsets) >= io.partitions:
                break
        return offsets or None

    def facts(self) -> EngineFacts:
        """Return the settings from Flink's REST API and from the logs of the Kafka clients."""
        cluster, io = self._running(), self._io
        assert io is not None  # noqa: S101 - set together with the cluster
        job = f"/jobs/{self._job}"
        overview = cluster.get("/config")
        settings = {item["key"]: item["value"] for item in cluster.get("/jobmanager/config")}
        environment = cluster.get("/jobmanager/environment")["jvm"]
        checkpoints = self._checkpoint_settings(cluster)
        execution = cluster.get(f"{job}/config").get("execution-config", {})
        managers = [
            cluster.get(f"/taskmanagers/{manager['id']}") for manager in cluster.get("/taskmanagers")["taskmanagers"]
        ]
        memories = [manager["memoryConfiguration"] for manager in managers]
        vertices = cluster.get(job)["vertices"]
        data_heap_mb = sum((memory["taskHeap"] + memory["frameworkHeap"]) // 2**20 for memory in memories)
        backend = short_name(checkpoints.get("state_backend", "none"), "StateBackend")
        managed_mb = sum(memory["managedMemory"] // 2**20 for memory in memories)
        watermarks = (execution.get("user-config") or {}).get(WATERMARK_INTERVAL)
        return EngineFacts(
            real_time=True,
            settings=replace(
                EngineSettings(
                    version=overview["flink-version"],
                    java=_java_version(environment["version"]),
                    slots=sum(manager["slotsNumber"] for manager in managers),
                    parallelism=vertices[0]["parallelism"],
                    keyed_parallelism=vertices[-1]["parallelism"] if len(vertices) > 1 else None,
                    heap_mb=_heap_mb(environment["options"]) + data_heap_mb,
                    data_plane_heap_mb=data_heap_mb,
                    state_memory_mb=managed_mb if backend == "rocksdb" else None,
                    collector=_collector(environment["options"]),
                    checkpoint_interval_ms=checkpoints.get("interval"),
                    checkpoint_mode=checkpoints.get("mode", "none").upper(),
                    checkpoint_storage=short_name(checkpoints.get("checkpoint_storage", "none"), "CheckpointStorage"),
                    state_backend=backend,
                    # A custom job does not report its own.
                    sink_guarantee="AT_LEAST_ONCE" if self._own is None else None,
                    window_ms=io.window_ms,
                    slide_ms=io.slide_ms,
                    watermark_delay_ms=None if io.window_ms is None else io.watermark_delay_ms,
                    idleness_ms=io.idleness_ms or None,
                    watermark_interval_ms=None if io.window_ms is None or watermarks is None else int(watermarks),
                    emission=self.emit,
                    object_reuse=execution.get("object-reuse-mode"),
                ),
                **self._source.settings(io, cluster, settings, execution),
            ),
            details={
                "revision": overview["flink-revision"],
                **self._source.details(io, settings, environment["options"]),
                "task_manager": memories[0],
                "hardware": managers[0]["hardware"],
                "checkpoints": checkpoints,
                "execution": execution,
                "vertices": [{key: vertex[key] for key in ("name", "parallelism", "status")} for vertex in vertices],
            },
        )

    def interruptions(self, from_us: int) -> list[Interruption]:
        """Return the checkpoints so far; Flink's answers about them are kept next to its logs."""
        cluster, io = self._running(), self._io
        assert io is not None  # noqa: S101 - set together with the cluster
        statistics = self._checkpoint_statistics(cluster)
        (io.logs / "flink-checkpoints.json").write_text(json.dumps(statistics, indent=1) + "\n", encoding="utf-8")
        return checkpoints(statistics, from_us)

    def processes(self) -> list[Process]:
        """Return the JobManager and the TaskManager."""
        return [] if self._cluster is None else list(self._cluster.processes)

    def drivers(self) -> list[Process]:
        """Return none: a job on an existing cluster has no process here."""
        return []

    def stop(self) -> None:
        """Cancel the job and give the cluster up."""
        cluster, self._cluster = self._cluster, None
        if cluster is None:
            return
        try:
            if self._job and all(process.poll() is None for process in cluster.processes):
                with contextlib.suppress(RunFailedError):
                    self._cancel(cluster)
        finally:
            self._job, uploaded, self._uploaded = "", self._uploaded, ""
            self._source.release(cluster, uploaded)
            if self._io is not None:
                self._io.remove_checkpoints()

    def _submit(self, cluster: FlinkCluster, io: TrialIo, jar: Path) -> str:
        self._uploaded = _upload(cluster, jar)
        arguments = {
            "--bootstrap-servers": self._source.bootstrap_servers(io),
            "--input-topic": io.input_topic,
            "--output-topic": io.output_topic,
            "--checkpoint-interval-ms": str(io.checkpoint_interval_ms),
            "--buffer-timeout-ms": str(io.settings.buffer_wait_ms),
            **self._source.client_arguments(io),
            **self._event_time(io),
        }
        body = {
            "programArgsList": self._program_arguments([text for pair in arguments.items() for text in pair]),
            "parallelism": min(io.slots, io.partitions),
            **self._source.job_configuration(io, self._own),
        }
        started = cluster.request("POST", f"/jars/{self._uploaded}/run", json=body, timeout_s=60)
        return str(started["jobid"])

    def _program_arguments(self, arguments: list[str]) -> list[str]:
        if self._own is None:
            return arguments
        # Positional arguments are the first ones.
        return [*self._own.flink_args, *(() if self._own.flink_args_only else arguments)]

    def _checkpoint_settings(self, cluster: FlinkCluster) -> JsonObject:
        try:
            settings: JsonObject = cluster.get(f"/jobs/{self._job}/checkpoints/config")
        except RunFailedError:
            if self._own is None:
                raise
            # Flink knows no such page of a job that has switched its checkpoints off.
            cluster.check()
            return {}
        return settings

    def _checkpoint_statistics(self, cluster: FlinkCluster) -> JsonObject:
        if not self._checkpoint_settings(cluster):
            return {}
        statistics: JsonObject = cluster.get(f"/jobs/{self._job}/checkpoints")
        return statistics

    def _offsets(self, cluster: FlinkCluster, vertex: str, topic: str) -> dict[int, int]:
        """Return the next offsets that one vertex reports, by partition."""
        metrics = f"/jobs/{self._job}/vertices/{vertex}/subtasks/metrics"
        partitions = rest.offset_metrics((metric["id"] for metric in cluster.get(metrics)), topic)
        offsets: dict[int, int] = {}
        names = list(partitions)
        for start in range(0, len(names), METRICS_AT_ONCE):
            some = ",".join(names[start : start + METRICS_AT_ONCE])
            for metric in cluster.request("GET", metrics, params={"get": some, "agg": "max"}):
                # The metric is that of the last record; -1 before the first one.
                offsets[partitions[metric["id"]]] = round(metric["max"]) + 1
        return offsets

    def _event_time(self, io: TrialIo) -> dict[str, str]:
        """Return the job's arguments for windows and their emission; none where the pattern has no windows."""
        if io.window_ms is None:
            return {}
        arguments = {
            "--emit": self.emit,
            "--window-ms": str(io.window_ms),
            "--watermark-delay-ms": str(io.watermark_delay_ms),
        }
        if io.slide_ms is not None:
            arguments["--slide-ms"] = str(io.slide_ms)
        if io.idleness_ms:
            arguments["--idleness-ms"] = str(io.idleness_ms)
        return arguments

    def _await_running(self, cluster: FlinkCluster) -> None:
        started = time.monotonic()
        deadline = started + RUNNING_TIMEOUT_S
        while not self._state(cluster, waited_s=time.monotonic() - started):
            cluster.check()
            if time.monotonic() >= deadline:
                raise RunFailedError(
                    f"Flink's job did not have all tasks running within {RUNNING_TIMEOUT_S:.0f} s. {cluster.words()}"
                )
            time.sleep(POLL_S)

    def _state(self, cluster: FlinkCluster, waited_s: float = 0.0) -> bool:
        """Return whether every task runs.

        Raises RunFailedError where the job has ended, or needs more slots than the cluster has: Flink would run the
        regions that fit, leave the others waiting, and report the job as running.
        """
        job = cluster.get(f"/jobs/{self._job}")
        self._require_alive(cluster, job["state"])
        vertices = job["vertices"]
        if job["state"] == "RUNNING" and rest.all_running(vertices):
            return True
        overview = cluster.get("/overview")
        if cluster.processes and (shortage := rest.slot_shortage(vertices, overview["slots-total"])):
            raise RunFailedError(shortage)
        waiting = rest.waiting_tasks(vertices)
        if waiting and waited_s > NO_SLOT_S and overview["slots-available"] == 0:
            need, arithmetic = rest.needed_slots(vertices)
            raise RunFailedError(
                f"{waiting} of {sum(vertex['parallelism'] for vertex in vertices)} tasks of Flink's job need a slot "
                f"({arithmetic}), and all {overview['slots-total']} slots of the cluster are in use. Use --slots "
                f"{max(need, overview['slots-total'] + 1)} or more, or a lower parallelism in the job."
            )
        return False

    def _require_alive(self, cluster: FlinkCluster, state: str) -> None:
        if state in ENDED or state == "RESTARTING":
            raise RunFailedError(f"Flink's job is {state}: {self._cause(cluster)} (TaskManager log: {cluster.log()}).")

    def _cause(self, cluster: FlinkCluster) -> str:
        """Return the outermost and the innermost cause of the job's failure."""
        history = cluster.get(f"/jobs/{self._job}/exceptions").get("exceptionHistory", {})
        entries = history.get("entries", [])
        lines = entries[0].get("stacktrace", "").splitlines() if entries else []
        causes = [line.strip() for line in lines if not line.startswith(("\t", " "))]
        return " / ".join(dict.fromkeys([*causes[:1], *causes[-1:]])) or "no cause reported"

    def _cancel(self, cluster: FlinkCluster) -> None:
        job = f"/jobs/{self._job}"
        cluster.request("PATCH", job, params={"mode": "cancel"}, timeout_s=CANCEL_TIMEOUT_S)
        deadline = time.monotonic() + CANCEL_TIMEOUT_S
        while time.monotonic() < deadline:
            if cluster.get(job, timeout_s=CANCEL_TIMEOUT_S)["state"] in ENDED - {"CANCELLING", "FAILING"}:
                return
            time.sleep(POLL_S)

    def _running(self) -> FlinkCluster:
        if self._cluster is None:
            raise RunFailedError("Flink is not running: it was not started, or was stopped.")
        return self._cluster


def _upload(cluster: FlinkCluster, jar: Path) -> str:
    """Bring a jar to the cluster and return the name that it has there."""
    with jar.open("rb") as file:
        uploaded = cluster.request(
            "POST",
            "/jars/upload",
            files={"jarfile": (jar.name, file, "application/java-archive")},
            timeout_s=60,
        )
    return str(uploaded["filename"]).rpartition("/")[2]


def _heap_mb(options: list[str]) -> int:
    """Read `-Xmx384m`, or the bytes of `-Xmx402653184`, as Flink's own scripts write it; 0 where there is neither."""
    texts = [option[4:] for option in options if option.startswith("-Xmx")]
    if not texts:
        return 0
    unit = {"k": 2**10, "m": 2**20, "g": 2**30}.get(texts[-1][-1].lower(), 1)
    return int(texts[-1].rstrip("kKmMgG")) * unit // 2**20


def _java_version(text: str) -> str:
    """Find `17.0.15` in `OpenJDK 64-Bit Server VM - Debian - 17/17.0.15+6-Debian-1deb12u1`."""
    match = re.search(r"/(\d[\d.]*)", text)
    return match[1] if match else text


def short_name(name: str, suffix: str) -> str:
    """Turn `EmbeddedRocksDBStateBackend` into `rocksdb`, `FileSystemCheckpointStorage` into `filesystem`."""
    return name.removesuffix(suffix).removeprefix("Embedded").lower()


def _collector(options: list[str]) -> str:
    for option in options:
        if option.startswith("-XX:+Use") and option.endswith("GC"):
            return option.removeprefix("-XX:+Use")
    return "default"


__all__ = ["ENDED", "FlinkEngine", "short_name"]
