"""A claim, what was observed of it, and whether the two agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtmbench.json_object import JsonObject

REAL_TIME = "real time"
"""The query emits records while their batch runs."""
BATCH_BOUND = "batch-bound"
"""The query emits records when their batch ends, although it runs in Real-Time Mode."""
MICRO_BATCH = "micro-batch"
"""The query was run in micro-batches, and emitted all records."""
REFUSED = "refused"
FAILS = "fails"
HOLDS = "holds"
DOES_NOT_HOLD = "does not hold"

LIMITATIONS = "docs/limitations.md"

Status = Literal["holds", "broken", "not observed", "not observable"]


class NotObservableError(Exception):
    """A machine cannot show it either way, such as without a network interface."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Event latencies, µs: receipt minus the intended time that the events carry."""

    count: int
    p50: int
    p99: int

    @property
    def magnitude(self) -> str:
        """The order of magnitude of the median: `ms`, `10s of ms`, `100s of ms` or `seconds`."""
        for limit, name in ((10_000, "ms"), (100_000, "10s of ms"), (1_000_000, "100s of ms")):
            if self.p50 < limit:
                return name
        return "seconds"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one experiment showed."""

    verdict: str
    """`real time`, `batch-bound`, `micro-batch`, `refused`, `fails`, `holds`, `does not hold`, or a custom text."""
    code: str = ""
    """The engine's error condition, where it refused or failed."""
    detail: str = ""
    """The evidence in a line: counts and measured times, or the engine's message."""
    latency: Latency | None = None

    @property
    def text(self) -> str:
        """The verdict with its code, as an expectation is written: `refused STREAMING_REAL_TIME_MODE.…`."""
        return f"{self.verdict} {self.code}".strip()

    @classmethod
    def judged(cls, true: bool, detail: str, latency: Latency | None = None) -> Observation:
        """Return the observation that a statement holds, or that it does not."""
        return cls(verdict=HOLDS if true else DOES_NOT_HOLD, detail=detail, latency=latency)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Observation:
        """Read what `to_dict` made."""
        latency = document.get("latency_us")
        return cls(
            verdict=document["verdict"],
            code=document.get("code", ""),
            detail=document.get("detail", ""),
            latency=Latency(**{name: latency[name] for name in ("count", "p50", "p99")}) if latency else None,
        )

    def to_dict(self) -> JsonObject:
        """Return it as JSON."""
        latency = self.latency
        return {
            "verdict": self.verdict,
            "code": self.code,
            "detail": self.detail,
            "latency_us": {**asdict(latency), "magnitude": latency.magnitude} if latency else None,
        }


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One statement about an engine, with what it leads one to expect in each version."""

    id: str
    statement: str
    engine: str
    """`spark`, `flink` or `kafka`."""
    expected: Mapping[str, str]
    """Version → what is expected to be observed, as `Observation.text` puts it."""
    method: str
    """How it is observed, in a sentence."""
    run: Callable[..., Observation] = field(repr=False)
    feature: str = ""
    """Its row in the support matrix; empty where the claim is not a feature but a finding."""
    documents: tuple[str, ...] = (LIMITATIONS,)
    """The documents that state it, relative to the repository."""
    alone: bool = False
    """Whether it starts its own processes, instead of sharing a session with others."""
    slots: int = 8
    """The slots of the session that it shares."""
    timeout_s: float = 90.0

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that the claim is about."""
        return tuple(self.expected)

    def listed(self) -> JsonObject:
        """Return what `rtmbench claims --list --json` prints of it."""
        return {
            "id": self.id,
            "statement": self.statement,
            "engine": self.engine,
            "versions": list(self.versions),
            "expected": dict(self.expected),
        }


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A claim at one version: what was expected, what was observed, and whether it still holds."""

    claim: str
    engine: str
    version: str
    build: str
    expected: str
    status: Status
    observation: Observation | None
    problem: str = ""
    """Why nothing was observed."""
    seconds: float = 0.0

    @classmethod
    def judge(cls, claim: Claim, version: str, build: str, observation: Observation, seconds: float) -> Outcome:
        """Compare an observation with what the claim expects."""
        expected = claim.expected[version]
        return cls(
            claim=claim.id,
            engine=claim.engine,
            version=version,
            build=build,
            expected=expected,
            status="holds" if observation.text == expected else "broken",
            observation=observation,
            seconds=round(seconds, 1),
        )

    @classmethod
    def without(
        cls, claim: Claim, version: str, build: str, problem: str, *, status: Status = "not observed"
    ) -> Outcome:
        """Note that nothing was observed, and why."""
        return cls(
            claim=claim.id,
            engine=claim.engine,
            version=version,
            build=build,
            expected=claim.expected[version],
            status=status,
            observation=None,
            problem=problem,
        )

    def against(self, claim: Claim) -> Outcome:
        """Judge the same observation by what `claim` expects."""
        expected = claim.expected[self.version]
        if self.observation is None:
            return replace(self, expected=expected)
        return replace(self, expected=expected, status="holds" if self.observation.text == expected else "broken")

    @property
    def failed(self) -> bool:
        """Whether the command has to fail for it."""
        return self.status in {"broken", "not observed"}

    def to_dict(self) -> JsonObject:
        """Return it as JSON."""
        return {**asdict(self), "observation": self.observation.to_dict() if self.observation else None}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Outcome:
        """Read what `to_dict` made."""
        observation = document["observation"]
        return cls(**{**document, "observation": Observation.read(observation) if observation else None})


class Family:
    """Collects the claims of one file; its `claim` decorates the experiment."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []

    def claim(self, **attributes: Any) -> Callable[[Callable[..., Observation]], Callable[..., Observation]]:
        """Register the decorated function as the experiment of a claim, whose attributes are those of `Claim`."""

        def register(run: Callable[..., Observation]) -> Callable[..., Observation]:
            self.claims.append(Claim(run=run, **attributes))
            return run

        return register


__all__ = [
    "BATCH_BOUND",
    "DOES_NOT_HOLD",
    "FAILS",
    "HOLDS",
    "MICRO_BATCH",
    "REAL_TIME",
    "REFUSED",
    "Claim",
    "Family",
    "Latency",
    "NotObservableError",
    "Observation",
    "Outcome",
    "Status",
]
