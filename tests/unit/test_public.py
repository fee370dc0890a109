"""What a user meets first: the import, its warning, the examples in the docstrings, and the stub."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

from rtmbench import _core, aio

# What an import would otherwise spend most of its time on.
HEAVY = {
    "asyncio",
    "click",
    "duckdb",
    "email",
    "http",
    "numpy",
    "pandas",
    "polars",
    "psutil",
    "pyarrow",
    "pyspark",
    "requests",
    "rich",
}


def _python(code, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=60
    )


def _imports(module):
    code = f"""
        import json, sys
        before = set(sys.modules)
        import {module}
        print(json.dumps(sorted(set(sys.modules) - before)))
    """
    return {name.partition(".")[0] for name in json.loads(_python(code).stdout)}


def test_an_import_brings_nothing_heavy():
    modules = _imports("rtmbench")
    assert "rtmbench" in modules
    assert modules & HEAVY == set()


def test_the_command_line_starts_without_what_a_run_needs():
    assert _imports("rtmbench.cli.produce, rtmbench.cli.measure") & (HEAVY - {"asyncio", "click", "email"}) == set()


@pytest.mark.parametrize("optimized", [True, False])
def test_a_core_without_optimisation_is_warned_of(optimized):
    code = f"""
        import sys, types
        core = types.ModuleType("rtmbench._core")
        core.OPTIMIZED, core.__version__ = {optimized}, "0"
        sys.modules["rtmbench._core"] = core
        import rtmbench
    """
    seen = _python(code, "-W", "error::RuntimeWarning")
    assert (seen.returncode == 0) is optimized
    assert ("without optimisation" in seen.stderr) is not optimized


def _examples():
    """The examples of the stub, as an editor shows them, and of the asynchronous twin."""
    stub = Path(_core.__file__).with_name("_core.pyi").read_text(encoding="utf-8")
    module = types.ModuleType("rtmbench._core stub")
    # A stub is Python: it is run with everything that it refers to by name only.
    source = "from __future__ import annotations\n" + stub.replace("TypeAlias = Literal", "object = Literal")
    exec(compile(source, "_core.pyi", "exec"), module.__dict__)  # noqa: S102
    finder = doctest.DocTestFinder(exclude_empty=True)
    for owner, name in ((module, "_core"), (aio, "aio")):
        for test in finder.find(owner, name, module=False):
            defined = getattr(owner, test.name.partition(".")[2].partition(".")[0], owner)
            if test.examples and getattr(defined, "__module__", owner.__name__) == owner.__name__:
                yield test


@pytest.mark.parametrize("example", list(_examples()), ids=lambda test: test.name)
def test_an_example_gives_what_it_says(example):
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    example.globs.pop("annotations", None)
    runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_the_parts_for_use_on_their_own_have_an_example():
    names = {example.name for example in _examples()}
    assert {"_core.Generator", "_core.Histogram", "_core.LatencyConsumer", "_core.Table", "aio"} <= names


@pytest.mark.timeout(300)
def test_mypy_finds_stub_and_extension_alike(tmp_path):
    # PyO3 makes __all__ of what the module has.
    (tmp_path / "allowed").write_text("rtmbench._core.__all__\n", encoding="ascii")
    source = Path(_core.__file__).parents[1]
    seen = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy.stubtest",
            "rtmbench._core",
            "--ignore-disjoint-bases",
            "--allowlist",
            tmp_path / "allowed",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        # An installed package is found by itself, and its neighbours must not be taken for sources.
        env=os.environ if "site-packages" in source.parts else {**os.environ, "MYPYPATH": str(source)},
        timeout=280,
    )
    assert seen.returncode == 0, seen.stdout + seen.stderr
