"""Experiments with known truth: latencies of events, trial by trial, on a machine that is not quite the same twice.

Each trial has its own level (variance between trials), the machine wanders and drifts from trial to trial, the events
of a trial are autocorrelated, and at each boundary everything stands still for a time that differs from boundary to
boundary. Some trials are of a cold JVM, whose tail is several times as long. `B` has every latency of its trial
multiplied by `ratio`: that is the truth of each percentile. Trials may fail, or be contended, because they are slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EVENTS = 500
COLD = 6.0
"""What the tail of a cold JVM is multiplied by."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What moves latencies besides the engine; standard deviations of logarithms unless said otherwise."""

    between: float = 0.08
    """From trial to trial, independent."""
    wander: float = 0.05
    """Of the machine, autocorrelated from trial to trial by `memory`."""
    memory: float = 0.7
    drift: float = 0.0
    """Of the machine, over the whole experiment: the same sign and size in all."""
    second: float = 0.0
    """What the trial that runs second in a pair has more."""
    unequal: float = 1.0
    """By how much B varies more than A from trial to trial, about the same middle."""
    events: float = 0.4
    """From event to event, autocorrelated by 0.8."""
    stall_every: int = 125
    """Events between two boundaries."""
    stall: float = 10.0
    """Median length of a stall in events; its logarithm has a standard deviation of 0.4."""
    cold: float = 0.0
    """Share of trials whose p99 is of a cold JVM: a second hump."""
    failing: float = 0.0
    """Share of trials that fail: those whose own level is the highest."""
    contended: float = 0.0
    """Share of trials that are contended, in the same way."""
    only_b: bool = False
    """Whether only B's trials fail or are contended."""

    @property
    def loses_trials(self) -> bool:
        """Whether trials drop out because of what they would have shown, so that no interval is of all of them."""
        return bool(self.failing or self.contended)


WORLDS = {
    "independent trials": World(wander=0.0, stall=0.0),
    "wandering machine": World(wander=0.1, memory=0.8),
    "machine with a long memory": World(wander=0.4, memory=0.97),
    "periodic stalls": World(),
    "long stalls": World(stall=25.0, between=0.15),
    "drifting machine": World(drift=0.4),
    "the second one suffers": World(second=0.1),
    "one engine varies more": World(unequal=4.0),
    "some JVMs are cold": World(cold=0.3),
    "one JVM in ten is cold": World(cold=0.1),
    "slow trials fail": World(between=0.3, failing=0.3),
    "slow trials of one engine fail": World(between=0.3, failing=0.15, only_b=True),
    "slow trials are contended": World(between=0.3, contended=0.15),
    "slow trials of one engine are contended": World(between=0.3, contended=0.2, only_b=True),
    "cold JVMs, and slow trials are contended": World(between=0.3, cold=0.3, contended=0.15),
}


@dataclass(frozen=True, kw_only=True)
class Experiments:
    """Arrays [experiment, pair] of A and of B; A ran first in even pairs."""

    p50: tuple[np.ndarray, np.ndarray]
    """In whole µs, like `p99`."""
    p99: tuple[np.ndarray, np.ndarray]
    failed: tuple[np.ndarray, np.ndarray]
    contended: tuple[np.ndarray, np.ndarray]


def experiments(world: World, *, count: int, pairs: int, ratio: float = 1.0, seed: int = 1) -> Experiments:
    """Make `count` experiments of so many pairs, in which B takes `ratio` times as long as A."""
    rng = np.random.default_rng(seed)
    trials = 2 * pairs
    shape = (count, trials)
    pair, place = np.divmod(np.arange(trials), 2)
    is_b = place == (pair + 1) % 2
    own = rng.normal(0, 1, shape)
    level = world.between * own * np.where(is_b, world.unequal, 1.0) + world.drift * np.linspace(0, 1, trials)
    machine = rng.normal(0, 1, count)
    for position in range(trials):
        level[:, position] += world.wander * machine + world.second * (position % 2)
        machine = world.memory * machine + np.sqrt(1 - world.memory**2) * rng.normal(0, 1, count)
    level += np.where(is_b, np.log(ratio), 0.0)
    p50, p99 = _percentiles(rng, world, 2_000 * np.exp(level))
    p99 = np.where(rng.random(shape) < world.cold, COLD, 1.0) * p99
    # A share of the standard normal distribution from above, by its own order: no machine and no engine in it.
    height = _share_above(own)
    may_drop = is_b | (not world.only_b)
    failed = (height < world.failing) & may_drop
    contended = (height < world.contended) & may_drop & ~failed
    order = np.argsort(is_b * trials + pair)

    def sides(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return values[:, order[:pairs]], values[:, order[pairs:]]

    return Experiments(
        p50=sides(np.rint(p50).astype(int)),
        p99=sides(np.rint(p99).astype(int)),
        failed=sides(failed),
        contended=sides(contended),
    )


def _share_above(values: np.ndarray) -> np.ndarray:
    """Give the share of all values that is above each."""
    ranks = np.empty(values.size)
    ranks[np.argsort(-values, axis=None)] = np.arange(values.size)
    return (ranks / values.size).reshape(values.shape)


def _percentiles(rng, world, scale):
    rows = scale.size
    latency = np.empty((EVENTS, rows), dtype=np.float32)
    state = rng.standard_normal(rows, dtype=np.float32)
    for event in range(EVENTS):
        latency[event] = state
        state = 0.8 * state + 0.6 * rng.standard_normal(rows, dtype=np.float32)
    np.exp(np.float32(world.events) * latency, out=latency)
    if world.stall:
        phase = rng.integers(0, world.stall_every, rows)
        for boundary in range(-1, EVENTS // world.stall_every):
            length = world.stall * np.exp(rng.normal(0, 0.4, rows))
            start = phase + boundary * world.stall_every
            for after in range(3 * int(world.stall)):
                waits = np.flatnonzero((length > after) & (start + after >= 0) & (start + after < EVENTS))
                # An event in a stall waits for its end; half a median latency passes from event to event.
                latency[start[waits] + after, waits] += 0.5 * (length[waits] - after)
    quantiles = [round(q * (EVENTS - 1)) for q in (0.5, 0.99)]
    latency.partition(quantiles, axis=0)
    return [latency[q].reshape(scale.shape) * scale for q in quantiles]
