"""A run: floors and engines, trial by trial, with the document on disk after each.

A floor trial brackets each group of engine trials, and the engines' order turns around from one group to the next
(A B, B A, …), so that a drift of the machine falls on both.
"""

from __future__ import annotations

import datetime as dt
import secrets
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench import __version__, _core, doctor
from rtmbench.artifacts import Cache
from rtmbench.engines import FLOORS, choose, create_engine, parse_engine, spec_name
from rtmbench.engines.base import EngineRefusedError
from rtmbench.engines.hints import pointer
from rtmbench.errors import NoValidTrialError, RunFailedError
from rtmbench.parity import Parity, parity
from rtmbench.platform import machine as machines
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform
from rtmbench.report.live import LiveView
from rtmbench.results.comparison import compare_all
from rtmbench.results.model import Cell, Host, Result, Status
from rtmbench.results.statistics import cell_status, headline
from rtmbench.results.store import RunDirectory, list_runs, new_run_id
from rtmbench.settings import resolve
from rtmbench.signals import Terminated, shielded
from rtmbench.trial import TrialPlan, TrialRunner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.engines.base import Engine, EngineSpec
    from rtmbench.patterns import Pattern
    from rtmbench.platform.kafka import KafkaService
    from rtmbench.platform.machine import Machine
    from rtmbench.results.model import Refusal, Trial
    from rtmbench.settings import RunRequest, Settings

ATTEMPTS = 2
"""A void trial is run once more."""
SET_UP_FLOOR_S = 3.0
SET_UP_ENGINE_S = 15.0
"""Rough times of a trial outside of warm-up and measurement, for the estimate before the start."""


def run(request: RunRequest) -> list[Result]:
    """Run patterns × engines × trials and return one result per pattern, each already on disk.

    Progress goes to stderr. Raises `ConfigurationError` and `PreflightError` before anything has been started, and
    `RunFailedError` where the broker or the harness itself broke; what was measured until then is on disk.
    """
    machine = machines.describe()
    settings = resolve(request, machine)
    cache = Cache(offline=settings.offline)
    wanted = doctor.DoctorRequest.of(settings)
    found = doctor.checks(wanted, cache, machine)
    doctor.require(found)
    with LiveView() as view:
        for note in settings.notes:
            view.say(note)
        for check in found:
            if check.status == "warn":
                view.say(f"{check.name}: {check.detail}")
    cache.ensure_many(wanted.bundles())
    return _Experiment(settings, machine, cache).run()


def effective_settings(request: RunRequest, *, fresh: bool = False) -> Parity:
    """Return the settings of engines at one pattern, side by side.

    They are those of the newest complete run of just these engines in `request.results`; where there is none, or for
    `fresh`, every engine is started once. Raises as `run` does.
    """
    machine = machines.describe()
    settings = resolve(request, machine)
    (pattern,) = settings.patterns
    names = [spec_name(spec, pattern) for spec in settings.cells(pattern)]
    for entry in () if fresh else list_runs(settings.results):
        found = entry.result
        if found is not None and found.complete and found.pattern == pattern.id and found.parity:
            refused = {cell.name: cell.refusal.code for cell in found.cells if cell.refusal is not None}
            if {*found.parity[0], *refused} >= set(names) and {cell.name for cell in found.cells} == set(names):
                return Parity(pattern=pattern.id, source=f"run {found.run_id}", rows=found.parity, refused=refused)
    cache = Cache(offline=settings.offline)
    wanted = doctor.DoctorRequest.of(settings)
    doctor.require(doctor.checks(wanted, cache, machine))
    cache.ensure_many(wanted.bundles())
    return _Experiment(settings, machine, cache).effective_settings()


def exit_code(results: Sequence[Result]) -> int:
    """Return the exit code of finished runs: 0, 1 where one failed, 4 where a cell has nothing to show."""
    cells = [cell for result in results for cell in (*result.cells, *result.floors)]
    if any(cell.status is Status.FAILED for cell in cells):
        return RunFailedError.exit_code
    if any(not _shows_something(cell) for cell in cells):
        return NoValidTrialError.exit_code
    return 0


def _shows_something(cell: Cell) -> bool:
    if cell.status is Status.REFUSED or cell.headline is not None:
        return True
    return any(trial.status.usable and trial.close_latency_us is not None for trial in cell.trials)


@dataclass
class _Column:
    """An engine of one pattern's run and the trials that it has so far."""

    name: str
    engine: Engine
    remark: str
    trials: list[Trial] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    refusal: Refusal | None = None

    @property
    def is_floor(self) -> bool:
        return self.engine.spec.engine in FLOORS

    def cell(self) -> Cell:
        spec = self.engine.spec
        return Cell(
            name=self.name,
            engine=spec.engine,
            version=spec.version,
            build=self.engine.build,
            mode=self.engine.mode,
            emit=self.engine.emit,
            status=cell_status(self.trials),
            trials=self.trials,
            remark=self.remark or None,
            refusal=self.refusal,
            headline=headline(self.trials, floor=self.is_floor),
            facts=self.facts or None,
        )


class _Experiment:
    """All patterns of one call, on one broker."""

    def __init__(self, settings: Settings, machine: Machine, cache: Cache) -> None:
        self.settings = settings
        self.machine = machine
        self.cache = cache
        self.java = find_java()
        self.id = f"experiment-{secrets.token_hex(6)}"

    def run(self) -> list[Result]:
        settings = self.settings
        directories = [RunDirectory.create(settings.results, new_run_id(pattern.id)) for pattern in settings.patterns]
        runs: list[_PatternRun] = []
        try:
            with (
                LiveView() as view,
                LocalPlatform(
                    java=self.java,
                    cache=self.cache,
                    logs=directories[0].path / "logs",
                    kafka_heap_mb=settings.kafka_heap_mb,
                ) as platform,
            ):
                runs.extend(
                    _PatternRun(self, pattern, directory, platform, view)
                    for pattern, directory in zip(settings.patterns, directories, strict=True)
                )
                for pattern_run in runs:
                    # Whatever an engine lacks shows here, before minutes are spent on another one.
                    pattern_run.prepare()
                kafka = None
                if settings.bootstrap_servers is None:
                    view.say("starting Kafka")
                    kafka = platform.kafka(settings.kafka_port)
                view.say(f"about {self.estimate_s() / 60:.0f} min for {len(runs)} pattern(s)")
                return [pattern_run.run(kafka) for pattern_run in runs]
        finally:
            # The broker writes to its logs until it has ended, and the manifest has their hashes.
            with shielded():
                for pattern_run in runs:
                    pattern_run.seal()

    def effective_settings(self) -> Parity:
        """Start the engines of the only pattern one after the other, and read their settings."""
        settings, (pattern,) = self.settings, self.settings.patterns
        with (
            tempfile.TemporaryDirectory(prefix="rtmbench-parity-") as place,
            LiveView() as view,
            LocalPlatform(
                java=self.java, cache=self.cache, logs=Path(place) / "logs", kafka_heap_mb=settings.kafka_heap_mb
            ) as platform,
        ):
            directory = RunDirectory.create(Path(place), new_run_id(pattern.id))
            pattern_run = _PatternRun(self, pattern, directory, platform, view)
            pattern_run.prepare()
            if settings.bootstrap_servers is None:
                view.say("starting Kafka")
                pattern_run.kafka = platform.kafka(settings.kafka_port)
            return pattern_run.effective_settings()

    def estimate_s(self) -> float:
        """Return roughly how long the trials take."""
        settings = self.settings
        floor = len(FLOORS) * (SET_UP_FLOOR_S + settings.floor_warmup_s + settings.floor_duration_s)
        engine = SET_UP_ENGINE_S + settings.warmup_s + settings.duration_s
        total = 0.0
        for pattern in settings.patterns:
            tails = [settings.tail_s(spec, pattern) for spec in settings.cells(pattern)]
            total += (settings.trials + 1) * floor + settings.trials * sum(engine + 2 * tail for tail in tails)
        return total


class _PatternRun:
    """One pattern's floors and engines, and its document."""

    def __init__(
        self,
        experiment: _Experiment,
        pattern: Pattern,
        directory: RunDirectory,
        platform: LocalPlatform,
        view: LiveView,
    ) -> None:
        self.experiment = experiment
        self.settings = experiment.settings
        self.pattern = pattern
        self.directory = directory
        self.platform = platform
        self.view = view
        self.created_at = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        self.columns = [self._column(spec) for spec in self.settings.cells(pattern)]
        self.floors = [self._column(parse_engine(name)) for name in FLOORS]
        self.kafka: KafkaService | None = None
        self.result: Result | None = None

    def prepare(self) -> None:
        """Fetch and build what the engines need."""
        for column in self.columns:
            column.engine.prepare()
        self.directory.write(self.document())

    def run(self, kafka: KafkaService | None) -> Result:
        """Run every trial; the document is on disk after each, and marked complete after the last."""
        self.kafka = kafka
        self._floors(1)
        for number in range(1, self.settings.trials + 1):
            order = self.columns if number % 2 else self.columns[::-1]
            for column in order:
                if column.refusal is None:
                    self._trial(column, number)
            self._floors(number + 1)
        self.result = self.directory.finish(self.document())
        return self.result

    def _floors(self, number: int) -> None:
        for column in self.floors:
            self._trial(column, number)

    def effective_settings(self) -> Parity:
        """Start each engine once and return what they say of their settings."""
        facts: dict[str, dict[str, Any]] = {}
        refused = {}
        for column in self.columns:
            self.view.say(f"starting {column.name}")
            try:
                facts[column.name] = TrialRunner(column.engine, self._plan(column, 1, 1)).read_settings()
            except EngineRefusedError as error:
                refused[column.name] = error.code
        source = "engines that were started for it"
        return Parity(pattern=self.pattern.id, source=source, rows=parity(facts), refused=refused)

    def seal(self) -> None:
        """Write document and manifest once more, when nothing changes any more."""
        self.directory.write(self.result or self.document())

    def document(self) -> Result:
        """Return the document as far as the run has got."""
        machine, cells = self.experiment.machine, [column.cell() for column in self.columns]
        return Result(
            experiment_id=self.experiment.id,
            run_id=self.directory.run_id,
            pattern=self.pattern.id,
            created_at=self.created_at,
            host=Host(
                cpu=machine.cpu,
                cores=machine.cores,
                memory=machine.memory_mb,
                os=machine.os,
                kernel=machine.kernel,
                shared_cores=self.settings.shared_cores,
            ),
            versions=self._versions(),
            settings=self.settings.document(),
            parity=parity({column.name: column.facts for column in self.columns if column.facts}),
            cells=cells,
            floors=[column.cell() for column in self.floors],
            comparisons=compare_all(cells),
        )

    def _trial(self, column: _Column, number: int) -> None:
        """Run one trial, again where it was void, and put it on disk."""
        for attempt in range(1, ATTEMPTS + 1):
            runner = TrialRunner(column.engine, self._plan(column, number, attempt))
            try:
                trial = runner.run()
            except (KeyboardInterrupt, Terminated):
                with shielded():
                    column.trials.append(runner.interrupted())
                    self.directory.write(self.document())
                raise
            column.trials.append(trial)
            column.refusal = runner.refusal
            column.facts = runner.facts or column.facts
            self.directory.write(self.document())
            self._tell(column, trial)
            if trial.status is not Status.VOID:
                return

    def _plan(self, column: _Column, number: int, attempt: int) -> TrialPlan:
        settings, floor, spec = self.settings, column.is_floor, column.engine.spec
        return TrialPlan(
            pattern=self.pattern,
            settings=settings,
            name=column.name,
            trial=number,
            trials=settings.trials + 1 if floor else settings.trials,
            attempt=attempt,
            warmup_s=self._floor_warmup_s(number) if floor else settings.warmup_s,
            measure_s=settings.floor_duration_s if floor else settings.duration_s,
            tail_s=0.0 if floor else settings.tail_s(spec, self.pattern),
            slots=settings.slots_of(spec, self.pattern),
            cycles=0 if floor else settings.cycles,
            bootstrap_servers=self._bootstrap_servers(),
            kafka=self.kafka.process if self.kafka else None,
            directory=self.directory,
            scratch=self.platform.scratch(column.name.replace("@", "-").replace(":", "-")),
            show=self.view.update,
        )

    def _floor_warmup_s(self, number: int) -> float:
        # The first trial of all finds a broker of our own just started, and cold.
        cold = number == 1 and self.kafka is not None
        return self.settings.broker_warmup_s if cold else self.settings.floor_warmup_s

    def _bootstrap_servers(self) -> str:
        if self.kafka is not None:
            return self.kafka.bootstrap_servers
        assert self.settings.bootstrap_servers is not None  # noqa: S101 - else a broker was started
        return self.settings.bootstrap_servers

    def _tell(self, column: _Column, trial: Trial) -> None:
        latency = trial.latency_us
        figures = f", p50 {latency.p50 / 1000:.2f} ms, p99 {latency.p99 / 1000:.2f} ms" if latency else ""
        if trial.close_latency_us is not None:
            figures = f", close p50 {trial.close_latency_us.p50 / 1000:.2f} ms"
        reason = f" ({trial.reasons[0]})" if trial.reasons and not trial.valid else ""
        self.view.say(f"{column.name} trial {trial.trial}: {trial.status.value}{figures}{reason}")

    def _column(self, spec: EngineSpec) -> _Column:
        engine = create_engine(
            spec,
            pattern=self.pattern.id,
            platform=self.platform,
            flink_port=self.settings.flink_port,
        )
        asked = {(each.engine, each.version) for each in self.settings.engines if not each.mode}
        default = replace(spec, mode="")
        hint = ""
        if (spec.engine, spec.version) in asked and choose(default, self.pattern).mode == spec.mode:
            hint = pointer(default, self.pattern, self.settings.engines)
        remark = "; ".join(filter(None, [choose(spec, self.pattern).remark, hint]))
        return _Column(name=spec_name(spec, self.pattern), engine=engine, remark=remark)

    def _versions(self) -> dict[str, str]:
        versions = {
            "rtmbench": __version__,
            "librdkafka": _core.librdkafka_version(),
            "java": self.experiment.java.version,
            "python": sys.version.split()[0],
        }
        if self.kafka is not None:
            versions["kafka"] = self.kafka.build
        return versions | {column.name: column.engine.build for column in self.columns}
