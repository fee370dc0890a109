"""An experiment: the runs of its patterns and points on one broker, in turns.

A floor trial brackets each group of engine trials, and the engines' order turns around from one group to the next
(A B, B A, …), so that a drift of the machine falls on both.
"""

from __future__ import annotations

import math
import secrets
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench import doctor
from rtmbench.artifacts import Cache
from rtmbench.engines import FLOORS, spec_name
from rtmbench.errors import ConfigurationError, NotMetError, NoValidTrialError, RunFailedError
from rtmbench.experiment import resume, sweep
from rtmbench.experiment.dry_run import dry_run
from rtmbench.experiment.find_rate import search
from rtmbench.experiment.host import host
from rtmbench.experiment.options import AA_TRIALS, Options
from rtmbench.experiment.pattern_run import PatternRun
from rtmbench.experiment.places import open_platform
from rtmbench.experiment.progress import SILENT, RunClock
from rtmbench.experiment.settings import MAX_RATE, engine_names, resolve, with_address
from rtmbench.experiment.trial_plan import TimeLimits
from rtmbench.formatting import plural
from rtmbench.kafka import preflight
from rtmbench.platform import machine as machines
from rtmbench.platform.java import find_java
from rtmbench.platform.spark_address import standalone_masters
from rtmbench.results import slo
from rtmbench.results.model import Status
from rtmbench.results.noise import NoiseBands
from rtmbench.results.parity import Parity
from rtmbench.results.store import RunDirectory, list_runs, new_run_id
from rtmbench.results.verdict import least_pairs
from rtmbench.signals import shielded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtmbench.experiment.dry_run import DryRun
    from rtmbench.experiment.progress import Observer, RunProgress
    from rtmbench.experiment.resume import Interrupted
    from rtmbench.experiment.settings import RunRequest, Settings
    from rtmbench.kafka.connection import Connection
    from rtmbench.patterns import Pattern
    from rtmbench.platform.base import Platform
    from rtmbench.platform.kafka import KafkaService
    from rtmbench.platform.machine import Machine
    from rtmbench.results.model import Cell, Grid, Result

PLAIN = Options()
LIMITS = TimeLimits()


def run(
    request: RunRequest, options: Options = PLAIN, view: Observer = SILENT, *, limits: TimeLimits = LIMITS
) -> list[Result]:
    """Run patterns × engines × trials and return one result per pattern and point, each already on disk.

    `view` observes the progress, `limits` are those of each trial. Raises `ConfigurationError` and `PreflightError`
    before anything has been started, and `RunFailedError` if the broker or the harness itself broke; what was measured
    until then is on disk.
    """
    options.check(custom_job=request.job is not None)
    machine = machines.describe()
    request = _with_trials(request, options)
    before = (
        resume.find(options.resume, request, machine, host(machine, kafka=request.bootstrap_servers is None))
        if options.resume
        else []
    )
    if before and not options.retry_failed and all(interrupted.done for interrupted in before):
        with view:
            view.say(f"{options.resume} is complete; give --trials for more of them, --retry-failed to repeat failures")
        return [interrupted.result for interrupted in before]
    if before:
        options = resume.options(before, options)
    points = [(interrupted.settings, interrupted.result.grid) for interrupted in before]
    points = points or _points(request, options, machine)
    # What the largest point needs is enough for the others.
    largest = max((settings for settings, _ in points), key=lambda settings: settings.partitions)
    connection = _existing_services(largest)
    cache = Cache(offline=largest.offline)
    doctor_request = doctor.DoctorRequest.of(largest)
    checks = doctor.checks(doctor_request, cache, machine)
    doctor.require(checks)
    with view:
        for note in dict.fromkeys(note for settings, _ in points for note in settings.notes):
            view.say(note)
        if connection is not None and (unused := (*connection.left_out, *connection.tuning)):
            view.say(f"{largest.kafka_properties}: left out, nothing of the connection: {', '.join(unused)}")
        for check in checks:
            if check.status == "warn":
                view.say(f"{check.name}: {check.detail}")
    if connection is not None:
        _announce(connection, largest, view)
        preflight.try_topic(connection, largest.replication_factor)
    cache.ensure_many(doctor_request.bundles())
    return Experiment(points, machine, cache, options, before, view=view, limits=limits).run()


def plan(request: RunRequest, options: Options = PLAIN) -> DryRun:
    """Return what `run` would do with the same arguments. Nothing is started, downloaded or written.

    Raises `ConfigurationError` as `run` does, and for a run whose trials are not known beforehand.
    """
    options.check(custom_job=request.job is not None)
    unknown = {"--find-rate": options.find_rate, "--resume": options.resume is not None}
    if names := [name for name, there in unknown.items() if there]:
        raise ConfigurationError(f"--dry-run and {names[0]} exclude each other.")
    machine = machines.describe()
    points = _points(_with_trials(request, options), options, machine)
    largest = max((settings for settings, _ in points), key=lambda settings: settings.partitions)
    _existing_services(largest)
    cache = Cache(offline=largest.offline)
    doctor_request = doctor.DoctorRequest.of(largest)
    return dry_run(
        points,
        aa=options.aa,
        checks=doctor.checks(doctor_request, cache, machine),
        download_bytes=doctor.to_download(doctor_request, cache),
        disk_bytes=0 if doctor_request.kafka is not None else doctor_request.topics_bytes,
    )


def _with_trials(request: RunRequest, options: Options) -> RunRequest:
    """Return the request with its address, and with the number of trials that the options ask for."""
    request = with_address(request)
    if options.aa and request.trials is None:
        request = replace(request, trials=AA_TRIALS)
    return replace(request, trials=_most_trials(request)) if options.until_verdict else request


def _existing_services(settings: Settings) -> Connection | None:
    """Return how the existing Kafka is reached by the harness and the engines; None where one is started.

    Raises:
        ConfigurationError: the file of Kafka properties cannot be used, or not by the engines, or rtmbench runs nothing
            on the Spark cluster.

    """
    if settings.spark_master is not None and any(spec.engine == "spark" for spec in settings.specs):
        standalone_masters(settings.spark_master)
    connection = settings.connection()
    if connection is not None and any(spec.engine not in FLOORS for spec in settings.specs):
        connection.require_java()
    return connection


def _announce(connection: Connection, settings: Settings, view: Observer) -> None:
    """Say, before the first topic is created, what a run does to somebody's Kafka."""
    events = settings.rate * (settings.expected_warmup_s + settings.duration_s)
    names = "topics `rtmbench-…`"
    if settings.job is not None and (given := [name for name in (settings.job.input, settings.job.output) if name]):
        names = f"topics {' and '.join(given)}"
    end = "which are kept" if settings.keep_topics else "which are deleted after each trial"
    with view:
        view.say(
            f"Kafka at {connection.bootstrap_servers}: {names} of {plural(settings.partitions, 'partition')}, {end}; "
            f"about {events:,.0f} events in each trial"
        )


def _points(request: RunRequest, options: Options, machine: Machine) -> list[tuple[Settings, Grid | None]]:
    """Return the settings of each point, with its place in the sweep if there is one."""
    points = [(resolve(point.request, machine), point.grid) for point in sweep.points(request, options.axes)]
    if request.linger_ms is None:
        points = sweep.with_one_linger(points, most=MAX_RATE if options.find_rate else 0)
    return points


def _most_trials(request: RunRequest) -> int:
    """Return after how many trials a run ends that has no early verdict.

    Raises:
        ConfigurationError: a quick run, a single engine, or fewer trials than a verdict needs.

    """
    if request.quick:
        raise ConfigurationError("--until-verdict: a quick run has no verdict. Leave out --quick.")
    engines = len(engine_names(request))
    if engines < 2:  # noqa: PLR2004 - a comparison has two sides
        raise ConfigurationError("--until-verdict compares engines: name two or more with --engines.")
    least = least_pairs(math.comb(engines, 2))
    if request.trials is not None and request.trials < least:
        raise ConfigurationError(
            f"--until-verdict with {engines} engines needs --trials {least} or more: the run ends there if it has no "
            "verdict before."
        )
    return request.trials or least


def effective_settings(request: RunRequest, *, fresh: bool = False, view: Observer = SILENT) -> Parity:
    """Return the settings of engines at one pattern, side by side.

    They are those of the newest complete run of just these engines in `request.results`; where there is none, or for
    `fresh`, every engine is started once. Raises as `run` does.
    """
    machine = machines.describe()
    settings = resolve(request, machine)
    (pattern,) = settings.patterns
    names = [spec_name(spec, pattern) for spec in settings.cells(pattern)]
    for entry in () if fresh else list_runs(settings.results):
        result = entry.result
        if result is not None and result.complete and result.pattern == pattern.id and result.parity:
            refused = {cell.name: cell.refusal.code for cell in result.cells if cell.refusal is not None}
            cell_names = {cell.name for cell in result.cells}
            if {*result.parity[0].values, *refused} >= set(names) and cell_names == set(names):
                return Parity(pattern=pattern.id, source=f"run {result.run_id}", rows=result.parity, refused=refused)
    cache = Cache(offline=settings.offline)
    _existing_services(settings)
    doctor_request = doctor.DoctorRequest.of(settings)
    doctor.require(doctor.checks(doctor_request, cache, machine))
    cache.ensure_many(doctor_request.bundles())
    return Experiment([(settings, None)], machine, cache, view=view).effective_settings()


def exit_code(results: Sequence[Result]) -> int:
    """Return the exit code of finished runs.

    0; 1 where one failed; 4 where a cell has nothing to show; 5 where a target was missed, or no rate was sustained.
    """
    cells = [cell for result in results for cell in (*result.cells, *result.floors)]
    if any(cell.status is Status.FAILED for cell in cells):
        return RunFailedError.exit_code
    searches = {sustained.cell: sustained.passed for result in results for sustained in result.sustained or ()}
    if not searches and any(not _shows_something(cell) for cell in cells):
        return NoValidTrialError.exit_code
    missed = any(outcome.outcome == slo.MISSED for result in results for outcome in result.slo or ())
    if None in searches.values() or (missed and not searches):
        return NotMetError.exit_code
    return 0


def _shows_something(cell: Cell) -> bool:
    if cell.status is Status.REFUSED or (cell.headline is not None and cell.headline.valid_trials > 0):
        return True
    return any(trial.status.usable and trial.close_latency_us is not None for trial in cell.trials)


class Experiment:
    """All patterns of one call, on one broker."""

    def __init__(
        self,
        points: Sequence[tuple[Settings, Grid | None]],
        machine: Machine,
        cache: Cache,
        options: Options = PLAIN,
        before: Sequence[Interrupted] = (),
        *,
        view: Observer = SILENT,
        limits: TimeLimits = LIMITS,
    ) -> None:
        self.points = points
        self.settings = points[0][0]
        self.machine = machine
        self.cache = cache
        self.options = options
        self.before = before
        self.java = find_java()
        self.id = before[0].result.experiment_id if before else f"experiment-{secrets.token_hex(6)}"
        self.bands = NoiseBands(self.settings.results)
        self.view = view
        self.limits = limits
        self.platform: Platform
        self.kafka: KafkaService
        self.kafka_build = ""
        """The version of the local broker; empty before it runs, and for an existing one."""
        self.cold = True
        """Whether the broker has had no load yet."""
        self.runs: list[PatternRun] = []
        self._directories: list[RunDirectory] = []
        self._clock = RunClock()

    def begin_trial(self) -> None:
        """Note that a trial begins."""
        left = [pattern_run.remaining() for pattern_run in self.runs]
        self._clock.begin_trial(sum(trials for trials, _ in left), sum(seconds for _, seconds in left))

    def progress(self) -> RunProgress | None:
        """Return how far the whole run has got; None in a search, whose number of trials is not known."""
        return None if self.options.find_rate else self._clock.now()

    def run(self) -> list[Result]:
        """Run everything; return the documents, which are on disk."""
        settings = self.settings
        requested_runs = [(point, pattern, axes) for point, axes in self.points for pattern in point.patterns]
        self._directories = [RunDirectory.open(interrupted.path) for interrupted in self.before] or [
            RunDirectory.create(settings.results, new_run_id(pattern.id))
            for _, pattern, _ in (requested_runs[:1] if self.options.find_rate else requested_runs)
        ]
        logs = self._directories[0].path / "logs"
        try:
            with (
                self.view,
                self._open_platform(logs) as self.platform,
            ):
                for sentence in self.platform.unobserved:
                    self.view.say(sentence)
                if self.options.find_rate:
                    self._start_kafka()
                    return search(self)
                for point, pattern, axes in requested_runs:
                    self.add_run(pattern, settings=point, axes=axes)
                for pattern_run, interrupted in zip(self.runs, self.before, strict=False):
                    pattern_run.restore(interrupted.result)
                for pattern_run in self.runs:
                    # Whatever an engine lacks shows here, before minutes are spent on another one.
                    pattern_run.prepare()
                self._start_kafka()
                left = [pattern_run.remaining() for pattern_run in self.runs]
                minutes = sum(seconds for _, seconds in left) / 60
                trials = plural(sum(trials for trials, _ in left), "trial")
                most = " at most, fewer for an early verdict" if self.options.until_verdict else ""
                self.view.say(f"{trials}, about {minutes:.0f} min{most}")
                return self._in_turns()
        finally:
            # The broker writes to its logs until it has ended, and the manifest has their hashes.
            with shielded():
                for pattern_run in self.runs:
                    pattern_run.seal()

    def add_run(self, pattern: Pattern, **arguments: Any) -> PatternRun:
        """Make the next run; its document is sealed at the end of the experiment."""
        number = len(self.runs)
        if number == len(self._directories):
            self._directories.append(RunDirectory.create(self.settings.results, new_run_id(pattern.id)))
        self.runs.append(PatternRun(self, pattern, self._directories[number], self.platform, self.view, **arguments))
        return self.runs[-1]

    def _open_platform(self, logs: Path) -> Platform:
        sets = None if self.settings.shared_cores else self.machine.cpu_sets
        return open_platform(self.settings, java=self.java, cache=self.cache, logs=logs, cpu_sets=sets)

    def _start_kafka(self) -> None:
        """Start the broker, or take the existing one."""
        if self.settings.bootstrap_servers is None:
            self.view.say("starting Kafka")
        self.kafka = self.platform.kafka(self.settings.kafka_port)
        self.kafka_build = self.kafka.build

    def _in_turns(self) -> list[Result]:
        """Run the first trial of every run, then the second of every run in the opposite order, and so on."""
        for pattern_run in self.runs:
            pattern_run.begin()
        for number in range(1, max(pattern_run.settings.trials for pattern_run in self.runs) + 1):
            for pattern_run in self.runs if number % 2 else self.runs[::-1]:
                pattern_run.group(number)
        return [pattern_run.finish() for pattern_run in self.runs]

    def effective_settings(self) -> Parity:
        """Start the engines of the only pattern one after the other, and read their settings."""
        (pattern,) = self.settings.patterns
        with (
            tempfile.TemporaryDirectory(prefix="rtmbench-parity-") as place,
            self.view,
            self._open_platform(Path(place) / "logs") as self.platform,
        ):
            directory = RunDirectory.create(Path(place), new_run_id(pattern.id))
            pattern_run = PatternRun(self, pattern, directory, self.platform, self.view)
            pattern_run.prepare()
            self._start_kafka()
            return pattern_run.effective_settings()
