from __future__ import annotations

from dataclasses import replace

import pytest

from rtmbench.engines import choose, hint, parse_engine, required_slots, spec_name, variants
from rtmbench.errors import ConfigurationError
from rtmbench.patterns import PATTERNS, find_pattern

FLINK = ("flink@1.20", "flink@2.2")
BEFORE_4_3 = ("spark@4.1", "spark@4.2")


def meant(engine: str, pattern: str) -> tuple[str, str, str]:
    """Return name, mode and emission of an engine as it is asked for."""
    spec, found = parse_engine(engine), find_pattern(pattern)
    variant = choose(spec, found)
    return spec_name(spec, found), variant.mode, variant.emit


@pytest.mark.parametrize("engine", FLINK)
@pytest.mark.parametrize("pattern", list(PATTERNS))
def test_flink_streams_every_pattern(engine, pattern):
    mode = "row" if pattern == "01" else "update"
    assert meant(engine, pattern) == (engine, mode, mode)


@pytest.mark.parametrize("engine", [*BEFORE_4_3, "spark@4.3"])
def test_without_state_every_spark_has_real_time_mode(engine):
    assert meant(engine, "01") == (engine, "rtm", "row")
    assert meant(f"{engine}:microbatch", "01") == (f"{engine}:microbatch", "microbatch", "row")


@pytest.mark.parametrize("pattern", ["02", "03"])
def test_windows_are_real_time_from_4_3_on_and_batch_bound_before(pattern):
    assert meant("spark@4.3", pattern) == ("spark@4.3", "rtm", "update")
    for engine in BEFORE_4_3:
        assert meant(engine, pattern) == (f"{engine}:rtm-unchecked", "rtm-unchecked", "batch")
        assert "batch-bound" in choose(parse_engine(engine), find_pattern(pattern)).remark
        # Asked for, it is tried, and the refusal is the result.
        assert meant(f"{engine}:rtm", pattern) == (f"{engine}:rtm", "rtm", "update")
    for engine in (*FLINK, *BEFORE_4_3, "spark@4.3"):
        assert meant(f"{engine}:close", pattern) == (f"{engine}:close", "close", "close")


def test_the_counter_runs_as_the_best_variant_that_starts():
    assert meant("spark@4.3", "04") == ("spark@4.3", "rtm", "update")
    assert meant("spark@4.3:rtm-aggregate", "04") == ("spark@4.3:rtm-aggregate", "rtm-aggregate", "update")
    for engine in BEFORE_4_3:
        assert meant(engine, "04")[:2] == (f"{engine}:microbatch", "microbatch")
    for engine in (*BEFORE_4_3, "spark@4.3"):
        assert "transformWithState" in choose(parse_engine(engine), find_pattern("04")).remark


def test_a_name_leads_back_to_its_variant():
    for pattern in PATTERNS.values():
        for engine in (*FLINK, *BEFORE_4_3, "spark@4.3"):
            spec = parse_engine(engine)
            for variant in variants(pattern, spec.engine, spec.version):
                name = spec_name(replace(spec, mode=variant.mode), pattern)
                assert choose(parse_engine(name), pattern) == variant, name


@pytest.mark.parametrize(
    ("engine", "pattern", "message"),
    [
        (
            "flink:close",
            "01",
            r"flink@1\.20 has no mode 'close' for pattern 01 \(Stateless.*modes for this pattern are: row\.",
        ),
        ("flink:close", "04", r"no mode 'close' for pattern 04"),
        ("spark@4.3:rtm-aggregate", "02", r"modes for this pattern are: rtm, microbatch, close\."),
        ("spark@4.1:rtm-unchecked", "01", r"modes for this pattern are: rtm, microbatch\."),
    ],
)
def test_a_mode_that_a_pattern_does_not_have_is_an_error(engine, pattern, message):
    with pytest.raises(ConfigurationError, match=message):
        choose(parse_engine(engine), find_pattern(pattern))


@pytest.mark.parametrize(
    ("engine", "pattern", "slots"),
    [
        ("flink", "02", 16),
        ("spark@4.1", "01", 16),
        ("spark@4.1", "02", 16),
        ("spark@4.3", "01", 16),
        ("spark@4.3", "02", 36),
        ("spark@4.3", "03", 36),
        ("spark@4.3", "04", 36),
        ("spark@4.3:rtm-aggregate", "04", 36),
        ("spark@4.3:microbatch", "04", 16),
    ],
)
def test_slots_are_counted_where_a_shuffle_streams(engine, pattern, slots):
    spec = parse_engine(engine)
    variant = choose(spec, find_pattern(pattern))
    need, arithmetic = required_slots(spec, variant, partitions=16, shuffle_partitions=20)
    assert need == slots
    assert arithmetic.endswith(f"= {slots} slots")
    assert ("+ 20 shuffle partitions" in arithmetic) == (slots == 36)


def test_the_pointer_names_a_command_that_does_better():
    engines = tuple(map(parse_engine, ("flink@1.20", "spark@4.1")))
    windows = find_pattern("02")
    line = hint(engines[1], windows, engines)
    assert "rtm-unchecked" in line
    assert "`rtmbench run 02 --engines flink@1.20,spark@4.3`" in line
    assert hint(engines[0], windows, engines) == ""
    assert hint(engines[1], find_pattern("01"), engines) == ""
    assert hint(engines[1], windows, (*engines, parse_engine("spark@4.3"))) == ""
    assert hint(parse_engine("spark@4.1:rtm-unchecked"), windows, engines) == ""
