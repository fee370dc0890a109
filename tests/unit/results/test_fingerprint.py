from __future__ import annotations

from dataclasses import replace

import pytest
from machines import MACHINE
from results_builder import result

from rtmbench.experiment.host import host
from rtmbench.platform import scheduling
from rtmbench.platform.scheduling import Priority
from rtmbench.results.fingerprint import machine_changes, machine_id
from rtmbench.results.model import EnginePriority

EFFECTIVE = EnginePriority(mechanism="cgroup-v1", effective=True, detail="One group.")
INERT = EnginePriority(mechanism="none", effective=False, detail="Nothing.")


def test_priority_and_file_systems_belong_to_the_machine():
    old = result().host
    new = replace(old, priority=EFFECTIVE, filesystems={"work": "ext4", "kafka_log": "ext4"})
    reworded = replace(EFFECTIVE, detail="The same in other words.")
    assert machine_id(new) == machine_id(replace(new, priority=reworded))
    assert machine_changes(new, replace(new, priority=INERT)) == [
        "priority_effective True → False",
        "priority_mechanism cgroup-v1 → none",
    ]
    assert machine_changes(new, replace(new, filesystems={"work": "tmpfs", "kafka_log": "ext4"})) == [
        "filesystem_work ext4 → tmpfs"
    ]


def test_documents_without_them_are_still_of_one_machine():
    old = replace(result().host, priority=None, filesystems=None)
    assert machine_changes(old, replace(old)) == []
    assert machine_id(old) == machine_id(replace(old, priority=None, filesystems=None))


@pytest.mark.parametrize(("cores", "shared"), [(2, True), (8, False)])
def test_host_has_what_was_read_back(monkeypatch, cores, shared):
    asked = []

    def probe(*arguments):
        asked.append(arguments)
        return Priority(mechanism="cgroup-v2", effective=True, weight=338, detail="One group.")

    monkeypatch.setattr(scheduling, "probe", probe)
    machine = replace(MACHINE, cores=cores, physical_cores=tuple((cpu,) for cpu in range(cores)))
    found = host(machine)
    assert found.shared_cores is shared
    assert asked == ([(5,)] if shared else [(0, (2, 3, 4, 5, 6, 7))])
    assert found.priority == EnginePriority(mechanism="cgroup-v2", effective=True, detail="One group.")
    assert found.filesystems is not None
    assert found.filesystems["work"] == found.filesystems["kafka_log"]
    # The log of a broker that exists already is on another machine, or may be.
    assert set(host(machine, kafka=False).filesystems or ()) == {"work"}
