"""Resolve the request of a run to its settings on this machine.

`resolve` turns a `RunRequest` into `Settings`, in which every value is decided. `notes` names what it changed and why.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from rtmbench.engines import EngineSpec, choose, hint, parse_engine, registry, required_slots, storage
from rtmbench.engines.base import TrialIo
from rtmbench.engines.command import Command
from rtmbench.errors import ConfigurationError
from rtmbench.experiment.arrivals import (
    OutOfOrder,
    late_margin_s,
    parse_arrivals,
    parse_out_of_order,
    schedule_seed,
)
from rtmbench.experiment.steady_state import BOUNDARIES, WarmUpRule
from rtmbench.experiment.windows import idleness, sized
from rtmbench.kafka import clients
from rtmbench.kafka.connection import load
from rtmbench.patterns import PATTERNS, Pattern, find_pattern
from rtmbench.platform.machine import scale
from rtmbench.platform.spark_address import check_master
from rtmbench.run_settings import DEFAULT_ENGINES, SETTINGS, RunSettings

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench._core import Schedule
    from rtmbench.custom_jobs.model import CustomJob
    from rtmbench.kafka.connection import Connection
    from rtmbench.platform.machine import Machine
    from rtmbench.platform.scheduling import SchedulingGroup
    from rtmbench.run_settings import SettingValues

WARMUP_S = 480.0
"""The longest that a full run waits for the boundaries of its warm-up (`steady_state.BOUNDARIES`)."""
PER_BOUNDARY = 1.6
"""How many nominal intervals the longest warm-up has for each boundary: a cycle is the interval and the boundary
itself, and a warm-up in which the percentiles still fall goes on."""
QUICK_WARMUP_S = 20.0
MIN_CYCLES = 5
MIN_CYCLES_QUICK = 3
MAX_LATE = 0.5
MAX_RATE = SETTINGS["rate"].most or math.inf

SKEW_S = 1.0
"""What one partition may be behind another, where each has its own backlog."""

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class RunRequest(RunSettings):
    """The request of a run: patterns, or a custom job, and settings."""

    patterns: tuple[str, ...]
    job: CustomJob | None = None
    """A custom job, instead of patterns."""


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """The decided settings of a run. Times in seconds, memory in MiB, rates in events per second.

    Every setting of the table is here, decided where the request left it open, and what follows from them.
    """

    patterns: tuple[Pattern, ...]
    specs: tuple[EngineSpec, ...]
    """The engines."""
    profile: str = field()
    rate: float = field()
    linger_ms: int = field()
    """How long the load generator's client collects records for one request; the same at all rates of a sweep."""
    partitions: int = field()
    shuffle_partitions: int = field()
    duration_s: float = field()
    cycles: int
    """Whole checkpoint or batch intervals within the measuring phase; 0 means less than one."""
    warmup_s: float = field()
    """Length of the warm-up; with `warmup_boundaries`, the longest time that is waited for them."""
    floor_duration_s: float
    floor_warmup_s: float
    broker_warmup_s: float
    """Replaces `floor_warmup_s` for a broker that has just been started."""
    trials: int = field()
    idleness_s: float
    """After this long without data a partition no longer holds Flink's watermark back; 0: it always does."""
    local_files: str = field()
    drain_s: float
    memory_mb: int = field()
    kafka_heap_mb: int
    shared_cores: bool
    notes: tuple[str, ...]
    """What was scaled or stretched, one sentence each."""
    job: CustomJob | None = None
    """A custom job, instead of patterns."""

    def trial_io(
        self,
        pattern: Pattern,
        *,
        connection: Connection,
        input_topic: str,
        output_topic: str,
        slots: int,
        work: Path,
        logs: Path,
        group: SchedulingGroup | None = None,
    ) -> TrialIo:
        """Return the input of an engine for a pattern's job with these settings."""
        return TrialIo(
            connection=connection,
            input_topic=input_topic,
            output_topic=output_topic,
            partitions=self.partitions,
            slots=slots,
            checkpoint_interval_ms=round(self.checkpoint_interval_s * 1000),
            settings=self,
            window_ms=pattern.window_ms,
            slide_ms=pattern.slide_ms,
            watermark_delay_ms=round(self.watermark_delay_s * 1000),
            idleness_ms=round(self.idleness_s * 1000),
            work=work,
            logs=logs,
            memory_mb=self.memory_mb,
            group=group,
            checkpoints=storage.trial_directory(self.checkpoint_storage, work=work, seed=self.seed),
        )

    def document(self) -> SettingValues:
        """Return the settings as in a result document: plain values, no path of the machine."""
        # A job may hold all that it is fed.
        document = asdict(replace(self, patterns=(), job=None))
        places = [row.field for row in SETTINGS.values() if row.place]
        # `windows_ms` has the windows of each pattern.
        for left_out in (*places, "patterns", "specs", "job", "window_s", "slide_s"):
            del document[left_out]
        if self.job is not None:
            document["job"] = self.job.document()
        document["generator"] = clients.generator_settings()
        # The address of a team's broker is nobody else's business; that there was one, is.
        document["bootstrap_servers"] = "existing" if self.bootstrap_servers else "local"
        if self.flink_url:
            document["flink"] = "existing"
        if self.spark_master:
            document["spark"] = "existing"
        else:
            del document["spark_executors"]
        document["checkpoint_storage"] = storage.name(self.checkpoint_storage)
        if self.checkpoint_storage == storage.LOCAL:
            del document["checkpoint_storage"]
        document["notes"] = list(self.notes)
        document["engines"] = [str(spec) for spec in self.specs]
        if self.engine_cmd:
            commands = map(Command.parse, self.engine_cmd)
            document["engine_commands"] = {command.name: command.digest for command in commands}
        document["windows_ms"] = {
            pattern.id: {"window": pattern.window_ms, "slide": pattern.slide_ms}
            for pattern in self.patterns
            if pattern.window_ms is not None
        }
        return document

    def cells(self, pattern: Pattern) -> tuple[EngineSpec, ...]:
        """Return the engines with the mode in which each one runs a pattern; equivalent ones are listed once."""
        modes = (replace(spec, mode=choose(spec, pattern).mode) for spec in self.specs)
        return tuple(dict.fromkeys(modes))

    def slots_of(self, spec: EngineSpec, pattern: Pattern) -> int:
        """Return the slots that an engine gets for a pattern: the requested number, or else as many as it needs."""
        return self.slots if self.slots is not None else self.required_slots(spec, pattern)[0]

    def required_slots(self, spec: EngineSpec, pattern: Pattern) -> tuple[int, str]:
        """Return how many slots an engine needs for a pattern, and the arithmetic in words."""
        return required_slots(
            spec,
            choose(spec, pattern),
            partitions=self.partitions,
            shuffle_partitions=self.shuffle_partitions,
        )

    def connection(self) -> Connection | None:
        """Return how the existing Kafka is reached; None where one is started.

        Raises:
            ConfigurationError: the file of Kafka properties cannot be used.

        """
        return None if self.bootstrap_servers is None else load(self.kafka_properties, self.bootstrap_servers)

    @property
    def warm_up(self) -> WarmUpRule:
        """How long an engine is warmed up."""
        return WarmUpRule(seconds=self.warmup_s, boundaries=self.warmup_boundaries)

    @property
    def expected_warmup_s(self) -> float:
        """About how long the warm-up takes."""
        if self.warmup_boundaries is None:
            return self.warmup_s
        return min(self.warmup_s, self.warmup_boundaries * self.checkpoint_interval_s)

    def shortened(self) -> tuple[str, ...]:
        """Return what `--quick` made less of than a full run has; options of the run may have made up for it."""
        full_s = min(WARMUP_S, BOUNDARIES * self.checkpoint_interval_s)
        reductions = {
            "short warm-up (tails are a cold engine's)": self.expected_warmup_s < full_s,
            "few cycles": self.cycles < MIN_CYCLES,
        }
        return tuple(reduction for reduction, applies in reductions.items() if applies and self.quick)

    def schedule(self, trial: int) -> Schedule:
        """Return when the events of a trial are intended: the same for all engines, another for each trial."""
        return parse_arrivals(self.arrivals).schedule(self.rate, schedule_seed(self.seed, trial))

    def disorder(self, pattern: Pattern) -> OutOfOrder | None:
        """Return which events of a pattern happened before they are sent; None where order does not matter to it."""
        if self.out_of_order is None or pattern.window_ms is None:
            return None
        return parse_out_of_order(self.out_of_order)

    def late_behind_s(self, pattern: Pattern) -> float | None:
        """Return how long before they are sent the late events of a pattern happened; None if it has none.

        Even the last window that holds one has then ended by more than the watermark delay and the longest lag of an
        engine's watermark.
        """
        if self.late is None or pattern.window_ms is None:
            return None
        return pattern.window_ms / 1000 + self.watermark_delay_s + self.late_after_s

    @property
    def late_after_s(self) -> float:
        """From how long after the start of the load on events may be late.

        Before, an engine's watermark may not have moved at all.
        """
        return late_margin_s(
            checkpoint_interval_s=self.checkpoint_interval_s,
            idleness_s=self.idleness_s,
            gap_s=parse_arrivals(self.arrivals).gap_s(self.rate),
        )

    def tail_s(self, spec: EngineSpec, pattern: Pattern) -> float:
        """Return for how long load goes on after the measuring phase, so that the windows measured in it close."""
        if choose(spec, pattern).emit != "close" or pattern.window_ms is None:
            return 0.0
        return pattern.window_ms / 1000 + self.watermark_delay_s


def resolve(request: RunRequest, machine: Machine) -> Settings:
    """Decide every setting for `machine`.

    Raises `ConfigurationError` for an unknown pattern or engine, and for a value out of its range.
    """
    _check_ranges(request)
    request = with_address(request)
    profile = scale(machine, request.profile)
    notes = []
    partitions = request.partitions or profile.partitions
    rate = request.rate or profile.rate
    if profile.note and (request.rate is None or request.partitions is None):
        notes.append(profile.note)
    warmup_s, warmup_boundaries = _warm_up(request)
    duration_s, cycles, stretched = _whole_cycles(request)
    notes.extend(stretched)
    job = request.job
    names = engine_names(request)
    if job is not None:
        names = job.engines(names, DEFAULT_ENGINES)
        notes += [f"{name} is left out: it has no job" for name in request.engines if name not in names]
        notes.extend(filter(None, [job.payload.note]))
        if request.warmup_s is None:
            warmup_s = max(min(warmup_s, job.longest_load_s(rate) - duration_s), min(warmup_s, QUICK_WARMUP_S))
        job.check_load(rate * (warmup_s + duration_s))
    patterns, engines = [], _engines(names)
    for pattern in _patterns(request.patterns) if job is None else [job.pattern()]:
        sized_pattern, shrunk = sized(pattern, window_s=request.window_s, slide_s=request.slide_s, quick=request.quick)
        patterns.append(sized_pattern)
        notes.extend(shrunk)
        for spec in engines:
            choose(spec, sized_pattern)  # a mode that the pattern does not have ends here, before anything is started
        notes.extend(filter(None, (hint(spec, sized_pattern, engines) for spec in engines)))
    _check_existing_flink(request)
    _check_existing_spark(request)
    _check_checkpoint_storage(request)
    arrivals = parse_arrivals(request.arrivals)
    if arrivals.ramp_s > warmup_s:
        notes.append(
            f"the ramp of {arrivals.ramp_s:g} s outlasts the warm-up of {warmup_s:g} s: the rate rises while it is "
            "measured"
        )
    notes.extend(_disorder(request, patterns))
    idle_ms = 0
    if any(pattern.window_ms is not None for pattern in patterns):
        idle_ms, silent = idleness(
            rate=rate,
            keys=request.keys,
            zipf=request.zipf,
            partitions=partitions,
            watermark_delay_ms=round(request.watermark_delay_s * 1000),
        )
        notes.extend(silent)
    decided: SettingValues = {
        **{each.name: getattr(request, each.name) for each in fields(RunSettings)},
        "engines": names,
        "rate": float(rate),
        "arrivals": str(arrivals),
        "out_of_order": None if request.out_of_order is None else str(parse_out_of_order(request.out_of_order)),
        "linger_ms": _first(request.linger_ms, clients.generator_linger_ms(rate)),
        "partitions": partitions,
        "shuffle_partitions": request.shuffle_partitions
        or (profile.shuffle_partitions if request.partitions is None else partitions),
        "profile": profile.name,
        "duration_s": duration_s,
        "warmup_s": warmup_s,
        "warmup_boundaries": warmup_boundaries,
        "trials": _first(request.trials, 1 if request.quick else 3),
        # A custom job runs on Spark as pip installs it, and executors as their cluster has it, unless something else
        # is requested.
        "local_files": request.local_files or ("plain" if job is None and not request.spark_master else "hadoop"),
        "memory_mb": request.memory_mb or profile.engine_memory_mb,
    }
    settings = Settings(
        **decided,
        patterns=tuple(patterns),
        specs=engines,
        cycles=cycles,
        floor_duration_s=5.0 if request.quick else 15.0,
        floor_warmup_s=2.0 if request.quick else 5.0,
        broker_warmup_s=12.0 if request.quick else 30.0,
        idleness_s=idle_ms / 1000,
        # Longer than it takes an engine that writes once an interval to show that nothing more will come.
        drain_s=max(30.0, 3 * request.checkpoint_interval_s + 10.0),
        kafka_heap_mb=profile.kafka_heap_mb,
        shared_cores=profile.shared_cores,
        notes=tuple(notes),
        job=job,
    )
    if settings.late is not None and settings.late_after_s >= warmup_s + duration_s:
        raise ConfigurationError(
            f"--late: events are late for certain only {settings.late_after_s:g} s after the start of the load, which "
            f"lasts {warmup_s + duration_s:g} s. Give a longer --duration."
        )
    return settings


def with_address(request: RunRequest) -> RunRequest:
    """Return the request with the address of its Kafka, where only the file of Kafka properties has it.

    Raises:
        ConfigurationError: the file cannot be used, or has no address either.

    """
    if request.kafka_properties is None or request.bootstrap_servers is not None:
        return request
    return replace(request, bootstrap_servers=load(request.kafka_properties).bootstrap_servers)


def engine_names(request: RunRequest) -> tuple[str, ...]:
    """Add the engines that are commands, and return the names of all engines of the run.

    Raises:
        ConfigurationError: two commands have one name.

    """
    commands = [Command.parse(text) for text in request.engine_cmd]
    if len({command.name for command in commands}) < len(commands):
        raise ConfigurationError("--engine-cmd defines two commands with one name. Use different names.")
    for command in commands:
        registry.add(command)
    named = {name.partition(":")[0] for name in request.engines}
    return (*request.engines, *(command.name for command in commands if command.name not in named))


def _disorder(request: RunRequest, patterns: list[Pattern]) -> list[str]:
    """Check the options for events out of order and late ones, and say where they do not apply."""
    options = {"--out-of-order": request.out_of_order, "--late": request.late}
    names = " and ".join(option for option, value in options.items() if value is not None)
    if not names:
        return []
    if request.job is not None:
        raise ConfigurationError(
            f"{names} applies to patterns 02 and 03 only: rtmbench does not know the event time of your job."
        )
    without = [pattern.id for pattern in patterns if pattern.window_ms is None]
    if len(without) == len(patterns):
        raise ConfigurationError(
            f"{names} applies to patterns 02 and 03 only: pattern {' and '.join(without)} has neither windows nor a "
            "watermark, so no event is out of order or late for it."
        )
    notes = [f"{names}: not for pattern {name}, which has neither windows nor a watermark" for name in without]
    if request.out_of_order is not None:
        delay_s = parse_out_of_order(request.out_of_order).delay_ms / 1000
        watermark_s = request.watermark_delay_s
        if delay_s >= watermark_s:
            raise ConfigurationError(
                f"--out-of-order {request.out_of_order}: the watermark waits for {watermark_s:g} s, so an engine may "
                f"drop events that come {delay_s:g} s late. Give a shorter delay, or a longer --watermark-delay."
            )
        if watermark_s - delay_s < SKEW_S:
            notes.append(
                f"--out-of-order: events come up to {delay_s:g} s late and the watermark waits for {watermark_s:g} s. "
                "Spark has one watermark for all partitions, so it may drop events of one that is behind by the rest"
            )
    return notes


def _check_existing_flink(request: RunRequest) -> None:
    """Raise ConfigurationError where the addresses of an existing Flink cluster do not fit the run."""
    if not request.flink_url:
        if request.flink_bootstrap_servers:
            raise ConfigurationError("--flink-bootstrap-servers goes with --flink-url.")
        return
    address = urlsplit(request.flink_url)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise ConfigurationError("--flink-url is the address of Flink's REST API, such as http://127.0.0.1:8081.")
    if not request.bootstrap_servers:
        raise ConfigurationError(
            "--flink-url needs --bootstrap-servers too: a Kafka that both this machine and the cluster can reach."
        )


def _check_existing_spark(request: RunRequest) -> None:
    """Raise ConfigurationError where the address of an existing Spark cluster does not fit the run."""
    if not request.spark_master:
        if request.spark_remote_conf:
            raise ConfigurationError("--spark-remote-conf goes with --spark-master.")
        return
    check_master(request.spark_master)
    if not request.bootstrap_servers:
        raise ConfigurationError(
            "--spark-master needs --bootstrap-servers too: a Kafka that both this machine and the cluster can reach."
        )


def _check_checkpoint_storage(request: RunRequest) -> None:
    """Raise ConfigurationError where the storage of checkpoints is unknown, or cannot be where the engines are."""
    parsed = storage.parse(request.checkpoint_storage)
    if isinstance(parsed, storage.SlowStorage) and (request.flink_url or request.spark_master):
        raise ConfigurationError(
            f"--checkpoint-storage {request.checkpoint_storage} is a storage of this machine: an existing cluster does "
            "not have it."
        )


def _first(value: Value | None, default: Value) -> Value:
    return default if value is None else value


def _check_ranges(request: RunRequest) -> None:
    if request.job is not None and request.patterns:
        raise ConfigurationError("A custom job replaces a pattern: name one or the other.")
    if request.job is not None and request.job.payload.texts is not None and request.payload_bytes is not None:
        raise ConfigurationError(
            "--payload pads rtmbench's events only; --template and --events define the whole record."
        )
    if request.late is not None and not 0 < request.late <= MAX_LATE:
        raise ConfigurationError(f"--late is {request.late:g}: give a share above 0 and at most {MAX_LATE:g}.")
    for row in SETTINGS.values():
        if problem := row.problem(getattr(request, row.field)):
            raise ConfigurationError(problem)


def _warm_up(request: RunRequest) -> tuple[float, int | None]:
    """Return the length of the warm-up, or the longest one, and the boundaries that end it."""
    if request.warmup_boundaries is not None:
        needed_s = PER_BOUNDARY * request.warmup_boundaries * request.checkpoint_interval_s
        return _first(request.warmup_s, needed_s), request.warmup_boundaries
    if request.warmup_s is not None or request.quick:
        return _first(request.warmup_s, QUICK_WARMUP_S), None
    return WARMUP_S, BOUNDARIES


def _whole_cycles(request: RunRequest) -> tuple[float, int, list[str]]:
    """Stretch the measuring phase to whole checkpoint intervals, which all engines share.

    A requested duration that is shorter than one interval stays as it is, and has 0 cycles.
    """
    interval = request.checkpoint_interval_s
    least = MIN_CYCLES_QUICK if request.quick else MIN_CYCLES
    if request.duration_s is None:
        minimum_duration_s = max(15.0 if request.quick else 60.0, least * interval)
        cycles = math.ceil(minimum_duration_s / interval)
        return cycles * interval, cycles, []
    if request.duration_s < interval:
        note = (
            f"less than a cycle: the measurement of {request.duration_s:g} s is shorter than a checkpoint interval of "
            f"{interval:g} s, so its tail does not include the cost of boundaries"
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
        notes.append(f"only {cycles} checkpoint intervals are measured; the usual minimum is {least}")
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
