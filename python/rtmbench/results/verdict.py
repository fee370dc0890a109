"""From what was observed of two cells to a verdict, or to the reason why there is none.

A latency is called *faster* or *slower* where all of this holds, else it is "no difference shown":

1. Student's test on the log-ratios excludes equality, corrected for the number of comparisons that are shown
   together (Holm over all cells and both percentiles, 4 % in all);
2. so does a permutation test, which assumes no distribution (Holm over the cells, 5 % for each percentile);
3. the near bound of the 95 % interval lies beyond the noise band: what a further experiment with the *same* engine on
   both sides is predicted to show on this machine. Without a measured band, p99 has no verdict.

With 4 or 5 pairs there is a verdict where it is clear beyond that: an *early* one. The trials of the two sides are
taken as two samples, the test and the interval are at 0.5 % instead, and the permutation test exchanges the labels of
trials. So a run may look after 4 pairs, after 5, and at the end, and all its looks together keep the promised 5 %.

Trials that failed or did not sustain the rate come first. Where one side has clearly more of them, the verdict is
*worse* or *better* and no latency is judged. Where they are fewer, a latency can only be called slower, and only on the
side that has more of them: the trials that it has left flatter it.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rtmbench.results.confidence import CONFIDENCE, holm
from rtmbench.results.model import Comparison, NoiseBand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtmbench.results.confidence import Estimate
    from rtmbench.results.model import ComparisonVerdict, Failures

FASTER: Final = "faster"
SLOWER: Final = "slower"
NO_DIFFERENCE: Final = "no difference shown"
NO_VERDICT: Final = "no verdict"
WORSE: Final = "worse"
BETTER: Final = "better"
FIGURES = ("p50", "p99")
FAMILY_LEVEL = 0.04
"""Share of false verdicts that the statistics allow where all cells are equal. A little under the promised 5 %, since
trials with rare long stalls are less well-behaved than Student's distribution assumes."""
EARLY_LEVEL = 0.005
"""The same of an early verdict."""
GUARD_LEVEL = 0.05
"""Of the permutation test of one percentile, over all comparisons. Six pairs can reach 2/64 = 0.031: enough for one
comparison, while three need 7 pairs and six need 8 (`least_pairs`)."""
FAILURE_LEVEL = 0.05
"""Of the test on the number of failed trials, over all comparisons; here too 6 against 0 is the least for one."""
ASSUMED_BAND = 1.10
"""Instead of a band of p50 that was not measured. No machine is promised to be this quiet: it is a convention. For p99
there is none: identical trials were seen to differ by factors."""
QUICK = "a quick run: too short and too cold for a verdict"
LEAST_IN_DECIMALS = 0.1
"""Below it a ratio has significant digits: two decimals would turn 1 to 2,000 into 0.00."""
UNMEASURED = NoiseBand(p50=ASSUMED_BAND, p99=None, measured=False)
PAIRS_FOR_A_VERDICT = 6
"""With fewer there is only an early verdict."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Two cells, ready to be judged."""

    baseline: str
    other: str
    pairs: int
    """Pairs, or the smaller number of trials where they are not paired."""
    ratios: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By figure: the ratio of each pair, or one ratio of medians."""
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    """By figure; empty where there are too few for an interval."""
    guards: Mapping[str, float] = field(default_factory=dict)
    """By figure: the p-value of the permutation test, which counts failed trials as the worst outcome."""
    engine_ratios: Mapping[str, float] = field(default_factory=dict)
    """By figure: the ratio of the engines' own hops."""
    failures: Failures | None = None
    """Where a trial of either cell failed or did not sustain the rate."""
    failure_text: str = ""
    """The same in words."""
    failure_p: float = 1.0
    """How often equal sides would differ by that many failures or more."""
    quick: bool = False
    """Whether either side is of a quick run, which gets no verdict of any kind."""
    shortfall: Sequence[str] = ()
    """How many pairs or trials are missing for a verdict on a latency."""
    obstacles: Sequence[str] = ()
    """Why there can be no verdict of any kind, the most telling first."""
    latency_obstacles: Sequence[str] = ()
    """Why there can be none on a latency; one on failures can."""
    remarks: Sequence[str] = ()
    """What to know besides."""
    band: NoiseBand = UNMEASURED
    level: float = FAMILY_LEVEL
    """Share of false verdicts that Student's test allows over all comparisons."""
    early: Case | None = None
    """The same cells as an early verdict takes them; None where there can be none."""

    @property
    def closed(self) -> bool:
        """Whether there can be no verdict of any kind."""
        return self.quick or bool(self.obstacles)

    @property
    def notes(self) -> list[str]:
        """What decides about the case before its figures do, the most telling first."""
        first = [self.failure_text, QUICK if self.quick else ""]
        return [*filter(None, first), *self.shortfall, *self.obstacles, *self.latency_obstacles]

    @property
    def more_failures(self) -> int:
        """1 where `other` has more of them, -1 where `baseline` has, else 0."""
        if self.failures is None:
            return 0
        # By share: runs of different times need not have as many trials.
        of_other = self.failures.other * self.failures.baseline_trials
        of_baseline = self.failures.baseline * self.failures.other_trials
        return (of_other > of_baseline) - (of_other < of_baseline)


def decide(cases: Sequence[Case]) -> list[Comparison]:
    """Judge cases that are shown together, so that their number does not make differences."""
    looks = [case.early or case for case in cases]
    failing = [index for index, case in enumerate(looks) if case.failures and not case.closed]
    decided = zip(failing, holm([looks[i].failure_p for i in failing], level=FAILURE_LEVEL), strict=True)
    clear = {index for index, significant in decided if significant and looks[index].more_failures}
    judged = [
        (index, name)
        for index, case in enumerate(looks)
        if index not in clear and not (case.closed or case.shortfall or case.latency_obstacles)
        for name in FIGURES
        if name in case.estimates and getattr(case.band, name) is not None
    ]
    # In units of its own level, so that early verdicts and others belong to one family.
    chances = [looks[i].estimates[name].p_value * FAMILY_LEVEL / looks[i].level for i, name in judged]
    by_student = _significant(judged, chances, FAMILY_LEVEL)
    guarded: set[tuple[int, str]] = set()
    for figure in FIGURES:
        chosen = [(index, name) for index, name in judged if name == figure]
        guarded |= _significant(chosen, [looks[i].guards[name] for i, name in chosen], GUARD_LEVEL)
    verdicts: list[dict[str, tuple[ComparisonVerdict, str]]] = [{} for _ in looks]
    for index, name in judged:
        which = (index, name)
        verdicts[index][name] = _verdict(name, looks[index], student=which in by_student, guard=which in guarded)
    for index, case in enumerate(cases):
        if case.early is not None and all(word == NO_VERDICT for word, _ in verdicts[index].values()):
            looks[index], verdicts[index] = case, {}
    return [_comparison(case, verdicts[i], clear=i in clear) for i, case in enumerate(looks)]


def decides(comparison: Comparison) -> bool:
    """Return whether a comparison has the verdict that it can have: on p99, or on p50 where p99 has no noise band."""
    if comparison.verdict != NO_VERDICT:
        return True
    band = comparison.noise_band
    return band is not None and band.p99 is None and comparison.verdict_p50 is not None


def least_pairs(comparisons: int) -> int:
    """Return how many pairs so many comparisons need, of which the permutation test can show the first."""
    return max(PAIRS_FOR_A_VERDICT, math.ceil(1 + math.log2(comparisons / GUARD_LEVEL)))


def interval_percent(comparison: Comparison) -> str:
    """Return how sure the intervals of a comparison are, such as `95 %`."""
    level = EARLY_LEVEL if comparison.pairs < PAIRS_FOR_A_VERDICT else 1 - CONFIDENCE
    return f"{100 * (1 - level):g} %"


def sentence(comparison: Comparison) -> str:
    """Express a comparison in one sentence, ratio and interval included, without an end stop."""
    figures = {
        "p99": (comparison.ratio_p99, comparison.interval),
        "p50": (comparison.ratio_p50, comparison.interval_p50),
    }
    shown = {n: f"{n} × {ratio_text(ratio, interval)}" for n, (ratio, interval) in figures.items() if ratio is not None}
    hops = {"p99": comparison.ratio_engine_p99, "p50": comparison.ratio_engine_p50}
    own = ", ".join(f"{name} × {ratio_text(ratio)}" for name, ratio in hops.items() if ratio is not None)
    if comparison.noise_band is None:
        statement = ", ".join([comparison.verdict, *shown.values()])
    else:
        words = {"p99": comparison.verdict, "p50": comparison.verdict_p50 or NO_VERDICT}
        statement = "; ".join(f"{words[name]} at {text}" for name, text in shown.items())
    statement += f"; engine's own hop {own}" if own else ""
    return f"{comparison.other} against {comparison.baseline}: {statement} ({comparison.note})"


def ratio_text(ratio: float, interval: Sequence[float] | None = None) -> str:
    """Give a ratio with its interval in brackets: two decimals, or two digits where those would be zeros."""
    shown = [f"{value:.2f}" if value >= LEAST_IN_DECIMALS else f"{value:.2g}" for value in (ratio, *(interval or ()))]
    return shown[0] + (f" [{', '.join(shown[1:])}]" if interval else "")


def _significant(tests: Sequence[tuple[int, str]], p_values: Sequence[float], level: float) -> set[tuple[int, str]]:
    decisions = holm(p_values, level=level)
    return {test for test, significant in zip(tests, decisions, strict=True) if significant}


def _comparison(case: Case, verdicts: Mapping[str, tuple[ComparisonVerdict, str]], *, clear: bool) -> Comparison:
    words: dict[str, ComparisonVerdict] = {
        name: verdicts[name][0] if name in verdicts else NO_VERDICT for name in FIGURES
    }
    decided = any(word != NO_VERDICT for word in words.values())
    notes = case.notes
    if clear:
        words["p99"] = WORSE if case.more_failures > 0 else BETTER
    elif case.failures and verdicts and not decided:
        notes.append("the trials that are left do not show the latency of the side that fails more")
    notes += [*case.remarks, *(why for _, why in verdicts.values() if why)]
    if verdicts:
        notes.append(_band_note(case.band, p99="p99" in case.estimates))
    intervals = {
        name: [_rounded(bound) for bound in case.estimates[name].interval] if name in case.estimates else None
        for name in FIGURES
    }
    own = {name: _rounded(ratio) for name, ratio in case.engine_ratios.items()}
    return Comparison(
        baseline=case.baseline,
        other=case.other,
        pairs=case.pairs,
        ratio_p50=_ratio(case, "p50"),
        ratio_p99=_ratio(case, "p99"),
        verdict=words["p99"],
        note="; ".join(dict.fromkeys(notes)),
        interval=intervals["p99"],
        interval_p50=intervals["p50"],
        verdict_p50=words["p50"] if words["p50"] != NO_VERDICT else None,
        noise_band=case.band if decided else None,
        ratio_engine_p50=own.get("p50"),
        ratio_engine_p99=own.get("p99"),
        failures=case.failures,
    )


def _verdict(name: str, case: Case, *, student: bool, guard: bool) -> tuple[ComparisonVerdict, str]:
    """Give the word for one percentile, and why it is not another."""
    estimate, band = case.estimates[name], getattr(case.band, name)
    low, high = estimate.interval
    unclear: ComparisonVerdict = NO_DIFFERENCE
    why = ""
    # The interval alone would claim more than the comparisons together show.
    if (low > 1 or high < 1) and not student:
        why = f"{name} is not significant among all comparisons (Holm)"
    elif student and not guard:
        why = f"{name} is not significant by the permutation test (p = {case.guards[name]:.2g}); more pairs are needed"
    elif student and low <= band and high >= 1 / band:
        why = f"{name} differs by no more than this machine's noise: the interval overlaps the band"
    elif student:
        word: ComparisonVerdict = SLOWER if estimate.ratio > 1 else FASTER
        if case.failures is None or case.more_failures == (1 if word == SLOWER else -1):
            return word, ""
    if case.level < FAMILY_LEVEL:
        return NO_VERDICT, f"{name} needs {PAIRS_FOR_A_VERDICT} pairs"
    if case.failures is not None:
        unclear = NO_VERDICT
    return unclear, why


def _band_note(band: NoiseBand, *, p99: bool) -> str:
    if band.measured and band.p99 is not None:
        return f"noise band of this machine: p50 ±{band.p50 - 1:.1%}, p99 ±{band.p99 - 1:.1%}"
    return (
        f"these cells have no measured noise band (`run --aa`), so p50 is compared with an assumed "
        f"±{band.p50 - 1:.0%}" + (", and p99 has no verdict" if p99 else "")
    )


def _ratio(case: Case, name: str) -> float | None:
    if name in case.estimates:
        return _rounded(case.estimates[name].ratio)
    values = case.ratios.get(name)
    return _rounded(statistics.median(values)) if values else None


def _rounded(ratio: float) -> float:
    return round(ratio, 4) if ratio >= LEAST_IN_DECIMALS else float(f"{ratio:.4g}")
