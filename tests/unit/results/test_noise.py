from __future__ import annotations

import math
from dataclasses import replace

import pytest
from results_builder import cell, latency, result, trial

from rtmbench.results import NoiseBand, Status
from rtmbench.results.confidence import student_quantile
from rtmbench.results.model import CloseLatency
from rtmbench.results.noise import Band, NoiseBands, Spread, describe, measure, predicted, save

SIX = (1_000, 1_040, 980, 1_010, 1_030, 990)


def trials(factor=1.0, numbers=SIX):
    return [trial(n, latency_us=latency(round(p50 * factor))) for n, p50 in enumerate(numbers, 1)]


FULL = {"rate": 1_000, "quick": False}


def aa(*, count=6, **changes):
    changes = {"settings": FULL, **changes}
    again = trials(numbers=(1_020, 1_010, 1_030, 990, 1_000, 1_040)[:count])
    return result(cell("flink@1.20", trials(numbers=SIX[:count])), cell("flink@1.20-again", again), **changes)


def test_what_an_a_a_run_found_is_its_mean_and_the_spread_of_its_pairs():
    found = aa()
    (seen,), problems = measure(found)
    (comparison,) = found.comparisons
    assert problems == []
    assert (seen.cell, seen.pattern, seen.p99.pairs) == ("flink@1.20", "01", 6)
    assert math.exp(seen.p99.mean) == pytest.approx(comparison.ratio_p99, abs=1e-4)
    low, high = comparison.interval
    half = math.log(high / low) / 2
    assert seen.p99.spread / math.sqrt(6) * student_quantile(4.0) == pytest.approx(half, rel=1e-3)


def test_a_band_is_a_prediction_for_one_further_experiment_of_six_pairs():
    one = Spread(mean=0.0, spread=0.3, pairs=6)
    assert math.log(predicted([one])) == pytest.approx(2.7764 * 0.3 * math.sqrt(1 / 6 + 1 / 6), rel=1e-4)
    # An engine is equal to itself, so the mean of a single run says nothing about where the band lies.
    assert predicted([replace(one, mean=-0.1)]) == predicted([one])


def test_more_pairs_do_not_make_the_band_vanish():
    many = Spread(mean=0.0, spread=0.3, pairs=600)
    assert math.log(predicted([many])) == pytest.approx(1.96 * 0.3 / math.sqrt(6), rel=0.01)


def test_runs_that_differ_by_more_than_their_pairs_explain_decide_themselves():
    runs = [Spread(mean=mean, spread=0.01, pairs=6) for mean in (0.2, -0.2)]
    assert math.log(predicted(runs)) > 2 * 0.2


def test_too_few_pairs_make_no_band_and_say_so(tmp_path):
    found = aa(count=3)
    bands, (problem,) = measure(found)
    assert bands == []
    assert "3 of 6 pairs, 3 missing" in problem
    assert save(found, bands, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_quick_run_and_one_with_failures_make_no_band():
    bands, (problem,) = measure(aa(settings={**FULL, "quick": True}))
    assert (bands, "quick" in problem) == ([], True)
    failed = [replace(t, status=Status.FAILED, latency_us=None) for t in trials()[:1]]
    bands, (problem,) = measure(
        result(cell("flink@1.20", trials()), cell("flink@1.20-again", [*failed, *trials()[1:]]), settings=FULL)
    )
    assert bands == []
    assert "flink@1.20-again fails in 1 of 6 trials" in problem


def test_bands_are_found_again_for_the_same_machine_cell_and_settings(tmp_path):
    found = aa()
    (seen,), _ = measure(found)
    assert save(found, [seen], tmp_path).parent == tmp_path / "noise"
    run = result(cell("flink@1.20", trials()), cell("spark@4.1", trials()), settings=FULL)
    flink, spark = run.cells
    bands = NoiseBands(tmp_path)
    expected = Band(p50=predicted([seen.p50]), p99=predicted([seen.p99]), runs=1, pairs=6)
    assert bands.of(run, flink) == expected
    assert bands.of(run, spark) is None
    for other in (
        replace(run, host=replace(run.host, kernel="6.2")),
        replace(run, settings={**run.settings, "rate": 2_000}),
        replace(run, pattern="02"),
    ):
        assert bands.of(other, flink) is None
    for same in (
        replace(run, settings={**run.settings, "trials": 9, "seed": 4, "notes": ["n"]}),
        replace(run, host=replace(run.host, memory=run.host.memory + 3)),
    ):
        assert bands.of(same, flink) == expected


def kept(tmp_path, name, seen, **spreads):
    numbers = {figure: Spread(mean=0.0, spread=spread, pairs=6) for figure, spread in spreads.items()}
    save(replace(aa(), run_id=name), [replace(seen, created_at=f"2026-11-{name}T00:00:00Z", **numbers)], tmp_path)


def test_p50_is_assumed_where_it_was_not_measured_and_p99_is_not(tmp_path):
    (seen,), _ = measure(aa())
    kept(tmp_path, "01", seen, p50=0.001, p99=0.2)
    run = result(cell("flink@1.20", trials()), cell("spark@4.1", trials()), settings=FULL)
    flink, spark = run.cells
    both = NoiseBands(tmp_path).between((run, flink), (run, spark))
    assert both == NoiseBand(p50=1.10, p99=None, measured=False)
    kept(tmp_path, "02", replace(seen, cell="spark@4.1"), p50=0.01, p99=0.01)
    both = NoiseBands(tmp_path).between((run, flink), (run, spark))
    wide, narrow = (predicted([Spread(mean=0.0, spread=s, pairs=6)]) for s in (0.2, 0.01))
    assert (both.p50, both.p99) == pytest.approx((narrow, wide), abs=1e-4)
    assert both.measured
    assert NoiseBands(tmp_path).between((run, flink), least=1.1).p50 == 1.1


def test_the_last_five_runs_make_the_band_together_and_not_the_newest_alone(tmp_path):
    (seen,), _ = measure(aa())
    run = result(cell("flink@1.20", trials()), settings=FULL)
    for day in range(1, 7):
        kept(tmp_path, f"{day:02}", seen, p50=0.05, p99=9.0 if day == 1 else 0.4)
    before = NoiseBands(tmp_path).of(run, run.cells[0])
    assert (before.runs, before.pairs) == (5, 30)
    assert before.p99 == pytest.approx(predicted([Spread(mean=0.0, spread=0.4, pairs=6)] * 5))
    # A quiet hour narrows it by a fifth of the variance and no further.
    kept(tmp_path, "07", seen, p50=0.05, p99=0.001)
    after = NoiseBands(tmp_path).of(run, run.cells[0])
    assert math.log(after.p99) / math.log(before.p99) == pytest.approx(math.sqrt(0.8), rel=1e-3)


def test_a_file_that_cannot_be_read_is_no_band(tmp_path):
    (seen,), _ = measure(aa())
    kept(tmp_path, "01", seen, p50=0.05, p99=0.4)
    old = '{"schema": "rtmbench.noise/1", "bands": [{"cell": "flink@1.20", "p50": 1.01, "p99": 1.02}]}'
    for name, text in (
        ("c", "{"),
        ("d", '{"schema": "rtmbench.noise/2", "bands": [{"cell": 1}]}'),
        ("e", "[]"),
        ("f", old),
    ):
        (tmp_path / "noise" / f"{name}.json").write_text(text)
    run = result(cell("flink@1.20", trials()), settings=FULL)
    found = NoiseBands(tmp_path).of(run, run.cells[0])
    assert found.runs == 1
    assert describe(found) == f"p50 ±{found.p50 - 1:.1%}, p99 ±{found.p99 - 1:.1%} (6 pairs of 1 A/A run)"
    assert describe(None) == "not measured"


def test_a_cell_without_a_p99_has_a_band_of_p50_alone(tmp_path):
    closed = [
        cell(
            name,
            [trial(n, close_latency_us=CloseLatency(count=5, p50=p50)) for n, p50 in enumerate(SIX, 1)],
            emit="close",
        )
        for name in ("flink@1.20", "flink@1.20-again")
    ]
    found = result(*closed, settings=FULL)
    bands, problems = measure(found)
    assert (problems, bands[0].p99) == ([], None)
    save(found, bands, tmp_path)
    assert NoiseBands(tmp_path).of(found, closed[0]).p99 is None
    assert NoiseBands(tmp_path).between((found, closed[0])).p99 is None
