# The methods of a protocol have no body.
# pyright: reportReturnType=false
"""What a trial asks of an engine, and what an engine asks of a trial."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rtmbench.engines.storage import SLOW
from rtmbench.errors import PreflightError, RtmbenchError
from rtmbench.platform.scheduling import EQUALS
from rtmbench.results.model import EngineFacts
from rtmbench.run_settings import RunSettings

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.kafka.connection import Connection
    from rtmbench.platform.process import Process
    from rtmbench.platform.scheduling import SchedulingGroup
    from rtmbench.results.model import Interruption


Emission = Literal["row", "update", "batch", "close", "output"]

PLAIN_MODES = frozenset({"", "row", "update", "rtm"})
"""Modes that a name leaves out: records stream through every stage. Anything less is always named."""


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """The specification of an engine: `flink@1.20`, `spark@4.1:microbatch`; version and mode may be empty."""

    engine: str
    version: str
    mode: str

    def __str__(self) -> str:
        version = f"@{self.version}" if self.version else ""
        return f"{self.engine}{version}{f':{self.mode}' if self.mode else ''}"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way in which an engine runs a pattern."""

    mode: str
    emit: Emission
    streams_shuffle: bool = False
    """Whether both sides of a shuffle run at once, each with a thread for each of its partitions."""
    unchecked: bool = False
    """Whether Spark's list of operators that Real-Time Mode supports is switched off."""
    python_state: bool = False
    """Whether it needs pandas, pyarrow and protobuf in addition to Spark."""
    jvm_state: bool = False
    """Whether it needs the pipeline's own jar on Spark's class path."""
    remark: str = ""
    """What a reader of its figures must know, in one clause."""


class EngineRefusedError(RtmbenchError):
    """The engine refuses the query. That is a result, not a failure of the run: `code` is the engine's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True, kw_only=True)
class TrialIo:
    """What one trial gives an engine.

    `work` is an empty directory that the trial's owner removes, `logs` is kept. `memory_mb` (MiB) is for all processes
    of the engine together, heap and everything else. `group` is what all of them are scheduled in.
    Patterns without windows have neither `window_ms` nor `slide_ms`; those with tumbling ones have no `slide_ms`.
    """

    connection: Connection
    input_topic: str
    output_topic: str
    partitions: int
    slots: int
    checkpoint_interval_ms: int
    work: Path
    logs: Path
    memory_mb: int
    group: SchedulingGroup | None = None
    """None: each process is scheduled as any other program."""
    settings: RunSettings = field(default_factory=RunSettings)
    """The run's other settings, of which an engine takes what concerns it."""
    window_ms: int | None = None
    slide_ms: int | None = None
    watermark_delay_ms: int = 10_000
    idleness_ms: int = 0
    """After this long without data a partition no longer holds the watermark back; 0: it always does."""
    checkpoints: str | None = None
    """URI of a directory for the checkpoints of this trial alone; None: a local one below `work`."""

    @property
    def checkpoint_dir(self) -> str:
        """The URI of the directory for checkpoints."""
        return self.checkpoints or (self.work / "checkpoints").absolute().as_uri()

    @property
    def slow_storage(self) -> bool:
        """Whether the directory for checkpoints is in a storage that answers late, below `work`."""
        return self.checkpoint_dir.startswith(f"{SLOW}://")

    @property
    def checkpoints_elsewhere(self) -> bool:
        """Whether the directory for checkpoints is in a place that the user has named, and not below `work`."""
        return self.checkpoints is not None and not self.slow_storage

    def remove_checkpoints(self) -> None:
        """Remove the directory for checkpoints where it is in a file system of this machine but not below `work`."""
        if self.checkpoints_elsewhere and self.checkpoint_dir.startswith("file:"):
            shutil.rmtree(url2pathname(urlsplit(self.checkpoint_dir).path), ignore_errors=True)

    @property
    def bootstrap_servers(self) -> str:
        """The address of the Kafka."""
        return self.connection.bootstrap_servers

    def variables(self) -> dict[str, str]:
        """Return the environment variables that name brokers, topics and interval to a job."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "RTMBENCH_INPUT_TOPIC": self.input_topic,
            "RTMBENCH_OUTPUT_TOPIC": self.output_topic,
            "RTMBENCH_CHECKPOINT_INTERVAL": f"{self.checkpoint_interval_ms} milliseconds",
        }

    def priority(self) -> str:
        """Return how the engine's running processes are kept below broker and harness, as read back, in a few words."""
        return EQUALS if self.group is None else self.group.read_back().text


class Engine(Protocol):
    """One engine at one pattern. Started at most once at a time; a fresh start has fresh processes."""

    spec: EngineSpec
    build: str
    """What runs, such as `1.20.5`; empty until `prepare`."""
    mode: str
    """The variant that runs, such as `rtm`."""
    emit: Emission
    """`row`, `update`, `batch` or `close`: the meaning of one output record."""

    def prepare(self) -> None:
        """Fetch and build what is needed; nothing of it is timed.

        Raises PreflightError or ConfigurationError.
        """

    def start(self, io: TrialIo) -> None:
        """Start the processes and the job; return when the job runs.

        Raises EngineRefusedError or RunFailedError.
        """

    def check(self) -> None:
        """Raise RunFailedError where a process or the job has ended or restarted. Cheap: meant for once a second."""

    def late_dropped(self) -> int:
        """Return how many late records the engine reports as dropped so far."""

    def restarts(self) -> int:
        """Return how often a task, the job or the query was started again after a failure, by the engine's account.

        Asked once, before the stop. 0 where the engine cannot restart anything.
        """

    def interval_s(self) -> float | None:
        """Return the checkpoint or trigger interval that the running job has, in seconds, as it was read back.

        A job sets it for itself, so it may differ from what was requested. None where the engine takes no checkpoints,
        where its batches follow each other at once, and where it does not report the interval.
        """

    def boundaries_so_far(self) -> int | None:
        """Return how many checkpoints or batches have ended so far; None where that cannot be observed.

        Cheap: meant for once a second.
        """

    def consumed(self) -> dict[int, int] | None:
        """Return the next offset of each input partition, by the engine's account; None if it has none.

        A partition of which nothing was read has its first offset, or is not there. Asked once, before the stop.
        """

    def facts(self) -> EngineFacts:
        """Return what the running engine reports about itself, read back where it can be."""

    def interruptions(self, from_us: int) -> list[Interruption]:
        """Return the batch boundaries or checkpoints so far, timed from `from_us` (µs since the Unix epoch).

        Asked once, after the measuring phase and before the stop: what it costs is not measured.
        """

    def processes(self) -> list[Process]:
        """Return the engine's processes, for their usage; none where some of them are not on this machine."""

    def drivers(self) -> list[Process]:
        """Return what runs on this machine of an engine that runs elsewhere."""

    def stop(self) -> None:
        """End the job and the processes. Safe to call again, and after a failed start."""


def require_slots(name: str, io: TrialIo, need: int, arithmetic: str) -> None:
    """Raise PreflightError where there are fewer slots than `need`.

    Spark would leave the partitions above unread, or wait indefinitely, silently.
    """
    if io.slots < need:
        raise PreflightError(
            f"{name} has {io.slots} slots, and {arithmetic} are needed: in Real-Time Mode all tasks run at once, "
            "and partitions without a slot are never read, without any error. "
            f"Use --slots {need} or more, or fewer --partitions."
        )


class PlainEngine:
    """The answers of an engine that keeps no account of itself; a base class for small ones."""

    def prepare(self) -> None:
        """Do nothing: there is nothing to fetch."""

    def check(self) -> None:
        """Do nothing: there is nothing that could end."""

    def late_dropped(self) -> int:
        """Return 0: nothing has a time to be late for."""
        return 0

    def restarts(self) -> int:
        """Return 0: nothing is started again."""
        return 0

    def interval_s(self) -> float | None:
        """Return None: the engine has no checkpoints."""
        return None

    def boundaries_so_far(self) -> int | None:
        """Return None: the engine has no checkpoints to observe."""
        return None

    def consumed(self) -> dict[int, int] | None:
        """Return None: whether all was read shows in the output alone."""
        return None

    def facts(self) -> EngineFacts:
        """Return no settings."""
        return EngineFacts()

    def interruptions(self, from_us: int) -> list[Interruption]:  # noqa: ARG002 - the protocol's signature
        """Return none: nothing is made durable but by the broker."""
        return []

    def processes(self) -> list[Process]:
        """Return none."""
        return []

    def drivers(self) -> list[Process]:
        """Return none."""
        return []

    def stop(self) -> None:
        """Do nothing."""


__all__ = [
    "PLAIN_MODES",
    "Emission",
    "Engine",
    "EngineRefusedError",
    "EngineSpec",
    "PlainEngine",
    "TrialIo",
    "Variant",
    "require_slots",
]
