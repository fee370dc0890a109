# The methods of a protocol have no body.
# pyright: reportReturnType=false
"""Where a Flink job gets its cluster: what differs between a cluster for each trial and an existing one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rtmbench import durations
from rtmbench.engines.flink.cluster import start_cluster
from rtmbench.engines.flink.config import divide_memory
from rtmbench.kafka import clients
from rtmbench.patterns import pipelines
from rtmbench.platform import jvm

if TYPE_CHECKING:
    from rtmbench.artifacts import Bundle
    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.engines.base import TrialIo
    from rtmbench.engines.flink.cluster import FlinkCluster
    from rtmbench.json_object import JsonObject
    from rtmbench.platform.base import Platform

STOP_GRACE_S = 1.0
CONNECTOR = "org/apache/flink/connector/kafka/source/KafkaSource.class"


class ClusterSource(Protocol):
    """Gives a trial's job its cluster."""

    def prepare(self, version: str) -> str:
        """Fetch what is needed and return the build of Flink that runs, such as `1.20.5`.

        Raises PreflightError where the cluster cannot be used.
        """

    def open(self, io: TrialIo) -> FlinkCluster:
        """Return the cluster, with enough free slots for the job."""

    def jar(self, job: Path, io: TrialIo) -> Path:
        """Return the jar to upload for the jar of a job."""

    def bootstrap_servers(self, io: TrialIo) -> str:
        """Return the address at which the cluster reaches the broker."""

    def client_arguments(self, io: TrialIo) -> dict[str, str]:
        """Return the job's arguments for the settings of its Kafka clients."""

    def job_configuration(self, io: TrialIo, job: CustomJob | None) -> JsonObject:
        """Return what the request that runs the job has in addition to its arguments."""

    def check_job(self, io: TrialIo, state_backend: str) -> None:
        """Raise RunFailedError where the running job does not have what `io` asks for."""

    def settings(
        self, io: TrialIo, cluster: FlinkCluster, configuration: dict[str, str], execution: JsonObject
    ) -> JsonObject:
        """Return the fields of `EngineSettings` that are read differently on each kind of cluster.

        `configuration` is the JobManager's, `execution` is the job's, by Flink's REST API.
        """

    def details(self, io: TrialIo, configuration: dict[str, str], options: list[str]) -> JsonObject:
        """Return what a result keeps of the JobManager's configuration and of its JVM's options."""

    def release(self, cluster: FlinkCluster, uploaded: str) -> None:
        """Give the cluster up after the job has ended; `uploaded` is the name of the job's jar there."""


def _client_properties(io: TrialIo) -> Path:
    return io.work / "kafka-clients.properties"


class OwnCluster:
    """A JobManager and a TaskManager on this machine, new for each trial."""

    def __init__(self, platform: Platform, *, rest_port: int = 0, job: CustomJob | None = None) -> None:
        self._platform = platform
        self._rest_port = rest_port
        self._job = job
        self._class_path: list[Path] = []

    def prepare(self, version: str) -> str:
        """Fetch Flink, and its Kafka connector unless the custom job brings one."""
        flink = self._platform.cache.ensure(f"flink@{version}")
        connector = self._platform.cache.ensure(f"flink-connector-kafka@{version}")
        jar = None if self._job is None else self._job.flink_jar
        # Flink loads the connector's classes from the cluster first, and those of kafka-clients from the job.
        self._class_path = class_path(flink, None if jar is not None and has_connector(jar) else connector)
        return flink.build

    def open(self, io: TrialIo) -> FlinkCluster:
        """Start the cluster."""
        return start_cluster(
            self._platform,
            [*self._class_path, *([pipelines.slow_storage_jar()] if io.slow_storage else [])],
            memory=divide_memory(io.memory_mb),
            slots=io.slots,
            state_backend=io.settings.state_backend,
            checkpoints=io.checkpoints,
            buffer_wait_ms=io.settings.buffer_wait_ms,
            work=io.work,
            logs_directory=io.logs,
            rest_port=self._rest_port,
            group=io.group,
            **(self._of_the_user(io) if self._job is not None else {}),
        )

    def _of_the_user(self, io: TrialIo) -> dict[str, Any]:
        """Return what the processes of a custom job share with a PySpark file: directory and variables."""
        variables = {
            **jvm.job_variables(),
            **self._platform.environment(),
            **io.variables(),
            "RTMBENCH_KAFKA_PROPERTIES": str(_client_properties(io)),
        }
        return {"environment": variables, "directory": Path.cwd()}

    def jar(self, job: Path, io: TrialIo) -> Path:  # noqa: ARG002 - the connector is on the cluster's class path
        """Return the job's jar as it is."""
        return job

    def bootstrap_servers(self, io: TrialIo) -> str:
        """Return the broker's address on this machine."""
        return io.bootstrap_servers

    def client_arguments(self, io: TrialIo) -> dict[str, str]:
        """Return the file with the settings."""
        properties = _client_properties(io)
        clients.write_properties(properties, io.connection.java)
        return {"--kafka-properties": str(properties)}

    def job_configuration(self, io: TrialIo, job: CustomJob | None) -> JsonObject:
        """Return nothing for rtmbench's jobs, which set the checkpoint interval themselves; a custom job may not."""
        if job is None:
            return {}
        return {"flinkConfiguration": checkpoint_interval(io), **entry_class(job)}

    def check_job(self, io: TrialIo, state_backend: str) -> None:
        """Do nothing: the cluster was configured for the trial."""

    def settings(
        self,
        io: TrialIo,
        cluster: FlinkCluster,
        configuration: dict[str, str],
        execution: JsonObject,  # noqa: ARG002 - for an existing cluster
    ) -> JsonObject:
        """Return the settings of the cluster, and those that the Kafka clients logged."""
        return {
            "memory_mb": io.memory_mb,
            "priority": io.priority(),
            # A custom job may have set another for itself.
            "buffer_wait_ms": round(durations.milliseconds(configuration["execution.buffer-timeout.interval"])),
            "restarts": configuration["restart-strategy.type"],
            "kafka_clients": clients.read_back(cluster.processes[-1].log),
        }

    def details(self, io: TrialIo, configuration: dict[str, str], options: list[str]) -> JsonObject:
        """Return all of it: rtmbench has made it, and only a place of checkpoints may be a team's own."""
        private = io.checkpoint_dir if io.checkpoints_elsewhere else None
        kept = {name: value for name, value in configuration.items() if value != private}
        return {"configuration": kept, "job_manager_options": options}

    def release(self, cluster: FlinkCluster, uploaded: str) -> None:  # noqa: ARG002 - the jar goes with the cluster
        """Stop both processes."""
        cluster.close()
        self._platform.stop(*cluster.processes, grace_s=STOP_GRACE_S)


def checkpoint_interval(io: TrialIo) -> dict[str, str]:
    """Return the setting for a job that may not set it itself."""
    return {"execution.checkpointing.interval": f"{io.checkpoint_interval_ms} ms"}


def entry_class(job: CustomJob) -> dict[str, str]:
    """Return the field of the request that names a job's class; none where its jar does."""
    return {} if job.flink_class is None else {"entryClass": job.flink_class}


def has_connector(jar: Path) -> bool:
    """Return whether a job's jar has a Kafka connector of its own, which then counts."""
    if not zipfile.is_zipfile(jar):
        return False
    with zipfile.ZipFile(jar) as archive:
        return CONNECTOR in archive.namelist()


def class_path(flink: Bundle, connector: Bundle | None) -> list[Path]:
    """Return Flink's own jars, most classes first, then the connector's."""
    own = sorted((flink.root / "lib").glob("*.jar"), key=lambda jar: (not jar.name.startswith("flink-dist"), jar.name))
    return [*own, *(() if connector is None else connector.jars)]


__all__ = ["ClusterSource", "OwnCluster", "checkpoint_interval", "class_path", "entry_class", "has_connector"]
