"""The configuration of a Flink cluster that rtmbench starts: explicit memory sizes, listeners on loopback only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench.errors import ConfigurationError
from rtmbench.platform import jvm
from rtmbench.platform.ports import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

MINIMUM_MB = 1280
LARGE_MB = 3072

# As `env.java.opts.all` in the configuration that Flink 1.20 ships for Java 17.
_EXPORTS = (
    "java.base/sun.net.util",
    "java.rmi/sun.rmi.registry",
    "jdk.compiler/com.sun.tools.javac.api",
    "jdk.compiler/com.sun.tools.javac.file",
    "jdk.compiler/com.sun.tools.javac.parser",
    "jdk.compiler/com.sun.tools.javac.tree",
    "jdk.compiler/com.sun.tools.javac.util",
    "java.security.jgss/sun.security.krb5",
)
_OPENS = (
    "java.base/java.lang",
    "java.base/java.net",
    "java.base/java.io",
    "java.base/java.nio",
    "java.base/sun.nio.ch",
    "java.base/java.lang.reflect",
    "java.base/java.text",
    "java.base/java.time",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/java.util.concurrent.locks",
)
MODULE_OPTIONS = [f"--add-exports={name}=ALL-UNNAMED" for name in _EXPORTS] + [
    f"--add-opens={name}=ALL-UNNAMED" for name in _OPENS
]


@dataclass(frozen=True, kw_only=True)
class FlinkMemory:
    """The memory of both processes in MiB; the parts of each add up to the total of the setting."""

    job_heap: int
    job_off_heap: int
    job_metaspace: int
    job_overhead: int
    task_heap: int
    framework_heap: int
    framework_off_heap: int
    network: int
    managed: int
    task_metaspace: int
    task_overhead: int

    @property
    def data_plane_heap(self) -> int:
        """The heap of the TaskManager's JVM, through which the records go."""
        return self.framework_heap + self.task_heap

    @property
    def heap(self) -> int:
        """The Java heaps of both processes together."""
        return self.job_heap + self.data_plane_heap

    @property
    def total(self) -> int:
        """Everything of both processes together."""
        return (
            self.heap
            + (self.job_off_heap + self.job_metaspace + self.job_overhead)
            + (self.framework_off_heap + self.network + self.managed)
            + (self.task_metaspace + self.task_overhead)
        )


def divide_memory(total_mb: int) -> FlinkMemory:
    """Divide an engine's memory: the JobManager gets what it needs, the TaskManager's heap the rest.

    Raises ConfigurationError below 1280 MiB.
    """
    if total_mb < MINIMUM_MB:
        raise ConfigurationError(
            f"Flink has {total_mb} MiB for a JobManager and a TaskManager; it needs {MINIMUM_MB} MiB or more."
        )
    large = total_mb >= LARGE_MB
    fixed: dict[str, int] = {
        "job_heap": 384 if large else 192,
        "job_off_heap": 64,
        "job_metaspace": 192 if large else 128,
        "job_overhead": 128 if large else 64,
        "framework_heap": 128 if large else 96,
        "framework_off_heap": 128 if large else 64,
        "network": 128 if large else 64,
        "managed": total_mb // 8 if large else 96,
        "task_metaspace": 192 if large else 128,
        "task_overhead": 192 if large else 64,
    }
    return FlinkMemory(task_heap=total_mb - sum(fixed.values()), **fixed)


def configuration(
    *,
    memory: FlinkMemory,
    slots: int,
    rest_port: int,
    rpc_port: int,
    work: Path,
    state_backend: str = "rocksdb",
    checkpoints: str | None = None,
    buffer_wait_ms: int = 1,
) -> dict[str, str]:
    """Return the settings of the cluster's `config.yaml`; `checkpoints` is a URI, and None a directory in `work`."""
    return {
        "jobmanager.rpc.address": LOOPBACK,
        "jobmanager.rpc.port": str(rpc_port),
        "jobmanager.bind-host": LOOPBACK,
        "jobmanager.memory.heap.size": f"{memory.job_heap}m",
        "jobmanager.memory.off-heap.size": f"{memory.job_off_heap}m",
        "jobmanager.memory.jvm-metaspace.size": f"{memory.job_metaspace}m",
        "jobmanager.memory.jvm-overhead.min": f"{memory.job_overhead}m",
        "jobmanager.memory.jvm-overhead.max": f"{memory.job_overhead}m",
        "rest.address": LOOPBACK,
        "rest.bind-address": LOOPBACK,
        "rest.port": str(rest_port),
        "rest.bind-port": str(rest_port),
        "taskmanager.host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        "taskmanager.rpc.port": "0",
        "taskmanager.data.port": "0",
        "taskmanager.numberOfTaskSlots": str(slots),
        "taskmanager.resource-id": "taskmanager",
        "taskmanager.cpu.cores": f"{slots}.0",
        "taskmanager.memory.framework.heap.size": f"{memory.framework_heap}m",
        "taskmanager.memory.framework.off-heap.size": f"{memory.framework_off_heap}m",
        "taskmanager.memory.task.heap.size": f"{memory.task_heap}m",
        "taskmanager.memory.task.off-heap.size": "0m",
        "taskmanager.memory.network.min": f"{memory.network}m",
        "taskmanager.memory.network.max": f"{memory.network}m",
        "taskmanager.memory.managed.size": f"{memory.managed}m",
        "taskmanager.memory.jvm-metaspace.size": f"{memory.task_metaspace}m",
        "taskmanager.memory.jvm-overhead.min": f"{memory.task_overhead}m",
        "taskmanager.memory.jvm-overhead.max": f"{memory.task_overhead}m",
        "blob.server.port": "0",
        "metrics.internal.query-service.port": "0",
        "parallelism.default": str(slots),
        "execution.buffer-timeout.interval": f"{buffer_wait_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": checkpoints or (work / "checkpoints").as_uri(),
        "execution.checkpointing.incremental": "true",
        "state.backend.type": state_backend,
        # A crash has to show as one: with restarts it would be a stall and some duplicates.
        "restart-strategy.type": "none",
        # Both processes start at once; the default pause of 10 s after a first refusal would be most of the start.
        "cluster.registration.error-delay": "200 ms",
        "cluster.registration.initial-timeout": "100 ms",
        "cluster.registration.max-timeout": "1 s",
        # How long the REST API may answer from memory: by default a job would show as running 3 s late.
        "web.refresh-interval": "100",
        # The report shows every checkpoint of a trial; by default Flink remembers the last ten.
        "web.checkpoints.history": "1000",
        # How old a metric may be that is requested once, after the measurement; during it there are no requests.
        "metrics.fetcher.update-interval": "200",
        "io.tmp.dirs": str(work / "tmp"),
        "web.tmpdir": str(work / "web"),
        "web.upload.dir": str(work / "upload"),
        "env.log.dir": str(work),
    }


def write_configuration(work: Path, settings: dict[str, str]) -> Path:
    """Write `config.yaml` and the logging configuration below `work`; return their directory."""
    for name in ("conf", "tmp", "web", "upload", "checkpoints"):
        (work / name).mkdir(parents=True)
    configs = work / "conf"
    # A JSON string is a YAML string; paths may hold what YAML would take for syntax.
    lines = [f"{key}: {_yaml(value)}" for key, value in settings.items()]
    (configs / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    levels = {"org.apache.pekko": "WARN", "org.apache.flink.shaded.netty4": "WARN"}
    (configs / "log4j.properties").write_text(jvm.log4j_properties(levels), encoding="utf-8")
    return configs


def _yaml(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


__all__ = ["MODULE_OPTIONS", "FlinkMemory", "configuration", "divide_memory", "write_configuration"]
