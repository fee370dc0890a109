# The methods of a protocol have no body.
# pyright: reportReturnType=false
"""Where a Spark query runs: as threads of one process of this machine, or on executors of an existing cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from rtmbench.engines.flink import config as flink_config
from rtmbench.errors import ConfigurationError
from rtmbench.formatting import plural
from rtmbench.platform import jvm
from rtmbench.platform.ports import is_of_this_machine
from rtmbench.platform.spark_address import way_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rtmbench.engines.base import TrialIo
    from rtmbench.json_object import JsonObject
    from rtmbench.platform.spark_address import SparkAddress

MINIMUM_MB = 1280
MINIMUM_OVERHEAD_MB = 512
LEAST_HEAP_MB = 1024
DRIVER_HEAP_MB = 1024
"""The driver's heap where no record goes through it."""
LEAST_EXECUTOR_MB = 512
"""Spark keeps 300 MiB of an executor's heap for itself and starts none with less than 450."""
EXECUTORS_WAIT = "60s"
"""How long Spark waits until all executors have registered, before it starts the first task."""
STORE = "spark.sql.streaming.stateStore.providerClass"
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
BOUNDED = "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage"
MANAGED_MB = "spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB"


def divide_memory(total_mb: int) -> int:
    """Return the JVM's heap in MiB; the rest is for RocksDB, code, buffers and the Python process.

    It is as large as the heap of Flink's TaskManager out of the same total, so that both collect garbage equally often
    at equal allocation. Out of less than 1888 MiB it is larger: Spark's driver, which is in the same JVM, needs 1 GiB,
    as far as the total allows. The parity table has both values.

    Raises ConfigurationError below 1280 MiB.
    """
    if total_mb < MINIMUM_MB:
        raise ConfigurationError(
            f"Spark has {total_mb} MiB for its JVM and its Python process; it needs {MINIMUM_MB} MiB or more."
        )
    return max(flink_config.divide_memory(total_mb).data_plane_heap, min(LEAST_HEAP_MB, total_mb - MINIMUM_OVERHEAD_MB))


def divide_among_executors(total_mb: int, executors: int) -> int:
    """Return the heap of one executor in MiB: all of them together have that of Flink's TaskManager.

    Raises ConfigurationError where that is less than 512 MiB.
    """
    each = flink_config.divide_memory(total_mb).data_plane_heap // executors
    if each < LEAST_EXECUTOR_MB:
        raise ConfigurationError(
            f"Each of {executors} Spark executors would have a heap of {each} MiB out of --memory {total_mb}, and "
            f"{LEAST_EXECUTOR_MB} are needed. Give a larger --memory, or fewer --spark-executors."
        )
    return each


def executor_settings(io: TrialIo, executors: int) -> dict[str, str]:
    """Return the settings with which so many executors share slots and heap, and all are there before the first task.

    Raises ConfigurationError where an executor would have too little memory.
    """
    cores = -(-io.slots // executors)
    heap_mb = divide_among_executors(io.memory_mb, executors)
    options = ["-XX:+UseG1GC", f"-Xms{heap_mb}m", f"-XX:MetaspaceSize={jvm.METASPACE_MB}m"]
    return {
        "spark.dynamicAllocation.enabled": "false",
        "spark.executor.cores": str(cores),
        "spark.cores.max": str(cores * executors),
        "spark.executor.memory": f"{heap_mb}m",
        "spark.executor.extraJavaOptions": " ".join(options),
        # In Real-Time Mode all tasks run at once: the first must not start before the last one's slot is there.
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": EXECUTORS_WAIT,
        MANAGED_MB: str(flink_config.divide_memory(io.memory_mb).managed // executors),
    }


class Master(Protocol):
    """Gives a query its place: what differs between one process and a cluster."""

    def prepare(self) -> None:
        """Raise PreflightError where the place cannot be used."""

    def url(self, io: TrialIo) -> str:
        """Return Spark's name for it: `spark.master`."""

    def driver_heap_mb(self, io: TrialIo) -> int:
        """Return the heap of the driver's JVM in MiB."""

    def configuration(self, io: TrialIo, jars: Sequence[Path]) -> dict[str, str]:
        """Return Spark's settings for it; `jars` are on the driver's class path already."""

    def environment(self) -> dict[str, str]:
        """Return the driver's variables for it."""

    def client_properties(self, io: TrialIo) -> Mapping[str, str]:
        """Return what the query's Kafka clients need for TLS and SASL, in the names of Java's client."""

    def problem(self, facts: Mapping[str, Any], io: TrialIo) -> str:
        """Return why a running query cannot be measured there; empty where it can."""

    def settings(self, facts: Mapping[str, Any], io: TrialIo) -> JsonObject:
        """Return the fields of `EngineSettings` that are read differently in each place."""

    def details(self, facts: JsonObject) -> JsonObject:
        """Return what a result keeps of the facts: no address of a team's cluster."""

    @property
    def observed(self) -> bool:
        """Whether all of the engine's processes are descendants of the driver's."""


class LocalThreads:
    """One process: the driver's JVM runs all tasks as threads."""

    observed = True

    def prepare(self) -> None:
        """Do nothing: this machine is there."""

    def url(self, io: TrialIo) -> str:
        """Return as many threads as there are slots."""
        return f"local[{io.slots}]"

    def driver_heap_mb(self, io: TrialIo) -> int:
        """Return the heap of the only JVM."""
        return divide_memory(io.memory_mb)

    def configuration(self, io: TrialIo, jars: Sequence[Path]) -> dict[str, str]:  # noqa: ARG002 - they are there
        """Return the master, and the bound of RocksDB's memory, which is that of Flink's managed memory."""
        return {"spark.master": self.url(io), MANAGED_MB: str(flink_config.divide_memory(io.memory_mb).managed)}

    def environment(self) -> dict[str, str]:
        """Return nothing: the driver listens on the loopback address."""
        return {}

    def client_properties(self, io: TrialIo) -> Mapping[str, str]:
        """Return the settings with the files of this machine."""
        return io.connection.java

    def problem(self, facts: Mapping[str, Any], io: TrialIo) -> str:  # noqa: ARG002 - one machine has one disk
        """Return nothing."""
        return ""

    def settings(self, facts: Mapping[str, Any], io: TrialIo) -> JsonObject:
        """Return what the JVM reports about itself."""
        java = facts["jvm"]
        return {
            "memory_mb": io.memory_mb,
            "heap_mb": java["heap_max_mb"],
            "data_plane_heap_mb": java["heap_max_mb"],
            "java": facts["java_version"],
            "state_memory_mb": state_memory(facts["settings"], 1),
            "collector": "G1GC" if any(bean.startswith("G1 ") for bean in java["gc"]) else ", ".join(java["gc"]),
            "priority": io.priority(),
        }

    def details(self, facts: JsonObject) -> JsonObject:
        """Return them as they are."""
        return facts


class StandaloneCluster:
    """Executors on a standalone cluster; the driver runs next to rtmbench, and gives them the jars.

    As many executors as `SparkAddress.executors` share the slots and the heap. Workers decide about everything else:
    Java, priority, local disks.
    """

    observed = False

    def __init__(self, address: SparkAddress) -> None:
        self._address = address
        self._host = ""

    def prepare(self) -> None:
        """Check that a master accepts connections, and find the address of this machine that is on the way to it."""
        self._host = way_to(self._address.master)

    def url(self, io: TrialIo) -> str:  # noqa: ARG002 - the cluster's address does not depend on a trial
        """Return the cluster's address."""
        return self._address.master

    def driver_heap_mb(self, io: TrialIo) -> int:  # noqa: ARG002 - no record goes through it
        """Return a fixed heap."""
        return DRIVER_HEAP_MB

    def configuration(self, io: TrialIo, jars: Sequence[Path]) -> dict[str, str]:
        """Return the master, the size and number of executors, the jars, and the cluster's own properties."""
        return {
            "spark.master": self.url(io),
            "spark.driver.host": self._host,
            "spark.driver.bindAddress": self._host,
            "spark.jars": ",".join(map(str, jars)),
            **executor_settings(io, self._address.executors),
            **self._address.properties,
        }

    def environment(self) -> dict[str, str]:
        """Return the address at which the executors reach the driver."""
        return {"SPARK_LOCAL_IP": self._host, "SPARK_LOCAL_HOSTNAME": self._host}

    def client_properties(self, io: TrialIo) -> Mapping[str, str]:
        """Return the settings with the content of the stores: no file of this machine is on a worker."""
        return io.connection.inline()

    def problem(self, facts: Mapping[str, Any], io: TrialIo) -> str:
        """Return that a script has chosen another master, or that executors cannot reach the checkpoint directory."""
        master = facts["settings"].get("spark.master")
        if master != self.url(io):
            return (
                f"The query runs at the master {master}, and not on the cluster of --spark-master. Remove .master(…) "
                "from the script."
            )
        elsewhere = [host for host in set(facts.get("executors") or ()) if not is_of_this_machine(host)]
        if not elsewhere or io.checkpoints_elsewhere:
            return ""
        return (
            f"Executors run on {plural(len(elsewhere), 'other machine')}, and the checkpoint directory is on this one "
            "alone. Name a directory that all of them share: --checkpoint-storage hdfs://…, s3a://… or file:///SHARED."
        )

    def settings(self, facts: Mapping[str, Any], io: TrialIo) -> JsonObject:  # noqa: ARG002 - the cluster decides
        """Return what the executors were started with."""
        settings, executors = facts["settings"], len(facts.get("executors") or ())
        heap_mb = mebibytes(settings.get("spark.executor.memory"))
        heap_mb = None if heap_mb is None else heap_mb * executors
        return {
            "heap_mb": None if heap_mb is None else heap_mb + facts["jvm"]["heap_max_mb"],
            "data_plane_heap_mb": heap_mb,
            "state_memory_mb": state_memory(settings, executors),
            "collector": "G1GC" if "+UseG1GC" in settings.get("spark.executor.extraJavaOptions", "") else None,
            "others": {"executors": executors},
        }

    def details(self, facts: JsonObject) -> JsonObject:
        """Return them with the number of executors instead of their hosts, and without the cluster's address."""
        settings = {**facts["settings"], "spark.master": "existing"}
        return {**facts, "executors": len(facts.get("executors") or ()), "settings": settings}


def master_of(address: SparkAddress | None) -> Master:
    """Return the place of a query: an existing cluster where there is one, else this machine."""
    return LocalThreads() if address is None else StandaloneCluster(address)


def state_memory(settings: Mapping[str, str], processes: int) -> int | str | None:
    """Return the MiB that RocksDB may take in all processes together, as it was read back, or `unbounded`.

    None where the state is not in RocksDB.
    """
    if settings.get(STORE) != ROCKSDB:
        return None
    bounded = settings.get(BOUNDED) == "true"
    each = settings.get(MANAGED_MB, "")
    return int(each) * processes if bounded and each.isdigit() else "unbounded"


def mebibytes(size: str | None) -> int | None:
    """Return a size such as `800m` or `2g` in MiB; None where it is not one."""
    match = re.fullmatch(r"(\d+)([mg])b?", (size or "").strip().lower())
    return None if match is None else int(match[1]) * (1024 if match[2] == "g" else 1)


__all__ = [
    "BOUNDED",
    "ROCKSDB",
    "STORE",
    "LocalThreads",
    "Master",
    "StandaloneCluster",
    "divide_memory",
    "executor_settings",
    "master_of",
]
