"""Who may import whom, as `docs/architecture.md` shows it: read from the source, lazy and type-only imports too."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING

import pytest
from places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = ROOT / "python" / "rtmbench"
LEAVES = {
    "_core",
    "__version__",
    "addresses",
    "clocks",
    "durations",
    "errors",
    "formatting",
    "json_object",
    "metrics",
    "private_files",
    "run_settings",
    "signals",
    "timestamps",
}
"""Modules that import nothing of rtmbench but each other."""
ALLOWED = {
    "kafka": set(),
    "results": set(),
    "report": {"results"},
    "artifacts": set(),
    "platform": {"artifacts", "kafka", "results"},
    "patterns": {"custom_jobs"},
    "custom_jobs": {"kafka", "patterns"},
    "spark": {"kafka", "patterns"},
    "engines": {"artifacts", "custom_jobs", "kafka", "patterns", "platform", "results", "spark"},
}
"""What each package may import besides itself and the leaves."""
VIEWS = {"aio", "api", "cli", "live_view", "report"}


def parts(file: Path) -> list[str]:
    return list(file.relative_to(PACKAGE).with_suffix("").parts)


def imports(tree: ast.AST) -> set[str]:
    """The first name below `rtmbench` of everything that is imported."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = below if node.module == "rtmbench" else [node.module]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("rtmbench.")}
    return found


def imports_of(package: str) -> dict[str, set[str]]:
    files = [PACKAGE / f"{package}.py"] if (PACKAGE / f"{package}.py").is_file() else (PACKAGE / package).rglob("*.py")
    return {"/".join(parts(file)): imports(ast.parse(file.read_text(encoding="utf-8"))) for file in files}


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_what_is_below_it(package):
    allowed = ALLOWED[package] | LEAVES | {package}
    upward = {file: names - allowed for file, names in imports_of(package).items() if names - allowed}
    assert upward == {}


@pytest.mark.parametrize("leaf", sorted(LEAVES - {"_core", "__version__"}))
def test_a_leaf_imports_leaves_only(leaf):
    ((_, names),) = imports_of(leaf).items()
    assert names <= LEAVES


def test_an_experiment_knows_no_view_of_itself():
    upward = {file: names & VIEWS for file, names in imports_of("experiment").items() if names & VIEWS}
    assert upward == {}


def test_every_package_has_its_rule():
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert packages == {*ALLOWED, "api", "claims", "cli", "experiment"}


def test_notebooks_use_the_public_interface():
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks
    for notebook in notebooks:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        lines = [line for line in code.splitlines() if not line.lstrip().startswith(("%", "!", "await "))]
        used = {line.split()[1] for line in lines if line.startswith(("import rtmbench", "from rtmbench"))}
        public = {"rtmbench", "rtmbench.claims", "rtmbench.report.explanations", "rtmbench.spark"}
        assert used <= public, notebook.name
