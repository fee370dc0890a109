from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from machines import MACHINE

from rtmbench.platform import cpus
from rtmbench.platform.cpus import CpuSets, Pinned, divide, parse, physical_cores
from rtmbench.platform.machine import filesystem, scale

if TYPE_CHECKING:
    from pathlib import Path


def plain(count: int) -> list[tuple[int, ...]]:
    return [(cpu,) for cpu in range(count)]


@pytest.mark.parametrize(
    ("cores", "usable", "harness", "engine"),
    [
        (plain(4), 4, (0, 1), (2, 3)),
        (plain(6), 6, (0, 1), (2, 3, 4, 5)),
        (plain(16), 16, (0, 1, 2, 3), tuple(range(4, 16))),
        # Threads 0 and 4 are one core, and so on.
        ([(0, 4), (1, 5), (2, 6), (3, 7)], 8, (0, 4), (1, 2, 3, 5, 6, 7)),
    ],
)
def test_broker_and_harness_get_whole_cores_of_their_own(cores, usable, harness, engine):
    assert divide(cores, usable) == CpuSets(harness=harness, engine=engine)


@pytest.mark.parametrize(("cores", "usable"), [((), 8), (plain(2), 2), (plain(3), 3), (plain(8), 2)])
def test_small_machine_and_small_quota_are_shared(cores, usable):
    assert divide(cores, usable) is None


def test_one_core_is_not_divided_between_its_threads():
    assert divide([(0, 1, 2, 3)], 4) is None


@pytest.mark.parametrize(("count", "shared"), [(2, True), (4, False), (8, False)])
def test_profile_says_whether_cores_are_shared(count, shared):
    machine = replace(MACHINE, cores=count, physical_cores=tuple(plain(count)))
    assert scale(machine).shared_cores is shared


def test_threads_of_one_core_are_found(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(cpus.os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        place = tmp_path / f"cpu{cpu}" / "topology"
        place.mkdir(parents=True)
        (place / "thread_siblings_list").write_text(siblings + "\n")
    assert physical_cores(tmp_path) == ((0, 2), (1, 3))
    assert physical_cores(tmp_path / "nowhere") == ((0,), (1,), (2,), (3,))


def test_parse():
    assert parse("0-2,5\n") == {0, 1, 2, 5}


def test_every_thread_is_pinned_and_released():
    before = os.sched_getaffinity(0)
    cpu = min(before)
    ready, leave = threading.Event(), threading.Event()
    seen = []

    def other() -> None:
        ready.set()
        leave.wait(10)
        seen.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait(10)
    pinned = Pinned([cpu])
    try:
        assert os.sched_getaffinity(0) == {cpu}
        leave.set()
        thread.join()
        assert seen == [{cpu}]
    finally:
        pinned.release()
    assert os.sched_getaffinity(0) == before


def test_filesystem_is_that_of_the_longest_and_last_mount(tmp_path: Path):
    mounts = tmp_path / "mounts"
    place = tmp_path / "a b" / "work"
    place.mkdir(parents=True)
    escaped = str(tmp_path / "a b").replace(" ", "\\040")
    mounts.write_text(
        f"/dev/vda / ext4 rw 0 0\ntmpfs {escaped} xfs rw 0 0\ntmpfs {escaped} tmpfs rw 0 0\nproc /proc proc rw 0 0\n"
    )
    assert filesystem(place, mounts) == "tmpfs"
    assert filesystem(place / "not" / "there", mounts) == "tmpfs"
    assert filesystem(tmp_path, mounts) == "ext4"
    mounts.write_text("")
    assert filesystem(place, mounts) is None
