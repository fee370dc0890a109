from __future__ import annotations

import json
from dataclasses import replace

import pytest
from results_builder import cell, result, trial

from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.experiment import resume
from rtmbench.experiment.host import host
from rtmbench.experiment.options import Options
from rtmbench.experiment.resume import attempts_due
from rtmbench.experiment.settings import RunRequest, resolve
from rtmbench.platform import machine as machines
from rtmbench.results import RunDirectory, Status
from rtmbench.results.model import Grid
from rtmbench.results.status import INTERRUPTED

MACHINE = replace(machines.describe(), cores=2, memory_mb=24_000, available_mb=20_000)


def cut(number, attempt=1):
    return trial(number, Status.VOID, [f"fault outside the engine: {INTERRUPTED} `measure`"], attempt=attempt)


@pytest.mark.parametrize(
    ("trials", "due", "retried"),
    [
        ([], [1, 2], [1, 2]),
        ([trial(4)], [], []),
        ([trial(4, Status.CONTENDED)], [], []),
        ([trial(4, Status.UNSUSTAINED)], [], []),
        ([cut(4)], [2, 3], [2, 3]),
        ([cut(4), cut(4, 2)], [3, 4], [3, 4]),
        ([trial(4, Status.VOID)], [2], [2]),
        ([trial(4, Status.VOID), cut(4, 2)], [3], [3]),
        ([trial(4, Status.VOID), trial(4, Status.VOID, attempt=2)], [], [3]),
        ([trial(4, Status.FAILED)], [], [2]),
        ([trial(4, Status.REFUSED)], [], [2]),
        ([trial(4, Status.FAILED), trial(4, attempt=2)], [], []),
        ([trial(3), trial(5)], [1, 2], [1, 2]),
    ],
)
def test_what_is_there_is_not_run_again(trials, due, retried):
    assert attempts_due(trials, 4, retry_failed=False) == due
    assert attempts_due(trials, 4, retry_failed=True) == retried


def begun(root, name="run", **changes):
    """A run of 01 on disk whose settings are those that a request came to."""
    request = RunRequest(
        patterns=("01",), engines=("flink@1.20",), rate=700, trials=6, checkpoint_interval_s=6.0, memory_mb=2_000
    )
    settings = resolve(request, MACHINE)
    changes = {
        "settings": settings.document(),
        "host": host(MACHINE),
        "complete": False,
        "experiment_id": "experiment-1",
        "run_id": name,
        **changes,
    }
    directory = RunDirectory.create(root, name)
    directory.write(result(cell("flink@1.20", [trial(n) for n in (1, 2, 3)]), **changes))
    directory.close()
    return settings


def find(root, reference="run", **changes):
    request = RunRequest(patterns=(), results=root, **changes)
    return resume.find(reference, request, MACHINE, host(MACHINE))


def test_a_run_goes_on_with_the_settings_of_its_document(tmp_path):
    settings = begun(tmp_path)
    (found,) = find(tmp_path)
    assert found.settings.document() == settings.document()
    assert (found.settings.rate, found.settings.trials, found.settings.results) == (700, 6, tmp_path)
    assert found.path == tmp_path / "run"
    assert not found.done


def test_the_settings_of_every_pattern_come_back(tmp_path):
    for pattern in ("01", "02", "03", "04"):
        for quick in (True, False):
            name = f"{pattern}-{quick}"
            settings = resolve(RunRequest(patterns=(pattern,), quick=quick), MACHINE)
            begun(tmp_path, name, pattern=pattern, settings=json.loads(json.dumps(settings.document())))
            (found,) = find(tmp_path, name)
            assert found.settings.patterns == settings.patterns


def test_more_trials_may_be_asked_for(tmp_path):
    begun(tmp_path, complete=True)
    assert find(tmp_path)[0].done
    (found,) = find(tmp_path, trials=10)
    assert found.settings.trials == 10
    assert not found.done


def test_an_experiment_is_all_its_runs_with_their_points(tmp_path):
    for rate in (1, 2):
        begun(tmp_path, f"run-{rate}", grid=Grid(axes={"rate": [1, 2]}, point={"rate": rate}))
    found = find(tmp_path, "experiment-1")
    assert [one.result.grid.point["rate"] for one in found] == [1, 2]


def test_another_machine_settings_of_another_version_and_searches_are_refused(tmp_path):
    begun(tmp_path, "elsewhere", host=replace(host(MACHINE), cores=64))
    with pytest.raises(ConfigurationError, match=r"another machine \(cores 64 → 2"):
        find(tmp_path, "elsewhere")
    settings = resolve(RunRequest(patterns=("01",), engines=("flink@1.20",)), MACHINE).document()
    begun(tmp_path, "future", settings={**settings, "warp": 9})
    with pytest.raises(ConfigurationError, match="warp 9"):
        find(tmp_path, "future")
    begun(tmp_path, "search", settings={**settings, "find_rate": True})
    with pytest.raises(ConfigurationError, match="cannot be continued"):
        find(tmp_path, "search")
    begun(tmp_path, "remote", settings={**settings, "bootstrap_servers": "existing"})
    with pytest.raises(ConfigurationError, match="--bootstrap-servers"):
        find(tmp_path, "remote")
    assert find(tmp_path, "remote", bootstrap_servers="127.0.0.1:9")[0].settings.bootstrap_servers == "127.0.0.1:9"
    with pytest.raises(ConfigurationError, match="Unknown run 'nothing'"):
        find(tmp_path, "nothing")


def test_clusters_and_a_place_of_checkpoints_are_named_again(tmp_path):
    places = {
        "bootstrap_servers": "h:1",
        "spark_master": "spark://h:7077",
        "checkpoint_storage": "hdfs://h/checkpoints",
    }
    request = RunRequest(patterns=("01",), engines=("spark@4.3",), spark_executors=3, **places)
    begun(tmp_path, settings=resolve(request, MACHINE).document(), cells=[cell("spark@4.3", [trial(1)])])
    for name, flag in (("spark_master", "--spark-master"), ("checkpoint_storage", "--checkpoint-storage")):
        with pytest.raises(ConfigurationError, match=f"again with `{flag}`"):
            find(tmp_path, **{key: value for key, value in places.items() if key != name})
    (found,) = find(tmp_path, **places)
    assert found.settings.spark_executors == 3
    assert found.settings.checkpoint_storage == "hdfs://h/checkpoints"


def test_the_delays_of_a_storage_come_back(tmp_path):
    slow = "slow:30ms,p99=200ms"
    request = RunRequest(patterns=("01",), engines=("flink@1.20",), checkpoint_storage=slow)
    begun(tmp_path, settings=resolve(request, MACHINE).document())
    assert find(tmp_path)[0].settings.checkpoint_storage == slow


def test_what_a_run_was_for_is_in_its_document(tmp_path):
    settings = resolve(RunRequest(patterns=("01",), engines=("flink@1.20",)), MACHINE).document()
    begun(tmp_path, settings={**settings, "aa": True, "slo": ["p99<1s"]})
    found = resume.options(find(tmp_path), Options(resume="run", retry_failed=True))
    assert (found.aa, [t.text for t in found.targets], found.retry_failed) == (True, ["p99<1s"], True)


def test_a_run_that_ended_early_goes_on_where_its_trials_are_given_again(tmp_path):
    settings = resolve(RunRequest(patterns=("01",), engines=("flink@1.20", "spark@4.3"), trials=6), MACHINE).document()
    four = [cell(name, [trial(n) for n in range(1, 5)]) for name in ("flink@1.20", "spark@4.3")]
    begun(tmp_path, settings={**settings, "until_verdict": True}, cells=four, complete=True)
    (ended,) = find(tmp_path)
    assert ended.done
    assert resume.options([ended], Options(resume="run")).until_verdict
    (more,) = find(tmp_path, trials=6)
    assert not more.done
    assert not resume.options([more], Options(resume="run")).until_verdict


def test_a_run_that_is_being_written_is_not_opened(tmp_path):
    begun(tmp_path)
    writer = RunDirectory.open(tmp_path / "run")
    with pytest.raises(PreflightError, match="being written by another process"):
        RunDirectory.open(tmp_path / "run")
    writer.close()
    RunDirectory.open(tmp_path / "run").close()
