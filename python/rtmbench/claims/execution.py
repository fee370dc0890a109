"""One run of claims from beginning to end: artifacts, platform, outcomes, and the directory that keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rtmbench.claims import document
from rtmbench.claims.document import ClaimsRun
from rtmbench.claims.runner import Plan, Runner
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform
from rtmbench.platform.machine import describe
from rtmbench.results.store import RunDirectory, new_run_id

if TYPE_CHECKING:
    from pathlib import Path

    from rtmbench.artifacts import Cache
    from rtmbench.claims.model import Outcome


class Say(Protocol):
    """Shows progress: a message, and the outcome that it is about."""

    def __call__(self, message: str, outcome: Outcome | None = None) -> None:
        """Show one line."""


def execute(plan: Plan, cache: Cache, results: Path, *, say: Say) -> ClaimsRun:
    """Try a plan's claims and store each outcome as it comes; what was stored stays when the run is interrupted.

    Raises PreflightError or ArtifactError before anything is tried.
    """
    java = find_java()
    directory = RunDirectory.create(results, new_run_id("claims"))
    cache.fetch(plan.bundles())
    run = ClaimsRun.new(directory.run_id, describe())

    def keep(outcome: Outcome) -> None:
        run.add(outcome)
        directory.put(document.NAME, run.to_json(), complete=False)
        summary = outcome.observation.text if outcome.observation else outcome.problem
        say(f"{outcome.engine}@{outcome.version} {outcome.claim}: {summary} ({outcome.seconds:.0f} s)", outcome)

    with LocalPlatform(java=java, cache=cache, logs=directory.file("logs/kafka.log").parent) as platform:
        Runner(platform=platform, report=keep, begin=lambda *what: _begin(say, *what)).run(plan)
    run.complete = True
    directory.put(document.NAME, run.to_json(), complete=True)
    say(f"Stored in {directory.path}")
    return run


def _begin(say: Say, engine: str, version: str, what: str) -> None:
    if what.startswith("a session"):
        say(f"{engine}@{version}: starting {what} …")


__all__ = ["execute"]
