"""The local platform: supervised child processes, one work directory, and a complete clean-up at the end."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.platform import journal, jvm
from rtmbench.platform.cpus import Pinned
from rtmbench.platform.kafka import KafkaService, start_kafka
from rtmbench.platform.process import LIFELINE_GRACE_S, Process, stop_all
from rtmbench.platform.scheduling import NICE, SchedulingGroup
from rtmbench.signals import shielded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from rtmbench.artifacts import Cache
    from rtmbench.platform.base import FlinkAddress
    from rtmbench.platform.cpus import CpuSets
    from rtmbench.platform.java import Java
    from rtmbench.platform.spark_address import SparkAddress

KAFKA_BUNDLE = "kafka@4.1"
LAST_GRACE_S = 2.0


class LocalPlatform:
    """Starts programs on this machine and ends them all, in order, when it is closed.

    A context manager. `logs` keeps one log file for each process; `work` holds everything else that they write and is
    removed at the end. What an earlier, killed run left behind is cleaned up first. With `cpu_sets`, this program and
    the broker keep to the processors of the harness until the end.
    """

    def __init__(
        self,
        *,
        java: Java,
        cache: Cache,
        logs: Path,
        kafka_heap_mb: int = 512,
        cpu_sets: CpuSets | None = None,
        state: Path | None = None,
    ) -> None:
        self.java = java
        self.cache = cache
        self.logs = logs.resolve()
        self.kafka_heap_mb = kafka_heap_mb
        self._state = state or journal.state_directory()
        journal.reap_stale(self._state)
        self.work = Path(tempfile.mkdtemp(prefix="rtmbench-")).resolve()
        self._record = journal.record_work(self._state, self.work)
        self._processes: list[Process] = []
        self._last: list[Process] = []
        self._groups: list[SchedulingGroup] = []
        self._cpu_sets = cpu_sets
        # The broker is a child of this program and starts on the same processors.
        self._pinned = None if cpu_sets is None else Pinned(cpu_sets.harness)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def flink(self) -> FlinkAddress | None:
        """None: a Flink cluster is started for each trial."""
        return None

    @property
    def spark(self) -> SparkAddress | None:
        """None: Spark is started on this machine for each trial."""
        return None

    @property
    def unobserved(self) -> Sequence[str]:
        """Nothing: broker and engines are processes of this machine."""
        return ()

    @property
    def services_here(self) -> bool:
        """No: all services are rtmbench's own."""
        return False

    def scratch(self, name: str) -> Path:
        """Create and return a new directory below the work directory."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))

    def environment(self) -> dict[str, str]:
        """Return the default environment of child processes."""
        return jvm.environment(self.java)

    def kafka(self, port: int = 0, *, timeout_s: float = 60) -> KafkaService:
        """Start a Kafka broker on a loopback port (0: any free one); it is stopped after everything else.

        Raises PreflightError, ArtifactError or RunFailedError.
        """
        bundle = self.cache.ensure(KAFKA_BUNDLE)
        return start_kafka(self, bundle, heap_mb=self.kafka_heap_mb, port=port, timeout_s=timeout_s)

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        logs: Path | None = None,
        group: SchedulingGroup | None = None,
        last: bool = False,
    ) -> Process:
        """Start a supervised process that this platform ends; with `last`, after all others.

        Its log is `NAME.log` in `logs` (the platform's own by default), numbered where that name was used before.
        """
        directory = (logs or self.logs).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        process = Process(
            name,
            argv,
            env=self.environment() if env is None else env,
            cwd=cwd or self.work,
            log=self._log(directory, name),
            group=group,
            state=self._state,
        )
        # Registered first: a Ctrl-C that arrives while it starts must find it here.
        (self._last if last else self._processes).append(process)
        process.start()
        return process

    def group(
        self, name: str, *, nice: int = NICE, memory_mb: int | None = None, cpus: Sequence[int] | None = None
    ) -> SchedulingGroup:
        """Make the scheduling group of one engine, see `SchedulingGroup`; this platform closes it at the end.

        `cpus` are by default the engine's own, where the platform was given sets of processors.
        """
        if cpus is None and self._cpu_sets is not None:
            cpus = self._cpu_sets.engine
        group = SchedulingGroup(name, nice=nice, memory_mb=memory_mb, cpus=cpus, state=self._state)
        self._groups.append(group)
        return group

    def stop(self, *processes: Process, grace_s: float = LIFELINE_GRACE_S) -> None:
        """Stop these processes at the same time and forget them."""
        stop_all(processes, grace_s)
        for process in processes:
            for known in (self._processes, self._last):
                if process in known:
                    known.remove(process)

    def close(self) -> None:
        """End everything, the broker last, and remove the work directory. Safe to call again."""
        with shielded():
            try:
                stop_all(list(reversed(self._processes)), LIFELINE_GRACE_S)
            finally:
                stop_all(list(reversed(self._last)), LAST_GRACE_S)
            self._processes.clear()
            self._last.clear()
            for group in self._groups:
                group.close()
            if self._pinned is not None:
                self._pinned.release()
            shutil.rmtree(self.work, ignore_errors=True)
            with contextlib.suppress(OSError):
                self._record.unlink(missing_ok=True)

    def _log(self, directory: Path, name: str) -> Path:
        number = 1
        path = directory / f"{name}.log"
        while path.exists():
            number += 1
            path = directory / f"{name}-{number}.log"
        path.touch()
        return path


__all__ = ["KAFKA_BUNDLE", "KafkaService", "LocalPlatform"]
