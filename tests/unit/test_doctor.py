from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import machines
import pytest

from rtmbench import doctor
from rtmbench.artifacts import Cache
from rtmbench.doctor import Check, DoctorRequest, SlotNeed, checks, require
from rtmbench.engines import parse_engine, rocksdb
from rtmbench.errors import PreflightError
from rtmbench.experiment.settings import RunRequest, resolve
from rtmbench.kafka import preflight
from rtmbench.kafka.connection import Connection
from rtmbench.platform.scheduling import Priority

MACHINE = replace(machines.MACHINE, memory_mb=8_000, available_mb=6_000)


@pytest.fixture
def request_(tmp_path: Path) -> DoctorRequest:
    return DoctorRequest(
        partitions=4,
        slots=4,
        engine_memory_mb=2_048,
        kafka_heap_mb=512,
        results=tmp_path / "results",
        engines=tuple(map(parse_engine, ("flink", "spark", "transport"))),
        topics_bytes=50_000_000,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def run_doctor(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RTMBENCH_", "KAFKA_"))}
    return subprocess.run(
        [sys.executable, "-m", "rtmbench", "doctor", *arguments],
        cwd=cwd,
        env={**clean, "RTMBENCH_CACHE": str(cwd / "cache"), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_check_answers_and_leaves_nothing_behind(request_: DoctorRequest, cache: Cache, tmp_path: Path) -> None:
    found = checks(request_, cache, MACHINE)
    assert [check.name for check in found] == [
        "java",
        "python",
        "packages",
        "rocksdb",
        "extension",
        "slots",
        "memory",
        "artifacts",
        "disk",
        "work",
        "results",
        "kafka",
        "ports",
        "clock",
        "cores",
        "priority",
        "load",
    ]
    for check in found:
        assert check.detail
        assert (check.status == "ok") == (check.fix == ""), check
    assert not (tmp_path / "results").exists()


def test_require_raises_one_paragraph_for_each_failure() -> None:
    good = Check(name="java", status="ok", detail="17")
    poor = Check(name="load", status="warn", detail="busy", fix="Wait.")
    bad = Check(name="slots", status="fail", detail="Too few slots.", fix="Use --slots 4.")
    worse = Check(name="java", status="fail", detail="No Java.")
    require([good, poor])
    with pytest.raises(PreflightError) as caught:
        require([good, bad, poor, worse])
    assert str(caught.value) == "Too few slots. Use --slots 4.\n\nNo Java."
    assert caught.value.exit_code == 3


def test_slots_below_what_runs_at_once_are_refused_with_the_arithmetic(request_: DoctorRequest) -> None:
    needs = [
        SlotNeed(name="flink@1.20 at 02", slots=4, arithmetic="4 input partitions = 4 slots"),
        SlotNeed(name="spark@4.3 at 02", slots=8, arithmetic="4 input partitions + 4 shuffle partitions = 8 slots"),
    ]
    check = doctor.check_slots(replace(request_, slots=6, needs=needs))
    assert check.status == "fail"
    assert "6 slots" in check.detail
    assert "spark@4.3 at 02: 4 input partitions + 4 shuffle partitions = 8 slots" in check.detail
    assert "flink" not in check.detail
    assert check.fix.startswith("Use --slots 8 or more")
    assert doctor.check_slots(replace(request_, slots=8, needs=needs)).status == "ok"
    computed = doctor.check_slots(replace(request_, slots=None, needs=needs))
    assert computed.status == "ok"
    assert "spark@4.3 at 02 8" in computed.detail


def test_packages_for_state_in_python_are_looked_for_only_where_they_are_used(
    request_: DoctorRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert doctor.check_packages(request_).status == "ok"
    with pytest.raises(PreflightError, match=r"pandas.*pip install 'rtmbench\[spark\]'"):
        doctor.check_packages(replace(request_, python_state=["spark@4.1:microbatch at 04"]))


def test_a_rocksdb_that_does_not_load_is_named(request_: DoctorRequest, cache: Cache, tmp_path: Path) -> None:
    jar = tmp_path / "rocksdbjni-1.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for name in ("linux64.so", "linux-aarch64.so", "osx-arm64.jnilib", "osx-x86_64.jnilib"):
            archive.writestr(f"librocksdbjni-{name}", b"no library")
    assert "rocksdbjni-1.jar" in rocksdb.problem(jar)
    assert doctor.check_rocksdb(request_, cache).detail == "not used: no pattern has state"
    assert doctor.check_rocksdb(replace(request_, keyed=True), cache).detail == "checked after the download"


def test_memory_shows_its_arithmetic(request_: DoctorRequest) -> None:
    check = doctor.check_memory(request_, MACHINE)
    assert check.status == "ok"
    assert check.detail == ("768 for Kafka + 2,048 for engine + 512 for rtmbench = 3,328 MB of 6,000 MB available")
    short = replace(MACHINE, available_mb=3_000)
    check = doctor.check_memory(request_, short)
    assert check.status == "fail"
    assert "= 3,328 MB of 3,000 MB available" in check.detail
    assert "--memory (at most 1720)" in check.fix
    # The broker of somebody else takes no memory here.
    remote = replace(request_, kafka=Connection(bootstrap_servers="broker:9092"))
    assert doctor.check_memory(remote, short).status == "ok"
    assert "--memory" not in doctor.check_memory(request_, replace(MACHINE, available_mb=900)).fix


def test_artifacts_offline_is_a_failure_and_online_a_warning(request_: DoctorRequest, cache: Cache) -> None:
    check = doctor.check_artifacts(request_, cache)
    assert check.status == "warn"
    for name in request_.bundles():
        assert name in check.detail
    assert "rtmbench engines fetch kafka@4.1 flink@1.20" in check.fix
    check = doctor.check_artifacts(replace(request_, offline=True), cache)
    assert check.status == "fail"
    assert str(cache.root) in check.detail
    nothing = replace(request_, engines=(parse_engine("transport"),), kafka=Connection(bootstrap_servers="broker:9092"))
    assert nothing.bundles() == []
    assert doctor.check_artifacts(nothing, cache).status == "ok"


def test_disk_counts_what_a_run_writes(request_: DoctorRequest, cache: Cache) -> None:
    assert doctor.check_disk(request_, cache).status != "fail"
    check = doctor.check_disk(replace(request_, topics_bytes=10**18), cache)
    assert check.status == "fail"
    assert "for Kafka's data" in check.detail
    assert "TMPDIR" in check.fix


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({"rate": 2_000.0}, 2),
        ({"payload_bytes": 2 * doctor.RECORD_BYTES - doctor.FRAMING_BYTES}, 1.5),
        # One trial of each cell is kept instead of twice the largest.
        ({"keep_topics": True, "trials": 4}, 4),
        ({"trials": 9}, 1),
    ],
)
def test_disk_is_what_the_topics_hold_at_once(options: dict[str, Any], factor: float) -> None:
    def topics_bytes(**options: Any) -> int:
        request = RunRequest(patterns=("01",), engines=("flink@1.20", "spark@4.1"), **{"rate": 1_000.0, **options})
        return DoctorRequest.of(resolve(request, MACHINE)).topics_bytes

    assert topics_bytes(**options) == pytest.approx(factor * topics_bytes())


def test_disk_counts_a_result_in_each_window_of_an_event() -> None:
    plain, sliding = (
        DoctorRequest.of(resolve(RunRequest(patterns=(pattern,), engines=("flink@1.20",)), MACHINE)).topics_bytes
        for pattern in ("02", "03")
    )
    # An event and one result, against an event and five.
    assert sliding == pytest.approx(3 * plain)


def test_results_are_tried_by_writing(tmp_path: Path) -> None:
    check = doctor.check_results(tmp_path / "not" / "there" / "yet")
    assert check.status == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    for results in (tmp_path / "file", tmp_path / "file" / "below"):
        check = doctor.check_results(results)
        assert check.status == "fail"
        assert f"{tmp_path / 'file'} is not a directory" in check.detail
        assert "--results" in check.fix


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a directory where nobody can write")
def test_an_unwritable_results_directory_is_told_to_root_too() -> None:
    check = doctor.check_results(Path("/proc/results"))
    assert check.status == "fail"
    assert check.detail.startswith("Results cannot be written to /proc/results")


def test_a_taken_port_names_the_port_its_holder_and_the_option(request_: DoctorRequest) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        check = doctor.check_ports(replace(request_, flink_port=port))
        assert check.status == "fail"
        assert f"Port {port} is taken" in check.detail
        if sys.platform == "linux":
            assert f"(pid {os.getpid()})" in check.detail
        assert "--flink-port" in check.fix
        assert doctor.check_ports(replace(request_, kafka_port=port)).fix.count("--kafka-port") == 2
    assert doctor.check_ports(replace(request_, flink_port=port)).detail == f"{port} free"


def test_ports_that_cannot_be(request_: DoctorRequest) -> None:
    twice = doctor.check_ports(replace(request_, kafka_port=20_001, flink_port=20_001))
    assert twice.detail == "Port 20001 is requested twice."
    assert "does not exist" in doctor.check_ports(replace(request_, kafka_port=70_000)).detail
    # The port of a local broker means nothing where the broker is elsewhere.
    remote = replace(request_, kafka_port=70_000, kafka=Connection(bootstrap_servers="broker:9092"))
    assert doctor.check_ports(remote).status == "ok"


def at(request_: DoctorRequest, address: str) -> Check:
    return doctor.check_kafka(replace(request_, kafka=Connection(bootstrap_servers=address)))


def test_brokers_that_were_named_must_answer(
    request_: DoctorRequest, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = broker.bootstrap_servers
    assert at(request_, f"nonsense, {address}").detail == f"1 broker: {address}"
    monkeypatch.setattr(preflight, "ANSWER_S", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        check = at(request_, address)
        assert (check.status, address in check.detail) == ("fail", True)
    check = at(request_, f"{address},nonsense")
    assert check.status == "fail"
    assert address in check.detail
    assert "nonsense is not HOST:PORT" in check.detail


@pytest.mark.parametrize(("engine", "checked"), [("spark@4.3", True), ("flink@1.20", False)])
def test_a_spark_master_must_answer_where_spark_runs(
    request_: DoctorRequest, cache: Cache, engine: str, checked: bool
) -> None:
    request = replace(request_, engines=(parse_engine(engine),), spark_master="spark://127.0.0.1:1")
    failed = [check for check in checks(request, cache) if check.name == "spark"]
    assert [check.status for check in failed] == (["fail"] if checked else [])


def test_a_clock_that_is_set_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_clock().status == "ok"
    jumps = iter([0] * 5 + [1_500] * 5)
    monkeypatch.setattr(doctor._core, "clock_jump_us", lambda: next(jumps))
    check = doctor.check_clock()
    assert check.status == "fail"
    assert "1,500 µs" in check.detail


def test_hidden_java_options_are_a_warning(request_: DoctorRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=en")
    check = doctor.check_java(request_)
    assert check.status == "warn"
    assert "JAVA_TOOL_OPTIONS=-Duser.language=en" in check.detail


def test_the_command_prints_one_line_a_check(tmp_path: Path) -> None:
    done = run_doctor("--memory", "1024", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 17
    assert lines[0].split()[:2] == ["✓", "java"]
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_the_command_exits_3_and_names_the_fix(tmp_path: Path) -> None:
    done = run_doctor("--json", "--partitions", "8", "--slots", "2", cwd=tmp_path, JAVA_HOME=str(tmp_path))
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    failed = {check["name"]: check for check in document["checks"] if check["status"] == "fail"}
    assert document["ok"] is False
    assert {"java", "slots"} <= set(failed)
    assert failed["slots"]["fix"].startswith("Use --slots 8 or more, ")
    assert "it has no bin/java" in failed["java"]["detail"]


@pytest.mark.parametrize(("kind", "status"), [("ext4", "ok"), ("tmpfs", "warn"), ("ramfs", "warn")])
def test_work_names_its_file_system(request_: DoctorRequest, kind: str, status: str) -> None:
    check = doctor.check_work(request_, kind)
    assert check.status == status
    assert kind in check.detail
    assert "checkpoints and Kafka's log" in check.detail
    assert (
        "Kafka"
        not in doctor.check_work(replace(request_, kafka=Connection(bootstrap_servers="kafka:9092")), kind).detail
    )


@pytest.mark.parametrize(
    ("version", "expected"),
    [("17", True), ("17.0.4.1", True), ("17.0.5", False), ("17.0.15", False), ("18.0.2", True), ("21.0.1", False)],
)
def test_java_that_takes_a_weight_for_processors_is_known(version: str, *, expected: bool) -> None:
    assert doctor._weighs_processors(version) is expected


def test_priority_that_has_no_effect_is_never_called_lower() -> None:
    inert = Priority(mechanism="none", effective=False, weight=None, detail="Nothing lowers engines.")
    check = doctor.check_priority(MACHINE, inert)
    assert check.status == "warn"
    assert check.detail == ("none: engines compete with broker and harness as equals. Nothing lowers engines.")
    assert "systemd-run" in check.fix
    threads = replace(inert, mechanism="nice", effective=True, weight=335, detail="Each thread weighs 335.")
    assert doctor.check_priority(MACHINE, threads).status == "warn"
    group = replace(threads, mechanism="cgroup-v1", detail="One group weighs 335.")
    assert doctor.check_priority(MACHINE, group) == Check(name="priority", status="ok", detail="One group weighs 335.")
