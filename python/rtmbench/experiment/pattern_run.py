"""One pattern's run: its floors and engines, trial by trial, and its document, on disk after each."""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rtmbench import __version__, _core
from rtmbench.engines import BRACKETS, FLOORS, choose, create_engine, hint, parse_engine, spec_name
from rtmbench.engines.base import EngineRefusedError
from rtmbench.experiment.host import host
from rtmbench.experiment.resume import attempts_due
from rtmbench.experiment.steady_state import WarmUpRule
from rtmbench.experiment.trial import TrialRunner
from rtmbench.experiment.trial_plan import TrialPlan, expected_s
from rtmbench.kafka.warm_up import warm_up
from rtmbench.parity import load_rows, parity
from rtmbench.platform.scheduling import NICE
from rtmbench.results import contention, noise, slo
from rtmbench.results.comparison import EARLY_PAIRS, is_quick, paired_case
from rtmbench.results.model import Cell, Result, Status
from rtmbench.results.noise import AGAIN, NoiseBands
from rtmbench.results.parity import Parity
from rtmbench.results.statistics import cell_status, headline
from rtmbench.results.verdict import decide, decides
from rtmbench.signals import Terminated, shielded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.engines.base import Engine, EngineSpec
    from rtmbench.experiment.progress import Observer
    from rtmbench.experiment.runner import Experiment
    from rtmbench.experiment.settings import Settings
    from rtmbench.patterns import Pattern
    from rtmbench.platform.base import Platform
    from rtmbench.platform.kafka import KafkaService
    from rtmbench.results.model import Comparison, EngineFacts, Grid, Refusal, Sustained, TargetOutcome, Trial
    from rtmbench.results.store import RunDirectory
    from rtmbench.run_settings import SettingValues


@dataclass
class CellRun:
    """An engine of one pattern's run and the trials that it has so far."""

    name: str
    engine: Engine
    remark: str = ""
    trials: list[Trial] = field(default_factory=list)
    facts: EngineFacts | None = None
    refusal: Refusal | None = None

    @property
    def is_floor(self) -> bool:
        """Whether no engine stands between the topics."""
        return self.engine.spec.engine in FLOORS

    def cell(self) -> Cell:
        """Return the cell as in a document."""
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
            # A custom job reports its mode only when it runs.
            remark="; ".join(filter(None, [self.remark, self.facts.remark if self.facts else ""])) or None,
            refusal=self.refusal,
            headline=headline(self.trials, floor=self.is_floor),
            facts=self.facts,
        )


class PatternRun:
    """One pattern's floors and engines, and its document."""

    def __init__(
        self,
        experiment: Experiment,
        pattern: Pattern,
        directory: RunDirectory,
        platform: Platform,
        view: Observer,
        *,
        settings: Settings | None = None,
        axes: Grid | None = None,
        engines: Sequence[EngineSpec] | None = None,
        floor_settings: Settings | None = None,
    ) -> None:
        self.experiment = experiment
        self.settings = settings or experiment.settings
        self.floor_settings = floor_settings or self.settings
        self.pattern = pattern
        self.directory = directory
        self.platform = platform
        self.view = view
        self.grid = axes
        self.sustained: list[Sustained] | None = None
        self.created_at = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        self.cell_runs = [self._cell_run(spec) for spec in engines or self.settings.cells(pattern)]
        if experiment.options.aa:
            twins = [replace(self._cell_run(c.engine.spec), name=c.name + AGAIN) for c in self.cell_runs]
            self.cell_runs = [cell_run for both in zip(self.cell_runs, twins, strict=True) for cell_run in both]
        self.floors = [self._cell_run(parse_engine(name)) for name in BRACKETS]
        self.result: Result | None = None
        self._kafka_build = ""
        self._decided = False
        """Whether an early verdict has ended the run."""

    @property
    def kafka(self) -> KafkaService:
        """The broker of the experiment."""
        return self.experiment.kafka

    def restore(self, result: Result) -> None:
        """Take over the trials of a document, which are not run again."""
        self.created_at = result.created_at
        self.grid = result.grid
        self._kafka_build = result.versions.get("kafka", "")
        # The harness may be run as an engine too: a cell and a floor of one name.
        cells = {cell.name: cell for cell in result.cells}
        floors = {cell.name: cell for cell in result.floors}
        both = [(c, cells.get(c.name)) for c in self.cell_runs] + [(c, floors.get(c.name)) for c in self.floors]
        for cell_run, cell in both:
            if cell is None:
                continue
            cell_run.trials.extend(cell.trials)
            cell_run.facts = cell.facts
            cell_run.refusal = None if self.experiment.options.retry_failed else cell.refusal

    def prepare(self) -> None:
        """Fetch and build what the engines need."""
        for cell_run in self.cell_runs:
            cell_run.engine.prepare()
        self.directory.write(self.document())

    def begin(self) -> None:
        """Run the cells before the first group: the floors."""
        self._floors(1)

    def group(self, number: int) -> None:
        """Run trial `number` of every engine and the floors after it; the document is on disk after each."""
        if number > self.settings.trials or self._decided:
            return
        order = self.cell_runs if number % 2 else self.cell_runs[::-1]
        for cell_run in order:
            if cell_run.refusal is None:
                self.trial(cell_run, number)
        self._floors(number + 1)
        for cell in self.judged()[0]:
            for trial in cell.trials:
                if trial.trial == number and trial.status is Status.CONTENDED:
                    self.view.say(f"{cell.name} trial {number} was {trial.reasons[0]}")
        if self.experiment.options.until_verdict and number in EARLY_PAIRS and number < self.settings.trials:
            self._decided = all(map(decides, self.document().comparisons))
            if self._decided:
                self.view.say(f"pattern {self.pattern.id}: decided after {number} of {self.settings.trials} trials")

    def finish(self) -> Result:
        """Mark the document complete, and keep the noise band that an A/A run found."""
        self.result = self.directory.finish(self.document())
        if self.experiment.options.aa:
            bands, problems = noise.measure(self.result)
            noise.save(self.result, bands, self.settings.results)
            kept = NoiseBands(self.settings.results)
            for band in bands:
                cell = next(cell for cell in self.result.cells if cell.name == band.cell)
                self.view.say(f"noise band of {band.cell}: {noise.describe(kept.of(self.result, cell))}")
            for problem in problems:
                self.view.say(problem)
        return self.result

    def tie(self, axes: Grid, sustained: list[Sustained]) -> None:
        """Add what a search found to the document, which `seal` writes."""
        self.grid, self.sustained = axes, sustained
        if self.result is not None:
            self.result = replace(self.result, grid=axes, sustained=sustained)

    def remaining(self) -> tuple[int, float]:
        """Return how many trials are still to be run, and roughly how long they take, in seconds."""
        if self._decided:
            return 0, 0.0
        settings = self.settings
        count, total = 0, 0.0
        for cell_run in (*self.cell_runs, *self.floors):
            trials = range(1, settings.trials + 1 + cell_run.is_floor)
            due = sum(bool(self._due(cell_run, number)) for number in trials) if cell_run.refusal is None else 0
            count += due
            total += due * expected_s(settings, cell_run.engine.spec, self.pattern)
        return count, total

    def _floors(self, number: int) -> None:
        for cell_run in self.floors:
            self.trial(cell_run, number)

    def effective_settings(self) -> Parity:
        """Start each engine once and return the settings that they report."""
        facts: dict[str, EngineFacts] = {}
        refused = {}
        for cell_run in self.cell_runs:
            self.view.say(f"starting {cell_run.name}")
            try:
                facts[cell_run.name] = TrialRunner(cell_run.engine, self._plan(cell_run, 1, 1)).read_settings()
            except EngineRefusedError as error:
                refused[cell_run.name] = error.code
        source = "engines that were started for it"
        return Parity(
            pattern=self.pattern.id, source=source, rows=parity(facts, load_rows(self.settings)), refused=refused
        )

    def seal(self) -> None:
        """Write document and manifest once more, when nothing changes any more, and give the directory up."""
        self.directory.write(self.result or self.document())
        self.directory.close()

    def document(self) -> Result:
        """Return the document as far as the run has got."""
        cells, floors = self.judged()
        result = Result(
            experiment_id=self.experiment.id,
            run_id=self.directory.run_id,
            pattern=self.pattern.id,
            created_at=self.created_at,
            host=host(self.experiment.machine, kafka=self.settings.bootstrap_servers is None),
            versions=self._versions(),
            settings=self.settings.document() | self._modes(),
            parity=parity(
                {cell_run.name: cell_run.facts for cell_run in self.cell_runs if cell_run.facts},
                load_rows(self.settings),
            ),
            cells=cells,
            floors=floors,
            comparisons=[],
            slo=self._outcomes(cells),
            grid=self.grid,
            sustained=self.sustained,
            unlike_work=self.pattern.unlike_work,
            unobserved=list(self.platform.unobserved) or None,
        )
        return replace(result, comparisons=self._comparisons(result))

    def judged(self) -> tuple[list[Cell], list[Cell]]:
        """Return cells and floors, with the trials labelled that were disturbed as far as the floors so far show it."""
        return contention.judged(
            [cell_run.cell() for cell_run in self.cell_runs], [cell_run.cell() for cell_run in self.floors]
        )

    def _comparisons(self, result: Result) -> list[Comparison]:
        bands = self.experiment.bands
        pairs = list(itertools.combinations(result.cells, 2))
        if self.experiment.options.aa:
            # An engine and itself; what two engines differ by is another run's question.
            pairs = [(a, b) for a, b in pairs if b.name == a.name + AGAIN]
        quick = is_quick(result)
        return decide([paired_case(a, b, bands.between((result, a), (result, b)), quick=quick) for a, b in pairs])

    def _outcomes(self, cells: Sequence[Cell]) -> list[TargetOutcome] | None:
        """Judge the targets that speak of this run's rate, or of none that is run at all."""
        rates = [settings.rate for settings, _ in self.experiment.points]
        targets = [
            target
            for target in self.experiment.options.targets
            if target.holds_at(self.settings.rate) or not any(map(target.holds_at, rates))
        ]
        return slo.judge_all(targets, cells, quick=self.settings.quick) if targets else None

    def _modes(self) -> SettingValues:
        options = self.experiment.options
        modes: SettingValues = {}
        if options.aa:
            modes["aa"] = True
        if options.until_verdict:
            modes["until_verdict"] = True
        if options.find_rate:
            modes["find_rate"] = True
        if options.targets:
            modes["slo"] = [target.text for target in options.targets]
        return modes

    def _due(self, cell_run: CellRun, number: int) -> list[int]:
        return attempts_due(cell_run.trials, number, retry_failed=self.experiment.options.retry_failed)

    def trial(self, cell_run: CellRun, number: int) -> None:
        """Run one trial, again where it was void, and put it on disk."""
        for attempt in self._due(cell_run, number):
            if self.experiment.cold and not cell_run.is_floor:
                self._warm_broker()
            runner = TrialRunner(cell_run.engine, self._plan(cell_run, number, attempt))
            self.experiment.begin_trial()
            try:
                trial = runner.run()
            except (KeyboardInterrupt, Terminated):
                with shielded():
                    cell_run.trials.append(runner.interrupted())
                    self.directory.write(self.document())
                raise
            self.experiment.cold = False
            cell_run.trials.append(self._relabelled(cell_run, trial))
            cell_run.refusal = runner.refusal
            cell_run.facts = runner.facts or cell_run.facts
            self.directory.write(self.document())
            self._announce(cell_run, trial)
            if trial.status is not Status.VOID:
                return

    def _warm_broker(self) -> None:
        """Load a broker just started, where a resumed run does not begin with a floor. Nothing of it is kept."""
        if self.kafka.process is not None:
            seconds = self.settings.broker_warmup_s
            self.view.say(f"warming the broker up for {seconds:g} s")
            warm_up(self.kafka.connection, seconds=seconds, rate=self.settings.rate)
        self.experiment.cold = False

    def _relabelled(self, cell_run: CellRun, trial: Trial) -> Trial:
        """Note that a trial was retried on request, and why."""
        before = [t for t in cell_run.trials if t.trial == trial.trial and t.status in (Status.FAILED, Status.REFUSED)]
        if not before or trial.status not in (Status.VALID, Status.CONTENDED):
            return trial
        text = f"retried on request: attempt {before[-1].attempt} was {before[-1].status.value}"
        return replace(trial, reasons=[*trial.reasons, text])

    def _plan(self, cell_run: CellRun, number: int, attempt: int) -> TrialPlan:
        floor, spec = cell_run.is_floor, cell_run.engine.spec
        settings = self.floor_settings if floor else self.settings
        return TrialPlan(
            pattern=self.pattern,
            settings=settings,
            name=cell_run.name,
            trial=number,
            trials=settings.trials + 1 if floor else settings.trials,
            attempt=attempt,
            warm_up=WarmUpRule(seconds=self._floor_warmup_s()) if floor else settings.warm_up,
            measure_s=settings.floor_duration_s if floor else settings.duration_s,
            tail_s=0.0 if floor else settings.tail_s(spec, self.pattern),
            slots=settings.slots_of(spec, self.pattern),
            cycles=0 if floor else settings.cycles,
            connection=self.kafka.connection,
            kafka=self.kafka.process,
            services_here=self.platform.services_here,
            directory=self.directory,
            scratch=self.platform.scratch(cell_run.name.replace("@", "-").replace(":", "-")),
            show=lambda progress: self.view.update(replace(progress, run=self.experiment.progress())),
            limits=self.experiment.limits,
            group=lambda: self.platform.group(
                cell_run.name, nice=NICE if settings.shared_cores else 0, memory_mb=settings.memory_mb
            ),
        )

    def _floor_warmup_s(self) -> float:
        # Before the very first trial, rtmbench's broker has just started, and is cold.
        cold = self.experiment.cold and self.kafka.process is not None
        return self.settings.broker_warmup_s if cold else self.settings.floor_warmup_s

    def _announce(self, cell_run: CellRun, trial: Trial) -> None:
        latency = trial.latency_us
        figures = f", p50 {latency.p50 / 1000:.2f} ms, p99 {latency.p99 / 1000:.2f} ms" if latency else ""
        if trial.close_latency_us is not None:
            figures = f", close p50 {trial.close_latency_us.p50 / 1000:.2f} ms"
        reason = f" ({trial.reasons[0]})" if trial.reasons and not trial.valid else ""
        self.view.say(f"{cell_run.name} trial {trial.trial}: {trial.status.value}{figures}{reason}")

    def _cell_run(self, spec: EngineSpec) -> CellRun:
        engine = create_engine(
            spec,
            pattern=self.pattern.id,
            platform=self.platform,
            settings=self.settings,
            job=self.pattern.job,
        )
        requested = {(each.engine, each.version) for each in self.settings.specs if not each.mode}
        default = replace(spec, mode="")
        better = ""
        if (spec.engine, spec.version) in requested and choose(default, self.pattern).mode == spec.mode:
            better = hint(default, self.pattern, self.settings.specs)
        own = self.pattern.job.remark if self.pattern.job is not None and spec.engine not in FLOORS else ""
        remark = "; ".join(filter(None, [choose(spec, self.pattern).remark, better, own]))
        return CellRun(name=spec_name(spec, self.pattern), engine=engine, remark=remark)

    def _versions(self) -> dict[str, str]:
        versions = {
            "rtmbench": __version__,
            "librdkafka": _core.librdkafka_version(),
            "java": self.experiment.java.version,
            "python": sys.version.split()[0],
        }
        # Before the broker runs, a resumed document has its version.
        if build := (self.experiment.kafka_build or self._kafka_build):
            versions["kafka"] = build
        if self.pattern.job is not None:
            versions |= self.pattern.job.versions()
        return versions | {cell_run.name: cell_run.engine.build for cell_run in self.cell_runs}
