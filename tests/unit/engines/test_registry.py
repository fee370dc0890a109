"""Engines that are not rtmbench's own: by an entry point of another package, and by `--engine-cmd`."""

from __future__ import annotations

import json
import sys

import pytest
from machines import MACHINE

from rtmbench.engines import choose, parse_engine, registry
from rtmbench.engines.command import Command
from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.experiment.settings import RunRequest, resolve
from rtmbench.patterns import find_pattern

MINE = """
from rtmbench.engines.base import PlainEngine, Variant
from rtmbench.engines.kind import EngineKind


class Engine(PlainEngine):
    def __init__(self, spec, setup):
        self.spec, self.build, self.mode, self.emit = spec, "7", setup.variant.mode, setup.variant.emit


class Mine(EngineKind):
    name = "mine"
    versions = ("1", "2")

    def variants(self, pattern, version):
        return (Variant(mode="row", emit="row"),) if pattern.id == "01" else ()

    def create(self, spec, setup):
        return Engine(spec, setup)


MINE = Mine()
"""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """Caches that other tests filled, and that these must not fill for others."""

    def clear():
        registry.entry_points.cache_clear()
        registry._loaded.cache_clear()

    clear()
    monkeypatch.setattr(registry, "_added", {})
    yield
    clear()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a package with an engine, by its module's source."""

    def install(source):
        (tmp_path / "rtmbench_mine.py").write_text(source)
        information = tmp_path / "rtmbench_mine-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: rtmbench-mine\nVersion: 1\n")
        (information / "entry_points.txt").write_text("[rtmbench.engines]\nmine = rtmbench_mine:MINE\n")
        monkeypatch.syspath_prepend(tmp_path)

    yield install
    sys.modules.pop("rtmbench_mine", None)


def test_an_installed_package_adds_an_engine(installed):
    installed(MINE)
    spec = parse_engine("mine")
    assert str(spec) == "mine@1"
    assert choose(spec, find_pattern("01")).emit == "row"
    with pytest.raises(ConfigurationError, match=r"mine@2 has no pattern 02 \(Tumbling window count\)"):
        choose(parse_engine("mine@2"), find_pattern("02"))
    with pytest.raises(ConfigurationError, match=r"Unknown engine 'storm'\. .*relay.*, mine@1, mine@2"):
        parse_engine("storm")


def test_a_broken_package_is_named_and_spoils_nothing_else(installed):
    installed("raise KeyError('price')")
    assert str(parse_engine("flink")) == "flink@1.20"
    with pytest.raises(PreflightError, match=r"engine mine of rtmbench-mine cannot be loaded: KeyError: 'price'\."):
        parse_engine("mine")
    with pytest.raises(ConfigurationError, match=r"relay.*, mine"):
        parse_engine("storm")


def settings(*patterns, engines=("flink@1.20",), **options):
    return resolve(RunRequest(patterns=patterns, engines=engines, **options), MACHINE)


def test_a_command_is_an_engine_of_the_run():
    found = settings("01", "02", engine_cmd=("mine=python 'my job.py' --token s3cret",))
    assert [str(spec) for spec in found.specs] == ["flink@1.20", "mine"]
    windows = find_pattern("02")
    assert [str(spec) for spec in found.cells(windows)] == ["flink@1.20:update", "mine:update"]
    assert Command.parse("mine=a 'b c'").command == ("a", "b c")


def test_a_mode_says_what_the_command_writes():
    found = settings("02", engines=("flink@1.20", "mine:close"), engine_cmd=("mine=cat",))
    assert [choose(spec, found.patterns[0]).emit for spec in found.specs] == ["update", "close"]


def test_a_result_names_the_command_by_its_hash():
    document = settings("01", engine_cmd=("mine=job --token s3cret",)).document()
    assert "s3cret" not in json.dumps(document)
    assert document["engine_commands"] == {"mine": Command.parse("mine=job --token s3cret").digest}
    assert document["engine_commands"] != {"mine": Command.parse("mine=job --token other").digest}
    assert "engine_commands" not in settings("01").document()


@pytest.mark.parametrize("text", ["mine", "mine=", "=job", "Mine=job", "mi ne=job", "-x=job", "mine='job"])
def test_another_text_is_refused(text):
    with pytest.raises(ConfigurationError, match="--engine-cmd"):
        Command.parse(text)


def test_the_name_of_an_installed_engine_is_taken():
    with pytest.raises(ConfigurationError, match=r"The engine flink exists already\. Choose another name"):
        settings("01", engine_cmd=("flink=job",))


def test_two_commands_have_two_names():
    with pytest.raises(ConfigurationError, match="two commands with one name"):
        settings("01", engine_cmd=("mine=a", "mine=b"))
