"""What the rest of rtmbench asks of the place where things run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from rtmbench.artifacts import Cache
    from rtmbench.platform.java import Java
    from rtmbench.platform.kafka import KafkaService
    from rtmbench.platform.process import Process
    from rtmbench.platform.scheduling import SchedulingGroup
    from rtmbench.platform.spark_address import SparkAddress


@dataclass(frozen=True, kw_only=True)
class FlinkAddress:
    """An existing Flink session cluster."""

    url: str
    """Its REST API."""
    bootstrap_servers: str | None = None
    """Kafka's address as seen from the cluster; None: as seen from this machine."""


class Platform(Protocol):
    """Gives addresses and processes. A context manager that ends all that it started."""

    @property
    def java(self) -> Java:
        """The Java of this machine."""
        ...

    @property
    def cache(self) -> Cache:
        """The artifacts."""
        ...

    @property
    def logs(self) -> Path:
        """The directory for one log file per process, which is kept."""
        ...

    @property
    def work(self) -> Path:
        """The directory for everything else, which is removed at the end."""
        ...

    @property
    def flink(self) -> FlinkAddress | None:
        """An existing Flink cluster to run jobs on; None: one is started for each trial."""
        ...

    @property
    def spark(self) -> SparkAddress | None:
        """An existing Spark cluster for the executors; None: Spark runs as one process on this machine."""
        ...

    @property
    def unobserved(self) -> Sequence[str]:
        """What a run here cannot observe: one sentence for each party, for the report and the terminal."""
        ...

    @property
    def services_here(self) -> bool:
        """Whether services that somebody else runs are on this machine: their load is not that of other programs."""
        ...

    def __enter__(self) -> Self:
        """Begin to use it."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End everything that was started."""

    def kafka(self, port: int = 0) -> KafkaService:
        """Return a Kafka that answers; a local one listens on `port` (0: any free one)."""
        ...

    def scratch(self, name: str) -> Path:
        """Create and return a new directory below the work directory."""
        ...

    def environment(self) -> dict[str, str]:
        """Return the environment of the processes."""
        ...

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        logs: Path | None = None,
        group: SchedulingGroup | None = None,
    ) -> Process:
        """Start a supervised process on this machine."""
        ...

    def group(
        self, name: str, *, nice: int = ..., memory_mb: int | None = None, cpus: Sequence[int] | None = None
    ) -> SchedulingGroup:
        """Make the scheduling group of one engine."""
        ...

    def stop(self, *processes: Process, grace_s: float = ...) -> None:
        """Stop these processes at the same time and forget them."""


__all__ = ["FlinkAddress", "Platform"]
