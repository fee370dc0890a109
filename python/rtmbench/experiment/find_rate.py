"""`run --find-rate`: one run for each rate of a search, engine by engine, and what the searches found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.experiment.rate_search import (
    CYCLES,
    FLOOR_FACTOR,
    HARNESS,
    PASSED,
    TRIALS,
    RateSearch,
    judge_floor,
    judge_trial,
    rate_point,
)
from rtmbench.experiment.settings import MAX_RATE
from rtmbench.results.model import Grid

if TYPE_CHECKING:
    from rtmbench.engines.base import EngineSpec
    from rtmbench.experiment.pattern_run import PatternRun
    from rtmbench.experiment.runner import Experiment
    from rtmbench.experiment.settings import Settings
    from rtmbench.results.model import RatePoint, Result, Scalar, Sustained

RESOLUTION, RESOLUTION_QUICK = 1.1, 1.25
BUDGET, BUDGET_QUICK = 12, 7


def search(experiment: Experiment) -> list[Result]:
    """Search the highest sustained rate of every engine at every pattern; return the document of every rate tried."""
    settings, view = experiment.settings, experiment.view
    budget = BUDGET_QUICK if settings.quick else BUDGET
    results: list[Result] = []
    for pattern in settings.patterns:
        sustained_rates: list[Sustained] = []
        runs: list[PatternRun] = []
        for spec in settings.cells(pattern):
            rate_search = RateSearch(
                start=settings.rate,
                most=float(MAX_RATE),
                resolution=RESOLUTION_QUICK if settings.quick else RESOLUTION,
                budget=budget,
            )
            points: list[RatePoint] = []
            while (rate := rate_search.next()) is not None:
                run = experiment.add_run(pattern, **_at(settings, rate, spec))
                if not points:
                    minutes = run.remaining()[1] / 60
                    view.say(f"at most {budget} rates, about {minutes:.0f} min each, on {run.cell_runs[0].name}")
                outcome = _try(run, rate, experiment)
                rate_search.record(rate, outcome[0])
                points.append(rate_point(rate, run.directory.run_id, outcome, run.cell_runs[0].trials))
                runs.append(run)
                view.say(f"{run.cell_runs[0].name} at {rate:,.0f} events/s: {outcome[0]} {outcome[1]}".rstrip())
                if run.cell_runs[0].refusal is not None:
                    break
            sustained_rates.append(rate_search.found(runs[-1].cell_runs[0].name, points, quick=settings.quick))
        results += _tied(runs, sustained_rates)
    return results


def _at(settings: Settings, rate: float, spec: EngineSpec) -> dict[str, object]:
    """Give the arguments of the run at one rate: the definition's trials and cycles, or the quick ones."""
    cycles = settings.cycles if settings.quick else max(settings.cycles, CYCLES)
    at_rate = replace(
        settings,
        rate=rate,
        trials=1 if settings.quick else TRIALS,
        cycles=cycles,
        duration_s=max(settings.duration_s, cycles * settings.checkpoint_interval_s),
    )
    return {
        "settings": at_rate,
        "axes": Grid(axes={"rate": [rate]}, point={"rate": rate}),
        "engines": [spec],
        "floor_settings": replace(at_rate, rate=FLOOR_FACTOR * rate),
    }


def _try(run: PatternRun, rate: float, experiment: Experiment) -> tuple[str, str]:
    """Run the floors and then trials until one does not pass."""
    run.prepare()
    run.begin()
    cell_run = run.cell_runs[0]
    problem = next(filter(None, (judge_floor(floor.trials[-1], rate) for floor in run.floors)), "")
    outcome = (HARNESS, problem) if problem else (PASSED, "")
    for number in range(1, run.settings.trials + 1):
        if outcome[0] != PASSED or cell_run.refusal is not None:
            break
        run.trial(cell_run, number)
        (cell,), _ = run.judged()
        outcome = judge_trial(cell.trials[-1], cell, experiment.options.targets)
    run.finish()
    return outcome


def _tied(runs: list[PatternRun], sustained_rates: list[Sustained]) -> list[Result]:
    """Write what was found, and all rates, into every document of the search."""
    rates: list[Scalar] = [*sorted({run.settings.rate for run in runs})]
    for run in runs:
        run.tie(Grid(axes={"rate": rates}, point={"rate": run.settings.rate}), sustained_rates)
    return [run.result for run in runs if run.result is not None]
