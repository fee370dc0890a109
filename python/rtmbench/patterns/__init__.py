"""The registry of streaming patterns: what each one is, and how fairly two engines can be compared on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from rtmbench.custom_jobs.model import CustomJob

Fairness = Literal["fair", "semantic difference"]
State = Literal["none", "aggregate", "function"]

OWN = "own"
"""The id that replaces a pattern's id if a custom job is measured."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One streaming pattern that every engine implements in `pipelines/`."""

    id: str
    """The number it is called by, such as `01`."""
    name: str
    """The name of its directory below `pipelines/`, without the number."""
    title: str
    """What people call it."""
    fairness: str
    """What to know before two engines are compared on it."""
    fair: Fairness = "fair"
    """Whether both engines do the same work, or similar work with another meaning."""
    window_ms: int | None = None
    """Length of its event-time windows; None if it has none."""
    slide_ms: int | None = None
    """How far apart sliding windows start; None where windows do not overlap."""
    quick_ms: tuple[int, int | None] | None = None
    """Window and slide of a `--quick` run, so that several windows pass in its short measurement; None: as always."""
    state: State = "aggregate"
    """The state by key in the engines: none, a built-in aggregate, or a custom function with state."""
    oracle: str = ""
    """The rule that its output is checked by, see `_core.verify`; empty: the one named as its id."""
    spark_jar: str | None = None
    """The jar that its Spark pipeline needs besides Spark: what it runs in the JVM itself."""
    job: CustomJob | None = None
    """The custom job instead of the pipelines."""

    @property
    def directory(self) -> str:
        """The name of the pattern's directory below `pipelines/`."""
        return f"{self.id}-{self.name}"

    @property
    def unlike_work(self) -> str | None:
        """How the engines' work differs in meaning; None where it is the same."""
        return self.fairness if self.fair == "semantic difference" else None

    @property
    def keyed(self) -> bool:
        """Whether it keeps state by key, and so moves records from one stage to the next."""
        return self.state != "none"

    @property
    def rule(self) -> str:
        """The rule that its output is checked by."""
        return self.oracle or self.id


PATTERNS = {
    pattern.id: pattern
    for pattern in (
        Pattern(
            id="01",
            name="stateless-passthrough",
            title="Stateless passthrough",
            fairness="The same work on both sides: parse, filter, write; no state.",
            state="none",
        ),
        Pattern(
            id="02",
            name="tumbling-window",
            title="Tumbling window count",
            fairness="The same work on both sides: one running count for each key and event-time window.",
            window_ms=60_000,
            quick_ms=(10_000, None),
        ),
        Pattern(
            id="03",
            name="sliding-window",
            title="Sliding window average",
            fairness="The same work on both sides: each event updates every window that it falls into.",
            window_ms=300_000,
            slide_ms=60_000,
            quick_ms=(25_000, 5_000),
        ),
        Pattern(
            id="04",
            name="keyed-state",
            title="Keyed state counter",
            fairness=(
                "Similar, not the same: Flink calls a function for each event, with state and timers. Spark's "
                "transformWithState receives an iterator of a key's events, which in Real-Time Mode holds one and in "
                "a micro-batch all of the batch's; a running count by `groupBy` has no custom function."
            ),
            fair="semantic difference",
            state="function",
            spark_jar="keyed-counter.jar",
        ),
    )
}


def find_pattern(name: str) -> Pattern:
    """Look a pattern up by its number (`01` or `1`) or its directory's name.

    Raises `ConfigurationError` where no pattern is called so.
    """
    normalized = name.strip().lower()
    for pattern in PATTERNS.values():
        if normalized in {pattern.id, pattern.id.lstrip("0"), pattern.name, pattern.directory}:
            return pattern
    known = ", ".join(f"{pattern.id} ({pattern.title})" for pattern in PATTERNS.values())
    raise ConfigurationError(f"Unknown pattern {name!r}. The patterns are: {known}; or `all`.")
