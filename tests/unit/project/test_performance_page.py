"""The figures on docs/performance.md are those of the recording beside it."""

from __future__ import annotations

import json
import runpy

from places import ROOT

PAGE, RECORDING = (ROOT / "docs" / f"performance.{ending}" for ending in ("md", "json"))
GOALS = runpy.run_path(str(ROOT / "benches" / "goals.py"))
TABLES = GOALS["tables"]


def between_markers() -> str:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition("<!-- bench:begin -->\n")
    return rest.partition("\n<!-- bench:end -->")[0]


def test_the_tables_are_made_from_the_recording():
    recording = json.loads(RECORDING.read_text(encoding="utf-8"))
    assert between_markers() == TABLES(recording)


def test_another_figure_makes_another_table():
    recording = json.loads(RECORDING.read_text(encoding="utf-8"))
    for run in recording["figures"]["core produce"]:
        run["seconds"] *= 2
    assert between_markers() != TABLES(recording)


def test_a_goal_is_decided_where_all_rounds_agree():
    rounds = [{"events": 10.0, "seconds": seconds} for seconds in (1.0, 1.0, 1.0)]

    def met(*seconds):
        java = [{"events": 1.0, "seconds": each} for each in seconds]
        table = GOALS["goals_table"]({"core produce": rounds, "Java ProducerPerformance": java})
        return table.splitlines()[2].rsplit("|", 2)[1].strip()

    assert met(1.0, 1.0, 1.0) == "yes"
    assert met(0.1, 0.1, 1.0) == "not decided"
    assert met(0.1, 0.1, 0.1) == "**no**"
