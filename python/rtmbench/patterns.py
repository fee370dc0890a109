"""The registry of streaming patterns: what each one is, and how fairly two engines can be compared on it."""

from __future__ import annotations

from dataclasses import dataclass

from rtmbench.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One streaming pattern that every engine implements in `pipelines/`."""

    id: str
    """The number it is called by, such as `01`."""
    name: str
    """The name of its directory below `pipelines/`, without the number."""
    title: str
    """What people call it."""
    work: str
    """The work in one line, in the words of both engines."""
    fairness: str
    """What to know before two engines are compared on it."""

    @property
    def directory(self) -> str:
        """The name of the pattern's directory below `pipelines/`."""
        return f"{self.id}-{self.name}"


PATTERNS = {
    pattern.id: pattern
    for pattern in (
        Pattern(
            id="01",
            name="stateless-passthrough",
            title="Stateless passthrough",
            work="Kafka → keep click and purchase → Kafka",
            fairness="The same work on both sides: parse, filter, write; no state.",
        ),
        Pattern(
            id="02",
            name="tumbling-window",
            title="Tumbling window count",
            work="Kafka → count by key and window → Kafka",
            fairness="The same work on both sides: one running count for each key and event-time window.",
        ),
        Pattern(
            id="03",
            name="sliding-window",
            title="Sliding window average",
            work="Kafka → average by key over overlapping windows → Kafka",
            fairness="The same work on both sides: each event updates every window that it falls into.",
        ),
        Pattern(
            id="04",
            name="keyed-state",
            title="Keyed state counter",
            work="Kafka → count by key in the program's own state → Kafka",
            fairness="Alike, not the same: see the pattern's README.",
        ),
    )
}


def find_pattern(name: str) -> Pattern:
    """Look a pattern up by its number (`01` or `1`) or its directory's name.

    Raises `ConfigurationError` where no pattern is called so.
    """
    wanted = name.strip().lower()
    for pattern in PATTERNS.values():
        if wanted in {pattern.id, pattern.id.lstrip("0"), pattern.name, pattern.directory}:
            return pattern
    known = ", ".join(f"{pattern.id} ({pattern.title})" for pattern in PATTERNS.values())
    raise ConfigurationError(f"There is no pattern {name!r}. The patterns are: {known}; or `all`.")
