"""Experiments with known truth: latencies of events, trial by trial, on a machine that is not quite the same twice.

Each trial has its own level (variance between trials), the machine wanders and drifts from trial to trial, the events
of a trial are autocorrelated, and at each boundary everything stands still for a time that differs from boundary to
boundary. `B` has every latency of its trial multiplied by `ratio`: that is the truth of each percentile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EVENTS = 500


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
    events: float = 0.4
    """From event to event, autocorrelated by 0.8."""
    stall_every: int = 125
    """Events between two boundaries."""
    stall: float = 10.0
    """Median length of a stall in events; its logarithm has a standard deviation of 0.4."""


WORLDS = {
    "independent trials": World(wander=0.0, stall=0.0),
    "wandering machine": World(wander=0.1, memory=0.8),
    "periodic stalls": World(),
    "long stalls": World(stall=25.0, between=0.15),
    "drifting machine": World(drift=0.4),
    "the second one suffers": World(second=0.1),
}


def experiments(world: World, *, count: int, pairs: int, ratio: float = 1.0, seed: int = 1):
    """Give (p50, p99) of A and of B, each an array [experiment, pair] in whole µs; A ran first in even pairs."""
    rng = np.random.default_rng(seed)
    trials = 2 * pairs
    shape = (count, trials)
    level = rng.normal(0, world.between, shape) + world.drift * np.linspace(0, 1, trials)
    machine = rng.normal(0, 1, count)
    for position in range(trials):
        level[:, position] += world.wander * machine + world.second * (position % 2)
        machine = world.memory * machine + np.sqrt(1 - world.memory**2) * rng.normal(0, 1, count)
    pair, place = np.divmod(np.arange(trials), 2)
    is_b = place == (pair + 1) % 2
    level += np.where(is_b, np.log(ratio), 0.0)
    p50, p99 = _percentiles(rng, world, 2_000 * np.exp(level))
    order = np.argsort(is_b * trials + pair)
    return tuple((values[:, order[:pairs]], values[:, order[pairs:]]) for values in (p50, p99))


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
    return [np.rint(latency[q].reshape(scale.shape) * scale).astype(int) for q in quantiles]
