"""The first notebook as somebody meets it who has installed the wheel and nothing else of ours: far from a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
EXECUTE = """
    import pathlib, sys
    import nbclient, nbformat
    import rtmbench
    notebook = nbformat.read("first.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output.get("data", {}) for output in outputs]
    pictures = sum("image/png" in data or "<img" in data.get("text/html", "") for data in shown)
    cells = sum(cell.cell_type == "code" and bool(cell.execution_count) for cell in notebook.cells)
    print(pathlib.Path(rtmbench.__file__).parent, cells, pictures, sep="\\n")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter in an environment of its own, with the wheel, its plots, and what executes a notebook."""
    wheels = sorted((ROOT / "dist").glob("rtmbench-*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if not wheels:
        pytest.skip("no wheel in dist/: `make wheel` builds it")
    directory = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", directory], check=True, timeout=120)
    found = directory / "bin" / "python"
    packages = [f"{wheels[-1]}[report]", "nbclient", "ipykernel"]
    subprocess.run([found, "-m", "pip", "install", "--quiet", *packages], check=True, timeout=400)
    return found


def test_the_first_notebook_runs_where_the_wheel_is_installed(python, tmp_path):
    source = next((ROOT / "notebooks").glob("01-*.ipynb"))
    shutil.copy(source, tmp_path / "first.ipynb")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
    command = [python, "-c", textwrap.dedent(EXECUTE)]
    seen = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert seen.returncode == 0, seen.stderr
    package, cells, pictures = seen.stdout.splitlines()[-3:]
    assert python.parents[1] in Path(package).parents
    assert int(cells) == source.read_text(encoding="utf-8").count('"cell_type": "code"')
    assert int(pictures) >= 3
    assert (tmp_path / "first-run.html").stat().st_size > 100_000


def test_polars_and_duckdb_are_not_pulled_in(python):
    installed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "freeze"], capture_output=True, text=True, check=True, timeout=60
    ).stdout.lower()
    assert "rtmbench==" in installed
    for name in ("polars", "duckdb", "pandas", "pyspark"):
        assert f"\n{name}==" not in installed
