from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from rtmbench.experiment.progress import Progress, RunClock, RunProgress
from rtmbench.live_view import LiveView, StderrConsole

STATE = Progress(
    engine="flink@1.20",
    trial=1,
    trials=3,
    phase="measure",
    target_rate=1_000,
    rate=999.7,
    p50_us=2_100,
    p99_us=7_700,
    p99_9_us=12_300,
    behind_ms=1.6,
    received=12_345,
    backlog=4,
    time_left_s=12,
)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def plain():
    return Console(file=io.StringIO(), force_terminal=False, width=60, highlight=False)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def lines(console):
    return console.file.getvalue().splitlines()


def test_a_line_says_all_that_is_known(plain):
    with LiveView(plain) as view:
        view.update(STATE)
    (line,) = lines(plain)
    assert line == (
        "flink@1.20 trial 1/3 · measure · rate 1,000 of 1,000 events/s · p50 2.10 ms · "
        "p99 7.70 ms · p99.9 12.3 ms · slip 2 ms · received 12,345 · backlog 4 · left 12 s"
    )


def test_a_line_begins_with_the_progress_of_the_whole_run(plain):
    with LiveView(plain) as view:
        view.update(replace(STATE, run=RunProgress(trial=3, trials=19, share=0.1, seconds_left=3_661)))
    (line,) = lines(plain)
    assert line.startswith("[trial 3 of 19, 1 h 02 min left] flink@1.20 trial 1/3 · measure · ")


def test_a_terminal_has_a_bar_of_the_whole_run(terminal):
    with LiveView(terminal) as view:
        view.update(replace(STATE, run=RunProgress(trial=3, trials=19, share=0.5, seconds_left=61)))
        shown = terminal.file.getvalue()
    assert "trial 3 of 19, 2 min left" in shown
    assert "━" * 16 in shown


def test_the_clock_of_a_run_counts_trials_and_time(clock):
    run = RunClock(clock=clock)
    assert run.now() is None
    run.begin_trial(10, 100.0)
    clock.now = 25.0
    assert run.now() == RunProgress(trial=1, trials=10, share=0.25, seconds_left=75.0)
    # The trial took longer than estimated, and another one is repeated.
    clock.now = 30.0
    run.begin_trial(10, 90.0)
    assert run.now() == RunProgress(trial=2, trials=11, share=0.25, seconds_left=90.0)
    clock.now = 200.0
    assert run.now().seconds_left == 0.0


def test_a_line_leaves_out_what_is_not_known(plain):
    with LiveView(plain) as view:
        view.update(Progress(engine="spark@4.1", trial=2, trials=2, phase="start"))
        view.update(Progress(engine="spark@4.1", trial=2, trials=2, phase="wait", target_rate=50))
    assert lines(plain) == [
        "spark@4.1 trial 2/2 · start",
        "spark@4.1 trial 2/2 · wait · target 50 events/s",
    ]


def test_at_most_one_line_in_five_seconds_within_a_phase(plain, clock):
    with LiveView(plain, clock=clock) as view:
        for tenth in range(151):
            clock.now = tenth / 10
            view.update(replace(STATE, received=tenth))
    assert [line.split("received ")[1].split()[0] for line in lines(plain)] == [
        "0",
        "50",
        "100",
        "150",
    ]


def test_every_change_of_phase_trial_or_engine_is_a_line(plain, clock):
    steps = [
        STATE,
        replace(STATE, phase="drain"),
        replace(STATE, phase="drain", trial=2),
        replace(STATE, phase="drain", trial=2, engine="spark@4.1"),
    ]
    with LiveView(plain, clock=clock) as view:
        for state in [step for step in steps for _ in range(3)]:
            view.update(state)
    assert len(lines(plain)) == 4


def test_a_terminal_is_redrawn_in_place_and_left_clean(terminal, clock):
    with LiveView(terminal, clock=clock) as view:
        view.update(STATE)
        clock.now = 1.0
        view.update(replace(STATE, p99_us=8_888))
        assert "8.89 ms" in terminal.file.getvalue()
        assert "999" not in terminal.file.getvalue().replace("999.7", "")
    text = terminal.file.getvalue()
    assert "\x1b[?25l" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert text.rindex("\x1b[2K") > text.rindex("p99")


def test_a_terminal_is_drawn_at_most_four_times_a_second(terminal, clock):
    with LiveView(terminal, clock=clock) as view:
        for hundredth in range(101):
            clock.now = hundredth / 100
            view.update(STATE)
        assert terminal.file.getvalue().count("p99 ") == 5


def test_the_view_leaves_standard_output_alone(terminal, capsys):
    with LiveView(terminal) as view:
        view.update(STATE)
        print("a document")  # noqa: T201 - that is what is tested
    assert capsys.readouterr().out == "a document\n"


def test_the_terminal_is_restored_after_an_exception(terminal):
    def interrupted():
        with LiveView(terminal) as view:
            view.update(STATE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "\x1b[?25h" in terminal.file.getvalue()


@pytest.mark.parametrize("console", ["plain", "terminal"])
def test_a_message_stays_and_hostile_text_does_nothing(console, request):
    shown = request.getfixturevalue(console)
    with LiveView(shown) as view:
        view.update(replace(STATE, engine="\x1b]0;x\x07[red]" + "e" * 9_000, phase="\u202eab"))
        view.say("scaled down: [b]2 cores[/b]\x1b[2J")
    text = shown.file.getvalue()
    assert r"scaled down: [b]2 cores[/b]\x1b[2J" in text
    assert r"\x1b]0;x\x07[red]" in text
    assert not {"\x07", "\u202e"} & set(text)
    assert "\x1b]" not in text
    assert "\x1b[2J" not in text


class Closed(io.StringIO):
    def write(self, _text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


def test_a_closed_standard_error_does_not_end_the_run():
    with LiveView(StderrConsole(Closed())) as view:
        view.update(STATE)
        view.say("still here")
    print("a document")  # noqa: T201 - standard output has to be there still
