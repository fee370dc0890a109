"""Going on with a run that was interrupted: the same settings, and only the trials that are not there yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rtmbench.engines import storage
from rtmbench.errors import ConfigurationError
from rtmbench.experiment.settings import resolve
from rtmbench.patterns import OWN
from rtmbench.results import fingerprint
from rtmbench.results.model import Status
from rtmbench.results.slo import Target
from rtmbench.results.status import INTERRUPTED
from rtmbench.results.store import load, locate_all
from rtmbench.run_settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rtmbench.experiment.options import Options
    from rtmbench.experiment.settings import RunRequest, Settings
    from rtmbench.platform.machine import Machine
    from rtmbench.results.model import Host, Result, Trial
    from rtmbench.run_settings import SettingValues

ATTEMPTS = 2
"""A void trial is run once more."""
_RESTORED = [row.field for row in SETTINGS.values() if not row.place]
"""Settings that come from the document. The others are where things run, not what is measured."""


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """A run to go on with."""

    path: Path
    """Its directory."""
    result: Result
    settings: Settings
    past_verdict: bool = False
    """Whether the run goes on after an early verdict: its number of trials was given again."""

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do, failures aside."""
        if self.past_verdict and _last_trial(self.result) < self.settings.trials:
            return False
        return self.result.complete and self.result.settings.get("trials") == self.settings.trials


def options(before: Sequence[Interrupted], requested: Options) -> Options:
    """Return the original options of the runs, as in their documents; new targets are allowed."""
    stored = before[0].result.settings
    targets = requested.targets or [Target.parse(text) for text in stored.get("slo", ())]
    until_verdict = bool(stored.get("until_verdict")) and not before[0].past_verdict
    return replace(requested, aa=bool(stored.get("aa")), until_verdict=until_verdict, targets=targets)


def find(reference: str, request: RunRequest, machine: Machine, host: Host) -> list[Interrupted]:
    """Find the run, or all runs of the experiment, and their settings.

    `request` gives what is not in the document (addresses, ports, directories), and more trials where it asks for more.

    Raises:
        ConfigurationError: no such run, another machine, a search, or settings that this version would change.

    """
    interrupted_runs = []
    for path in locate_all(reference, request.results):
        result = load(path)
        changes = fingerprint.machine_changes(result.host, host)
        if changes:
            raise ConfigurationError(
                f"The run {result.run_id} was started on another machine ({', '.join(changes)}), so its trials would "
                "not be comparable. Start a new run."
            )
        if result.pattern == OWN:
            raise ConfigurationError(
                f"The run {result.run_id} measures a custom job, which cannot be continued. Start a new run."
            )
        if result.settings.get("find_rate"):
            raise ConfigurationError(
                f"The run {result.run_id} belongs to a search for the highest rate, which cannot be continued: "
                "each step depends on the steps before it. Start a new search."
            )
        interrupted_runs.append(
            Interrupted(
                path=path.parent,
                result=result,
                settings=_settings(result, request, machine),
                past_verdict=bool(result.settings.get("until_verdict")) and request.trials is not None,
            )
        )
    return interrupted_runs


def _last_trial(result: Result) -> int:
    return max((trial.trial for cell in result.cells for trial in cell.trials), default=0)


def attempts_due(trials: Sequence[Trial], number: int, *, retry_failed: bool) -> list[int]:
    """Give the attempts that trial `number` may still take, in order; the first that is not void ends it.

    A trial that was interrupted has used up none of its attempts. What failed or was refused is a result: it is tried
    again, once, for `retry_failed` only.
    """
    before = sorted((trial for trial in trials if trial.trial == number), key=lambda trial: trial.attempt)
    used = before[-1].attempt if before else 0
    spent = sum(not interrupted(trial) for trial in before)
    if not before or before[-1].status is Status.VOID:
        left = max(ATTEMPTS - spent, 1 if retry_failed else 0)
    else:
        left = 1 if retry_failed and before[-1].status in (Status.FAILED, Status.REFUSED) else 0
    return list(range(used + 1, used + 1 + left))


def interrupted(trial: Trial) -> bool:
    """Whether a trial is void because rtmbench itself was stopped."""
    return trial.status is Status.VOID and any(INTERRUPTED in reason for reason in trial.reasons)


def _settings(result: Result, request: RunRequest, machine: Machine) -> Settings:
    stored = result.settings
    restored: SettingValues = {name: stored[name] for name in _RESTORED if name in stored}
    windows = stored.get("windows_ms", {}).get(result.pattern, {})
    for name in ("window", "slide"):
        restored[f"{name}_s"] = None if windows.get(name) is None else windows[name] / 1000
    if request.trials is not None:
        restored["trials"] = request.trials
    if stored.get("bootstrap_servers") == "existing" and request.bootstrap_servers is None:
        raise ConfigurationError(
            f"The run {result.run_id} used an existing Kafka. Name it again with `--bootstrap-servers`."
        )
    if stored.get("flink") == "existing" and request.flink_url is None:
        raise ConfigurationError(
            f"The run {result.run_id} used an existing Flink cluster. Name it again with `--flink-url`."
        )
    if stored.get("spark") == "existing" and request.spark_master is None:
        raise ConfigurationError(
            f"The run {result.run_id} used an existing Spark cluster. Name it again with `--spark-master`."
        )
    if str(stored.get("checkpoint_storage", "")).endswith("://"):
        # The document has the scheme only.
        if request.checkpoint_storage == storage.LOCAL:
            raise ConfigurationError(
                f"The run {result.run_id} kept checkpoints elsewhere. Name the place again with `--checkpoint-storage`."
            )
        del restored["checkpoint_storage"]
    engines = tuple(stored.get("engines", ()))
    settings = resolve(replace(request, patterns=(result.pattern,), engines=engines, **restored), machine)
    again = replace(result, settings=settings.document())
    changes = fingerprint.settings_changes(result, again)
    if changes:
        raise ConfigurationError(
            f"The run {result.run_id} cannot be continued with its original settings: {', '.join(changes)}. "
            "Use the version of rtmbench that started it, or start a new run."
        )
    # The notes of the first start name the scaled values; now every value looks requested.
    return replace(settings, notes=tuple(stored.get("notes", ())))
