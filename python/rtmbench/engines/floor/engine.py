"""The floors: `transport`, no engine at all, and `relay`, the least that any engine could do."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.engines.base import PlainEngine
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.kafka import clients
from rtmbench.platform import logs
from rtmbench.private_files import write_private
from rtmbench.results.model import EngineFacts, EngineSettings

if TYPE_CHECKING:
    from rtmbench.engines.base import Emission, EngineSpec, TrialIo
    from rtmbench.platform.base import Platform
    from rtmbench.platform.process import Process

RUNNING_TIMEOUT_S = 120.0
POLL_S = 0.02


class TransportEngine(PlainEngine):
    """Starts nothing: the trial's output topic must be its input topic."""

    def __init__(self, spec: EngineSpec, *, emit: Emission = "row") -> None:
        self.spec = spec
        self.build = _core.librdkafka_version()
        self.mode = spec.mode
        self.emit: Emission = emit

    def start(self, io: TrialIo) -> None:
        """Check that what is sent is what is read."""
        if io.output_topic != io.input_topic:
            raise ConfigurationError(
                f"The transport engine reads what was sent: its output topic must be {io.input_topic!r}, "
                f"not {io.output_topic!r}."
            )


class RelayEngine(PlainEngine):
    """Copies the input topic to the output topic in a separate process, like an engine: every record once.

    Its Kafka clients have the engines' settings.
    """

    def __init__(self, spec: EngineSpec, *, platform: Platform, emit: Emission = "row") -> None:
        self.spec = spec
        self.build = _core.librdkafka_version()
        self.mode = spec.mode
        self.emit: Emission = emit
        self._platform = platform
        self._process: Process | None = None
        self._io: TrialIo | None = None

    def start(self, io: TrialIo) -> None:
        """Start the process; return when it is connected to both topics."""
        options, running = io.work / "relay.json", io.work / "running"
        config = clients.relay(io.connection)
        document = {"config": config, "input": io.input_topic, "output": io.output_topic, "running": str(running)}
        write_private(options, json.dumps(document))
        self._process = self._platform.spawn(
            "relay",
            [sys.executable, "-m", "rtmbench.engines.floor.relay_job", str(options)],
            cwd=io.work,
            logs=io.logs,
            group=io.group,
        )
        deadline = time.monotonic() + RUNNING_TIMEOUT_S
        while not running.exists():
            self._process.check()
            if time.monotonic() > deadline:
                raise RunFailedError(
                    f"The relay was not connected within {RUNNING_TIMEOUT_S:.0f} s. {logs.quote(self._process.log)}"
                )
            time.sleep(POLL_S)
        self._io = io

    def check(self) -> None:
        """Raise RunFailedError where the process has ended: a record that is not delivered ends it."""
        if self._process is None:
            raise RunFailedError("The relay is not running.")
        self._process.check()

    def facts(self) -> EngineFacts:
        """Return the settings of its clients."""
        settings = EngineSettings(
            version=self.build,
            priority=None if self._io is None else self._io.priority(),
            sink_guarantee="AT_LEAST_ONCE",
            kafka_clients={
                **{f"source.{name}": value for name, value in clients.SOURCE.items()},
                **{f"sink.{name}": value for name, value in clients.SINK.items()},
            },
        )
        return EngineFacts(settings=settings)

    def processes(self) -> list[Process]:
        """Return the one process."""
        return [] if self._process is None else [self._process]

    def stop(self) -> None:
        """Stop the process."""
        process, self._process = self._process, None
        if process is not None:
            self._platform.stop(process)


__all__ = ["RelayEngine", "TransportEngine"]
