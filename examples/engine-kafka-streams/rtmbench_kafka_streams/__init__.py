"""Kafka Streams as an engine of rtmbench: patterns 01 and 02 in one Java process for each trial."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from rtmbench import _core
from rtmbench.engines.base import PlainEngine, Variant
from rtmbench.engines.kind import EngineKind
from rtmbench.errors import ConfigurationError, PreflightError, RunFailedError
from rtmbench.kafka import clients
from rtmbench.platform import jvm, logs
from rtmbench.private_files import write_private
from rtmbench.results.model import EngineFacts, EngineSettings, Interruption

if TYPE_CHECKING:
    from rtmbench.engines.base import Emission, Engine, EngineSpec, TrialIo
    from rtmbench.engines.kind import Setup
    from rtmbench.patterns import Pattern
    from rtmbench.platform.process import Process

VERSION = "4.1.1"
JOB = Path(__file__).with_name("job")
OUTSIDE_THE_HEAP_MB = 512
"""For RocksDB, buffers and code."""
RUNNING_TIMEOUT_S = 60.0
BUILD_TIMEOUT_S = 900
STOP_GRACE_S = 4.0


class KafkaStreams(EngineKind):
    """Kafka Streams of one version, which streams every record."""

    name = "kafka-streams"

    def variants(self, pattern: Pattern, version: str) -> tuple[Variant, ...]:  # noqa: ARG002 - there is one
        """Return the variant of the two patterns that it has a job for."""
        emitted: dict[str, Emission] = {"01": "row", "02": "update"}
        if pattern.job is not None or pattern.id not in emitted:
            return ()
        return (Variant(mode=emitted[pattern.id], emit=emitted[pattern.id]),)

    def create(self, spec: EngineSpec, setup: Setup) -> Engine:
        """Make the engine."""
        return KafkaStreamsEngine(spec, setup)


class KafkaStreamsEngine(PlainEngine):
    """One trial after the other, each with a process and a state directory of its own."""

    def __init__(self, spec: EngineSpec, setup: Setup) -> None:
        self.spec = spec
        self.build = VERSION
        self.mode = setup.variant.mode
        self.emit: Emission = setup.variant.emit
        self._setup = setup
        self._class_path = ""
        self._process: Process | None = None
        self._io: TrialIo | None = None

    def prepare(self) -> None:
        """Build the job, where it is not in the cache yet.

        Raises PreflightError without Maven, and where the build fails.
        """
        self._class_path = built(self._setup.platform.cache.root)

    def start(self, io: TrialIo) -> None:
        """Start the process, and return when all of its threads run."""
        if not self._class_path:
            raise ConfigurationError("The Kafka Streams engine was started before it was prepared.")
        platform = self._setup.platform
        self._io = io
        running = io.work / "running"
        settings = io.work / "job.properties"
        write_private(settings, self._settings(io, running))
        process = self._process = platform.spawn(
            self.spec.engine,
            [
                str(platform.java.executable),
                *jvm.memory_options(max(256, io.memory_mb - OUTSIDE_THE_HEAP_MB)),
                *jvm.common_options(self.spec.engine, logs=io.logs, scratch=io.work),
                "-cp",
                self._class_path,
                "io.rtmbench.examples.StreamsJob",
                str(settings),
            ],
            cwd=io.work,
            logs=io.logs,
            group=io.group,
        )
        deadline = time.monotonic() + RUNNING_TIMEOUT_S
        while not running.exists():
            process.check()
            if time.monotonic() > deadline:
                raise RunFailedError(
                    f"Kafka Streams did not run within {RUNNING_TIMEOUT_S:.0f} s. {logs.quote(process.log)}"
                )
            time.sleep(0.1)

    def check(self) -> None:
        """Raise RunFailedError where the process has ended: the job ends it with its first failure."""
        if self._process is None:
            raise RunFailedError("Kafka Streams is not running.")
        self._process.check()

    def interval_s(self) -> float | None:
        """Return the commit interval."""
        return None if self._io is None else self._io.checkpoint_interval_ms / 1000

    def boundaries_so_far(self) -> int | None:
        """Return how often the first thread has committed."""
        return len(self._commits_ms())

    def interruptions(self, from_us: int) -> list[Interruption]:
        """Return the commits. Kafka Streams does not report how long each one took."""
        return [
            Interruption(
                kind="checkpoint",
                source=self.spec.engine,
                at_ms=round(at_ms - from_us / 1e3, 1),
                duration_ms=0.0,
                detail="commit of the first thread",
            )
            for at_ms in self._commits_ms()
        ]

    def facts(self) -> EngineFacts:
        """Return its settings, with those that its Kafka clients logged."""
        if self._io is None or self._process is None:
            return EngineFacts()
        io = self._io
        windowed = io.window_ms is not None
        settings = EngineSettings(
            version=VERSION,
            slots=self._threads(io),
            parallelism=io.partitions,
            checkpoint_interval_ms=io.checkpoint_interval_ms,
            emission=self.emit,
            state_backend="rocksdb",
            priority=io.priority(),
            sink_guarantee="AT_LEAST_ONCE",
            window_ms=io.window_ms,
            watermark_delay_ms=io.watermark_delay_ms if windowed else None,
            kafka_clients=clients.read_back(self._process.log),
        )
        return EngineFacts(settings=settings)

    def processes(self) -> list[Process]:
        """Return the one process."""
        return [] if self._process is None else [self._process]

    def stop(self) -> None:
        """Stop the process, and delete the topic that it kept its state in."""
        process, self._process = self._process, None
        io, self._io = self._io, None
        if process is not None:
            self._setup.platform.stop(process, grace_s=STOP_GRACE_S)
        if io is not None and io.window_ms is not None:
            try:
                _core.delete_topics(io.connection.admin, [f"{_application(io)}-totals-changelog"], timeout_s=5.0)
            except _core.KafkaError:
                # The process may have ended before it made the topic, or the broker with it.
                return

    def _threads(self, io: TrialIo) -> int:
        return min(io.slots, io.partitions)

    def _settings(self, io: TrialIo, running: Path) -> str:
        lines = {
            "pattern": self._setup.pattern.id,
            "input": io.input_topic,
            "output": io.output_topic,
            "running": running,
            "commits": io.work / "commits",
            "window.ms": io.window_ms or 0,
            "grace.ms": io.watermark_delay_ms,
            "streams.application.id": _application(io),
            "streams.bootstrap.servers": io.bootstrap_servers,
            "streams.num.stream.threads": self._threads(io),
            "streams.commit.interval.ms": io.checkpoint_interval_ms,
            "streams.state.dir": io.work / "state",
            "streams.replication.factor": 1,
        }
        # All clients of Kafka Streams, its own for the administration of topics too.
        lines |= {f"streams.{name}": clients.escaped(value) for name, value in io.connection.java.items()}
        return clients.properties_file({}) + "".join(f"{name}={value}\n" for name, value in lines.items())

    def _commits_ms(self) -> list[int]:
        if self._io is None:
            return []
        try:
            return [int(line) for line in (self._io.work / "commits").read_text(encoding="ascii").split("\n") if line]
        except FileNotFoundError:
            return []


def built(cache: Path) -> str:
    """Return the class path of the job, which Maven builds once for each state of its sources.

    Raises PreflightError without Maven, and where the build fails.
    """
    sources = sorted(path for path in JOB.rglob("*") if path.suffix in {".java", ".xml"})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    directory = cache / f"engine-kafka-streams-{digest}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{directory}.lock"):
        if not (directory / "done").exists():
            shutil.rmtree(directory, ignore_errors=True)
            shutil.copytree(JOB, directory, ignore=shutil.ignore_patterns("target"))
            _package(directory)
            (directory / "done").touch()
    target = directory / "target"
    return ":".join(str(jar) for jar in (target / "job.jar", *sorted((target / "lib").glob("*.jar"))))


def _package(directory: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise PreflightError("The engine kafka-streams is built with Maven, and there is no `mvn`. Install Maven.")
    done = subprocess.run(
        [maven, "-q", "-B", "-f", str(directory / "pom.xml"), "package"],
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise PreflightError(f"Maven could not build the Kafka Streams job:\n{said}")


def _application(io: TrialIo) -> str:
    return f"{io.input_topic}-streams"


KAFKA_STREAMS = KafkaStreams()

__all__ = ["KAFKA_STREAMS", "KafkaStreams", "KafkaStreamsEngine"]
