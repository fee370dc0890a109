"""`rtmbench compare` and `rtmbench history` on runs on disk, down to the exit code."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner
from results_builder import cell, latency, result, trial

from rtmbench.cli.compare import compare
from rtmbench.cli.history import history
from rtmbench.errors import ConfigurationError
from rtmbench.results import RunDirectory, Status, noise
from rtmbench.results.fingerprint import machine_id, settings_id
from rtmbench.results.model import Grid
from rtmbench.results.store import load

FULL = {"rate": 1_000, "keys": 100, "partitions": 4, "quick": False}
SIX = (1_000, 1_040, 980, 1_010, 1_030, 990)
NOISE = (0.01, -0.02, 0.015, -0.01, 0.0, 0.01)


def trials(factor=1.0, count=6):
    values = [round(p50 * factor * (1 + e)) for p50, e in zip(SIX, NOISE if factor != 1 else [0] * 6, strict=True)]
    return [trial(n, latency_us=latency(p50)) for n, p50 in enumerate(values[:count], 1)]


def stored(root, name, *cells, **changes):
    """Keep a full run of a machine whose noise was measured: it is small."""
    changes = {"experiment_id": f"experiment-{name}", "settings": FULL, **changes}
    found = result(*cells, run_id=name, **changes)
    seen = noise.Spread(mean=0.0, spread=0.01, pairs=6)
    where = {"pattern": found.pattern, "machine": machine_id(found.host), "settings": settings_id(found)}
    bands = [noise.Measured(cell=c.name, p50=seen, p99=seen, created_at="2026", **where) for c in found.cells]
    noise.save(found, bands, root)
    directory = RunDirectory.create(root, name)
    directory.write(found)
    directory.close()
    return found


def run(command, root, *arguments):
    found = CliRunner().invoke(command, [*arguments, "--results", str(root)], standalone_mode=False)
    if found.exception is not None:
        raise found.exception
    return found


def document(command, root, *arguments):
    found = run(command, root, *arguments, "--json")
    return json.loads(found.stdout), found.return_value


@pytest.fixture
def root(tmp_path):
    stored(tmp_path, "six", cell("flink@1.20", trials()), cell("spark@4.1", trials(3)))
    stored(tmp_path, "three", cell("flink@1.20", trials(count=3)), cell("spark@4.1", trials(3, count=3)))
    stored(tmp_path, "slow", cell("flink@1.20", trials(1.2)), cell("spark@4.1", trials(3)))
    return tmp_path


def test_a_six_pair_experiment_and_itself_show_no_difference(root):
    found, code = document(compare, root, "six", "six", "--fail-on", "regression")
    assert found["schema"] == "rtmbench.comparison/1"
    assert [c["verdict"] for c in found["comparisons"]] == ["no difference shown"] * 2
    assert all(c["paired"] for c in found["comparisons"])
    assert code == 0


def test_fewer_trials_make_no_verdict_and_say_how_many_are_missing(root):
    for arguments in (["three", "three"], ["six", "three"], ["three", "flink@1.20", "spark@4.1"]):
        found = run(compare, root, *arguments, "--fail-on", "regression")
        assert "no verdict" in found.stdout
        assert "3 missing" in " ".join(found.stdout.split())
        assert "have no verdict" in found.stderr
        assert found.return_value == 0


def test_twenty_percent_slower_is_a_regression(root):
    found, code = document(compare, root, "six", "slow", "--fail-on", "regression")
    flink, spark = found["comparisons"]
    assert (flink["verdict"], flink["paired"]) == ("slower", False)
    assert "Welch" in flink["note"]
    assert flink["interval"][0] < 1.2 < flink["interval"][1]
    assert spark["verdict"] == "no difference shown"
    assert len(found["regressions"]) == 1
    assert code == 5
    assert document(compare, root, "six", "slow")[1] == 0
    assert document(compare, root, "six", "slow", "--fail-on", "regression:30%")[1] == 0
    assert document(compare, root, "slow", "six", "--fail-on", "regression")[1] == 0


def failing(count, status=Status.FAILED):
    sound = trials(0.8)
    return [replace(t, status=status, reasons=["why"], latency_us=None) if t.trial <= count else t for t in sound]


def test_failing_clearly_more_often_is_a_regression(root):
    stored(root, "broken", cell("flink@1.20", failing(6)))
    stored(root, "worse-pair", cell("flink@1.20", failing(6)), experiment_id="experiment-six")
    for name, paired in (("broken", False), ("worse-pair", True)):
        found, code = document(compare, root, "six", name, "--fail-on", "regression:500%")
        (flink,) = found["comparisons"]
        assert (flink["verdict"], flink["paired"], code) == ("worse", paired, 5)
        assert flink["failures"] == {"baseline": 0, "baseline_trials": 6, "other": 6, "other_trials": 6}
        assert "fails in 6 of 6 trials" in found["regressions"][0]
        assert document(compare, root, name, "six", "--fail-on", "regression")[1] == 0


def test_a_few_failures_are_no_regression_but_a_faster_latency_is_not_claimed(root):
    stored(root, "shaky", cell("flink@1.20", failing(2)))
    found, code = document(compare, root, "six", "shaky", "--fail-on", "regression")
    assert (found["comparisons"][0]["verdict"], code) == ("no verdict", 0)
    assert found["comparisons"][0]["note"].startswith(
        "flink@1.20 in shaky fails in 2 of 6 trials, flink@1.20 in six in none of 6"
    )


def test_three_trials_that_all_fail_are_a_regression_without_a_verdict(root):
    for count, settings in ((3, FULL), (3, {**FULL, "quick": True})):
        name = f"dead-{settings['quick']}"
        stored(root, name, cell("flink@1.20", failing(6)[:count]), settings=settings)
        found, code = document(compare, root, "three", name, "--fail-on", "regression")
        assert (found["comparisons"][0]["verdict"], code) == ("no verdict", 5)
    stored(root, "two", cell("flink@1.20", failing(6)[:2]))
    assert document(compare, root, "three", "two", "--fail-on", "regression")[1] == 0


def test_a_quick_run_is_compared_and_gets_no_verdict(root):
    quick = {**FULL, "quick": True}
    for name, factor in (("hasty", 1), ("hasty-slow", 3)):
        stored(root, name, cell("flink@1.20", trials(factor)), settings=quick)
    for arguments in (["hasty", "hasty-slow"], ["hasty", "hasty"], ["six", "hasty-slow"]):
        found, code = document(compare, root, *arguments, "--fail-on", "regression")
        assert (found["comparisons"][0]["verdict"], code) == ("no verdict", 0)
        assert "verdict_p50" not in found["comparisons"][0]
        assert found["comparisons"][0]["note"].startswith("a quick run: too short and too cold for a verdict")
    assert found["comparisons"][0]["ratio_p99"] == pytest.approx(3, rel=0.01)


def test_a_median_of_an_even_number_of_trials_lies_in_the_middle(root):
    for name, p50s in (("low", (1_000, 2_000)), ("high", (3_000, 4_000))):
        stored(root, name, cell("flink@1.20", [trial(n, latency_us=latency(p)) for n, p in enumerate(p50s, 1)]))
    (found,) = document(compare, root, "low", "high")[0]["comparisons"]
    assert found["ratio_p50"] == pytest.approx(math.sqrt(3_000 * 4_000 / (1_000 * 2_000)), rel=1e-4)


def test_within_one_experiment_trials_are_paired(root):
    stored(root, "slow-pair", cell("flink@1.20", trials(1.2)), experiment_id="experiment-six")
    found, code = document(compare, root, "six", "slow-pair", "--fail-on", "regression")
    (flink,) = found["comparisons"]
    assert (flink["paired"], flink["verdict"], flink["pairs"], code) == (True, "slower", 6, 5)
    assert found["warnings"] == ["spark@4.1 is only in six"]


def test_engines_of_a_run_are_compared_by_name_or_its_beginning(root):
    for names in (["flink@1.20", "spark@4.1"], ["flink", "spark"]):
        found, _ = document(compare, root, "six", *names)
        (only,) = found["comparisons"]
        assert (only["baseline"], only["other"], only["verdict"]) == ("flink@1.20", "spark@4.1", "slower")
    assert document(compare, root, "six")[0]["comparisons"] == [only]
    with pytest.raises(ConfigurationError, match=r"no cell 'storm'.*flink@1.20, spark@4.1, transport"):
        run(compare, root, "six", "flink", "storm")


def test_two_versions_of_an_engine_are_compared(root):
    stored(root, "newer", cell("flink@2.2", trials(0.7)), cell("spark@4.1", trials(3)))
    found, _ = document(compare, root, "six", "newer")
    pairs = [(c["baseline"], c["other"], c["verdict"]) for c in found["comparisons"]]
    assert ("flink@1.20", "flink@2.2", "faster") in pairs


def test_another_machine_is_no_verdict(root):
    before = load("six", root)
    stored(root, "elsewhere", *load("slow", root).cells, host=replace(before.host, cores=8))
    found, code = document(compare, root, "six", "elsewhere", "--fail-on", "regression")
    assert {c["verdict"] for c in found["comparisons"]} == {"no verdict"}
    assert "cores 2 → 8" in found["warnings"][0]
    assert found["comparisons"][0]["ratio_p99"] == pytest.approx(1.2, rel=0.03)
    assert code == 0


def test_unlike_settings_are_said(root):
    before = load("six", root)
    stored(root, "faster-load", *before.cells, settings={**FULL, "rate": 5_000})
    found, _ = document(compare, root, "six", "faster-load")
    assert "rate 1000 → 5000" in found["warnings"][0]


def test_contended_and_boundary_free_trials_are_withheld_across_runs(root):
    contended = [replace(t, status=Status.CONTENDED) if t.trial < 3 else t for t in trials()]
    stored(root, "busy", cell("flink@1.20", contended))
    stored(root, "free", cell("flink@1.20", [replace(t, cycles=0) for t in trials()]))
    assert (
        "4 of 6 valid trials of flink@1.20 in busy, 2 missing"
        in document(compare, root, "six", "busy")[0]["comparisons"][0]["note"]
    )
    (found,) = document(compare, root, "six", "free")[0]["comparisons"]
    assert (found["verdict"], found["ratio_p99"]) == ("no verdict", None)
    assert "boundary-free" in found["note"]


def test_an_experiment_stands_for_its_runs(root):
    for number in ("01", "02"):
        stored(root, f"b-{number}", cell("flink@1.20", trials(1.2)), pattern=number, experiment_id="both")
        stored(root, f"a-{number}", cell("flink@1.20", trials()), pattern=number, experiment_id="before")
    found, _ = document(compare, root, "before", "both")
    assert [(c["pattern"], c["verdict"]) for c in found["comparisons"]] == [("01", "slower"), ("02", "slower")]
    with pytest.raises(ConfigurationError, match="not comparable"):
        run(compare, root, "a-01", "a-02")


def test_points_of_a_sweep_are_matched(root):
    for name, factor in (("x", 1), ("y", 1.2)):
        for rate in (1_000, 5_000):
            grid = Grid(axes={"rate": [1_000, 5_000]}, point={"rate": rate})
            stored(root, f"{name}-{rate}", cell("flink@1.20", trials(factor)), grid=grid, experiment_id=name)
    found, _ = document(compare, root, "x", "y")
    assert [(c["point"], c["other_run"]) for c in found["comparisons"]] == [
        ({"rate": 1_000}, "y-1000"),
        ({"rate": 5_000}, "y-5000"),
    ]


def test_a_baseline_is_kept_and_outlives_its_run(root):
    assert run(compare, root, "--save-baseline", "main", "six").return_value == 0
    (root / "six" / "result.json").unlink()
    found, code = document(compare, root, "--baseline", "main", "slow", "--fail-on", "regression:10%")
    assert found["comparisons"][0]["baseline_run"] == "six"
    assert code == 5


@pytest.mark.parametrize("name", ["../x", "", "a b", ".hidden"])
def test_a_baseline_has_a_plain_name(root, name):
    with pytest.raises(ConfigurationError, match="baseline's name"):
        run(compare, root, "--save-baseline", name, "six")


def test_baselines_that_are_not_there_or_not_whole_are_clear_errors(root):
    run(compare, root, "--save-baseline", "main", "six")
    with pytest.raises(ConfigurationError, match=r"Unknown baseline 'mian'.*There are: main"):
        run(compare, root, "--baseline", "mian", "six")
    (root / "baselines" / "main.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="is not a baseline"):
        run(compare, root, "--baseline", "main", "six")
    stored(root, "half", cell("flink@1.20", trials()), complete=False)
    with pytest.raises(ConfigurationError, match="not complete"):
        run(compare, root, "--save-baseline", "main", "half")


def test_what_a_reader_sees_fits_100_columns(root):
    text = run(compare, root, "six", "slow").stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "slower at p99 × 1.2" in " ".join(text.split())
    hostile = cell("flink@1.20\x1b[31m<script>" + "x" * 500, trials())
    stored(root, "hostile", hostile)
    text = run(compare, root, "hostile", "hostile").stdout
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_history_shows_a_cell_over_time_and_ends_the_trend_at_another_machine(tmp_path):
    for day, factor, cores in ((21, 3, 8), (22, 1, 2), (23, 1, 2), (24, 1.2, 2)):
        found = result()
        stored(
            tmp_path,
            f"run-{day}",
            cell("flink@1.20", trials(factor)),
            created_at=f"2026-11-{day}T00:00:00Z",
            host=replace(found.host, cores=cores),
        )
    stored(tmp_path, "other", cell("flink@1.20", trials()), settings={**FULL, "rate": 9})
    found, code = document(history, tmp_path, "01", "--engine", "flink")
    assert (found["schema"], code) == ("rtmbench.history/1", 0)
    series = max(found["series"], key=lambda s: len(s["points"]))
    assert len(found["series"]) == 2
    assert [p["run_id"] for p in series["points"]] == ["run-21", "run-22", "run-23", "run-24"]
    assert series["warnings"] == ["the machine changed before run-22: cores 8 → 2; a change there is not a trend"]
    assert series["latest"]["verdict"] == series["overall"]["verdict"] == "slower"
    assert "trend" in run(history, tmp_path).stdout
    assert document(history, tmp_path, "--engine", "spark")[0]["series"] == []
    assert "no matching runs" in run(history, tmp_path, "--engine", "spark").stderr


def test_history_leaves_out_what_it_cannot_read(tmp_path):
    stored(tmp_path, "good", cell("flink@1.20", trials()))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "result.json").write_text('{"schema": "rtmbench.result/3"}')
    found = run(history, tmp_path)
    assert "left out" in found.stderr
    assert "does not read" in found.stderr
    assert "good" in found.stdout
