from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cgroup_trees import group, proc_of

from rtmbench.platform import cgroups
from rtmbench.platform.cgroups import CgroupError, ControlGroup, create, hierarchies, in_root_group


@pytest.fixture
def removable(monkeypatch):
    """The files of a real group go with its directory."""
    monkeypatch.setattr(Path, "rmdir", shutil.rmtree)


def v2_tree(tmp_path: Path, path: str, *, controllers: str = "cpu memory pids", enabled: str = "cpu memory") -> Path:
    """A unified hierarchy with one group in it, all of whose ancestors offer the same controllers."""
    mount = tmp_path / "unified"
    place = mount
    for part in ("", *path.strip("/").split("/")):
        place = place / part if part else place
        files = {"cgroup_controllers": controllers, "cgroup_subtree_control": enabled, "cgroup_procs": ""}
        group(place, **files, **({} if place == mount else {"cgroup_events": "populated 1"}))
    return proc_of(tmp_path, groups=f"0::{path}\n", mounts=[(mount, "/", "cgroup2", "rw")])


def v1_tree(tmp_path: Path, *, cpu: str = "/", memory: str = "/") -> Path:
    mounts = []
    for name, path in (("cpu", cpu), ("memory", memory)):
        mount = group(tmp_path / name, cgroup_sane_behavior="0", cgroup_procs="")
        group(mount / path.strip("/"), cgroup_procs="")
        mounts.append((mount, "/", "cgroup", f"rw,{name}"))
    return proc_of(tmp_path, groups=f"3:memory:{memory}\n1:cpu:{cpu}\n0::/\n", mounts=mounts)


def test_version_2_weighs_a_hundredth_and_limits_the_memory(tmp_path: Path):
    found = hierarchies(v2_tree(tmp_path, "/bench"))
    made = create("rtmbench-1", shares=335, memory_mb=100, found=found)
    assert made.version == 2
    assert made.directories == [tmp_path / "unified" / "bench" / "rtmbench-1"]
    assert (made.directories[0] / "cpu.weight").read_text() == "33"
    assert made.shares() == made.requested_shares == 338
    assert made.memory_limit_mb() == 100
    assert made.entrances == [str(made.directories[0] / "cgroup.procs")]


def test_version_2_enables_the_controller_or_goes_further_up(tmp_path: Path, monkeypatch):
    found = hierarchies(v2_tree(tmp_path, "/user/scope", enabled=""))
    real = cgroups._write

    def refuse(path: Path, text: str) -> None:
        # As the kernel does where processes are in the group itself.
        if path == tmp_path / "unified" / "user" / "scope" / "cgroup.subtree_control":
            raise CgroupError(f"{path} cannot be set (Device or resource busy)")
        real(path, text)

    monkeypatch.setattr(cgroups, "_write", refuse)
    made = create("rtmbench-1", shares=335, memory_mb=None, found=found)
    assert made.directories == [tmp_path / "unified" / "user" / "rtmbench-1"]
    assert (tmp_path / "unified" / "user" / "cgroup.subtree_control").read_text() == "+cpu"


def test_version_2_without_the_controller_says_so(tmp_path: Path):
    found = hierarchies(v2_tree(tmp_path, "/bench", controllers="memory pids"))
    with pytest.raises(CgroupError, match=r"version 2: .*/bench has no cpu controller"):
        create("rtmbench-1", shares=335, memory_mb=None, found=found)


def test_read_only_tree_is_refused_with_the_place(tmp_path: Path, monkeypatch):
    found = hierarchies(v2_tree(tmp_path, "/bench"))
    monkeypatch.setattr(cgroups.os, "access", lambda *_: False)
    with pytest.raises(CgroupError, match=r"version 2: .*/bench cannot be written"):
        create("rtmbench-1", shares=335, memory_mb=None, found=found)
    assert not list(tmp_path.rglob("rtmbench-1"))


def test_version_1_has_a_group_for_each_controller(tmp_path: Path):
    made = create("rtmbench-1", shares=335, memory_mb=64, found=hierarchies(v1_tree(tmp_path)))
    assert made.version == 1
    assert made.directories == [tmp_path / "cpu" / "rtmbench-1", tmp_path / "memory" / "rtmbench-1"]
    assert made.shares() == made.requested_shares == 335
    assert made.memory_limit_mb() == 64
    for directory, pids in zip(made.directories, ("1\n2\n3", "2\n3\n4"), strict=True):
        (directory / "cgroup.procs").write_text(pids)
    assert made.pids() == {2, 3}


def test_version_1_leaves_memory_alone_that_somebody_else_divides(tmp_path: Path):
    made = create("rtmbench-1", shares=335, memory_mb=64, found=hierarchies(v1_tree(tmp_path, memory="/manager/job")))
    assert made.directories == [tmp_path / "cpu" / "rtmbench-1"]
    assert made.memory_limit_mb() is None
    assert not list((tmp_path / "memory").rglob("rtmbench-1"))


def test_version_1_stays_below_its_own_group(tmp_path: Path):
    made = create("rtmbench-1", shares=335, memory_mb=None, found=hierarchies(v1_tree(tmp_path, cpu="/limited")))
    assert made.directories == [tmp_path / "cpu" / "limited" / "rtmbench-1"]


def test_version_1_that_cannot_be_written_is_refused(tmp_path: Path):
    proc = v1_tree(tmp_path)
    shutil.rmtree(tmp_path / "cpu")
    with pytest.raises(CgroupError, match=r"version 1: .*/cpu cannot be written"):
        create("rtmbench-1", shares=335, memory_mb=None, found=hierarchies(proc))


def test_system_without_control_groups(tmp_path: Path):
    with pytest.raises(CgroupError, match="this system has none"):
        create("rtmbench-1", shares=335, memory_mb=None, found=hierarchies(tmp_path))


def test_container_sees_its_own_part_of_a_hierarchy(tmp_path: Path):
    mount = group(tmp_path / "a place", cgroup_procs="")
    proc = proc_of(
        tmp_path, groups="1:cpu,cpuacct:/docker/abc\n", mounts=[(mount, "/docker/abc", "cgroup", "rw,cpu,cpuacct")]
    )
    (found,) = hierarchies(proc)
    assert found.own == found.mount == mount
    assert found.controllers == {"cpu", "cpuacct"}
    assert not found.at_root
    assert not in_root_group([found])


@pytest.mark.parametrize(
    ("path", "weighed", "expected"), [("/", False, True), ("/x", False, True), ("/x", True, False)]
)
def test_autogroup_is_for_the_root_group_only(tmp_path: Path, path, weighed, expected):
    found = hierarchies(v2_tree(tmp_path, path))
    if weighed:
        (tmp_path / "unified" / "x" / "cpu.weight").write_text("100")
    assert in_root_group(found) is expected


def test_version_1_root_group_is_told_from_a_group_below(tmp_path: Path):
    assert in_root_group(hierarchies(v1_tree(tmp_path)))
    (tmp_path / "other").mkdir()
    assert not in_root_group(hierarchies(v1_tree(tmp_path / "other", cpu="/limited")))


def test_kills_for_memory_are_counted_in_both_versions(tmp_path: Path):
    new = group(tmp_path / "new", memory_events="low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 0\n")
    old = group(tmp_path / "old", memory_oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert ControlGroup(2, [new], shares=335, memory=new).oom_kills() == 2
    assert ControlGroup(1, [old], shares=335, memory=old).oom_kills() == 1
    assert ControlGroup(1, [old], shares=335).oom_kills() == 0


@pytest.mark.usefixtures("removable")
def test_removed_group_leaves_nothing(tmp_path: Path):
    made = create("rtmbench-1", shares=335, memory_mb=64, found=hierarchies(v1_tree(tmp_path)))
    assert made.remove()
    assert not list(tmp_path.rglob("rtmbench-1"))


def test_group_in_use_is_not_removed(tmp_path: Path):
    made = create("rtmbench-1", shares=335, memory_mb=64, found=hierarchies(v1_tree(tmp_path)))
    assert not made.remove(timeout_s=0)
