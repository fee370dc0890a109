"""Targets: `p99<100ms@10000/s`, and the outcome of a cell for a target."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rtmbench.errors import ConfigurationError
from rtmbench.results.comparison import BAD, figure
from rtmbench.results.confidence import student_quantile
from rtmbench.results.model import Latency, Status, TargetOutcome
from rtmbench.results.statistics import decisive_attempts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rtmbench.results.model import Cell, TargetVerdict, Trial

MET: Final = "met"
MISSED: Final = "missed"
INCONCLUSIVE: Final = "inconclusive"
SIGNS = {MET: "✓", MISSED: "✗", INCONCLUSIVE: "?"}
TRIALS_TO_MEET = 3
"""Fewer trials have no interval that is worth its name, so they meet no target."""
QUICK_MISS = 10
"""How many times over the limit every trial of a quick run must be for a miss: warm engines were seen to have a tenth
of the p95 of cold ones."""
RATE_TOLERANCE = 0.02
"""A rate within this share of the target's is the target's rate."""
_FIGURES = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p99.9": "p99_9", "max": "max"}
_UNITS = {"us": 1, "µs": 1, "μs": 1, "ms": 1_000, "s": 1_000_000}
_FORM = re.compile(
    r"(?P<figure>p\d+(?:\.\d+)?|max)\s*<\s*(?P<limit>\d+(?:\.\d+)?)\s*(?P<unit>[a-zµμ]+)"
    r"(?:\s*@\s*(?P<rate>\d+(?:\.\d+)?)\s*(?:/\s*s)?)?"
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A limit for a percentile of the update latency."""

    text: str
    """As written."""
    field: str
    """The field of `Latency`."""
    limit_us: float
    rate: float | None
    """Events per second at which it holds; `None`: at the rate of the run."""

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `FIGURE<LIMIT[@RATE]`, e.g. `p99<100ms@10000/s`.

        Raises:
            ConfigurationError: not of that form, an unknown percentile or unit, a limit or rate of 0.

        """
        match = _FORM.fullmatch(text.strip())
        if match is None or match["figure"] not in _FIGURES or match["unit"] not in _UNITS:
            raise ConfigurationError(
                f"The target {text[:80]!r} cannot be read. Write a percentile ({', '.join(_FIGURES)}), a limit in µs, "
                "ms or s, and a rate if it holds at one: 'p99<100ms' or 'p99<100ms@10000/s'."
            )
        limit = float(match["limit"]) * _UNITS[match["unit"]]
        rate = None if match["rate"] is None else float(match["rate"])
        if limit <= 0 or rate == 0:
            raise ConfigurationError(f"The target {text[:80]!r} has a limit or a rate of 0, which nothing can meet.")
        return cls(text=text.strip(), field=_FIGURES[match["figure"]], limit_us=limit, rate=rate)

    def holds_at(self, rate: float) -> bool:
        """Whether the target speaks of this rate (events per second)."""
        return self.rate is None or abs(rate - self.rate) <= RATE_TOLERANCE * self.rate


def judge_all(targets: Iterable[Target], cells: Sequence[Cell], *, quick: bool = False) -> list[TargetOutcome]:
    """Judge every cell by every target."""
    return [judge(target, cell, quick=quick) for target in targets for cell in cells]


def judge(target: Target, cell: Cell, *, quick: bool = False) -> TargetOutcome:
    """Return whether a cell met a target, missed it, or left it open, and why.

    Met: `TRIALS_TO_MEET` trials or more, each under the limit, and so is the upper bound of their 95 % interval
    (Student's distribution on the logarithms). Missed: every trial with information is at or over the limit (a lower
    bound over it is enough), or did not sustain the rate, or failed. Inconclusive: anything else, such as trials that
    disagree, are contended (what disturbed them is in their figures), void or refused, or ran at another rate.

    A `quick` run is too cold to meet a target, and misses one only where each trial fails, does not sustain the rate,
    or is `QUICK_MISS` times over the limit.
    """
    if cell.status is Status.REFUSED:
        return _outcome(target, cell, INCONCLUSIVE, "the engine refused the query")
    trials = [t for t in decisive_attempts(cell.trials).values() if t.status is not Status.VOID]
    if not trials:
        return _outcome(target, cell, INCONCLUSIVE, "no trial has a figure")
    other_rate = next((rate for trial in trials for rate in _rates(trial) if not target.holds_at(rate)), None)
    if other_rate is not None:
        return _outcome(target, cell, INCONCLUSIVE, f"measured at {other_rate:,.0f} events/s")
    judgements = [judge_trial(target, cell, trial) for trial in trials]
    outcomes = {outcome for outcome, _ in judgements}
    details = "; ".join(dict.fromkeys(detail for _, detail in judgements))
    if len(outcomes) > 1:
        count = sum(outcome == MET for outcome, _ in judgements)
        return _outcome(target, cell, INCONCLUSIVE, f"met in {count} of {len(judgements)} trials: {details}")
    values = [_value(target, cell, trial) for trial in trials]
    doubt = ""
    if outcomes == {MET}:
        doubt = _unproven(target, [value for value in values if value is not None], quick=quick)
    elif outcomes == {MISSED} and quick and not _missed_by_far(target, trials, values):
        doubt = "a quick run is short and cold"
    if doubt:
        return _outcome(target, cell, INCONCLUSIVE, f"{doubt}: {details}")
    return _outcome(target, cell, judgements[0][0], details)


def _unproven(target: Target, values: Sequence[float], *, quick: bool) -> str:
    """Return why trials that are all under the limit do not show that the target is met; empty if they do."""
    if quick:
        return "under the limit, but a quick run is too short to meet a target"
    if len(values) < TRIALS_TO_MEET:
        return f"under the limit in {len(values)} of {TRIALS_TO_MEET} required trials"
    logs = [math.log(max(1.0, value)) for value in values]
    half = student_quantile(len(logs) - 1.0) * statistics.stdev(logs) / math.sqrt(len(logs))
    upper = math.exp(statistics.fmean(logs) + half)
    if upper < target.limit_us:
        return ""
    return f"under the limit, but the 95 % interval of {len(values)} trials reaches {upper / 1000:,.2f} ms"


def _missed_by_far(target: Target, trials: Sequence[Trial], values: Sequence[float | None]) -> bool:
    """Whether every trial failed, did not sustain the rate, or is so far over the limit that no warm-up explains it."""
    return all(
        trial.status in BAD or (value is not None and value >= QUICK_MISS * target.limit_us)
        for trial, value in zip(trials, values, strict=True)
    )


def judge_trial(target: Target, cell: Cell, trial: Trial) -> tuple[TargetVerdict, str]:
    """Return the outcome of one trial, and its figure in words."""
    latency = figure(cell, trial)
    if trial.status is Status.FAILED:
        return MISSED, f"trial {trial.trial} failed"
    # The close of few windows has a median and no more.
    value = _value(target, cell, trial)
    if value is None:
        return INCONCLUSIVE, f"trial {trial.trial} has no such figure"
    bound = "≥" if isinstance(latency, Latency) and latency.is_lower_bound(target.field) else ""
    shown = f"trial {trial.trial} {bound}{value / 1000:,.2f} ms"
    under = value < target.limit_us
    if trial.status is Status.CONTENDED or (under and bound):
        return INCONCLUSIVE, f"{shown}, {'a lower bound' if bound else 'contended'}"
    if trial.status is Status.UNSUSTAINED:
        return MISSED, f"{shown}, and the rate was not sustained"
    return (MET if under else MISSED), shown


def _value(target: Target, cell: Cell, trial: Trial) -> int | None:
    value: int | None = getattr(figure(cell, trial), target.field, None)
    return value


def _rates(trial: Trial) -> list[float]:
    return [rate for rate in (trial.rate.requested, trial.rate.achieved) if rate is not None]


def _outcome(target: Target, cell: Cell, outcome: TargetVerdict, detail: str) -> TargetOutcome:
    return TargetOutcome(target=target.text, cell=cell.name, outcome=outcome, detail=detail)
