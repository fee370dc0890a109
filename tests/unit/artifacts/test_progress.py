from __future__ import annotations

import io

from rich.console import Console

from rtmbench.artifacts import progress
from rtmbench.artifacts.progress import reporter


def test_without_a_terminal_there_are_plain_lines_only(monkeypatch):
    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    stream = io.StringIO()

    with reporter(Console(file=stream, width=20)) as shown:
        shown.start(2, 2_000_000)
        shown.advance("a.jar", 1_000_000, 1_000_000)
        shown.message("[odd] is ready")

    assert stream.getvalue().splitlines() == [
        "fetching 2 files, 2 MB",
        "fetched 1 of 2 MB (50%)",
        "[odd] is ready",
    ]


def test_a_terminal_shows_a_bar_for_the_sum_and_for_large_files():
    stream = io.StringIO()

    with reporter(Console(file=stream, force_terminal=True, width=120)) as shown:
        shown.start(2, 51_000_000)
        shown.advance("small.jar", 1_000_000, 1_000_000)
        shown.advance("large.tar.gz", 50_000_000, 25_000_000)
        shown.message("kafka is ready")
        shown._progress.refresh()

    assert "26.0/51.0 MB" in stream.getvalue()
    assert "large.tar.gz" in stream.getvalue()
    assert "small.jar" not in stream.getvalue()
    assert "kafka is ready" in stream.getvalue()
