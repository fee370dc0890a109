"""Apache Flink on a session cluster that somebody else runs, reached over its REST API."""

from __future__ import annotations

import contextlib
import time
import zipfile
from typing import TYPE_CHECKING, Any

from rtmbench.engines.flink.cluster import FlinkCluster
from rtmbench.engines.flink.engine import FlinkEngine, short_name
from rtmbench.errors import PreflightError, RunFailedError
from rtmbench.kafka import clients
from rtmbench.patterns import pipelines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rtmbench.engines.base import EngineSpec, TrialIo, Variant
    from rtmbench.platform.base import FlinkAddress, Platform

SLOTS_TIMEOUT_S = 30.0
POLL_S = 0.2


class ExistingFlinkEngine(FlinkEngine):
    """Flink at one pattern on an existing cluster: only the job is rtmbench's, and fresh in each trial.

    The job brings its Kafka connector with it, since a cluster need not have one. `bootstrap_servers` is how the
    cluster reaches the broker, where that differs from how this machine does. Who runs the cluster decides about its
    memory, priority and checkpoint storage; none of its processes is seen from here.
    """

    def __init__(
        self,
        spec: EngineSpec,
        *,
        variant: Variant,
        platform: Platform,
        pattern: str,
        address: FlinkAddress,
    ) -> None:
        super().__init__(spec, variant=variant, platform=platform, pattern=pattern)
        self._url = address.url.rstrip("/")
        self._servers = address.bootstrap_servers
        self._uploaded = ""

    def prepare(self) -> None:
        """Fetch the connector, find or build the job's jar, and see that the cluster answers and has the version.

        Raises PreflightError where it does not.
        """
        connector = self._platform.cache.ensure(f"flink-connector-kafka@{self.spec.version}")
        self._class_path = list(connector.jars)
        self._jar = pipelines.locate(self._pattern, "flink")
        with contextlib.closing(FlinkCluster(url=self._url, processes=[])) as cluster:
            try:
                build = str(cluster.get("/config")["flink-version"])
            except RunFailedError as error:
                raise PreflightError(f"The Flink cluster of --flink-url cannot be used: {error}") from error
        if not build.startswith(f"{self.spec.version}."):
            raise PreflightError(
                f"The cluster of --flink-url runs Flink {build}, but {self.spec} is requested. Name the engine of that "
                "version, or another cluster."
            )
        self.build = build

    def start(self, io: TrialIo) -> None:
        """Submit the job when enough slots are free, and return when every one of its tasks runs."""
        assert self._jar is not None  # noqa: S101 - found by prepare
        self._io = io
        io.work.mkdir(parents=True, exist_ok=True)
        cluster = self._cluster = FlinkCluster(url=self._url, processes=[])
        _await_slots(cluster, min(io.slots, io.partitions))
        self._job = self._submit(cluster, io, with_libraries(self._jar, self._class_path, io.work / self._jar.name))
        self._await_running(cluster)
        found = short_name(cluster.get(f"/jobs/{self._job}/checkpoints/config")["state_backend"], "StateBackend")
        if found != io.settings.state_backend:
            raise RunFailedError(
                f"The cluster of --flink-url keeps state in {found}, not in {io.settings.state_backend}."
            )

    def stop(self) -> None:
        """Cancel the job and delete its jar from the cluster."""
        cluster, uploaded = self._cluster, self._uploaded
        super().stop()
        self._uploaded = ""
        if cluster is not None and uploaded:
            with contextlib.suppress(RunFailedError), contextlib.closing(cluster):
                cluster.request("DELETE", f"/jars/{uploaded}", timeout_s=3)

    def _upload(self, cluster: FlinkCluster, jar: Path) -> str:
        self._uploaded = super()._upload(cluster, jar)
        return self._uploaded

    def _bootstrap_servers(self, io: TrialIo) -> str:
        return self._servers or io.bootstrap_servers

    def _client_settings(self, io: TrialIo) -> dict[str, str]:  # noqa: ARG002 - a file here is none there
        """Return nothing: the job's own defaults are the settings that a file would give it."""
        return {}

    def _job_configuration(self, io: TrialIo) -> dict[str, Any]:
        """Return what a cluster of our own has in its configuration, and a job may have in its own."""
        configuration = {
            "execution.checkpointing.incremental": "true",
            "restart-strategy.type": "none",
            "state.backend.type": io.settings.state_backend,
        }
        return {"flinkConfiguration": configuration}

    def _effective(
        self, io: TrialIo, cluster: FlinkCluster, configuration: dict[str, str], execution: dict[str, Any]
    ) -> dict[str, Any]:
        del configuration
        logs: dict[str, str] = {}
        for number, manager in enumerate(cluster.get("/taskmanagers")["taskmanagers"], start=1):
            log = io.logs / f"flink-taskmanager-{number}.log"
            with contextlib.suppress(RunFailedError):
                log.write_text(cluster.text(f"/taskmanagers/{manager['id']}/log"), encoding="utf-8")
                logs |= clients.read_back(log)
        return {
            "memory_mb": None,
            "priority": None,
            "buffer_wait_ms": io.settings.buffer_wait_ms,
            "restarts": execution.get("restart-strategy"),
            **logs,
        }


def with_libraries(jar: Path, libraries: Sequence[Path], target: Path) -> Path:
    """Write a copy of a job's jar that holds its libraries below `lib/`, from where Flink loads them; return it."""
    with zipfile.ZipFile(jar) as thin, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as fat:
        for name in thin.namelist():
            fat.writestr(name, thin.read(name))
        for library in libraries:
            fat.write(library, f"lib/{library.name}", zipfile.ZIP_STORED)
    return target


def _await_slots(cluster: FlinkCluster, need: int) -> None:
    """Wait for the slots that the previous job has released."""
    deadline = time.monotonic() + SLOTS_TIMEOUT_S
    while (free := cluster.get("/overview")["slots-available"]) < need:
        if time.monotonic() > deadline:
            raise PreflightError(
                f"The cluster of --flink-url has {free} free slots, and the job needs {need}. Use fewer --partitions, "
                "add task managers, or cancel other jobs of the cluster."
            )
        time.sleep(POLL_S)


__all__ = ["ExistingFlinkEngine", "with_libraries"]
