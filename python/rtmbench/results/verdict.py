"""From what was seen of two cells to a verdict, or to the reason why there is none.

A difference is called one (*faster*, *slower*) where all of this holds, else "no difference shown":

1. Student's test on the log-ratios excludes equality, corrected for the number of comparisons that are shown
   together (Holm over all cells and both percentiles, 4 % in all);
2. the ratio exceeds the noise band: what two runs of the *same* engine on this machine were seen to differ by.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtmbench.results.interval import holm
from rtmbench.results.model import Comparison, NoiseBand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtmbench.results.interval import Estimate

FASTER, SLOWER, NO_DIFFERENCE, NO_VERDICT = "faster", "slower", "no difference shown", "no verdict"
FIGURES = ("p50", "p99")
FAMILY_LEVEL = 0.04
"""Share of false verdicts that the statistics allow where all cells are alike. A little under the promised 5 %, since
trials with rare long stalls are less well-behaved than Student's distribution assumes."""
ASSUMED_BAND = 1.10
"""In place of a band that was not measured. No machine is promised to be this quiet: it is a convention."""
LEAST_IN_DECIMALS = 0.1
"""Below it a ratio has significant digits: two decimals would turn 1 to 2,000 into 0.00."""
UNMEASURED = NoiseBand(p50=ASSUMED_BAND, p99=ASSUMED_BAND, measured=False)


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
    obstacles: Sequence[str] = ()
    """Why there can be no verdict, the most telling first."""
    remarks: Sequence[str] = ()
    """What to know besides."""
    band: NoiseBand = UNMEASURED


def decide(cases: Sequence[Case]) -> list[Comparison]:
    """Judge cases that are shown together, so that their number does not make differences."""
    tests = [
        (index, name, case.estimates[name].p_value)
        for index, case in enumerate(cases)
        if not case.obstacles
        for name in FIGURES
        if name in case.estimates
    ]
    verdicts = holm([p_value for *_, p_value in tests], level=FAMILY_LEVEL)
    significant = {(index, name): found for (index, name, _), found in zip(tests, verdicts, strict=True)}
    return [_comparison(case, {n: significant.get((i, n)) for n in FIGURES}) for i, case in enumerate(cases)]


def sentence(found: Comparison) -> str:
    """Say a comparison in one sentence, ratio and interval included, without an end stop."""
    figures = {"p99": (found.ratio_p99, found.interval), "p50": (found.ratio_p50, found.interval_p50)}
    shown = {n: f"{n} × {ratio_text(ratio, interval)}" for n, (ratio, interval) in figures.items() if ratio is not None}
    if found.noise_band is None:
        return f"{found.other} against {found.baseline}: {', '.join([NO_VERDICT, *shown.values()])} ({found.note})"
    words = {"p99": found.verdict, "p50": found.verdict_p50 or NO_VERDICT}
    said = "; ".join(f"{words[name]} at {text}" for name, text in shown.items())
    return f"{found.other} against {found.baseline}: {said} ({found.note})"


def ratio_text(ratio: float, interval: Sequence[float] | None = None) -> str:
    """Give a ratio with its interval in brackets: two decimals, or two digits where those would be zeros."""
    shown = [f"{value:.2f}" if value >= LEAST_IN_DECIMALS else f"{value:.2g}" for value in (ratio, *(interval or ()))]
    return shown[0] + (f" [{', '.join(shown[1:])}]" if interval else "")


def _comparison(case: Case, significant: Mapping[str, bool | None]) -> Comparison:
    notes = [*case.obstacles, *case.remarks]
    verdicts: dict[str, str] = dict.fromkeys(FIGURES, NO_VERDICT)
    if not case.obstacles:
        for name in case.estimates:
            verdicts[name], why = _verdict(name, case, significant=bool(significant[name]))
            notes += why
        notes.append(_band_note(case.band))
    intervals = {
        name: [_rounded(bound) for bound in case.estimates[name].interval] if name in case.estimates else None
        for name in FIGURES
    }
    decided = not case.obstacles
    return Comparison(
        baseline=case.baseline,
        other=case.other,
        pairs=case.pairs,
        ratio_p50=_ratio(case, "p50"),
        ratio_p99=_ratio(case, "p99"),
        verdict=verdicts["p99"],
        note="; ".join(notes),
        interval=intervals["p99"],
        interval_p50=intervals["p50"],
        verdict_p50=verdicts["p50"] if decided else None,
        noise_band=case.band if decided else None,
    )


def _verdict(name: str, case: Case, *, significant: bool) -> tuple[str, list[str]]:
    estimate, band = case.estimates[name], getattr(case.band, name)
    if not significant:
        low, high = estimate.interval
        # The interval alone would say more than the comparisons together do.
        alone = low > 1 or high < 1
        return NO_DIFFERENCE, [f"{name} is not significant among all comparisons (Holm)"] if alone else []
    if 1 / band <= estimate.ratio <= band:
        return NO_DIFFERENCE, [f"{name} differs by no more than this machine's noise"]
    return (SLOWER if estimate.ratio > 1 else FASTER), []


def _band_note(band: NoiseBand) -> str:
    if band.measured:
        return f"noise band of this machine: p50 ±{band.p50 - 1:.1%}, p99 ±{band.p99 - 1:.1%}"
    return (
        f"no noise band was measured for these cells (`run --aa`), so differences within "
        f"{max(band.p50, band.p99) - 1:.0%} are not called any"
    )


def _ratio(case: Case, name: str) -> float | None:
    if name in case.estimates:
        return _rounded(case.estimates[name].ratio)
    values = case.ratios.get(name)
    return _rounded(statistics.median(values)) if values else None


def _rounded(ratio: float) -> float:
    return round(ratio, 4) if ratio >= LEAST_IN_DECIMALS else float(f"{ratio:.4g}")
