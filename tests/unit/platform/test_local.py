from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rtmbench.artifacts import Cache
from rtmbench.platform.cpus import CpuSets
from rtmbench.platform.java import Java
from rtmbench.platform.local import LocalPlatform
from rtmbench.platform.scheduling import ranges

SLEEPER = [sys.executable, "-c", "import os; print(os.environ['JAVA_HOME'], flush=True); import time; time.sleep(600)"]
JAVA = Java(home=Path("/jdk"), executable=Path("/jdk/bin/java"), version="17", major=17)


def make(directory: Path, **options) -> LocalPlatform:
    state = directory / "state"
    state.mkdir(exist_ok=True)
    return LocalPlatform(java=JAVA, cache=Cache(directory / "cache"), logs=directory / "logs", state=state, **options)


class BodyError(Exception):
    pass


@pytest.mark.parametrize("failure", [None, BodyError, KeyboardInterrupt])
def test_nothing_is_left_whatever_happens(tmp_path: Path, failure):
    pids: list[int] = []

    def body(platform: LocalPlatform) -> None:
        pids.append(platform.spawn("kafka", SLEEPER, last=True).pid)
        pids.append(platform.spawn("engine", SLEEPER).pid)
        assert platform.scratch("trial").parent == platform.work
        if failure is not None:
            raise failure

    platform = make(tmp_path)
    try:
        with platform:
            body(platform)
    except (BodyError, KeyboardInterrupt) as error:
        assert type(error) is failure  # noqa: PT017 - KeyboardInterrupt is no Exception
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not platform.work.exists()
    assert list((tmp_path / "state").iterdir()) == []
    platform.close()


def test_logs_have_their_own_files_and_children_the_found_java(tmp_path: Path):
    with make(tmp_path) as platform:
        processes = [platform.spawn("engine", SLEEPER) for _ in range(2)]
        processes.append(platform.spawn("engine", SLEEPER, logs=tmp_path / "trial"))
        logs = [process.log for process in processes]
        deadline = time.monotonic() + 10
        while not all(log.read_text() for log in logs) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert [log.read_text() for log in logs] == ["/jdk\n"] * 3
    assert [str(log.relative_to(tmp_path)) for log in logs] == [
        "logs/engine.log",
        "logs/engine-2.log",
        "trial/engine.log",
    ]


def test_stopped_processes_are_forgotten(tmp_path: Path):
    with make(tmp_path) as platform:
        one, two = (platform.spawn(name, SLEEPER) for name in ("one", "two"))
        platform.stop(one)
        assert one.poll() is not None
        assert two.poll() is None


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two processors"
)
def test_broker_and_harness_keep_to_their_processors_and_engines_to_the_others(tmp_path: Path):
    before = os.sched_getaffinity(0)
    first, *others = sorted(before)
    with make(tmp_path, cpu_sets=CpuSets(harness=(first,), engine=tuple(others))) as platform:
        assert os.sched_getaffinity(0) == {first}
        broker = platform.spawn("kafka", SLEEPER, last=True)
        group = platform.group("flink@1.20", nice=0)
        engine = platform.spawn("flink", SLEEPER, group=group)
        assert os.sched_getaffinity(broker.pid) == {first}
        assert os.sched_getaffinity(engine.pid) == set(others)
        found = group.read_back()
        assert found.effective
        assert found.text == f"CPUs {ranges(others)} of its own"
    assert os.sched_getaffinity(0) == before


def test_groups_are_closed_with_the_platform(tmp_path: Path):
    with make(tmp_path) as platform:
        group = platform.group("flink@1.20")
        process = platform.spawn("flink", SLEEPER, group=group)
        group.lower()
        directories = group.control.directories if group.control else []
        assert group.read_back().mechanism == group.mechanism
        assert process.poll() is None
    assert not any(directory.exists() for directory in directories)
    assert list((tmp_path / "state").iterdir()) == []


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_local import *
from rtmbench import signals
signals.install()
with make(Path(sys.argv[1])) as platform:
    print(platform.spawn("kafka", SLEEPER, last=True).pid, platform.spawn("engine", SLEEPER).pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_break_the_clean_up(tmp_path: Path, number):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        pids = [int(word) for word in program.stdout.readline().split()]
        for _ in range(5):
            os.kill(program.pid, number)
            time.sleep(0.005)
        program.wait(10)
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
