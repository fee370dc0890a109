from __future__ import annotations

import unicodedata

import pytest

from rtmbench.formatting import clean, duration, milliseconds, plural


@pytest.mark.parametrize(
    ("microseconds", "shown"),
    [
        (0, "0.00"),
        (4, "0.00"),
        (52, "0.05"),
        (999, "1.00"),
        (2_104, "2.10"),
        (9_994, "9.99"),
        (9_996, "10.0"),
        (18_340, "18.3"),
        (99_960, "100"),
        (495_400, "495"),
        (1_234_000, "1,234"),
        (30_000_000, "30,000"),
        (-1_500, "-1.50"),
    ],
)
def test_milliseconds_have_two_or_three_digits(microseconds, shown):
    assert milliseconds(microseconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-3, "0 s"), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s")],
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown


def test_plural():
    assert [plural(1, "pair"), plural(2_000, "pair"), plural(0, "core")] == [
        "1 pair",
        "2,000 pairs",
        "0 cores",
    ]


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\r\n\tb\u2028c\u00a0d", "a b c d"),
        ("\u202egnirts\u202c", r"\u202egnirts\u202c"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("\x9b31m\x00\x7f", r"\x9b31m\x00\x7f"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("naïve – 東京", "naïve – 東京"),
        ("[red]markup[/red] <b>", "[red]markup[/red] <b>"),
    ],
)
def test_foreign_text_cannot_act(hostile, shown):
    assert clean(hostile) == shown


def test_right_to_left_text_is_whole_and_isolated():
    assert clean("\u05d0\u05d1 42") == "\u2068\u05d0\u05d1 42\u2069"


def test_piled_up_marks_are_cut():
    assert len(clean("e" + "\u0301" * 50)) <= 4


@pytest.mark.parametrize("length", [299, 300, 301, 10_240, 2_000_000])
def test_long_text_is_cut_with_a_sign(length):
    shown = clean("x" * length)
    assert len(shown) == min(length, 300)
    assert shown.endswith("…") == (length > 300)


def test_no_code_point_comes_through_that_could_control():
    shown = clean("".join(map(chr, range(0x3000))), limit=100_000)
    allowed = {"\u2068", "\u2069"}
    bad = [c for c in shown if unicodedata.category(c)[0] == "C" and c not in allowed]
    assert bad == []
