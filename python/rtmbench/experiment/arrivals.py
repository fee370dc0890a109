"""When the events of a run are intended, and which of them happened before they are sent.

Arrivals are written as

    poisson                 at random, with a mean of the run's rate
    constant                one event each 1/rate s
    burst:SIZE              SIZE events at once, with a mean of the run's rate
    ramp:FROM:SECONDS       from FROM events/s to the run's rate in SECONDS, then steady
    step:SECONDS@RATE,…     each rate for its time, the last one indefinitely (`produce` only: it has its own rates)

where SECONDS may have a unit, as in `2m`. All but poisson start at a random phase and are dithered within a
millisecond. Events out of order are written as SHARE:DELAY, such as `0.1:5s`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench.durations import seconds
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from rtmbench._core import Schedule

ARRIVALS = "poisson"
"""The default arrivals: their events meet no phase of a periodic process more often."""
GRAMMAR = "poisson, constant, burst:SIZE or ramp:FROM:SECONDS"
STEPS = "step:SECONDS@RATE,…"
LATE_SLACK_S = 5.0
"""What a batch boundary takes at most, and a consumer lags, where late events must be late for certain."""
LATE_BATCHES = 3
"""How many batches Spark's watermark may lag: it is the same throughout a batch, and late events are dropped by that of
the batch before."""
_SCRAMBLE = 0x9E3779B97F4A7C15


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """How events arrive, at whatever rate."""

    shape: str
    size: int = 1
    """Events of a burst."""
    start_rate: float = 0.0
    """Events per second at the start of a ramp."""
    ramp_s: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()
    """(seconds, events per second) of each step."""

    def __str__(self) -> str:
        """Return the text that is parsed into the same arrivals again."""
        if self.shape == "burst":
            return f"burst:{self.size}"
        if self.shape == "ramp":
            return f"ramp:{self.start_rate:g}:{self.ramp_s:g}s"
        if self.shape == "step":
            return "step:" + ",".join(f"{length:g}s@{rate:g}" for length, rate in self.steps)
        return self.shape

    def schedule(self, rate: float, seed: int) -> Schedule:
        """Return the schedule at `rate` events/s; the same seed makes the same schedule.

        Raises ValueError where a number is out of the range of `rtmbench._core.Schedule`.
        """
        from rtmbench._core import Schedule  # noqa: PLC0415 - `--help` must not wait for it

        if self.shape == "poisson":
            return Schedule.poisson(rate, seed)
        if self.shape == "burst":
            return Schedule.burst(rate, self.size, seed)
        if self.shape == "ramp":
            return Schedule.ramp(self.start_rate, rate, self.ramp_s, seed)
        if self.shape == "step":
            return Schedule.step(list(self.steps), seed)
        return Schedule.constant(rate, seed)

    def highest(self, rate: float) -> float:
        """Return the highest rate, in events/s, of the schedule at `rate`; the events of a burst count as its mean."""
        return max([length_rate for _, length_rate in self.steps] or [rate, self.start_rate])

    def gap_s(self, rate: float) -> float:
        """Return how long no event is intended, between two bursts; 0 where arrivals have no such gaps."""
        return self.size / rate if self.shape == "burst" else 0.0


def parse_arrivals(text: str, *, option: str = "--arrivals", steps: bool = False) -> Arrivals:
    """Read arrivals as the module's text describes; `steps`: whether `step` is allowed.

    Raises ConfigurationError, naming the `option`, for anything else and for numbers out of range.
    """
    shape, _, details = text.strip().partition(":")
    grammar = f"{GRAMMAR}, or {STEPS}" if steps else GRAMMAR
    try:
        arrivals = _parse(shape, details, steps=steps)
        if arrivals is not None:
            # At some rate, so that the core looks at the numbers.
            arrivals.schedule(1.0, 0)
            return arrivals
    except ValueError as error:
        raise ConfigurationError(f"{option} {text}: {error}. Give {grammar}.") from error
    if shape == "step" and not steps:
        raise ConfigurationError(f"{option} {text}: steps have rates of their own, and a run has one rate: {grammar}.")
    raise ConfigurationError(f"{option} {text} is unknown; give {grammar}.")


def _parse(shape: str, details: str, *, steps: bool) -> Arrivals | None:
    if shape in ("poisson", "constant") and not details:
        return Arrivals(shape=shape)
    if shape == "burst":
        return Arrivals(shape=shape, size=int(details))
    if shape == "ramp":
        start, length = details.split(":")
        return Arrivals(shape=shape, start_rate=float(start), ramp_s=seconds(length))
    if shape == "step" and steps:
        pairs = [step.split("@") for step in details.split(",")]
        return Arrivals(shape=shape, steps=tuple((seconds(length), float(rate)) for length, rate in pairs))
    return None


@dataclass(frozen=True, kw_only=True)
class OutOfOrder:
    """Events that happened before they are sent."""

    share: float
    delay_ms: int
    """The longest that one happened before."""

    def __str__(self) -> str:
        """Return the text that is parsed into the same again."""
        return f"{self.share:g}:{self.delay_ms / 1000:g}s"


def parse_out_of_order(text: str) -> OutOfOrder:
    """Read SHARE:DELAY, such as `0.1:5s`; raises ConfigurationError for anything else."""
    try:
        share_text, delay_text = text.split(":")
        share, delay_ms = float(share_text), round(seconds(delay_text) * 1000)
    except ValueError as error:
        raise ConfigurationError(f"--out-of-order {text}: give SHARE:DELAY, such as 0.1:5s.") from error
    if not 0 < share <= 1 or delay_ms < 1:
        raise ConfigurationError(
            f"--out-of-order {text}: the share is above 0 and at most 1, and the delay at least 1 ms, as in 0.1:5s."
        )
    return OutOfOrder(share=share, delay_ms=delay_ms)


def schedule_seed(seed: int, trial: int) -> int:
    """Return the seed of the arrivals of a trial: each trial has others, and all engines of a trial have the same."""
    return (seed * _SCRAMBLE + trial) % 2**64


def late_margin_s(*, checkpoint_interval_s: float, idleness_s: float, gap_s: float) -> float:
    """Return the longest that an engine's watermark lies behind what it would be if every event were there at once.

    Spark's is the same throughout a batch, and late events are dropped by the one of the batch before. Flink's is the
    least of all partitions, which one without events holds back until it is idle. Neither moves between two bursts.
    """
    return LATE_BATCHES * checkpoint_interval_s + LATE_SLACK_S + idleness_s + gap_s


__all__ = [
    "ARRIVALS",
    "Arrivals",
    "OutOfOrder",
    "late_margin_s",
    "parse_arrivals",
    "parse_out_of_order",
    "schedule_seed",
]
