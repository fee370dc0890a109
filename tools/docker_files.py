"""Write the engines' configuration files for containers anew: `python tools/docker_files.py`.

The values are those of the `spec` profile and of rtmbench's own engines, so that a job in a container has the settings
of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtmbench.engines.base import TrialIo, Variant
from rtmbench.engines.flink import config as flink
from rtmbench.engines.spark import query
from rtmbench.engines.spark.master import MANAGED_MB, executor_settings
from rtmbench.kafka.connection import Connection
from rtmbench.platform.machine import Machine, scale
from rtmbench.run_settings import RunSettings

DOCKER = Path(__file__).resolve().parents[1] / "docker"
FLINK, SPARK = DOCKER / "flink-conf" / "config.yaml", DOCKER / "spark-conf" / "spark-defaults.conf"
HEAD = "# Written by tools/docker_files.py from the `spec` profile. Do not edit it here.\n"
MACHINE = Machine(cpu="", cores=16, memory_mb=65_536, available_mb=65_536, os="", kernel="")
PROFILE = scale(MACHINE, "spec")
INTERVAL_MS = round(RunSettings().checkpoint_interval_s * 1000)
JOB_MANAGER_MB = 1024
CHECKPOINTS = "file:///checkpoints"
"""The volume of the compose file."""


@dataclass(frozen=True)
class Property:
    """One line of a configuration file, and why it is there."""

    name: str
    value: str
    why: str


def flink_properties() -> list[Property]:
    """Return the properties of Flink's JobManager and TaskManager."""
    slots, memory_mb = PROFILE.partitions, PROFILE.engine_memory_mb
    own = flink.configuration(
        memory=flink.divide_memory(memory_mb), slots=slots, rest_port=8081, rpc_port=6123, work=Path("/")
    )
    why = {
        "taskmanager.numberOfTaskSlots": "as many as the input has partitions: all tasks of one share a slot",
        "parallelism.default": "one subtask for each partition",
        "state.backend.type": "state in RocksDB, as Spark keeps it",
        "execution.buffer-timeout.interval": "how long a record may wait in a network buffer",
        "execution.checkpointing.mode": "state is exactly-once in both engines",
        "execution.checkpointing.storage": "checkpoints are files",
        "execution.checkpointing.incremental": "a checkpoint uploads new files of RocksDB only",
        "restart-strategy.type": "a crash has to show as one",
        "web.refresh-interval": "how old an answer of the REST API may be, in ms: a job shows as running when it runs",
        "web.checkpoints.history": "the report shows every checkpoint; Flink remembers ten by default",
        "metrics.fetcher.update-interval": "how old a metric may be, in ms, that is requested after the measurement",
    }
    return [
        Property("jobmanager.rpc.address", "jobmanager", "the name of the container"),
        Property("jobmanager.bind-host", "0.0.0.0", "reached by the other container; published on 127.0.0.1 only"),  # noqa: S104
        Property(
            "jobmanager.memory.process.size", f"{JOB_MANAGER_MB}m", "all of its memory; no record goes through it"
        ),
        Property("rest.address", "jobmanager", "the name of the container"),
        Property("rest.bind-address", "0.0.0.0", "as jobmanager.bind-host"),  # noqa: S104
        Property("taskmanager.bind-host", "0.0.0.0", "reached by the other container; not published"),  # noqa: S104
        Property("taskmanager.memory.process.size", f"{memory_mb}m", "all of its memory; as much as Spark has"),
        *(Property(name, own[name], reason) for name, reason in why.items()),
        Property("execution.checkpointing.interval", f"{INTERVAL_MS} ms", "as long as a batch of Spark lasts"),
        Property("execution.checkpointing.dir", CHECKPOINTS, "a volume that both containers have"),
    ]


def spark_properties() -> list[Property]:
    """Return the properties of a query on the Spark of the containers."""
    io = TrialIo(
        connection=Connection(bootstrap_servers="kafka:29092"),
        input_topic="benchmark-input",
        output_topic="benchmark-output",
        partitions=PROFILE.partitions,
        slots=PROFILE.partitions,
        checkpoint_interval_ms=INTERVAL_MS,
        work=Path("/"),
        logs=Path("/"),
        memory_mb=PROFILE.engine_memory_mb,
        settings=RunSettings(local_files="hadoop"),
    )
    unchecked = Variant(mode="rtm-unchecked", emit="batch", unchecked=True)
    own = {**executor_settings(io, 1), **query.settings(unchecked, io, custom=False)}
    why = {
        "spark.executor.cores": "as many slots as Flink has",
        "spark.cores.max": "one executor",
        "spark.executor.memory": "the heap that Flink's TaskManager has; the rest of the container is for RocksDB",
        "spark.executor.extraJavaOptions": "the collector is named, because a JVM would choose another for some heaps",
        "spark.dynamicAllocation.enabled": "executors do not come and go",
        "spark.scheduler.minRegisteredResourcesRatio": "all slots are there before the first task starts",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "how long a query waits for them",
        "spark.sql.shuffle.partitions": "as many keyed tasks as Flink has; the published setup has 20",
        "spark.sql.execution.sortBeforeRepartition": "no sort before a shuffle; Flink never sorts",
        "spark.sql.streaming.stateStore.providerClass": "state in RocksDB: transformWithState needs it",
        query.CHANGELOG: "a batch commits its changes and not RocksDB's files",
        "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage": "RocksDB's memory has a bound, as in Flink",
        MANAGED_MB: "the bound, as large as Flink's managed memory",
        "spark.sql.streaming.realTimeMode.allowlistCheck": "4.1 refuses state in Real-Time Mode while this is on",
    }
    return [Property(name, own[name], reason) for name, reason in why.items()]


def flink_file() -> str:
    """Return the text of Flink's `config.yaml`."""
    return HEAD + "".join(f"# {one.why}\n{one.name}: {one.value}\n" for one in flink_properties())


def spark_file() -> str:
    """Return the text of `spark-defaults.conf`."""
    return HEAD + "".join(f"# {one.why}\n{one.name} {one.value}\n" for one in spark_properties())


if __name__ == "__main__":
    for path, text in ((FLINK, flink_file()), (SPARK, spark_file())):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
