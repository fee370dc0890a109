"""Where the files are that tests read."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "unit" / "data"
RECORDED = DATA / "recorded-run"
