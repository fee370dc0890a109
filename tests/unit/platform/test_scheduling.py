from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtmbench.platform import cgroups, journal, scheduling
from rtmbench.platform.cgroups import CgroupError, ControlGroup
from rtmbench.platform.process import Process, stop_all
from rtmbench.platform.scheduling import EQUALS, Priority, SchedulingGroup, over_memory, probe, ranges

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have nice only")

# A child with a child of its own: an engine's launcher and its JVM.
PAIR = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


def control_groups() -> bool:
    try:
        made = cgroups.create(f"rtmbench-test-{os.getpid()}", shares=335, memory_mb=None, found=cgroups.hierarchies())
    except CgroupError:
        return False
    return made.remove()


def autogroup() -> bool:
    return scheduling._autogroup(cgroups.hierarchies())


@pytest.fixture
def start(tmp_path: Path):
    """Start processes in a group, as an engine with several does."""
    started: list[Process] = []
    groups: list[SchedulingGroup] = []

    def factory(group: SchedulingGroup, *names: str) -> list[Process]:
        groups.append(group)
        processes = [
            Process(
                name,
                [sys.executable, "-c", PAIR],
                env=dict(os.environ),
                cwd=tmp_path,
                log=tmp_path / f"{name}.log",
                group=group,
                state=tmp_path,
            )
            for name in names
        ]
        started.extend(processes)
        for process in processes:
            process.start()
        deadline = time.monotonic() + 20
        while not all(len(process.pids()) == 2 for process in processes):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        group.lower()
        return processes

    yield factory
    stop_all(started, grace_s=0)
    for group in groups:
        group.close()


def cgroup_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    return next(
        line.rpartition(":")[2] for line in lines if "cpu" in line.split(":")[1].split(",") or line[:3] == "0::"
    )


def autogroup_of(pid: int) -> str:
    return Path(f"/proc/{pid}/autogroup").read_text()


@pytest.mark.skipif(not control_groups(), reason="this user cannot write to a control group")
def test_every_process_of_an_engine_is_in_one_control_group(start, tmp_path: Path):
    group = SchedulingGroup("flink@1.20", state=tmp_path)
    other = SchedulingGroup("flink@1.20", state=tmp_path)
    processes = start(group, "jobmanager", "taskmanager")
    pids = [pid for process in processes for pid in process.pids()]
    assert len(pids) == 4
    (place,) = {cgroup_of(pid) for pid in pids}
    assert "rtmbench-" in place
    assert cgroup_of(os.getpid()) != place
    (neighbour,) = start(other, "neighbour")
    assert cgroup_of(neighbour.pids()[0]) not in {place, cgroup_of(os.getpid())}
    found = group.read_back()
    assert found.effective
    assert found.weight is not None
    assert abs(found.weight - 335) < 10
    assert found.text.startswith("weight 33")
    assert "in one group (cgroup v" in found.text
    directories = group.control.directories
    assert all(directory.exists() for directory in directories)
    stop_all(processes, grace_s=0)
    group.close()
    group.close()
    assert not any(directory.exists() for directory in directories)


@pytest.mark.skipif(not autogroup(), reason="the kernel's autogroup does not apply here")
def test_every_process_of_an_engine_is_in_one_session(start, tmp_path: Path):
    group = SchedulingGroup("flink@1.20", mechanisms=["autogroup"], state=tmp_path)
    processes = start(group, "jobmanager", "taskmanager")
    pids = [pid for process in processes for pid in process.pids()]
    assert len(pids) == 4
    (place,) = {autogroup_of(pid) for pid in pids}
    assert place.endswith(" nice 5\n")
    # The kernel shows nothing for a process whose session is older than the autogroups.
    assert autogroup_of(os.getpid()).partition(" ")[0] != place.partition(" ")[0]
    assert group.read_back() == Priority(
        mechanism="autogroup",
        effective=True,
        weight=335,
        detail="All processes of an engine are in one group (autogroup) that weighs 335 against 1024 or more of broker "
        "and harness.",
    )
    # A process group of its own: a signal to one must not reach the other.
    assert len({os.getpgid(process.pid) for process in processes}) == 2


@pytest.mark.skipif(not autogroup(), reason="the kernel's autogroup does not apply here")
def test_processes_of_a_session_are_supervised_like_others(start, tmp_path: Path):
    group = SchedulingGroup("flink@1.20", mechanisms=["autogroup"], state=tmp_path)
    one, two, three = start(group, "one", "two", "three")
    os.kill(one.pid, 9)
    deadline = time.monotonic() + 10
    while one.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert one.poll() == -9
    assert two.poll() is None
    os.kill(two.supervisor, 9)
    while two.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert two.poll() == -9
    assert two.pids() == []
    group.close()  # whoever holds the session may end first
    assert three.poll() is None
    stop_all([three], grace_s=1)
    assert three.poll() is not None
    assert list(tmp_path.glob("*.json")) == []


@pytest.mark.parametrize("mechanisms", [["cgroup-v2", "cgroup-v1"], ["autogroup"]])
def test_engine_starts_at_full_weight_and_is_not_called_lower_until_it_is(tmp_path: Path, mechanisms):
    group = SchedulingGroup("flink@1.20", mechanisms=mechanisms, state=tmp_path)
    try:
        if group.mechanism == "none":
            pytest.skip("neither control groups nor autogroup here")
        before = group.read_back()
        assert (before.effective, before.text) == (False, EQUALS)
        assert "reads back as 1024, not as 335" in before.detail
        group.lower()
        assert group.read_back().effective
    finally:
        group.close()


@pytest.mark.skipif(not autogroup(), reason="the kernel's autogroup does not apply here")
def test_nice_between_sessions_is_never_called_a_priority(start, tmp_path: Path):
    group = SchedulingGroup("spark@4.3", mechanisms=["nice"], state=tmp_path)
    start(group, "spark")
    found = group.read_back()
    assert not found.effective
    assert found.weight is None
    assert found.text == EQUALS
    assert "kernel.sched_autogroup_enabled=1" in found.detail


def test_lowered_harness_makes_the_weight_a_lie(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(scheduling, "_autogroup", lambda _: False)
    group = SchedulingGroup("spark@4.3", mechanisms=[], state=tmp_path)
    place = tmp_path / "group"
    place.mkdir()
    (place / "cpu.shares").write_text("1024")
    group.control = ControlGroup(1, [place], shares=1024)
    group.mechanism = "cgroup-v1"
    group.lower()
    monkeypatch.setattr(scheduling.os, "getpriority", lambda *_: 10)
    found = group.read_back()
    assert (found.effective, found.text) == (False, EQUALS)
    assert "rtmbench itself was started with nice 10" in found.detail
    monkeypatch.setattr(scheduling.os, "getpriority", lambda *_: 0)
    assert group.read_back().effective


def test_nice_works_where_there_is_no_autogroup(start, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(scheduling, "_autogroup", lambda _: False)
    group = SchedulingGroup("spark@4.3", mechanisms=["nice"], state=tmp_path)
    (process,) = start(group, "spark")
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in process.pids()} == {os.nice(0) + 5}
    found = group.read_back()
    assert (found.mechanism, found.effective) == ("nice", True)
    assert found.text == "weight 335 for each thread (nice)"


@pytest.mark.skipif(not control_groups(), reason="this user cannot write to a control group")
def test_process_outside_of_the_group_is_noticed(start, tmp_path: Path):
    group = SchedulingGroup("spark@4.3", state=tmp_path)
    (process,) = start(group, "spark")
    for directory in group.control.directories:
        (directory.parent / "cgroup.procs").write_text(str(process.pid))
    found = group.read_back()
    assert not found.effective
    assert found.text == EQUALS
    assert "1 of 2 processes of the engine are outside of its group" in found.detail


def test_engine_with_processors_of_its_own(start, tmp_path: Path):
    cpu = max(os.sched_getaffinity(0))
    group = SchedulingGroup("flink@1.20", nice=0, cpus=[cpu], state=tmp_path)
    (process,) = start(group, "taskmanager")
    assert {frozenset(os.sched_getaffinity(pid)) for pid in process.pids()} == {frozenset([cpu])}
    found = group.read_back()
    assert found.effective
    assert found.weight is None
    assert found.text == f"CPUs {cpu} of its own"
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(process.pid, os.sched_getaffinity(0))
        found = group.read_back()
        assert not found.effective
        assert found.text == EQUALS
        assert "1 of 2 processes of the engine run on the CPUs of broker and harness too" in found.detail


def test_reap_stale_removes_the_groups_of_a_dead_owner_only(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Path, "rmdir", shutil.rmtree)
    stale, living = tmp_path / "stale", tmp_path / "living"
    for directory in (stale, living):
        directory.mkdir()
    code = (
        "import sys; from pathlib import Path; from rtmbench.platform import journal\n"
        "journal.record_group(Path(sys.argv[1]), [Path(sys.argv[2])])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), str(stale)], check=True)
    journal.record_group(tmp_path, [living])
    assert journal.reap_stale(tmp_path) == ["control group stale"]
    assert not stale.exists()
    assert living.exists()
    (left,) = tmp_path.glob("*.group.json")
    assert json.loads(left.read_text())["group"] == [str(living)]


def test_kill_for_memory_is_one_sentence(tmp_path: Path):
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    (tmp_path / "memory.limit_in_bytes").write_text(str(2560 * 2**20))
    group = SchedulingGroup("spark@4.3", memory_mb=2048, mechanisms=[], state=tmp_path)
    assert group.memory_problem() == ""
    group.control = ControlGroup(1, [tmp_path / "cpu"], shares=335, memory=tmp_path)
    assert group.memory_problem() == (
        "The kernel killed one of the engine's processes: together they reached 2,560 MiB, 1.25 times the 2,048 MiB "
        "of the engine (--memory)."
    )


def test_peak_above_the_memory_is_one_sentence():
    assert over_memory(1536.0, 1536) == ""
    assert over_memory(1702.4, 1536) == (
        "The engine's processes took 1,702 MiB at their peak, more than the 1,536 MiB of the engine (--memory)."
    )


def test_probe_leaves_no_group(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(journal, "state_directory", lambda: tmp_path)
    probe.cache_clear()
    probe()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("cpus", "text"), [([0], "0"), ([3, 2, 0, 1, 6], "0-3,6"), ([], "")])
def test_ranges(cpus, text):
    assert ranges(cpus) == text


BURN = "while True: pass"


@pytest.mark.parametrize("mechanisms", [["cgroup-v2", "cgroup-v1"], ["autogroup"]])
def test_engine_gets_a_third_of_what_one_busy_thread_of_the_harness_gets(tmp_path: Path, mechanisms):
    """Three busy processes of an engine beside one of the harness, all on one processor: 335 against 1024."""
    cpu = max(os.sched_getaffinity(0))
    group = SchedulingGroup("flink@1.20", mechanisms=mechanisms, cpus=[cpu], state=tmp_path)
    if group.mechanism == "none":
        pytest.skip("neither control groups nor autogroup here")
    engine = [
        Process(
            name,
            [sys.executable, "-c", BURN],
            env=dict(os.environ),
            cwd=tmp_path,
            log=tmp_path / f"{name}.log",
            group=group,
            state=tmp_path,
        )
        for name in ("one", "two", "three")
    ]
    pin = f"import os; os.sched_setaffinity(0, [{cpu}])\n"
    with subprocess.Popen([sys.executable, "-c", pin + BURN], start_new_session=True) as harness:
        try:
            for process in engine:
                process.start()
            group.lower()
            time.sleep(0.5)
            used = _seconds([process.pid for process in engine]), _seconds([harness.pid])
            deadline = time.monotonic() + 60
            while _seconds([harness.pid]) - used[1] < 0.6 and time.monotonic() < deadline:
                time.sleep(0.1)
            ratio = (_seconds([process.pid for process in engine]) - used[0]) / (_seconds([harness.pid]) - used[1])
        finally:
            harness.kill()
            stop_all(engine, grace_s=0)
            group.close()
    # As heavy as the others, they would get the same as it; each in a group of its own, three times as much.
    assert 0.2 < ratio < 0.5


def _seconds(pids: list[int]) -> float:
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9
