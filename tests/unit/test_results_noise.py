from __future__ import annotations

from dataclasses import replace

import pytest
from results_builder import cell, latency, result, trial

from rtmbench.results.noise import NoiseBands, measure, save

SIX = (1_000, 1_040, 980, 1_010, 1_030, 990)


def trials(factor=1.0, numbers=SIX):
    return [trial(n, latency_us=latency(round(p50 * factor))) for n, p50 in enumerate(numbers, 1)]


def aa(*, count=6, **changes):
    again = trials(numbers=(1_020, 1_010, 1_030, 990, 1_000, 1_040)[:count])
    return result(cell("flink@1.20", trials(numbers=SIX[:count])), cell("flink@1.20-again", again), **changes)


def test_a_band_is_the_farther_bound_of_the_interval_on_an_engine_and_itself():
    found = aa()
    (band,), problems = measure(found)
    (comparison,) = found.comparisons
    assert problems == []
    assert (band.cell, band.pattern, band.pairs) == ("flink@1.20", "01", 6)
    low, high = comparison.interval
    assert band.p99 == pytest.approx(max(high, 1 / low), abs=2e-4)
    assert 1 < band.p50 < 1.2


def test_too_few_pairs_make_no_band_and_say_so(tmp_path):
    found = aa(count=3)
    bands, (problem,) = measure(found)
    assert bands == []
    assert "3 of 6 pairs, 3 missing" in problem
    assert save(found, bands, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_bands_are_found_again_for_the_same_machine_cell_and_settings(tmp_path):
    found = aa()
    (band,), _ = measure(found)
    assert save(found, [band], tmp_path).parent == tmp_path / "noise"
    run = result(cell("flink@1.20", trials()), cell("spark@4.1", trials()))
    flink, spark = run.cells
    bands = NoiseBands(tmp_path)
    assert bands.of(run, flink) == band
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
        assert bands.of(same, flink) == band


def test_what_was_not_measured_is_assumed_and_the_wider_band_counts(tmp_path):
    found = aa()
    (band,), _ = measure(found)
    narrow = replace(band, p50=1.01, p99=1.3)
    save(found, [narrow], tmp_path)
    run = result(cell("flink@1.20", trials()), cell("spark@4.1", trials()))
    flink, spark = run.cells
    both = NoiseBands(tmp_path).between((run, flink), (run, spark))
    assert (both.p50, both.p99, both.measured) == (1.10, 1.3, False)
    save(replace(found, run_id="later"), [replace(narrow, cell="spark@4.1", p50=1.02, p99=1.02)], tmp_path)
    both = NoiseBands(tmp_path).between((run, flink), (run, spark))
    assert (both.p50, both.p99, both.measured) == (1.02, 1.3, True)
    assert NoiseBands(tmp_path).between((run, flink), least=1.1).p50 == 1.1


def test_the_newest_band_counts_and_a_damaged_file_is_none(tmp_path):
    found = aa()
    (band,), _ = measure(found)
    for name, day, p99 in (("b", "2026-11-25", 1.4), ("a", "2026-11-26", 1.2)):
        save(replace(found, run_id=name), [replace(band, created_at=f"{day}T00:00:00Z", p99=p99)], tmp_path)
    for name, text in (("c", "{"), ("d", '{"schema": "rtmbench.noise/1", "bands": [{"cell": 1}]}'), ("e", "[]")):
        (tmp_path / "noise" / f"{name}.json").write_text(text)
    run = result(cell("flink@1.20", trials()))
    assert NoiseBands(tmp_path).of(run, run.cells[0]).p99 == 1.2
