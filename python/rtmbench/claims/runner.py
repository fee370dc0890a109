"""Runs claims: one Spark session for many of them, a cluster for Flink's, a separate process for each of the rest."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtmbench.claims.bench import Bench
from rtmbench.claims.lab import Topics
from rtmbench.claims.model import Claim, NotObservableError, Observation, Outcome
from rtmbench.claims.registry import CLAIMS, select
from rtmbench.engines.registry import entry_points, kind
from rtmbench.errors import ConfigurationError, RtmbenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rtmbench.json_object import JsonObject
    from rtmbench.platform.local import LocalPlatform
    from rtmbench.platform.process import Process

START_S = 240.0
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which claims are tried at which versions, in order."""

    steps: tuple[tuple[str, str, Claim], ...]
    """Engine, version, claim."""

    @classmethod
    def of(cls, names: Sequence[str], versions: Mapping[str, Sequence[str]]) -> Plan:
        """Choose from the claims (all without names) those about these versions, by engine.

        An engine that `versions` does not name is tried at all versions of its claims. Raises ConfigurationError for
        an unknown claim or version, and where nothing is left to do.
        """
        claims = select(names)
        known = {(claim.engine, version) for claim in CLAIMS.values() for version in claim.versions}
        for engine, engine_versions in versions.items():
            for version in engine_versions:
                if (engine, version) not in known:
                    available = ", ".join(sorted(v for e, v in known if e == engine))
                    raise ConfigurationError(
                        f"No claim is about {engine}@{version}. There are claims about: {available}."
                    )
        steps = [
            (engine, version, claim)
            for engine, version in sorted(known)
            for claim in claims
            if claim.engine == engine
            and version in claim.expected
            and (engine not in versions or version in versions[engine])
        ]
        if not steps:
            raise ConfigurationError("None of these claims is about any of these versions.")
        return cls(steps=tuple(steps))

    def bundles(self) -> list[str]:
        """Return the artifact bundles that it runs from, the broker's included."""
        names = {"kafka@4.1": None}
        for engine, version, _ in self.steps:
            bundles = kind(engine).bundles(version) if engine in entry_points() else (f"{engine}@{version}",)
            names |= dict.fromkeys(bundles)
        return list(names)


@dataclass(kw_only=True)
class Runner:
    """Tries a plan's claims on a platform and hands each outcome to `report` as it comes."""

    platform: LocalPlatform
    report: Callable[[Outcome], None]
    begin: Callable[[str, str, str], None] = lambda _engine, _version, _what: None
    """Called with what is done next: engine, version, a claim's id or what is started."""
    _number: int = field(default=0, init=False)

    def run(self, plan: Plan) -> None:
        """Try everything; a claim that cannot be observed is an outcome too."""
        servers = self.platform.kafka().bootstrap_servers
        for engine, version in dict.fromkeys((engine, version) for engine, version, _ in plan.steps):
            claims = [claim for e, v, claim in plan.steps if (e, v) == (engine, version)]
            topics = Topics(servers, f"claims-{engine}-{version}")
            bench = Bench(platform=self.platform, topics=topics, engine=engine, version=version)
            shared = [claim for claim in claims if not claim.alone]
            for slots in dict.fromkeys(claim.slots for claim in shared):
                self._share(bench, [claim for claim in shared if claim.slots == slots], slots)
            try:
                for claim in claims:
                    if claim.alone:
                        self._alone(bench, claim)
            finally:
                bench.close()

    def _alone(self, bench: Bench, claim: Claim) -> None:
        self.begin(bench.engine, bench.version, claim.id)
        started = time.monotonic()
        try:
            observation = claim.run(bench)
        except NotObservableError as reason:
            self.report(
                Outcome.without(claim, bench.version, bench.build, str(reason), status="not observable"),
            )
        except RtmbenchError as error:
            self.report(Outcome.without(claim, bench.version, bench.build, str(error)))
        except Exception as error:  # noqa: BLE001 - the other claims are still to be tried
            problem = f"{type(error).__name__}: {error}"
            self.report(Outcome.without(claim, bench.version, bench.build, problem))
        else:
            seconds = time.monotonic() - started
            self.report(Outcome.judge(claim, bench.version, bench.build, observation, seconds))

    def _share(self, bench: Bench, claims: list[Claim], slots: int) -> None:
        """Try claims in one session; where it ends or hangs in a claim, go on in another one."""
        left = list(claims)
        while left:
            self.begin(bench.engine, bench.version, f"a session with {slots} slots")
            done = 0
            for claim, outcome in self._session(bench, left, slots):
                self.report(outcome)
                done = left.index(claim) + 1
            # A session that could not even start would not start a second time either.
            if not done:
                for claim in left:
                    problem = "the Spark session did not start; see the log of its process"
                    self.report(Outcome.without(claim, bench.version, bench.build, problem))
                return
            left = left[done:]

    def _session(self, bench: Bench, claims: list[Claim], slots: int) -> Iterator[tuple[Claim, Outcome]]:
        """Yield each claim's outcome; the last one may be that the session did not survive it."""
        self._number += 1
        file = self.platform.scratch("claims") / "outcomes.jsonl"
        arguments = ["-m", "rtmbench.claims.session", str(file), *(claim.id for claim in claims)]
        process, _ = bench.spark(f"spark-{bench.version}-{self._number}", arguments, slots=slots)
        by_id = {claim.id: claim for claim in claims}
        current: Claim | None = None
        deadline = _Deadline(START_S)
        try:
            for document in _follow(file, process, deadline):
                if document["event"] == "start":
                    current = by_id[document["id"]]
                    deadline.set(current.timeout_s)
                    self.begin(bench.engine, bench.version, current.id)
                elif document["event"] == "end" and current is not None:
                    yield current, _outcome(bench, current, document)
                    current = None
                    deadline.set(START_S)
            if current is not None:
                late = process.poll() is None
                problem = f"not observed within {current.timeout_s:.0f} s" if late else "the session ended within it"
                yield (
                    current,
                    Outcome.without(current, bench.version, bench.build, f"{problem} (log: {process.log.name})"),
                )
        finally:
            self.platform.stop(process, grace_s=5.0)


class _Deadline:
    """A moment that moves."""

    def __init__(self, seconds: float) -> None:
        self.set(seconds)

    def set(self, seconds: float) -> None:
        """Put it so many seconds from now."""
        self._at = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() > self._at


def _follow(file: Path, process: Process, deadline: _Deadline) -> Iterator[JsonObject]:
    """Yield what a session writes, until it ends or is late."""
    position = 0
    while True:
        ended = process.poll() is not None
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        *lines, _ = text[position:].split("\n")
        for line in lines:
            position += len(line) + 1
            yield json.loads(line)
        if (ended and not lines) or deadline.over:
            return
        time.sleep(POLL_S)


def _outcome(bench: Bench, claim: Claim, document: Mapping[str, Any]) -> Outcome:
    if "observation" in document:
        observation = Observation.read(document["observation"])
        return Outcome.judge(claim, bench.version, bench.build, observation, document["seconds"])
    if "not_observable" in document:
        reason = document["not_observable"]
        return Outcome.without(claim, bench.version, bench.build, reason, status="not observable")
    return Outcome.without(claim, bench.version, bench.build, document["problem"])


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """Return 1 where a claim no longer holds or could not be observed, else 0."""
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def complaint(outcome: Outcome) -> str:
    """Return what is wrong with an outcome, and which documents state what it contradicts."""
    claim = CLAIMS[outcome.claim]
    where = f"{claim.id} ({claim.engine}@{outcome.version}, build {outcome.build})"
    if outcome.observation is None:
        return f"{where} could not be observed: {outcome.problem}"
    observed = f"{outcome.observation.text} ({outcome.observation.detail})"
    return (
        f"{where} no longer holds: {claim.statement} Expected: {outcome.expected}. Observed: {observed}. "
        f"Stated in {', '.join(claim.documents)}."
    )


__all__ = ["Plan", "Runner", "complaint", "exit_code"]
