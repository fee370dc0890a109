"""Any program as an engine: `--engine-cmd 'NAME=COMMAND'`."""

from __future__ import annotations

import hashlib
import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.engines.base import PlainEngine, Variant
from rtmbench.engines.kind import EngineKind
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.kafka import clients
from rtmbench.platform import logs
from rtmbench.results.model import EngineFacts, EngineSettings

if TYPE_CHECKING:
    from rtmbench.engines.base import Emission, Engine, EngineSpec, TrialIo
    from rtmbench.engines.kind import Setup
    from rtmbench.patterns import Pattern
    from rtmbench.platform.process import Process

READY = "rtmbench: ready"
"""The line that the program prints when it is about to read its input."""
READY_TIMEOUT_S = 120.0
POLL_S = 0.1
STOP_GRACE_S = 4.0
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class Command(EngineKind):
    """A program that copies or aggregates one topic into another, as a pattern asks for."""

    def __init__(self, name: str, command: tuple[str, ...]) -> None:
        self.name = name
        self.command = command

    @classmethod
    def parse(cls, text: str) -> Command:
        """Read `NAME=COMMAND`. The command is split into words as in a shell, and run without one.

        Raises ConfigurationError for any other text.
        """
        name, equals, command = text.partition("=")
        try:
            words = tuple(shlex.split(command))
        except ValueError as error:
            raise ConfigurationError(
                f"--engine-cmd {name}=…: the command cannot be split into words: {error}."
            ) from error
        if not equals or not words or not _NAME.fullmatch(name):
            raise ConfigurationError(
                "--engine-cmd takes NAME=COMMAND. The name has lower-case letters, digits and dashes, and begins "
                "with a letter."
            )
        return cls(name, words)

    @property
    def digest(self) -> str:
        """Names the command in results, which do not show it: it may hold a secret."""
        return hashlib.sha256("\0".join(self.command).encode()).hexdigest()[:12]

    def variants(self, pattern: Pattern, version: str) -> tuple[Variant, ...]:  # noqa: ARG002 - there is one
        """Return the possible meanings of one output record; the mode passes the meaning to the program."""
        if pattern.job is not None:
            return ()
        if not pattern.keyed:
            return (Variant(mode="row", emit="row"),)
        variants = [Variant(mode="update", emit="update"), Variant(mode="batch", emit="batch")]
        if pattern.window_ms is not None:
            variants.append(Variant(mode="close", emit="close"))
        return tuple(variants)

    def create(self, spec: EngineSpec, setup: Setup) -> Engine:
        """Make the engine."""
        return CommandEngine(spec, setup, self.command)


class CommandEngine(PlainEngine):
    """Starts the program with the trial's topics in its environment, waits for its ready line, and stops it."""

    def __init__(self, spec: EngineSpec, setup: Setup, command: tuple[str, ...]) -> None:
        self.spec = spec
        self.build = ""
        self.mode = setup.variant.mode
        self.emit: Emission = setup.variant.emit
        self._setup = setup
        self._command = command
        self._process: Process | None = None
        self._io: TrialIo | None = None

    def start(self, io: TrialIo) -> None:
        """Start the program; return when it has printed `rtmbench: ready`.

        Raises RunFailedError where it ends, or does not print that line in time.
        """
        properties = io.work / "kafka.properties"
        clients.write_properties(properties, io.connection.java)
        platform = self._setup.platform
        process = self._process = platform.spawn(
            self.spec.engine,
            list(self._command),
            env={**platform.environment(), **self._variables(io, properties)},
            # Paths in a command are meant from where it was typed.
            cwd=Path.cwd(),
            logs=io.logs,
            group=io.group,
        )
        self._io = io
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _is_ready(process):
            process.check()
            if time.monotonic() > deadline:
                raise RunFailedError(
                    f"The command of {self.spec.engine} did not print the line `{READY}` within "
                    f"{READY_TIMEOUT_S:.0f} s. {logs.quote(process.log)}"
                )
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raise RunFailedError where the program has ended."""
        if self._process is None:
            raise RunFailedError(f"The command of {self.spec.engine} is not running.")
        self._process.check()

    def interval_s(self) -> float | None:
        """Return None: the program may commit when it likes."""
        return None

    def facts(self) -> EngineFacts:
        """Return the settings that rtmbench passed to the program, without a query to the program."""
        if self._io is None:
            return EngineFacts()
        return EngineFacts(settings=EngineSettings(slots=self._io.slots, priority=self._io.priority()))

    def processes(self) -> list[Process]:
        """Return the program, with the processes that it starts."""
        return [] if self._process is None else [self._process]

    def stop(self) -> None:
        """Stop the program with SIGTERM, and after some seconds with SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            self._setup.platform.stop(process, grace_s=STOP_GRACE_S)

    def _variables(self, io: TrialIo, properties: Path) -> dict[str, str]:
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": io.bootstrap_servers,
            "RTMBENCH_KAFKA_PROPERTIES": str(properties),
            "RTMBENCH_PATTERN": self._setup.pattern.id,
            "RTMBENCH_MODE": self.mode,
            "RTMBENCH_INPUT_TOPIC": io.input_topic,
            "RTMBENCH_OUTPUT_TOPIC": io.output_topic,
            "RTMBENCH_PARTITIONS": str(io.partitions),
            "RTMBENCH_SLOTS": str(io.slots),
            "RTMBENCH_MEMORY": str(io.memory_mb),
            "RTMBENCH_CHECKPOINT_INTERVAL": f"{io.checkpoint_interval_ms} milliseconds",
            "RTMBENCH_WATERMARK_DELAY": f"{io.watermark_delay_ms} milliseconds",
        }
        if io.window_ms is not None:
            variables["RTMBENCH_WINDOW"] = f"{io.window_ms} milliseconds"
        if io.slide_ms is not None:
            variables["RTMBENCH_SLIDE"] = f"{io.slide_ms} milliseconds"
        return variables


def _is_ready(process: Process) -> bool:
    with process.log.open(encoding="utf-8", errors="replace") as file:
        return any(line.strip() == READY for line in file)


__all__ = ["READY", "Command", "CommandEngine"]
