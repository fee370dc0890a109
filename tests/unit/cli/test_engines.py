from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from rtmbench.artifacts import load_lock
from rtmbench.cli.engines import engines
from rtmbench.errors import ArtifactError, ConfigurationError


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.setenv("RTMBENCH_CACHE", str(tmp_path / "cache"))

    def invoke(*arguments):
        return CliRunner().invoke(engines, arguments)

    return invoke


def test_list_shows_every_locked_bundle(invoke, tmp_path):
    outcome = invoke("list")

    assert outcome.exit_code == 0
    rows = outcome.stdout.splitlines()
    assert [row.split()[0] for row in rows] == list(load_lock().bundles)
    assert all(row.endswith("not cached") for row in rows)
    assert str(tmp_path / "cache") in outcome.stderr
    assert not (tmp_path / "cache").exists()


def test_list_json_is_one_document(invoke):
    document = json.loads(invoke("list", "--json").stdout)

    kafka = document["engines"][0]
    assert (kafka["name"], kafka["cached"], kafka["cached_bytes"]) == ("kafka@4.1", False, 0)
    assert kafka["download_bytes"] > 40_000_000


def test_fetch_offline_names_what_a_default_run_lacks(invoke):
    error = invoke("fetch", "--offline").exception

    assert isinstance(error, ArtifactError)
    assert error.exit_code == 3
    assert "rtmbench engines fetch kafka@4.1 flink@1.20 flink-connector-kafka@1.20" in str(error)


def test_fetch_of_an_unknown_engine(invoke):
    error = invoke("fetch", "storm@2").exception

    assert isinstance(error, ConfigurationError)
    assert "'storm@2'" in str(error)


def test_prune_removes_what_no_lock_names(invoke, tmp_path):
    old = tmp_path / "cache/bundles/kafka-1.0-0123456789ab"
    old.mkdir(parents=True)
    (old / "kafka.jar").write_bytes(b"x" * 2_000_000)

    outcome = invoke("prune")

    assert f"removed {old} (2 MB)" in outcome.stdout
    assert not old.exists()
    assert json.loads(invoke("prune", "--json").stdout)["removed"] == []
