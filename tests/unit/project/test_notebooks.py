"""The notebooks: kept clean, their links lead somewhere, and each runs from its first cell to its last."""

from __future__ import annotations

import re

import nbclient
import nbformat
import pytest
from places import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FLAG = "START_ENGINES = False"
PLOTS = {"01": 3, "02": 3, "03": 5, "04": 5, "05": 0}
"""How many pictures each must show at least, without an engine."""


def execute(notebook, directory, timeout):
    """Run all cells in a kernel of this interpreter; an error in one is raised here."""
    client = nbclient.NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(directory)}}
    )
    return client.execute()


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_kept_without_outputs_and_its_links_lead_somewhere(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert outputs(notebook) == []
    assert all(cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", cell.source):
                assert (path.parent / link).exists(), link


def test_each_has_its_line_in_the_readme():
    readme = (NOTEBOOKS[0].parent / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\| \[[^\]]+\]\(([^)]+)\)", readme) == [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_an_engine(path, tmp_path):
    done = execute(nbformat.read(path, as_version=4), tmp_path, timeout=100)
    shown = outputs(done)
    assert not [one for one in shown if one.output_type == "stream" and one.name == "stderr"]
    pictures = [
        data for one in shown if "image/png" in (data := one.get("data", {})) or "<img" in data.get("text/html", "")
    ]
    assert len(pictures) >= PLOTS[path.stem[:2]]
    assert all(cell.execution_count for cell in done.cells if cell.cell_type == "code")


@pytest.mark.full
@pytest.mark.e2e
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", ["01", "05"])
def test_a_notebook_that_starts_engines_runs(name, tmp_path):
    path = next(path for path in NOTEBOOKS if path.stem.startswith(name))
    notebook = nbformat.read(path, as_version=4)
    flags = [cell for cell in notebook.cells if cell.cell_type == "code" and FLAG in cell.source]
    assert flags
    for cell in flags:
        cell.source = cell.source.replace(FLAG, "START_ENGINES = True")
    done = execute(notebook, tmp_path, timeout=1_100)
    assert outputs(done)
    assert list(tmp_path.glob("results/*/result.json"))
