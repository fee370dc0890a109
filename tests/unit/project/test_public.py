"""What a user meets first: the import, its warning, the examples in the docstrings, and the stub."""

from __future__ import annotations

import asyncio
import doctest
import json
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

import rtmbench
from rtmbench import _core, aio
from rtmbench.api import functions, run_list, run_result

# What an import would otherwise spend most of its time on.
HEAVY = {
    "asyncio",
    "click",
    "duckdb",
    "email",
    "http",
    "jinja2",
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
    assert "jinja2" not in _imports("rtmbench.cli.run, rtmbench.cli.report, rtmbench.report.write")


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
    """The examples of the modules, and those of the stub, as an editor shows them."""
    stub = Path(_core.__file__).with_name("_core.pyi").read_text(encoding="utf-8")
    module = types.ModuleType("rtmbench._core stub")
    # A stub is Python: it is run with everything that it refers to by name only.
    source = "from __future__ import annotations\n" + stub.replace("TypeAlias = Literal", "object = Literal")
    exec(compile(source, "_core.pyi", "exec"), module.__dict__)  # noqa: S102
    finder = doctest.DocTestFinder(exclude_empty=True)
    named = {"_core": module, "aio": aio, "functions": functions, "run_result": run_result, "run_list": run_list}
    for name, owner in named.items():
        for test in finder.find(owner, name, module=False):
            defined = getattr(owner, test.name.partition(".")[2].partition(".")[0], owner)
            if test.examples and getattr(defined, "__module__", owner.__name__) == owner.__name__:
                if owner is module:
                    test.globs = {**vars(_core), "asyncio": asyncio, "np": np}
                yield test


EXAMPLES = {example.name: example for example in _examples()}


@pytest.fixture
def kafka(broker, config):
    broker.create_topic("topic")
    broker.create_topic("other")
    return config


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_example_gives_what_it_says(name, kafka, monkeypatch):
    monkeypatch.chdir(ROOT)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = []
    EXAMPLES[name].globs["kafka"] = kafka
    runner.run(EXAMPLES[name], out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def _public():
    """What must have an example, each with the names of the examples that count: every public item and its members."""
    items = [getattr(rtmbench, name) for name in rtmbench.__all__ if name != "__version__"]
    items += [getattr(aio, name) for name in aio.__all__]
    for item in items:
        home = f"{item.__module__.rpartition('.')[2]}.{item.__name__}"
        yield pytest.param(home, None, id=home)
        for name, member in vars(item).items() if isinstance(item, type) else ():
            if name.startswith("_") or name in getattr(item, "__dataclass_fields__", ()):
                continue
            called = callable(member) or isinstance(member, staticmethod)
            yield pytest.param(f"{home}.{name}" if called else home, None if called else name, id=f"{home}.{name}")


@pytest.mark.parametrize(("example", "attribute"), list(_public()))
def test_what_is_public_has_an_example_that_is_run(example, attribute):
    """A function, class or method has one of its own; an attribute is read in one of its class."""
    if attribute is None:
        run = [each for each in EXAMPLES[example].examples if doctest.SKIP not in each.options]
        assert run
    else:
        found = [test.docstring for name, test in EXAMPLES.items() if name.startswith(example)]
        assert any(f".{attribute}" in text for text in found)


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
