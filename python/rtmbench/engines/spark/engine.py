"""Apache Spark: one Python process for each trial, with its JVM, that runs the pipeline's file as a user would.

Its tasks are threads of that JVM, or run on the executors of an existing cluster (`engines.spark.master`).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench.engines.base import EngineRefusedError, require_slots
from rtmbench.engines.spark import BATCH_BOUND, MICROBATCH, SPARK, query
from rtmbench.engines.spark import facts as spark_facts
from rtmbench.engines.spark import process as spark_process
from rtmbench.engines.spark.boundaries import batch_boundaries
from rtmbench.engines.spark.master import ROCKSDB, STORE
from rtmbench.engines.spark.query import BUFFER_WAIT, CHANGELOG, PLAIN_LOCAL_FILES
from rtmbench.errors import ConfigurationError, PreflightError, RunFailedError
from rtmbench.kafka import clients
from rtmbench.patterns import find_pattern, pipelines
from rtmbench.platform import jvm, logs
from rtmbench.results.model import EngineFacts, EngineSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtmbench.artifacts import Bundle
    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.engines.base import Emission, EngineSpec, TrialIo, Variant
    from rtmbench.engines.spark.master import Master
    from rtmbench.json_object import JsonObject
    from rtmbench.platform.base import Platform
    from rtmbench.platform.process import Process
    from rtmbench.results.model import Interruption

RUNNING_TIMEOUT_S = 120.0
REFUSAL_TIMEOUT_S = 15.0
STOP_GRACE_S = 4.0
CLUSTER_STOP_GRACE_S = 15.0
"""Executors are given back, and a directory for checkpoints on a storage elsewhere is removed."""
POLL_S = 0.1
PROGRESS = "spark-progress.jsonl"
# Spark detects this in the first batch only, but it means the same as a refusal: this query cannot run here.
NEVER_STARTS = "STDS_FAILED_TO_READ_OPERATOR_METADATA"
PLAIN_REMARK = "local files written without Hadoop's shell calls (--local-files hadoop: as pip install pyspark does)"


class SparkEngine:
    """Spark at one pattern, in the mode of one of its variants. Slots are threads, or cores of executors."""

    def __init__(
        self,
        spec: EngineSpec,
        *,
        variant: Variant,
        platform: Platform,
        master: Master,
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
        self._master = master
        self._pattern = pattern
        self._spark: Bundle | None = None
        self._connector: Bundle | None = None
        self._file: Path | None = None
        self._jars: list[Path] = []
        self._io: TrialIo | None = None
        self._process: Process | None = None
        self._batches: spark_facts.ProgressCount | None = None

    def prepare(self) -> None:
        """Fetch Spark and its Kafka connector, find the pipeline's file, and see whether a cluster answers."""
        self._master.prepare()
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
            self._variant, partitions=io.partitions, shuffle_partitions=query.shuffle_partitions(io)
        )
        require_slots(f"Spark {self.build}", io, need, arithmetic)
        self._io = io
        self._batches = spark_facts.ProgressCount(io.logs / PROGRESS)
        self._configure(io)
        self._process = self._platform.spawn(
            "spark",
            [sys.executable, *self._program()],
            env=self._environment(io, self._spark.root),
            # A custom job finds its files as `python FILE` does.
            cwd=io.work if self._own is None else Path.cwd(),
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
        settings = facts["settings"]
        rocksdb = settings.get(STORE) == ROCKSDB
        plain = set(PLAIN_LOCAL_FILES.items()) <= set(settings.items())
        remarks = [*([] if self._own is None else [self._remark(facts)]), PLAIN_REMARK if plain else ""]
        return EngineFacts(
            real_time=bool(facts["real_time"]),
            remark="; ".join(filter(None, remarks)),
            settings=EngineSettings(
                version=facts["spark_version"],
                slots=facts["slots"],
                parallelism=min(facts["slots"], io.partitions),
                keyed_parallelism=int(settings["spark.sql.shuffle.partitions"]) if self._keyed else None,
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
                # Those of executors are in the workers' logs.
                kafka_clients=clients.read_back(process.log) if self._master.observed else {},
                **self._master.settings(facts, io),
            ),
            # A place of checkpoints that the user has named is a team's own.
            details=self._master.details(
                {**facts, "checkpoint_dir": None} if io.checkpoints_elsewhere else facts,
            ),
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
        """Return the Python process; its JVM and workers are its descendants. None on a cluster."""
        return self._here() if self._master.observed else []

    def drivers(self) -> list[Process]:
        """Return the Python process of a query whose executors are on a cluster."""
        return [] if self._master.observed else self._here()

    def stop(self) -> None:
        """Stop the query and all its processes."""
        process, self._process = self._process, None
        if process is not None:
            self._platform.stop(process, grace_s=STOP_GRACE_S if self._master.observed else CLUSTER_STOP_GRACE_S)
        if self._io is not None:
            self._io.remove_checkpoints()

    def _configure(self, io: TrialIo) -> None:
        """Write Spark's configuration as files: on a command line every user of the machine could read it."""
        assert self._connector is not None  # noqa: S101 - prepared
        settings = query.settings(self._variant, io, custom=self._own is not None)
        jars = [*self._connector.jars, *self._jars, *([pipelines.slow_storage_jar()] if io.slow_storage else [])]
        conf = spark_process.write_configuration(
            io.work,
            {**settings, **self._master.configuration(io, jars)},
            name="spark",
            logs=io.logs,
            jars=jars,
            heap_mb=self._master.driver_heap_mb(io),
        )
        clients.write_properties(conf / "kafka-clients.properties", self._master.client_properties(io))

    def _program(self) -> list[str]:
        """Return the Python program with its arguments."""
        if self._own is None:
            return [str(self._file)]
        return ["-m", "rtmbench.spark.foreign", str(self._file), *self._own.spark_args]

    def _environment(self, io: TrialIo, root: Path) -> dict[str, str]:
        return {
            **({} if self._own is None else jvm.job_variables()),
            **spark_process.environment(self._platform.environment(), root=root, work=io.work),
            **query.variables(io, mode="" if self._own else self.mode),
            "RTMBENCH_FACTS": str(io.work / "facts.json"),
            "RTMBENCH_PROGRESS": str(io.logs / PROGRESS),
            "RTMBENCH_KAFKA_PROPERTIES": str(io.work / "conf" / "kafka-clients.properties"),
            **({"RTMBENCH_REMOVE_CHECKPOINT": io.checkpoint_dir} if io.checkpoints_elsewhere else {}),
            **self._master.environment(),
        }

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
        io = self._io
        assert io is not None  # noqa: S101 - set together with the process
        if problem := self._master.problem(facts, io):
            raise PreflightError(problem)
        if self._own is not None:
            self.mode = _mode_of(facts)
            file = self._own.file("spark").name
            if shortage := spark_facts.slot_shortage(facts, file=file, configured_master=self._master.url(io)):
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

    def _here(self) -> list[Process]:
        return [] if self._process is None else [self._process]

    def _running(self) -> Process:
        if self._process is None:
            raise RunFailedError("Spark is not running: it was not started, or was stopped.")
        return self._process


def _mode_of(facts: Mapping[str, Any]) -> str:
    """Return the mode in which a custom query runs."""
    if facts.get("real_time") is True:
        return "rtm"
    return "rtm-unchecked" if str(facts.get("trigger")).startswith("RealTimeTrigger") else "microbatch"


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


__all__ = ["SparkEngine"]
