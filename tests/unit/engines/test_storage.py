"""Where the engines keep their checkpoints."""

from __future__ import annotations

import json

import pytest
from machines import MACHINE
from trial_io import trial_io

from rtmbench.cli.options import Listed
from rtmbench.engines import storage
from rtmbench.errors import ConfigurationError
from rtmbench.experiment.settings import RunRequest, resolve
from rtmbench.kafka.connection import Connection

URL = "hdfs://name.example/checkpoints"


def settings(**changes):
    return resolve(RunRequest(patterns=("01",), **changes), MACHINE)


def io(actual, work):
    (pattern,) = actual.patterns
    places = {"input_topic": "in", "output_topic": "out", "work": work, "logs": work}
    return actual.trial_io(pattern, connection=Connection(bootstrap_servers="h:1"), slots=1, **places)


@pytest.mark.parametrize(
    ("text", "actual"),
    [
        ("local", None),
        ("slow:30ms", storage.SlowStorage(median_us=30_000, p99_us=30_000)),
        ("slow:30ms,p99=200ms", storage.SlowStorage(median_us=30_000, p99_us=200_000)),
        ("slow:0.5s", storage.SlowStorage(median_us=500_000, p99_us=500_000)),
        (URL, URL),
        ("file:///shared", "file:///shared"),
    ],
)
def test_a_storage_is_local_or_slow_or_a_uri(text, actual):
    assert storage.parse(text) == actual


@pytest.mark.parametrize("text", ["/shared", "checkpoints", "hdfs://ann:secret@h/x", "", "hdfs:"])
def test_anything_else_is_refused_and_no_password_is_shown(text):
    with pytest.raises(ConfigurationError, match="or a URI without a password") as caught:
        settings(checkpoint_storage=text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["slow:", "slow:fast", "slow:0ms", "slow:30ms,p99=10ms", "slow:30ms,p50=1ms", "slow:2h"]
)
def test_delays_have_a_median_and_a_larger_p99(text):
    with pytest.raises(ConfigurationError, match=f"--checkpoint-storage {text}"):
        settings(checkpoint_storage=text)


def test_an_existing_cluster_has_no_slow_storage():
    kafka = {"bootstrap_servers": "h:1"}
    for there in ({"flink_url": "http://h:8081"}, {"spark_master": "spark://h:7077"}):
        with pytest.raises(ConfigurationError, match="is a storage of this machine"):
            settings(checkpoint_storage="slow:30ms", **there, **kafka)


def test_a_slow_storage_is_below_the_work_directory_and_has_the_seed_of_the_run(tmp_path):
    actual = io(settings(checkpoint_storage="slow:30ms,p99=200ms", seed=9), tmp_path)
    assert actual.checkpoint_dir == f"slow://m30000-p200000-s9{tmp_path}/checkpoints"
    assert actual.slow_storage
    assert not actual.checkpoints_elsewhere


def test_each_trial_has_a_directory_of_its_own_in_a_place_elsewhere(tmp_path):
    actual = settings(checkpoint_storage=f"{tmp_path.as_uri()}/")
    first, second = io(actual, tmp_path / "work"), io(actual, tmp_path / "work")
    assert first.checkpoint_dir != second.checkpoint_dir
    assert first.checkpoint_dir.startswith(f"{tmp_path.as_uri()}/rtmbench-")
    assert first.checkpoints_elsewhere
    assert not first.slow_storage
    (tmp_path / first.checkpoint_dir.rpartition("/")[2] / "offsets").mkdir(parents=True)
    (tmp_path / "others").mkdir()
    first.remove_checkpoints()
    assert [path.name for path in tmp_path.iterdir()] == ["others"]


def test_the_local_directory_is_left_to_the_owner_of_the_work(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for actual in (io(settings(), tmp_path), io(settings(checkpoint_storage="slow:1ms"), tmp_path), trial_io(tmp_path)):
        actual.remove_checkpoints()
        assert actual.checkpoint_dir.endswith(f"{tmp_path}/checkpoints")
    assert (tmp_path / "checkpoints").is_dir()


def test_the_document_has_the_delays_and_only_the_scheme_of_a_place():
    assert settings(checkpoint_storage="slow:30ms").document()["checkpoint_storage"] == "slow:30ms"
    document = settings(checkpoint_storage=URL).document()
    assert document["checkpoint_storage"] == "hdfs://"
    assert "example" not in json.dumps(document)
    assert "checkpoint_storage" not in settings().document()


def test_several_storages_make_a_sweep():
    listed = Listed(str)
    actual = listed.convert("local,slow:30ms,slow:30ms,p99=200ms,slow:5ms", None, None)
    assert actual == ("local", "slow:30ms", "slow:30ms,p99=200ms", "slow:5ms")
    assert listed.convert("slow:30ms,p99=200ms", None, None) == "slow:30ms,p99=200ms"
