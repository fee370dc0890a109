"""Did the backlog grow through a measurement? A trend test that ignores batches and stalls.

The backlog of a healthy engine is not flat: it saws with every batch and jumps with every
checkpoint or garbage collection. What a sustained engine does is come back down. So the series is
reduced to its lowest value in each cycle, and the trend is fitted to those:

1. Windows of one whole cycle each (the longer checkpoint or batch interval); their minima.
2. Theil-Sen slope of the minima (the median of all pairwise slopes), and Sen's one-sided 95 % lower
   bound of it. Neither moves for one bad window.
3. The backlog grew if the lower bound exceeds 0.1 % of the rate AND the growth over the whole
   measurement exceeds a floor: 50 ms worth of events, at least 20 events, and 1.5 times the median
   change from one sample to the next. The last term is the resolution of the sampling: where
   batches make the backlog saw, a minimum is known only to within one sample, and batches that
   drift against the windows would look like growth.

With three or four windows (`--quick`) the lower bound is the smallest pairwise slope (growth must
show from each window to the next), and growth must also exceed the largest fall in the series:
three windows cannot separate growth from batches that are longer than the window. A stall that begins
in the last window and does not end is not growth through the measurement; the drain decides.
"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOPE_LIMIT = 0.001
"""Share of the rate by which a sustained backlog may grow each second."""
FLOOR_SECONDS = 0.05
FLOOR_EVENTS = 20
SAMPLING_MARGIN = 1.5
LEAST_WINDOWS = 3
ENOUGH_WINDOWS = 5
WINDOWS_WITHOUT_CYCLES = 6
_Z_95_ONE_SIDED = 1.6449


@dataclass(frozen=True, kw_only=True)
class Trend:
    """How the backlog went; slopes in events per second, `growth` and `floor` in events."""

    slope: float
    lower: float
    """Sen's one-sided 95 % lower bound of the slope."""
    upper: float
    """Sen's one-sided 95 % upper bound of the slope."""
    growth: float
    """Slope times the length of the measurement."""
    floor: float
    grew: bool


def trend(backlog: Sequence[float], *, rate: float, cycle_s: float | None = None) -> Trend | None:
    """Fit the trend of a backlog sampled once a second.

    Args:
        backlog: events put in and not yet covered, at the end of each second of the measurement.
        rate: events per second put in.
        cycle_s: the longer checkpoint or batch interval; `None` where less than one is measured.

    Returns:
        `None` where the series is shorter than three windows: too short to judge.

    """
    cycle_s = max(1.0, cycle_s or len(backlog) / WINDOWS_WITHOUT_CYCLES)
    count = int(len(backlog) / cycle_s + 1e-9)
    if count < LEAST_WINDOWS or rate <= 0:
        return None
    # Rounded edges put every sample in one window where a cycle is not a whole number of seconds.
    edges = [round(i * cycle_s) for i in range(count + 1)]
    windows = [sorted(backlog[a:b]) for a, b in itertools.pairwise(edges)]
    if not all(windows):
        return None
    minima = [window[0] for window in windows]
    slopes = sorted((minima[j] - minima[i]) / ((j - i) * cycle_s) for i, j in itertools.combinations(range(count), 2))
    slope = statistics.median(slopes)
    rank = _lower_rank(count)
    lower, upper = slopes[rank], slopes[-1 - rank]
    changes = [after - before for before, after in itertools.pairwise(backlog)]
    resolution = SAMPLING_MARGIN * statistics.median(map(abs, changes))
    if count < ENOUGH_WINDOWS:
        resolution = max(resolution, -min(changes))
    floor = max(FLOOR_SECONDS * rate, FLOOR_EVENTS, resolution)
    growth = slope * count * cycle_s
    return Trend(
        slope=slope,
        lower=lower,
        upper=upper,
        growth=growth,
        floor=floor,
        grew=lower > SLOPE_LIMIT * rate and growth > floor,
    )


def _lower_rank(count: int) -> int:
    """Give the index among the sorted pairwise slopes of Sen's lower bound (Sen 1968)."""
    pairs = count * (count - 1) / 2
    spread = _Z_95_ONE_SIDED * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    return max(0, math.floor((pairs - spread) / 2) - 1)
