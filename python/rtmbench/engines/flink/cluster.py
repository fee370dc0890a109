"""A Flink cluster and its REST API; one that rtmbench starts is a JobManager and a TaskManager on loopback."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from rtmbench.engines.flink.config import MODULE_OPTIONS, configuration, write_configuration
from rtmbench.errors import RunFailedError
from rtmbench.platform import jvm, logs
from rtmbench.platform.ports import LOOPBACK, ensure_free, free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rtmbench.engines.flink.config import FlinkMemory
    from rtmbench.platform.base import Platform
    from rtmbench.platform.process import Process
    from rtmbench.platform.scheduling import SchedulingGroup

ATTEMPTS = 3
READY_TIMEOUT_S = 120.0
POLL_S = 0.1
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"


class FlinkCluster:
    """A running JobManager and TaskManager, and its REST API; an existing cluster has no processes here."""

    def __init__(self, *, url: str, processes: list[Process]) -> None:
        self.url = url
        self.processes = processes
        self._session = requests.Session()
        # A proxy that the user's environment names must not be used for a loopback address.
        self._session.trust_env = not processes and urlsplit(url).hostname not in {LOOPBACK, "localhost"}

    def get(self, path: str, timeout_s: float = 10) -> Any:
        """GET a REST resource. Raises RunFailedError where Flink answers with an error or not at all."""
        return self.request("GET", path, timeout_s=timeout_s)

    def request(self, method: str, path: str, *, timeout_s: float = 30, **options: Any) -> Any:
        """Send a REST request and return the decoded answer, as `get` does."""
        response = self._send(method, path, timeout_s=timeout_s, **options)
        try:
            return response.json() if response.content else {}
        except ValueError as error:
            raise RunFailedError(f"What answers {method} {path} is not Flink's REST API.") from error

    def text(self, path: str) -> str:
        """GET text other than JSON, such as a log. Raises as `get` does."""
        return self._send("GET", path, timeout_s=30).text

    def log(self, process: int = -1) -> str:
        """Return where the log of a process is; an existing cluster keeps its own."""
        return str(self.processes[process].log) if self.processes else "on the cluster"

    def words(self, process: int = -1) -> str:
        """Return the error in the log of a process, as one clause."""
        return logs.quote(self.processes[process].log) if self.processes else "Its logs are on the cluster."

    def _send(self, method: str, path: str, *, timeout_s: float, **options: Any) -> requests.Response:
        try:
            response = self._session.request(method, f"{self.url}{path}", timeout=timeout_s, **options)
        except requests.RequestException as error:
            self.check()
            raise RunFailedError(
                f"Flink's JobManager did not answer {method} {path} ({_without_url(error)}). {self.words(0)}"
            ) from error
        if not response.ok:
            raise RunFailedError(
                f"Flink answered {method} {path} with HTTP {response.status_code}: {_reason(response)} "
                f"(JobManager log: {self.log(0)})."
            )
        return response

    def check(self) -> None:
        """Raise RunFailedError where a process has ended."""
        for process in self.processes:
            process.check()

    def ready(self, slots: int) -> bool:
        """Return whether the JobManager answers and the TaskManager has registered its slots."""
        try:
            response = self._session.get(f"{self.url}/overview", timeout=5)
            return bool(response.ok and response.json().get("slots-total", 0) >= slots)
        except (requests.RequestException, ValueError):
            return False

    def close(self) -> None:
        """Close the connections; the processes are the platform's."""
        self._session.close()


def start_cluster(
    platform: Platform,
    class_path: Sequence[Path],
    *,
    memory: FlinkMemory,
    slots: int,
    work: Path,
    logs_directory: Path,
    rest_port: int = 0,
    group: SchedulingGroup | None = None,
    state_backend: str = "rocksdb",
    checkpoints: str | None = None,
    buffer_wait_ms: int = 1,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    timeout_s: float = READY_TIMEOUT_S,
) -> FlinkCluster:
    """Start both processes and return when all slots are registered.

    `environment` and `directory` are those of both processes, in which a custom job's code runs; None: the platform's
    environment, and a directory below `work`.

    Raises PreflightError if a requested port is in use, RunFailedError if the cluster does not start.
    """
    if rest_port:
        ensure_free(rest_port, "Flink's REST API")
    for attempt in range(1, ATTEMPTS + 1):
        free_rest, rpc_port = free_ports(2)
        attempt_work = work / f"flink-{attempt}"
        settings = configuration(
            memory=memory,
            slots=slots,
            rest_port=rest_port or free_rest,
            rpc_port=rpc_port,
            work=attempt_work,
            state_backend=state_backend,
            checkpoints=checkpoints,
            buffer_wait_ms=buffer_wait_ms,
        )
        configs = write_configuration(attempt_work, settings)
        java = _Launch(
            platform, class_path, attempt_work, configs, logs_directory, group, environment, directory or attempt_work
        )
        processes: list[Process] = []
        cluster = FlinkCluster(url=f"http://{LOOPBACK}:{rest_port or free_rest}", processes=processes)
        try:
            processes.append(java.job_manager(memory))
            processes.append(java.task_manager(memory))
            _await(cluster, slots, timeout_s)
        except RunFailedError:
            cluster.close()
            platform.stop(*processes)
            clash = any("already in use" in line for process in processes for line in logs.tail(process.log))
            if not clash or attempt == ATTEMPTS:
                raise
        except BaseException:
            cluster.close()
            raise
        else:
            return cluster
    raise AssertionError


@dataclass(frozen=True)
class _Launch:
    """What both processes' command lines share."""

    platform: Platform
    class_path: Sequence[Path]
    work: Path
    configs: Path
    logs: Path
    group: SchedulingGroup | None
    environment: Mapping[str, str] | None
    directory: Path

    def job_manager(self, memory: FlinkMemory) -> Process:
        options = [
            *jvm.memory_options(memory.job_heap),
            f"-XX:MaxMetaspaceSize={memory.job_metaspace}m",
        ]
        return self._spawn("flink-jobmanager", JOB_MANAGER, options)

    def task_manager(self, memory: FlinkMemory) -> Process:
        direct = memory.framework_off_heap + memory.network
        options = [
            *jvm.memory_options(memory.framework_heap + memory.task_heap),
            f"-XX:MaxDirectMemorySize={direct}m",
            f"-XX:MaxMetaspaceSize={memory.task_metaspace}m",
        ]
        return self._spawn("flink-taskmanager", TASK_MANAGER, options)

    def _spawn(self, name: str, main: str, options: list[str]) -> Process:
        log4j = self.configs / "log4j.properties"
        return self.platform.spawn(
            name,
            [
                str(self.platform.java.executable),
                *options,
                *jvm.common_options(name, logs=self.logs, scratch=self.work / "tmp"),
                *MODULE_OPTIONS,
                f"-Dlog4j.configurationFile={log4j.as_uri()}",
                "-cp",
                ":".join(str(jar) for jar in self.class_path),
                main,
                "--configDir",
                str(self.configs),
            ],
            env=self.environment,
            cwd=self.directory,
            logs=self.logs,
            group=self.group,
        )


def _await(cluster: FlinkCluster, slots: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not cluster.ready(slots):
        cluster.check()
        if time.monotonic() >= deadline:
            raise RunFailedError(
                f"Flink did not offer {slots} slots at {cluster.url} within {timeout_s:.0f} s. "
                f"{logs.quote(cluster.processes[-1].log)}"
            )
        time.sleep(POLL_S)


def _without_url(error: requests.RequestException) -> str:
    """Return the kind of the failure: the whole text has the address, which may hold a password."""
    kinds = {
        requests.exceptions.SSLError: "TLS failed",
        requests.ConnectTimeout: "no connection in time",
        requests.ReadTimeout: "no answer in time",
        requests.ConnectionError: "no connection",
    }
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), type(error).__name__)


def _reason(response: requests.Response) -> str:
    """Return the first lines of the error that Flink reports, without its stack traces."""
    try:
        errors = response.json().get("errors", [])
    except ValueError:
        # A page of HTML, from something that is not Flink.
        return response.text.strip()[:2_000]
    lines = [line.strip() for error in errors for line in str(error).splitlines()]
    messages = [line for line in lines if line and not line.startswith(("at ", "..."))]
    causes = [line for line in messages if line.startswith("Caused by: ")]
    return " / ".join(dict.fromkeys([*messages[:1], *causes[-1:]]))


__all__ = ["FlinkCluster", "start_cluster"]
