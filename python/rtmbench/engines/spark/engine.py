"""Apache Spark: one Python process for each trial, with its JVM, that runs the pipeline's file as a user would."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from rtmbench.engines.base import EngineRefusedError, require_slots
from rtmbench.engines.flink import config as flink_config
from rtmbench.engines.spark import BATCH_BOUND, MICROBATCH, SPARK
from rtmbench.engines.spark import facts as spark_facts
from rtmbench.engines.spark import process as spark_process
from rtmbench.engines.spark.boundaries import batch_boundaries
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.kafka import clients
from rtmbench.patterns import find_pattern, pipelines
from rtmbench.platform import logs
from rtmbench.results.model import EngineFacts, EngineSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rtmbench.artifacts import Bundle
    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.engines.base import Emission, EngineSpec, TrialIo, Variant
    from rtmbench.json_object import JsonObject
    from rtmbench.platform.base import Platform
    from rtmbench.platform.process import Process
    from rtmbench.results.model import Interruption

RUNNING_TIMEOUT_S = 120.0
REFUSAL_TIMEOUT_S = 15.0
STOP_GRACE_S = 4.0
POLL_S = 0.1
PROGRESS = "spark-progress.jsonl"
MINIMUM_MB = 1280
MINIMUM_OVERHEAD_MB = 512
LEAST_HEAP_MB = 1024
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
CHANGELOG = "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled"
BOUNDED = "spark.sql.streaming.stateStore.rocksdb.boundedMemoryUsage"
ROCKSDB_MB = "spark.sql.streaming.stateStore.rocksdb.maxMemoryUsageMB"
# Spark detects this in the first batch only, but it means the same as a refusal: this query cannot run here.
NEVER_STARTS = "STDS_FAILED_TO_READ_OPERATOR_METADATA"
PLAIN_LOCAL_FILES = {
    "spark.hadoop.fs.file.impl": "io.rtmbench.spark.PlainLocalFileSystem",
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "io.rtmbench.spark.PlainLocalFs",
}
PLAIN_REMARK = "local files written without Hadoop's shell calls (--local-files hadoop: as pip install pyspark does)"
BUFFER_WAIT = "spark.shuffle.streaming.networkBufferMaxWaitTimeMs"


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


class SparkEngine:
    """Spark at one pattern, in the mode of one of its variants. Slots are threads."""

    def __init__(
        self,
        spec: EngineSpec,
        *,
        variant: Variant,
        platform: Platform,
        pattern: str,
        job: CustomJob | None = None,
    ) -> None:
        self.spec = spec
        self.build = ""
        self.mode = variant.mode
        self.emit: Emission = variant.emit
        self._variant = variant
        self._own = job
        self._keyed = job is not None or find_pattern(pattern).keyed
        # What a custom job asks for shows when it runs.
        self._real_time = job is not None or variant.mode.startswith("rtm")
        self._platform = platform
        self._pattern = pattern
        self._spark: Bundle | None = None
        self._connector: Bundle | None = None
        self._file: Path | None = None
        self._jars: list[Path] = []
        self._io: TrialIo | None = None
        self._process: Process | None = None
        self._batches: spark_facts.ProgressCount | None = None

    def prepare(self) -> None:
        """Fetch Spark and its Kafka connector, and find the pipeline's file."""
        self._spark = self._platform.cache.ensure(f"spark@{self.spec.version}")
        self._connector = self._platform.cache.ensure(f"spark-connector-kafka@{self.spec.version}")
        self.build = self._spark.build
        self._file = pipelines.locate(self._pattern, "spark") if self._own is None else self._own.file("spark")
        self._jars = [
            pipelines.local_files_jar(),
            *(pipelines.spark_jars(self._pattern) if self._variant.jvm_state else ()),
        ]

    def start(self, io: TrialIo) -> None:
        """Start the pipeline, and return when its query runs in the requested mode."""
        if self._file is None or self._spark is None:
            raise ConfigurationError("The Spark engine was started before it was prepared.")
        need, arithmetic = SPARK.required_slots(
            self._variant, partitions=io.partitions, shuffle_partitions=_shuffle_partitions(io)
        )
        require_slots(f"Spark {self.build}", io, need, arithmetic)
        self._io = io
        self._batches = spark_facts.ProgressCount(io.logs / PROGRESS)
        self._configure(io)
        self._process = self._platform.spawn(
            "spark",
            [sys.executable, *(() if self._own is None else ("-m", "rtmbench.spark.foreign")), str(self._file)],
            env=self._environment(io, self._spark.root),
            cwd=io.work,
            logs=io.logs,
            group=io.group,
        )
        self._await_running(self._process)

    def check(self) -> None:
        """Raise RunFailedError where the process or the query has ended, EngineRefusedError where it cannot run."""
        process = self._running()
        # A query that fails ends its process; its error counts for more than the end of the process.
        facts = self._read_facts()
        refused, error = facts.get("refused"), facts.get("error")
        if error is not None and error["code"].partition(".")[0] == NEVER_STARTS:
            refused = error
        if refused is not None:
            raise EngineRefusedError(str(refused["code"]), str(refused["message"]))
        if error is not None:
            what = "Spark's query" if self._own is None else self._own.file("spark").name
            raise RunFailedError(f"{what} failed ({error['code']}): {error['message']} (log: {process.log}).")
        process.check()

    def facts(self) -> EngineFacts:
        """Return what the pipeline read back from the running query, and the Kafka clients of themselves."""
        process, io = self._running(), self._io
        assert io is not None  # noqa: S101 - set together with the process
        facts = self._read_facts()
        settings, java = facts["settings"], facts["jvm"]
        rocksdb = settings.get("spark.sql.streaming.stateStore.providerClass") == ROCKSDB
        plain = set(PLAIN_LOCAL_FILES.items()) <= set(settings.items())
        remarks = [*([] if self._own is None else [self._remark(facts)]), PLAIN_REMARK if plain else ""]
        return EngineFacts(
            real_time=bool(facts["real_time"]),
            remark="; ".join(filter(None, remarks)),
            settings=EngineSettings(
                version=facts["spark_version"],
                java=facts["java_version"],
                slots=facts["slots"],
                parallelism=min(facts["slots"], io.partitions),
                keyed_parallelism=int(settings["spark.sql.shuffle.partitions"]) if self._keyed else None,
                memory_mb=io.memory_mb,
                heap_mb=java["heap_max_mb"],
                data_plane_heap_mb=java["heap_max_mb"],
                state_memory_mb=_state_memory(settings) if rocksdb else None,
                collector=_collector(java["gc"]),
                priority=io.priority(),
                checkpoint_interval_ms=spark_facts.interval_ms(facts["trigger"]),
                checkpoint_mode="EXACTLY_ONCE",
                checkpoint_storage="filesystem",
                local_files="plain" if plain else "hadoop",
                state_backend="rocksdb" if rocksdb else "hdfs",
                state_changelog=settings.get(CHANGELOG) if rocksdb else None,
                sink_guarantee="AT_LEAST_ONCE",
                buffer_wait_ms=_whole(settings.get(BUFFER_WAIT)) if self._variant.streams_shuffle else None,
                window_ms=io.window_ms,
                slide_ms=io.slide_ms,
                watermark_delay_ms=None if io.window_ms is None else io.watermark_delay_ms,
                emission=self.emit,
                allowlist_check=settings.get("spark.sql.streaming.realTimeMode.allowlistCheck"),
                sort_before_repartition=settings.get("spark.sql.execution.sortBeforeRepartition"),
                trigger=facts["trigger"],
                kafka_clients=clients.read_back(process.log),
            ),
            details=facts,
        )

    def late_dropped(self) -> int:
        """Return how many rows the batches that have ended dropped as late: Spark's `numRowsDroppedByWatermark`.

        Rows of one key may have been counted together before they reach the operator that drops them.
        """
        operators = (operator for event in self.progress() for operator in event.get("stateOperators", ()))
        return sum(int(operator.get("numRowsDroppedByWatermark", 0)) for operator in operators)

    def restarts(self) -> int:
        """Return how many tasks have failed, and how often the script has started its query again."""
        process = self._running()
        return spark_facts.lost_tasks(_lines(process.log)) + int(self._read_facts().get("restarts", 0))

    def interval_s(self) -> float | None:
        """Return the interval of the running query's trigger; None where its batches follow each other at once."""
        trigger = self._read_facts().get("trigger")
        return None if trigger is None else spark_facts.interval_s(str(trigger))

    def boundaries_so_far(self) -> int:
        """Return how many batches have ended."""
        return 0 if self._batches is None else self._batches.value()

    def consumed(self) -> dict[int, int] | None:
        """Return the next offset of each input partition after the last batch that ended; None before that."""
        return None if self._io is None else spark_facts.consumed(self.progress(), self._io.input_topic)

    def progress(self) -> list[JsonObject]:
        """Return the progress events so far, one for each batch that has ended."""
        return [json.loads(line) for line in self._progress_lines()]

    def interruptions(self, from_us: int) -> list[Interruption]:
        """Return the boundaries between the batches so far."""
        log = _lines(self._running().log)
        return batch_boundaries(self._progress_lines(), log, from_us)

    def processes(self) -> list[Process]:
        """Return the Python process; its JVM and workers are its descendants."""
        return [] if self._process is None else [self._process]

    def stop(self) -> None:
        """Stop the query and all its processes."""
        process, self._process = self._process, None
        if process is not None:
            self._platform.stop(process, grace_s=STOP_GRACE_S)

    def _configure(self, io: TrialIo) -> None:
        """Write Spark's configuration as files: on a command line every user of the machine could read it."""
        assert self._connector is not None  # noqa: S101 - prepared
        settings = {
            "spark.master": _master(io),
            "spark.sql.shuffle.partitions": str(_shuffle_partitions(io)),
            "spark.sql.execution.sortBeforeRepartition": "false",
            "spark.sql.streaming.stateStore.providerClass": ROCKSDB,
            # As Flink's managed memory bounds it there.
            BOUNDED: "true",
            ROCKSDB_MB: str(flink_config.divide_memory(io.memory_mb).managed),
        }
        if self._own is None:
            # Real-Time Mode with state switches it on by itself; micro-batches would upload RocksDB's files each time.
            settings[CHANGELOG] = "true"
        if io.settings.local_files != "hadoop":
            settings.update(PLAIN_LOCAL_FILES)
        if self._variant.unchecked:
            settings["spark.sql.streaming.realTimeMode.allowlistCheck"] = "false"
        if self._variant.streams_shuffle:
            settings[BUFFER_WAIT] = str(io.settings.buffer_wait_ms)
        if self._own is not None:
            # For a query that names no directory: a checkpoint must not outlive its trial.
            settings["spark.sql.streaming.checkpointLocation"] = (io.work / "checkpoints").as_uri()
        conf = spark_process.write_configuration(
            io.work,
            settings,
            name="spark",
            logs=io.logs,
            jars=[*self._connector.jars, *self._jars],
            heap_mb=divide_memory(io.memory_mb),
        )
        clients.write_properties(conf / "kafka-clients.properties", io.connection)

    def _environment(self, io: TrialIo, root: Path) -> dict[str, str]:
        environment = spark_process.environment(self._platform.environment(), root=root, work=io.work)
        environment.update(
            KAFKA_BOOTSTRAP_SERVERS=io.bootstrap_servers,
            RTMBENCH_INPUT_TOPIC=io.input_topic,
            RTMBENCH_OUTPUT_TOPIC=io.output_topic,
            RTMBENCH_CHECKPOINT_INTERVAL=f"{io.checkpoint_interval_ms} milliseconds",
            RTMBENCH_CHECKPOINT_DIR=(io.work / "checkpoint").as_uri(),
            **({} if self._own else {"RTMBENCH_MODE": self.mode}),
            RTMBENCH_FACTS=str(io.work / "facts.json"),
            RTMBENCH_PROGRESS=str(io.logs / PROGRESS),
            RTMBENCH_KAFKA_PROPERTIES=str(io.work / "conf" / "kafka-clients.properties"),
            RTMBENCH_WATERMARK_DELAY=f"{io.watermark_delay_ms} milliseconds",
        )
        if io.window_ms is not None:
            environment["RTMBENCH_WINDOW"] = f"{io.window_ms} milliseconds"
        if io.slide_ms is not None:
            environment["RTMBENCH_SLIDE"] = f"{io.slide_ms} milliseconds"
        return environment

    def _await_running(self, process: Process) -> None:
        deadline = time.monotonic() + RUNNING_TIMEOUT_S
        # The version is written together with the settings, after the query has started.
        while "spark_version" not in (facts := self._read_facts()):
            self.check()
            if time.monotonic() >= deadline:
                raise RunFailedError(
                    f"Spark's query did not run within {RUNNING_TIMEOUT_S:.0f} s. {logs.quote(process.log)}"
                )
            time.sleep(POLL_S)
        if self._own is not None:
            self.mode = _mode_of(facts)
            io = self._io
            assert io is not None  # noqa: S101 - set together with the process
            file = self._own.file("spark").name
            if shortage := spark_facts.slot_shortage(facts, file=file, configured_master=_master(io)):
                raise RunFailedError(shortage)
            return
        if self._runs_as_asked(facts):
            return
        # A query is planned before it is refused for its plan.
        deadline = time.monotonic() + REFUSAL_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check()
            time.sleep(POLL_S)
        raise RunFailedError(
            f"Spark {self.build} does not run in the requested mode {self.mode} (trigger "
            f"{facts.get('trigger')}, every stage in real time: {facts.get('real_time')}): its figures would be those "
            f"of another mode (log: {process.log})."
        )

    def _remark(self, facts: Mapping[str, Any]) -> str:
        """Return what a reader must know about the mode of a custom job."""
        if self.mode == "rtm":
            return ""
        return BATCH_BOUND if self.mode == "rtm-unchecked" else f"{MICROBATCH} (trigger {facts['trigger']})"

    def _runs_as_asked(self, facts: Mapping[str, Any]) -> bool:
        if self._variant.unchecked:
            return str(facts.get("trigger")).startswith("RealTimeTrigger")
        return not self._real_time or facts.get("real_time") is True

    def _read_facts(self) -> JsonObject:
        if self._io is None:
            return {}
        try:
            facts: JsonObject = json.loads((self._io.work / "facts.json").read_text("utf-8"))
        except FileNotFoundError:
            return {}
        return facts

    def _progress_lines(self) -> list[str]:
        return [] if self._io is None else _lines(self._io.logs / PROGRESS)

    def _running(self) -> Process:
        if self._process is None:
            raise RunFailedError("Spark is not running: it was not started, or was stopped.")
        return self._process


def _mode_of(facts: Mapping[str, Any]) -> str:
    """Return the mode in which a custom query runs."""
    if facts.get("real_time") is True:
        return "rtm"
    return "rtm-unchecked" if str(facts.get("trigger")).startswith("RealTimeTrigger") else "microbatch"


def _shuffle_partitions(io: TrialIo) -> int:
    return io.settings.shuffle_partitions or io.partitions


def _master(io: TrialIo) -> str:
    return f"local[{io.slots}]"


def _state_memory(settings: Mapping[str, str]) -> int | str:
    """Return the MiB that all of RocksDB may take, as it was read back, or `unbounded`."""
    bounded = _whole(settings.get(ROCKSDB_MB)) if settings.get(BOUNDED) == "true" else None
    return "unbounded" if bounded is None else bounded


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _collector(beans: list[str]) -> str:
    return "G1GC" if any(bean.startswith("G1 ") for bean in beans) else ", ".join(beans)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


__all__ = ["SparkEngine", "divide_memory"]
