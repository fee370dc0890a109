from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest
from results_builder import cell, result, trial

from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.results import RunDirectory, list_runs, load, new_run_id
from rtmbench.results.store import locate, verify_manifest

RUN = "20261123T093000123Z-01-5f2c9a"


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(tmp_path / "results", RUN)


def manifest(run):
    return json.loads((run.path / "manifest.json").read_text("utf-8"))


def test_run_ids_sort_by_time_and_never_repeat():
    start = dt.datetime(2026, 11, 23, 9, 30, tzinfo=dt.timezone.utc)
    ids = [new_run_id("01", start + dt.timedelta(milliseconds=7 * n)) for n in range(500)]
    assert ids == sorted(ids)
    assert len({new_run_id("01", start) for _ in range(500)}) == 500
    assert ids[0].startswith("20261123T093000000Z-01-")


def test_run_ids_are_in_utc():
    zone = dt.timezone(dt.timedelta(hours=5))
    assert new_run_id("01", dt.datetime(2026, 1, 1, 4, 0, tzinfo=zone)).startswith("20251231T230000")


@pytest.mark.parametrize("pattern", ["01", "../../etc", "a b/c\0", "", "x" * 999])
def test_run_ids_are_safe_file_names(pattern):
    assert re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z-]{20,60}", new_run_id(pattern))


def test_a_document_is_incomplete_until_it_is_finished(run):
    found = result(cell(), complete=False)
    run.write(found)
    assert load(run.path) == found
    assert manifest(run)["complete"] is False
    finished = run.finish(found)
    assert finished == replace(found, complete=True)
    assert load(run.path) == finished
    assert manifest(run)["complete"] is True


def test_a_run_is_found_by_id_directory_and_file(run):
    run.write(result(cell()))
    root = run.path.parent
    for reference in (RUN, run.path, run.path / "result.json", str(run.path)):
        assert load(reference, root).run_id == RUN


def test_the_manifest_names_every_file_with_its_hash(run):
    run.file("trials/1.hlog").write_bytes(b"one")
    run.write(result(cell()))
    run.file("trials/2.hlog").write_bytes(b"two")
    run.file("trials/1.hlog").write_bytes(b"changed")
    run.finish(result(cell()))
    files = manifest(run)["files"]
    assert set(files) == {"result.json", "trials/1.hlog", "trials/2.hlog"}
    for name, entry in files.items():
        data = (run.path / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert verify_manifest(run.path) == []


def test_changed_and_missing_files_are_told(run):
    run.file("a.hlog").write_bytes(b"a")
    run.file("b.hlog").write_bytes(b"b")
    run.finish(result(cell()))
    (run.path / "a.hlog").write_bytes(b"A")
    (run.path / "b.hlog").unlink()
    assert verify_manifest(run.path) == ["a.hlog was changed after the run", "b.hlog is missing"]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"files": [1]}'])
def test_a_broken_manifest_is_an_error(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigurationError, match="manifest"):
        verify_manifest(tmp_path)


def test_nothing_temporary_is_left(run):
    for number in range(3):
        run.write(result(cell("f", [trial(n) for n in range(1, number + 2)])))
    assert sorted(path.name for path in run.path.iterdir()) == ["manifest.json", "result.json"]
    assert (run.path / "result.json").stat().st_mode & 0o777 == 0o644


def test_an_existing_run_is_not_overwritten(run):
    with pytest.raises(PreflightError, match="File exists"):
        RunDirectory.create(run.path.parent, RUN)
    assert run.path.is_dir()


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", ".hidden", "x" * 200, "a\n"])
def test_a_run_id_that_is_no_file_name_is_refused(tmp_path, name):
    with pytest.raises(ConfigurationError, match="not a plain file name"):
        RunDirectory.create(tmp_path, name)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b"])
def test_files_stay_in_their_run(run, name):
    with pytest.raises(ConfigurationError, match="leads out"):
        run.file(name)


def test_a_root_that_is_a_file_is_a_preflight_error(tmp_path):
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(PreflightError, match="--results DIR") as caught:
        RunDirectory.create(tmp_path / "results", RUN)
    assert caught.value.exit_code == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_root_is_a_preflight_error(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PreflightError, match="Permission denied"):
            RunDirectory.create(tmp_path, RUN)
    finally:
        tmp_path.chmod(0o700)


def test_a_root_on_a_file_system_that_refuses_is_a_preflight_error():
    # Not even root makes directories in /proc.
    with pytest.raises(PreflightError, match="cannot be written"):
        RunDirectory.create("/proc/rtmbench-results", RUN)


def test_a_directory_that_vanished_is_a_preflight_error(run):
    run.path.rmdir()
    with pytest.raises(PreflightError, match="could not be written"):
        run.write(result(cell()))


def test_an_unknown_run_names_what_there_is(run):
    run.write(result(cell()))
    with pytest.raises(ConfigurationError, match=f"Unknown run 'nope'.*{RUN}"):
        load("nope", run.path.parent)
    with pytest.raises(ConfigurationError, match="The directory contains no runs"):
        load("nope", run.path / "empty")


@pytest.mark.parametrize("text", ["", "{", '{"schema": "rtmbench.result/1"', "\x00\xff"])
def test_a_document_cut_short_is_a_clear_error(tmp_path, text):
    (tmp_path / "result.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="is not JSON"):
        load(tmp_path)


def test_an_unknown_major_version_is_refused(run):
    run.write(result(cell()))
    document = json.loads((run.path / "result.json").read_text("utf-8"))
    (run.path / "result.json").write_text(json.dumps({**document, "schema": "rtmbench.result/3"}))
    with pytest.raises(ConfigurationError, match=r"rtmbench\.result/3.*does not read"):
        load(run.path)


def test_runs_are_listed_newest_first_with_the_unreadable(tmp_path):
    for stamp in ("20260101T000000000Z-01-a", "20260301T000000000Z-01-c"):
        RunDirectory.create(tmp_path, stamp).write(result(cell(), run_id=stamp))
    broken = RunDirectory.create(tmp_path, "20260201T000000000Z-01-b")
    (broken.path / "result.json").write_text("{")
    (tmp_path / "unrelated").mkdir()
    found = list_runs(tmp_path)
    assert [entry.path.name[-1] for entry in found] == ["c", "b", "a"]
    assert [entry.result is None for entry in found] == [False, True, False]
    assert "is not JSON" in found[1].problem
    assert list_runs(tmp_path / "nowhere") == []


def test_locate_prefers_the_run_under_the_root(run, tmp_path, monkeypatch):
    run.write(result(cell()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / RUN).write_text("a file of the same name")
    assert locate(RUN, run.path.parent) == run.path / "result.json"


def test_a_kill_in_the_middle_leaves_a_whole_document(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from results_builder import cell, result, trial
        from rtmbench.results import RunDirectory
        run = RunDirectory.create(Path(sys.argv[1]), sys.argv[2])
        number = 0
        while True:
            number += 1
            run.write(result(cell("f", [trial(n) for n in range(1, number % 40 + 2)])))
            print(number, flush=True)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, str(tmp_path)]
    for number in range(3):
        name = f"run-{number}"
        with subprocess.Popen([*command, name], stdout=subprocess.PIPE, env=environment) as writer:
            for _ in range(20 + 7 * number):
                assert writer.stdout.readline()
            writer.kill()
        assert load(name, tmp_path).cells[0].trials
