from __future__ import annotations

import numpy as np
import pytest
from machines import MACHINE
from results_builder import result

from rtmbench.durations import seconds
from rtmbench.errors import ConfigurationError
from rtmbench.experiment.arrivals import late_margin_s, parse_arrivals, parse_out_of_order, schedule_seed
from rtmbench.experiment.settings import RunRequest, Settings, resolve
from rtmbench.experiment.sweep import points, with_one_linger
from rtmbench.experiment.windows import idleness
from rtmbench.kafka.clients import generator_linger_ms, harness_producer
from rtmbench.kafka.connection import Connection
from rtmbench.parity import load_rows, parity
from rtmbench.report.sections import command
from rtmbench.results import fingerprint
from rtmbench.results.model import EngineFacts, EngineSettings, ParityRow


def request(*patterns: str, **options) -> RunRequest:
    return RunRequest(patterns=patterns or ("02",), engines=("flink@1.20", "spark@4.3"), **options)


def settings(*patterns: str, **options) -> Settings:
    return resolve(request(*patterns, **options), MACHINE)


def swept(asked: RunRequest, axes, **options) -> list[Settings]:
    found = [(resolve(point.request, MACHINE), point.grid) for point in points(asked, axes)]
    return [point for point, _ in with_one_linger(found, **options)]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("poisson", "poisson"),
        (" constant ", "constant"),
        ("burst:50", "burst:50"),
        ("ramp:0:1m", "ramp:0:60s"),
        ("ramp:100.5:30", "ramp:100.5:30s"),
        ("step:1s@200,2@1e3", "step:1s@200,2s@1000"),
    ],
)
def test_arrivals_have_one_spelling(text, canonical):
    assert str(parse_arrivals(text, steps=True)) == canonical
    assert parse_arrivals(canonical, steps=True) == parse_arrivals(text, steps=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "poison",
        "poisson:1",
        "burst",
        "burst:0",
        "burst:1.5",
        "ramp:1",
        "ramp:-1:5",
        "ramp:1:0",
        "ramp:1:2:3",
        "step:1@0",
        "step:1",
    ],
)
def test_other_arrivals_name_the_option_and_what_there_is(text):
    with pytest.raises(ConfigurationError, match=r"--schedule .*burst:SIZE"):
        parse_arrivals(text, option="--schedule", steps=True)


def test_a_run_has_one_rate_and_so_no_steps():
    with pytest.raises(ConfigurationError, match="a run has one rate"):
        settings(arrivals="step:1@100")


@pytest.mark.parametrize("arrivals", ["poisson", "constant", "burst:20", "ramp:100:2s"])
def test_a_trial_has_the_same_arrivals_for_every_engine_and_others_than_the_next(arrivals):
    found = settings(arrivals=arrivals, rate=1_000.0)
    first = found.schedule(1).at_us(0, 5_000)
    assert np.array_equal(first, found.schedule(1).at_us(0, 5_000))
    assert not np.array_equal(first, found.schedule(2).at_us(0, 5_000))
    other_seed = settings(arrivals=arrivals, rate=1_000.0, seed=2)
    assert not np.array_equal(first, other_seed.schedule(1).at_us(0, 5_000))
    if not arrivals.startswith("ramp"):
        assert first[-1] == pytest.approx(5e6, rel=0.05)


def test_poisson_is_the_default():
    assert settings().arrivals == "poisson"
    gaps = np.diff(settings(rate=1_000.0).schedule(1).at_us(0, 10_000))
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)


def test_constant_arrivals_meet_a_millisecond_clock_at_every_phase():
    offsets = settings(arrivals="constant", rate=1_000.0).schedule(1).at_us(0, 20_000)
    tenths = np.bincount(offsets % 1_000 // 100, minlength=10)
    assert tenths.min() > 1_700
    assert tenths.max() < 2_300


def test_seeds_of_trials_differ():
    seeds = {schedule_seed(seed, trial) for seed in range(100) for trial in range(1, 20)}
    assert len(seeds) == 1_900
    assert max(seeds) < 2**64


def test_the_load_is_in_the_document_the_fingerprint_and_the_command():
    plain = result(settings=settings().document())
    loaded = settings(
        arrivals="burst:50", zipf=1.1, out_of_order="0.1:5s", late=0.01, warmup_s=60.0, duration_s=60.0, rate=1_000.0
    )
    document = loaded.document()
    assert document["generator"]["acks"] == "all"
    assert document["generator"]["precision"] == "default"
    assert (document["arrivals"], document["zipf"], document["linger_ms"]) == ("burst:50", 1.1, 0)
    changes = fingerprint.settings_changes(plain, result(settings=document))
    for change in ("arrivals poisson → burst:50", "zipf (none) → 1.1", "out_of_order (none) → 0.1:5s"):
        assert change in changes
    again = command(result(settings=document))
    assert "--zipf 1.1" in again
    assert "--arrivals burst:50" in again
    assert "--out-of-order 0.1:5s" in again
    assert "--late 0.01" in again


def test_the_load_is_the_same_in_every_column_of_the_parity_table():
    facts = EngineFacts(settings=EngineSettings(slots=1))
    rows = {row.setting: row for row in parity({"a": facts}, load_rows(settings(zipf=1.0)))}
    assert rows["load generator: arrivals"].values["a"] == "poisson"
    keys = "load generator: keys"
    assert rows[keys] == ParityRow(setting=keys, values={"a": "zipf 1"}, same=True)
    assert rows["load generator: enable.idempotence"].values["a"] == "true"
    assert "load generator: late events" not in rows
    assert load_rows(settings())["load generator: keys"] == "uniform"
    assert parity({}, load_rows(settings())) == []


def test_the_linger_is_the_same_at_every_rate_of_a_sweep():
    assert [generator_linger_ms(rate) for rate in (1_000, 4_999, 5_000)] == [0, 0, 1]
    low, high = swept(request(), {"rate": (1_000.0, 20_000.0)})
    assert (low.rate, low.linger_ms, high.linger_ms) == (1_000, 1, 1)
    assert [one.linger_ms for one in swept(request(rate=1_000.0), {})] == [0]
    assert [one.linger_ms for one in swept(request(rate=1_000.0), {}, most=5e6)] == [1]
    assert settings(rate=20_000.0, linger_ms=0).linger_ms == 0
    assert harness_producer(Connection(bootstrap_servers="x:1"), 1)["linger.ms"] == "1"
    assert harness_producer(Connection(bootstrap_servers="x:1"))["linger.ms"] == "0"


def test_arrivals_and_zipf_make_sweeps():
    found = swept(request(), {"arrivals": ("poisson", "burst:10"), "zipf": (0.5, 1.0)})
    assert [(point.arrivals, point.zipf) for point in found] == [
        ("poisson", 0.5),
        ("poisson", 1.0),
        ("burst:10", 0.5),
        ("burst:10", 1.0),
    ]


def test_no_rate_is_searched_on_a_ramp():
    with pytest.raises(ConfigurationError, match="steady rate"):
        swept(request(arrivals="ramp:0:10"), {}, most=5e6)


def test_a_ramp_that_goes_on_while_it_is_measured_is_told():
    assert any("outlasts the warm-up" in note for note in settings(arrivals="ramp:0:10m").notes)
    assert not any("outlasts" in note for note in settings(arrivals="ramp:0:10s").notes)


@pytest.mark.parametrize(("text", "canonical"), [("0.1:5s", "0.1:5s"), ("1:250ms", "1:0.25s"), ("0.50:2", "0.5:2s")])
def test_out_of_order_has_one_spelling(text, canonical):
    assert str(parse_out_of_order(text)) == canonical
    assert settings(out_of_order=text).out_of_order == canonical


@pytest.mark.parametrize("text", ["0.1", "0:5s", "1.1:5s", "0.1:0", "0.1:soon", "a:5s", "0.1:5s:1", "nan:5s"])
def test_other_spellings_are_errors(text):
    with pytest.raises(ConfigurationError, match=r"--out-of-order .*0\.1:5s"):
        settings(out_of_order=text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out_of_order": "0.1:10s"}, "the watermark waits for 10 s"),
        ({"out_of_order": "0.1:5s", "watermark_delay_s": 5.0}, "longer --watermark-delay"),
        ({"late": 0.0}, "--late is 0"),
        ({"late": 0.6}, "at most 0.5"),
        ({"late": 0.1, "warmup_s": 5.0, "duration_s": 15.0}, "only 20 s after the start"),
        ({"zipf": 11.0}, "--zipf is 11"),
    ],
)
def test_what_could_not_be_judged_is_an_error(options, message):
    with pytest.raises(ConfigurationError, match=message):
        settings(**options)


@pytest.mark.parametrize("options", [{"late": 0.01}, {"out_of_order": "0.1:5s"}])
def test_patterns_without_windows_have_no_late_events(options):
    with pytest.raises(ConfigurationError, match="applies to patterns 02 and 03 only"):
        settings("01", "04", **options)
    found = settings("all", **options)
    assert sum("which has neither windows nor a watermark" in note for note in found.notes) == 2
    behind = [found.late_behind_s(pattern) for pattern in found.patterns]
    disorder = [found.disorder(pattern) for pattern in found.patterns]
    assert [one is not None for one in behind] == [False, "late" in options, "late" in options, False]
    assert [one is not None for one in disorder] == [False, "late" not in options, "late" not in options, False]


def test_late_events_are_behind_every_window_watermark_and_lag():
    found = settings("02", "03", late=0.01, window_s=20.0, watermark_delay_s=8.0, rate=1_000.0)
    assert found.late_after_s == 20
    assert [found.late_behind_s(pattern) for pattern in found.patterns] == [48, 48]
    slow = settings("02", late=0.01, keys=2, arrivals="burst:5000", rate=1_000.0, checkpoint_interval_s=10.0)
    assert slow.late_after_s == late_margin_s(checkpoint_interval_s=10.0, idleness_s=slow.idleness_s, gap_s=5.0)
    assert slow.late_after_s == 50


def test_little_room_between_delay_and_watermark_is_told():
    assert any("may drop events" in note for note in settings(out_of_order="0.1:9.5s").notes)
    assert not any("may drop events" in note for note in settings(out_of_order="0.1:5s").notes)


def test_skewed_keys_leave_partitions_with_few_events():
    usual = {"rate": 100, "keys": 100, "partitions": 4, "watermark_delay_ms": 1_000}
    assert idleness(**usual) == (0, [])
    idle_ms, (note,) = idleness(**usual, zipf=3.0)
    assert idle_ms == 1_000
    assert "within the watermark's delay" in note


@pytest.mark.parametrize("text", ["soon", "5x", "", "s"])
def test_what_is_not_a_duration_says_what_is(text):
    with pytest.raises(ValueError, match="is not a duration; use 90, 90s, 5m or 1h"):
        seconds(text)
