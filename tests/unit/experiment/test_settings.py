from __future__ import annotations

import pytest
from machines import MACHINE

from rtmbench import _core
from rtmbench.custom_jobs.model import custom_job
from rtmbench.engines import spec_name
from rtmbench.errors import ConfigurationError
from rtmbench.experiment.settings import RunRequest, Settings, resolve
from rtmbench.experiment.steady_state import WarmUpRule
from rtmbench.experiment.windows import idleness
from rtmbench.patterns import PATTERNS, Pattern, find_pattern


def settings(*patterns: str, engines: tuple[str, ...] = ("flink@1.20", "spark@4.1"), **options) -> Settings:
    return resolve(RunRequest(patterns=patterns, engines=engines, **options), MACHINE)


def windows(found: Settings) -> list[tuple[int | None, int | None]]:
    return [(pattern.window_ms, pattern.slide_ms) for pattern in found.patterns]


def test_all_patterns_have_the_windows_of_the_published_setup():
    assert windows(settings("all")) == [(None, None), (60_000, None), (300_000, 60_000), (None, None)]


def test_quick_shrinks_windows_and_says_so():
    found = settings("all", quick=True)
    assert windows(found)[1:3] == [(10_000, None), (25_000, 5_000)]
    notes = [note for note in found.notes if "windows" in note]
    assert notes == [
        "quick: the windows of pattern 02 are 10 s instead of 60 s",
        "quick: the windows of pattern 03 are 25 s, every 5 s instead of 300 s, every 60 s",
    ]
    assert found.document()["windows_ms"]["03"] == {"window": 25_000, "slide": 5_000}


@pytest.mark.parametrize(
    ("options", "warmup_s", "shortened"),
    [
        ({}, 480, ()),
        ({"quick": True}, 20, ("short warm-up (tails are a cold engine's)", "few cycles")),
        ({"quick": True, "warmup_s": 120.0}, 120, ("short warm-up (tails are a cold engine's)", "few cycles")),
        ({"quick": True, "warmup_boundaries": 60}, 480, ("few cycles",)),
        ({"quick": True, "warmup_s": 300.0, "duration_s": 60.0}, 300, ()),
    ],
)
def test_a_quick_run_says_what_it_has_less_of(options, warmup_s, shortened):
    found = settings("02", **options)
    assert found.warmup_s == warmup_s
    assert found.shortened() == shortened


def test_a_full_run_warms_up_by_boundaries_and_a_fixed_length_by_time():
    assert settings("02").warm_up == WarmUpRule(seconds=480, boundaries=60)
    assert settings("02", warmup_s=90.0).warm_up == WarmUpRule(seconds=90)
    assert settings("02", warmup_boundaries=20).warm_up == WarmUpRule(seconds=160, boundaries=20)
    both = settings("02", warmup_boundaries=20, warmup_s=60.0)
    assert both.warm_up == WarmUpRule(seconds=60, boundaries=20)
    assert settings("02").expected_warmup_s == 300
    assert settings("02", checkpoint_interval_s=30.0).expected_warmup_s == 480


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"window_s": 20.0}, [(20_000, None), (20_000, 4_000)]),
        ({"slide_s": 2.0}, [(60_000, None), (10_000, 2_000)]),
        ({"window_s": 30.0, "slide_s": 15.0}, [(30_000, None), (30_000, 15_000)]),
        ({"window_s": 30.0, "slide_s": 15.0, "quick": True}, [(30_000, None), (30_000, 15_000)]),
    ],
)
def test_windows_as_asked_for(options, expected):
    assert windows(settings("02", "03", **options)) == expected


def test_a_slide_longer_than_the_window_is_an_error():
    with pytest.raises(ConfigurationError, match=r"--slide is 20 s and --window 10 s"):
        settings("03", window_s=10.0, slide_s=20.0)


def test_engines_that_come_to_the_same_run_once():
    found = settings("01", "02", engines=("spark@4.1", "spark@4.1:rtm", "spark@4.1:rtm"))
    names = [[spec_name(spec, pattern) for spec in found.cells(pattern)] for pattern in found.patterns]
    assert names == [["spark@4.1"], ["spark@4.1:rtm-unchecked", "spark@4.1:rtm"]]


def test_a_mode_that_one_of_the_patterns_lacks_ends_before_anything_starts():
    with pytest.raises(ConfigurationError, match="no mode 'close' for pattern 01"):
        settings("all", engines=("flink@1.20:close",))


def test_slots_are_what_each_engine_needs_unless_they_are_asked_for():
    found = settings("02", engines=("flink@1.20", "spark@4.3"))
    (pattern,) = found.patterns
    flink, spark = found.cells(pattern)
    assert (found.slots_of(flink, pattern), found.slots_of(spark, pattern)) == (4, 8)
    asked = settings("02", engines=("flink@1.20", "spark@4.3"), slots=10)
    assert [asked.slots_of(spec, pattern) for spec in asked.cells(pattern)] == [10, 10]


def test_the_spec_profile_has_the_published_sizes():
    found = settings("02", engines=("flink@1.20", "spark@4.3"), profile="spec")
    (pattern,) = found.patterns
    assert (found.profile, found.rate, found.partitions, found.memory_mb) == ("spec", 10_000, 16, 4096)
    assert found.shuffle_partitions == 16
    assert [found.slots_of(spec, pattern) for spec in found.cells(pattern)] == [16, 32]
    assert any("spec profile" in note for note in found.notes)


def test_plain_local_files_are_for_patterns_unless_they_are_requested(tmp_path):
    file = tmp_path / "job.py"
    file.write_text("")
    job = custom_job(spark_job=file)
    assert settings("01").local_files == "plain"
    assert settings(job=job, engines=("spark@4.1",)).local_files == "hadoop"
    assert settings(job=job, engines=("spark@4.1",), local_files="plain").local_files == "plain"


def test_shuffle_partitions_follow_partitions_that_were_asked_for():
    assert settings("02", partitions=6).shuffle_partitions == 6
    assert settings("02", partitions=6, shuffle_partitions=3).shuffle_partitions == 3


def test_close_arms_have_a_tail_that_closes_their_windows():
    found = settings("02", "04", engines=("flink@1.20",))
    tumbling, counter = found.patterns
    (update,) = found.cells(tumbling)
    assert found.tail_s(update, tumbling) == 0
    close = settings("02", engines=("flink@1.20:close",), watermark_delay_s=5.0)
    (spec,) = close.cells(tumbling)
    assert close.tail_s(spec, tumbling) == 65
    (counting,) = found.cells(counter)
    assert found.tail_s(counting, counter) == 0


def test_the_drain_outlasts_the_intervals_that_prove_an_end():
    assert settings("02").drain_s == 30
    assert settings("02", checkpoint_interval_s=300.0).drain_s > 2 * 300


def test_a_version_that_does_better_is_pointed_at_once():
    found = settings("02")
    assert sum("spark@4.3" in note for note in found.notes) == 1
    assert not any("spark@4.3" in note for note in settings("01").notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state_backend": "heap"}, "rocksdb, hashmap"),
        ({"buffer_wait_ms": 0}, "--buffer-wait is 0"),
        ({"shuffle_partitions": 0}, "--shuffle-partitions is 0"),
        ({"window_s": 0.5}, "--window is 0.5"),
    ],
)
def test_values_out_of_range_are_errors(options, message):
    with pytest.raises(ConfigurationError, match=message):
        settings("02", **options)


def test_partitions_without_keys_do_not_hold_the_watermark_for_ever():
    usual = {"rate": 1_000, "keys": 100, "partitions": 4, "watermark_delay_ms": 10_000}
    assert idleness(**usual) == (0, [])
    idle_ms, (note,) = idleness(**{**usual, "keys": 2})
    assert idle_ms == 10_000
    assert "2 keys leave some of 4 partitions without data" in note
    idle_ms, (note,) = idleness(**{**usual, "rate": 2})
    assert idle_ms == 10_000
    assert "events within the watermark's delay" in note
    assert settings("02", keys=1).idleness_s == 10
    assert settings("04", keys=1).idleness_s == 0


@pytest.mark.parametrize(
    ("key", "signed"), [("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536)]
)
def test_keys_are_hashed_as_kafkas_java_client_does(key, signed):
    # The expected values are those of Kafka's own test of its hash.
    assert _core.partition_of(key.encode(), 2**31 - 1) == (signed & 0x7FFFFFFF) % (2**31 - 1)


def test_a_fifth_pattern_with_windows_runs_quick(monkeypatch):
    fifth = Pattern(id="05", name="x", title="X", fairness="", window_ms=30_000, oracle="02")
    monkeypatch.setitem(PATTERNS, "05", fifth)
    assert windows(settings("05", quick=True)) == [(30_000, None)]
    assert windows(settings("05", quick=True, window_s=6.0)) == [(6_000, None)]
    assert [spec_name(spec, fifth) for spec in settings("05").cells(fifth)] == ["flink@1.20", "spark@4.1:rtm-unchecked"]


def test_patterns_say_how_fair_they_are():
    assert [find_pattern(name).fair for name in ("01", "02", "03", "04")] == [
        "fair",
        "fair",
        "fair",
        "semantic difference",
    ]
