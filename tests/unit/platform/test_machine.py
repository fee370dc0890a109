from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from machines import MACHINE

from rtmbench.errors import ConfigurationError
from rtmbench.platform.machine import Cgroup, Machine, describe, scale

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


def machine(cores: int, memory_mb: int, available_mb: int | None = None) -> Machine:
    return replace(MACHINE, cores=cores, memory_mb=memory_mb, available_mb=available_mb or memory_mb)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_this_machine_is_described_within_what_it_has() -> None:
    found = describe()
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert 0 < found.available_mb <= found.memory_mb <= psutil.virtual_memory().total // MIB
    assert found.cpu
    assert found.os
    assert found.kernel.split()[1] == os.uname().release


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux has affinity")
def test_affinity_takes_cores_away() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert describe().cores == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("cores", "memory_mb", "expected"),
    [
        (8, 16 * 1024, ("spec", 10_000, 16, 4096)),
        (8, 15_800, ("spec", 10_000, 16, 4096)),
        (64, 256 * 1024, ("spec", 10_000, 16, 4096)),
        (8, 8 * 1024, ("laptop", 5_000, 8, 2048)),
        (7, 32 * 1024, ("laptop", 5_000, 8, 4096)),
        (4, 4 * 1024, ("laptop", 5_000, 8, 1536)),
        (3, 24 * 1024, ("laptop", 1_000, 4, 4096)),
        (1, 2 * 1024, ("laptop", 1_000, 4, 1536)),
    ],
)
def test_the_load_follows_the_machine(cores: int, memory_mb: int, expected: tuple) -> None:
    profile = scale(machine(cores, memory_mb))
    assert (
        profile.name,
        profile.rate,
        profile.partitions,
        profile.engine_memory_mb,
    ) == expected
    assert profile.shuffle_partitions == profile.partitions, "as many as Flink has keyed subtasks"


def test_a_profile_can_be_chosen_whatever_the_machine() -> None:
    small = machine(2, 24_105, 10_000)
    spec = scale(small, "spec")
    assert (spec.rate, spec.partitions, spec.shuffle_partitions, spec.engine_memory_mb) == (10_000, 16, 16, 4096)
    assert "smaller than the 8 cores" in spec.note
    assert scale(machine(16, 64 * 1024), "laptop").rate == 5_000
    with pytest.raises(ConfigurationError, match=r"Unknown profile 'desktop'.*spec, laptop"):
        scale(small, "desktop")


def test_what_was_scaled_is_said_in_one_line() -> None:
    assert scale(machine(16, 64 * 1024)).note == ""
    assert scale(machine(2, 24_105, 10_000)).note == (
        "scaled to this machine (2 cores, 23.5 GiB): 1,000 events/s, 4 partitions, 4 shuffle partitions, 2,500 MB per "
        "engine; the full setup (10,000 events/s, 16 partitions, 16 shuffle partitions, 4,096 MB) needs 8 cores and "
        "16 GiB"
    )
    assert "(1 core, " in scale(machine(1, 24_105)).note


def test_cgroup_v2_limits_of_every_level_count(tmp_path: Path) -> None:
    root = tmp_path / "sys"
    write(tmp_path / "cgroup", "0::/outer/inner\n")
    write(root / "outer" / "cpu.max", "150000 100000\n")
    write(root / "outer" / "inner" / "cpu.max", "max 100000\n")
    write(root / "outer" / "memory.max", "max\n")
    write(root / "outer" / "inner" / "memory.max", f"{2048 * MIB}\n")
    write(root / "outer" / "inner" / "memory.current", f"{1500 * MIB}\n")
    write(root / "outer" / "inner" / "memory.stat", f"anon 5\ninactive_file {500 * MIB}\n")
    limits = Cgroup.of_this_process(tmp_path / "cgroup", root)
    assert limits.cpus() == pytest.approx(1.5)
    assert limits.memory_mb() == (2048, 1048)


def test_cgroup_v1_limits(tmp_path: Path) -> None:
    root = tmp_path / "sys"
    write(tmp_path / "cgroup", "9:memory:/job\n3:cpu,cpuacct:/job\n1:name=systemd:/\n")
    write(root / "cpu" / "job" / "cpu.cfs_quota_us", "-1")
    write(root / "cpu" / "cpu.cfs_quota_us", "300000")
    write(root / "cpu" / "cpu.cfs_period_us", "100000")
    write(root / "memory" / "job" / "memory.limit_in_bytes", str(1024 * MIB))
    write(root / "memory" / "job" / "memory.usage_in_bytes", str(1100 * MIB))
    limits = Cgroup.of_this_process(tmp_path / "cgroup", root)
    assert limits.cpus() == pytest.approx(3)
    assert limits.memory_mb() == (1024, 0)


def test_without_cgroups_there_is_no_limit(tmp_path: Path) -> None:
    limits = Cgroup.of_this_process(tmp_path / "absent", tmp_path)
    assert limits.cpus() is None
    assert limits.memory_mb() == (None, None)
