"""What a run was asked for, and what it is going to do on this machine.

`RunRequest` holds the wishes of the command line or of a caller; `None` stands for no wish. `resolve` turns it
into `Settings`, where every value is decided, and says in `notes` what it had to change and why.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rtmbench.engines import EngineSpec, parse_engine, spec_name
from rtmbench.errors import ConfigurationError
from rtmbench.patterns import PATTERNS, Pattern, find_pattern
from rtmbench.platform.machine import scale

if TYPE_CHECKING:
    from rtmbench.platform.machine import Machine

DEFAULT_ENGINES = ("flink@1.20", "spark@4.1")
MIN_CYCLES = 5
MIN_CYCLES_QUICK = 3
MAX_RATE = 5_000_000
MAX_PARTITIONS = 1_024
# Spark refuses a shorter real-time batch unless `realTimeMode.minBatchDuration` is lowered.
MIN_CHECKPOINT_INTERVAL_S = 5.0

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """The wishes for a run; `None` leaves the decision to the defaults and the machine."""

    patterns: tuple[str, ...]
    engines: tuple[str, ...] = DEFAULT_ENGINES
    quick: bool = False
    rate: float | None = None
    keys: int = 100
    partitions: int | None = None
    slots: int | None = None
    duration_s: float | None = None
    warmup_s: float | None = None
    trials: int | None = None
    seed: int = 1
    checkpoint_interval_s: float = MIN_CHECKPOINT_INTERVAL_S
    memory_mb: int | None = None
    bootstrap_servers: str | None = None
    kafka_port: int = 0
    flink_port: int = 0
    keep_topics: bool = False
    offline: bool = False
    results: Path = Path("results")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The decided settings of a run. Times in seconds, memory in MiB, rates in events per second."""

    patterns: tuple[Pattern, ...]
    engines: tuple[EngineSpec, ...]
    profile: str
    quick: bool
    rate: float
    keys: int
    partitions: int
    slots: int
    duration_s: float
    cycles: int
    """Whole checkpoint or batch intervals within the measuring phase; 0 means boundary-free."""
    warmup_s: float
    floor_duration_s: float
    floor_warmup_s: float
    broker_warmup_s: float
    """In place of `floor_warmup_s` where the broker has just been started."""
    trials: int
    seed: int
    checkpoint_interval_s: float
    drain_s: float
    memory_mb: int
    """Of all processes of one engine together."""
    kafka_heap_mb: int
    shared_cores: bool
    bootstrap_servers: str | None
    kafka_port: int
    flink_port: int
    keep_topics: bool
    offline: bool
    results: Path
    notes: tuple[str, ...]
    """What was scaled or stretched, one sentence each."""

    def document(self) -> dict[str, Any]:
        """Return the settings as they stand in a result document: plain values, no path of the machine."""
        fields = asdict(self)
        for left_out in ("results", "patterns", "engines", "kafka_port", "flink_port", "offline"):
            del fields[left_out]
        # The address of a team's broker is nobody else's business; that there was one, is.
        fields["bootstrap_servers"] = "existing" if self.bootstrap_servers else "local"
        fields["notes"] = list(self.notes)
        fields["engines"] = [spec_name(engine) for engine in self.engines]
        return fields


def resolve(request: RunRequest, machine: Machine) -> Settings:
    """Decide every setting for `machine`.

    Raises `ConfigurationError` for an unknown pattern or engine, and for a value out of its range.
    """
    _check_ranges(request)
    profile = scale(machine)
    notes = []
    partitions = request.partitions or profile.partitions
    rate = request.rate or profile.rate
    if profile.note and (request.rate is None or request.partitions is None):
        notes.append(profile.note)
    duration_s, cycles, stretched = _whole_cycles(request)
    notes.extend(stretched)
    return Settings(
        patterns=_patterns(request.patterns),
        engines=_engines(request.engines),
        profile=profile.name,
        quick=request.quick,
        rate=float(rate),
        keys=request.keys,
        partitions=partitions,
        slots=partitions if request.slots is None else request.slots,
        duration_s=duration_s,
        cycles=cycles,
        warmup_s=_first(request.warmup_s, 20.0 if request.quick else 60.0),
        floor_duration_s=5.0 if request.quick else 15.0,
        floor_warmup_s=2.0 if request.quick else 5.0,
        broker_warmup_s=12.0 if request.quick else 30.0,
        trials=_first(request.trials, 1 if request.quick else 3),
        seed=request.seed,
        checkpoint_interval_s=request.checkpoint_interval_s,
        drain_s=30.0,
        memory_mb=request.memory_mb or profile.engine_memory_mb,
        kafka_heap_mb=profile.kafka_heap_mb,
        shared_cores=profile.shared_cores,
        bootstrap_servers=request.bootstrap_servers,
        kafka_port=request.kafka_port,
        flink_port=request.flink_port,
        keep_topics=request.keep_topics,
        offline=request.offline,
        results=request.results,
        notes=tuple(notes),
    )


def _first(wish: Value | None, default: Value) -> Value:
    return default if wish is None else wish


def _check_ranges(request: RunRequest) -> None:
    limits: list[tuple[str, float | None, float, float, str]] = [
        ("rate", request.rate, 1, MAX_RATE, "events per second"),
        ("keys", request.keys, 1, 100_000_000, "keys"),
        ("partitions", request.partitions, 1, MAX_PARTITIONS, "partitions"),
        ("slots", request.slots, 1, 10_000, "slots"),
        ("duration", request.duration_s, 1, 86_400, "seconds"),
        ("warmup", request.warmup_s, 0, 86_400, "seconds"),
        ("trials", request.trials, 1, 1_000, "trials"),
        ("seed", request.seed, 0, 2**63 - 1, "as an integer"),
        (
            "checkpoint-interval",
            request.checkpoint_interval_s,
            MIN_CHECKPOINT_INTERVAL_S,
            3_600,
            "seconds",
        ),
        ("memory", request.memory_mb, 1_024, 1_048_576, "MiB"),
    ]
    for name, value, least, most, unit in limits:
        if value is not None and not least <= value <= most:
            raise ConfigurationError(
                f"--{name} is {value:g}, which is out of range: give {least:,} to {most:,} {unit}."
            )


def _whole_cycles(request: RunRequest) -> tuple[float, int, list[str]]:
    """Stretch the measuring phase to whole checkpoint intervals, which all engines share.

    A duration that was asked for and is shorter than one interval stays as it is, and has 0 cycles.
    """
    interval = request.checkpoint_interval_s
    least = MIN_CYCLES_QUICK if request.quick else MIN_CYCLES
    if request.duration_s is None:
        wanted = max(15.0 if request.quick else 60.0, least * interval)
        cycles = math.ceil(wanted / interval)
        return cycles * interval, cycles, []
    if request.duration_s < interval:
        note = (
            f"boundary-free: the measurement of {request.duration_s:g} s is shorter than a checkpoint interval of "
            f"{interval:g} s, so its tail leaves out what a boundary costs"
        )
        return request.duration_s, 0, [note]
    cycles = math.ceil(request.duration_s / interval)
    notes = []
    if cycles * interval != request.duration_s:
        notes.append(
            f"the measurement was stretched from {request.duration_s:g} to {cycles * interval:g} s: "
            f"{cycles} whole checkpoint intervals of {interval:g} s"
        )
    if cycles < least:
        notes.append(f"only {cycles} checkpoint intervals are measured, {least} are the rule")
    return cycles * interval, cycles, notes


def _patterns(names: tuple[str, ...]) -> tuple[Pattern, ...]:
    if not names:
        raise ConfigurationError("No pattern was named. Give one or more, such as `01`, or `all`.")
    if "all" in names:
        return tuple(PATTERNS.values())
    return tuple(dict.fromkeys(find_pattern(name) for name in names))


def _engines(names: tuple[str, ...]) -> tuple[EngineSpec, ...]:
    if not names:
        raise ConfigurationError("No engine was named. Give one or more, such as `--engines flink@1.20,spark@4.1`.")
    return tuple(dict.fromkeys(parse_engine(name) for name in names))
