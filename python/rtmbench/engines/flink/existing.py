"""Apache Flink on a session cluster that somebody else runs, reached over its REST API."""

from __future__ import annotations

import contextlib
import re
import time
import zipfile
from typing import TYPE_CHECKING

from rtmbench.engines.flink.cluster import FlinkCluster
from rtmbench.engines.flink.source import checkpoint_interval, entry_class, has_connector
from rtmbench.errors import PreflightError, RunFailedError
from rtmbench.kafka import clients
from rtmbench.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rtmbench.artifacts import Cache
    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.engines.base import TrialIo
    from rtmbench.json_object import JsonObject
    from rtmbench.platform.base import FlinkAddress

CLIENT_SETTINGS = "rtmbench-kafka.properties"
_PRIVATE = re.compile(
    r"address|host|dir\b|dirs\b|path|uri|url|principal|keytab|secret|password|token|key", re.IGNORECASE
)
SLOTS_TIMEOUT_S = 30.0
POLL_S = 0.2


class ExistingCluster:
    """A session cluster that somebody else runs; the job brings its Kafka connector with it.

    Who runs the cluster decides about its memory and priority, and about its checkpoint storage unless
    `TrialIo.checkpoints` names one. None of its processes can be observed from here.
    """

    def __init__(self, address: FlinkAddress, *, cache: Cache) -> None:
        self._url = address.url.rstrip("/")
        self._servers = address.bootstrap_servers
        self._cache = cache
        self._libraries: Sequence[Path] = ()

    def prepare(self, version: str) -> str:
        """Fetch the connector, and check that the cluster answers and has the version."""
        self._libraries = self._cache.ensure(f"flink-connector-kafka@{version}").jars
        with contextlib.closing(self._connect()) as cluster:
            try:
                build = str(cluster.get("/config")["flink-version"])
            except RunFailedError as error:
                raise PreflightError(f"The Flink cluster of --flink-url cannot be used: {error}") from error
        if not build.startswith(f"{version}."):
            raise PreflightError(
                f"The cluster of --flink-url runs Flink {build}, but flink@{version} is requested. Name the engine of "
                "that version, or another cluster."
            )
        return build

    def open(self, io: TrialIo) -> FlinkCluster:
        """Return the cluster when enough slots are free."""
        cluster = self._connect()
        try:
            _await_slots(cluster, min(io.slots, io.partitions))
        except BaseException:
            cluster.close()
            raise
        return cluster

    def jar(self, job: Path, io: TrialIo) -> Path:
        """Return a copy of the job's jar with the connector in it, and with TLS and SASL for the Kafka clients.

        Arguments of a job are shown by the cluster, and no file of this machine is there. So the jar takes them along,
        until it is deleted from the cluster after the trial.
        """
        target = io.work / job.name
        write_private(target, "")
        resources = {CLIENT_SETTINGS: clients.properties_file(io.connection.inline())} if io.connection.java else {}
        return with_libraries(job, () if has_connector(job) else self._libraries, target, resources)

    def bootstrap_servers(self, io: TrialIo) -> str:
        """Return how the cluster reaches the broker, where that differs from how this machine does."""
        return self._servers or io.bootstrap_servers

    def client_arguments(self, io: TrialIo) -> dict[str, str]:
        """Return the file in the jar, if there is one; else the job's own defaults are the settings."""
        return {"--kafka-properties": f"classpath:{CLIENT_SETTINGS}"} if io.connection.java else {}

    def job_configuration(self, io: TrialIo, job: CustomJob | None) -> JsonObject:
        """Return what an own cluster has in its configuration, and a job may have in its own.

        A custom job keeps the cluster's state backend, or the one that it sets itself.
        """
        configuration = {"restart-strategy.type": "none"}
        if job is None:
            configuration["execution.checkpointing.incremental"] = "true"
            configuration["state.backend.type"] = io.settings.state_backend
        else:
            configuration |= checkpoint_interval(io)
        if io.checkpoints is not None:
            configuration["execution.checkpointing.storage"] = "filesystem"
            configuration["execution.checkpointing.dir"] = io.checkpoints
        return {"flinkConfiguration": configuration, **({} if job is None else entry_class(job))}

    def check_job(self, io: TrialIo, state_backend: str) -> None:
        """Raise RunFailedError where the cluster overrides the state backend."""
        if state_backend != io.settings.state_backend:
            raise RunFailedError(
                f"The cluster of --flink-url keeps state in {state_backend}, not in {io.settings.state_backend}."
            )

    def settings(
        self,
        io: TrialIo,
        cluster: FlinkCluster,
        configuration: dict[str, str],  # noqa: ARG002 - the job's own counts
        execution: JsonObject,
    ) -> JsonObject:
        """Return the settings of the job, and those that the Kafka clients logged on the cluster."""
        logged: dict[str, str] = {}
        for number, manager in enumerate(cluster.get("/taskmanagers")["taskmanagers"], start=1):
            log = io.logs / f"flink-taskmanager-{number}.log"
            with contextlib.suppress(RunFailedError):
                log.write_text(cluster.text(f"/taskmanagers/{manager['id']}/log"), encoding="utf-8")
                logged |= clients.read_back(log)
        return {
            "buffer_wait_ms": io.settings.buffer_wait_ms,
            "restarts": execution.get("restart-strategy"),
            "kafka_clients": logged,
        }

    def details(self, io: TrialIo, configuration: dict[str, str], options: list[str]) -> JsonObject:  # noqa: ARG002 - for an own cluster
        """Return what names no host, file or storage: where a team's cluster runs is its own business."""
        return {
            "configuration": {
                name: value for name, value in configuration.items() if not _PRIVATE.search(name) and "/" not in value
            },
            "job_manager_options": [option for option in options if option.startswith("-X") and "/" not in option],
        }

    def release(self, cluster: FlinkCluster, uploaded: str) -> None:
        """Delete the job's jar from the cluster."""
        with contextlib.closing(cluster), contextlib.suppress(RunFailedError):
            if uploaded:
                cluster.request("DELETE", f"/jars/{uploaded}", timeout_s=3)

    def _connect(self) -> FlinkCluster:
        return FlinkCluster(url=self._url, processes=[])


def with_libraries(
    jar: Path, libraries: Sequence[Path], target: Path, resources: Mapping[str, str] | None = None
) -> Path:
    """Write a copy of a job's jar that holds its libraries below `lib/`, from where Flink loads them; return it.

    `resources` are texts for the class path, by name.
    """
    with zipfile.ZipFile(jar) as thin, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as fat:
        for name in thin.namelist():
            fat.writestr(name, thin.read(name))
        for library in libraries:
            fat.write(library, f"lib/{library.name}", zipfile.ZIP_STORED)
        for name, text in (resources or {}).items():
            fat.writestr(name, text)
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


__all__ = ["ExistingCluster", "with_libraries"]
