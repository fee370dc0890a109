from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.engines import create_engine, parse_engine
from rtmbench.engines.base import TrialIo
from rtmbench.errors import PreflightError, RunFailedError
from rtmbench.kafka import clients
from rtmbench.kafka.connection import Connection
from rtmbench.parity import parity
from rtmbench.platform import journal, kafka, ports
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = pytest.mark.e2e

PARTITIONS = 4


def open_platform(directory: Path) -> LocalPlatform:
    state = directory / "state"
    state.mkdir(exist_ok=True)
    return LocalPlatform(java=find_java(), cache=Cache(), logs=directory / "logs", state=state)


def family(state: Path) -> dict[int, psutil.Process]:
    """Every living process of ours that the journal knows, descendants included."""
    found = {}
    for path in state.glob("*.json"):
        if not path.name.endswith(".work.json"):
            token = path.stem
            found.update({process.pid: process for process in journal.marked(token)})
    return found


def listeners(pids) -> set[tuple[str, int]]:
    return {
        (connection.laddr.ip.removeprefix("::ffff:"), connection.laddr.port)
        for connection in psutil.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.pid in pids
    }


def assert_ended(processes, seconds: float = 10.0) -> None:
    _, alive = psutil.wait_procs(list(processes), timeout=seconds)
    alive = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert alive == []


def first_failure(check, seconds: float = 15) -> RunFailedError | None:
    """Call `check` until it raises, for at most so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            check()
        except RunFailedError as error:
            return error
        time.sleep(0.1)
    return None


def create_topics(servers: str, name: str) -> tuple[str, str]:
    topics = (f"{name}-input", f"{name}-output")
    _core.create_topics({"bootstrap.servers": servers}, list(topics), partitions=PARTITIONS)
    return topics


def send(servers: str, topic: str, count: int) -> None:
    generator = _core.Generator(
        clients.harness_producer(Connection(bootstrap_servers=servers)),
        topic,
        _core.Workload(1, keys=20),
        _core.Schedule.constant(200.0),
        count=count,
    )
    assert generator.run().acked == count


def trial_io(platform: LocalPlatform, servers: str, name: str, logs: Path) -> TrialIo:
    source, sink = create_topics(servers, name)
    return TrialIo(
        connection=Connection(bootstrap_servers=servers),
        input_topic=source,
        output_topic=sink,
        partitions=PARTITIONS,
        slots=PARTITIONS,
        checkpoint_interval_ms=5000,
        work=platform.scratch(name),
        logs=logs,
        memory_mb=2048,
        group=platform.group(name, memory_mb=2048),
    )


def scheduling_group(pid: int) -> str:
    """The control group that gives a process its processor time, and the autogroup that does where it is the root.

    Empty for a process whose session is older than the autogroups: the kernel schedules it in the root group.
    """
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    v1 = [path for _, controllers, path in lines if "cpu" in controllers.split(",")]
    group = (v1 or [path for _, controllers, path in lines if not controllers])[0]
    return group if "rtmbench-" in group else Path(f"/proc/{pid}/autogroup").read_text().partition(" ")[0]


def running_groups(pids: list[int]) -> set[str]:
    """The groups of the processes that run: the kernel takes one that has ended out of its control group."""
    groups = {pid: scheduling_group(pid) for pid in pids if psutil.pid_exists(pid)}
    return {groups[pid] for pid in groups if is_running(pid)}


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_two_platforms_at_once_listen_on_loopback_and_leave_nothing(tmp_path: Path):
    directories = [tmp_path / "a", tmp_path / "b"]
    with open_platform_in(directories[0]) as one, open_platform_in(directories[1]) as two:
        services = [one.kafka(), two.kafka()]
        assert services[0].bootstrap_servers != services[1].bootstrap_servers
        everything: list[psutil.Process] = []
        for service, directory in zip(services, directories, strict=True):
            create_topics(service.bootstrap_servers, "t")
            processes = family(directory / "state")
            everything += processes.values()
            found = listeners(processes)
            assert len(found) == 2
            assert {address for address, _ in found} == {"127.0.0.1"}
            assert service.process.usage().rss_mb > 50
        works = [one.work, two.work]
        begin = time.monotonic()
    assert time.monotonic() - begin < 10
    assert_ended(everything, 0)
    for directory, work in zip(directories, works, strict=True):
        assert not work.exists()
        assert list((directory / "state").iterdir()) == []
        assert (directory / "logs" / "kafka.log").stat().st_size > 1000
        assert (directory / "logs" / "kafka-gc.log").exists()


def open_platform_in(directory: Path) -> LocalPlatform:
    directory.mkdir()
    return open_platform(directory)


def test_kafka_takes_another_port_on_a_clash_and_a_dead_broker_is_told(tmp_path: Path, monkeypatch):
    taken = ports.free_port()
    chosen = iter([[taken, ports.free_port()], ports.free_ports(2)])
    with ports.socket.socket() as server, open_platform(tmp_path) as platform:
        server.bind((ports.LOOPBACK, taken))
        server.listen()
        with pytest.raises(PreflightError, match=f"Port {taken} .* Kafka"):
            platform.kafka(taken)
        monkeypatch.setattr(kafka, "free_ports", lambda _count: next(chosen))
        service = platform.kafka()
        assert service.bootstrap_servers != f"127.0.0.1:{taken}"
        assert service.process.pid is not None
        os.kill(service.process.pid, signal.SIGKILL)
        failure = first_failure(service.process.check)
        assert "kafka ended by SIGKILL" in str(failure)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    directory = tmp_path_factory.mktemp("platform")
    with open_platform(directory) as platform:
        yield platform, platform.kafka().bootstrap_servers, directory


FACTS: dict[str, dict] = {}


@pytest.mark.parametrize("name", ["flink@1.20", "spark@4.1"])
def test_engine_runs_on_loopback_says_its_settings_and_leaves_nothing(running, name):
    platform, servers, directory = running
    engine = create_engine(parse_engine(name), platform=platform, pattern="01")
    io = trial_io(platform, servers, name.replace("@", "-"), directory / "trial" / name)
    before = family(directory / "state").keys()
    engine.prepare()
    try:
        engine.start(io)
        engine.check()
        processes = {pid: process for pid, process in family(directory / "state").items() if pid not in before}
        send(servers, io.input_topic, 200)
        deadline = time.monotonic() + 60
        admin = {"bootstrap.servers": servers}
        while sum(_core.end_offsets(admin, io.output_topic)) == 0:
            engine.check()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        io.group.lower()
        found = listeners(processes)
        assert found
        assert {address for address, _ in found} == {"127.0.0.1"}
        # Flink's two JVMs; Spark's Python and its JVM.
        pids = [pid for process in engine.processes() for pid in process.pids()]
        assert len(pids) >= 2
        others = {os.getpid(), *(pid for pid in before if psutil.Process(pid).name() == "java")}
        assert len(others) == 2
        found_priority = io.group.read_back()
        assert found_priority.effective, found_priority.detail
        if found_priority.mechanism != "nice":
            (place,) = running_groups(pids)
            assert place not in {scheduling_group(pid) for pid in others}
        facts = FACTS[name] = engine.facts()
        assert engine.processes()[-1].usage().cpu_seconds > 1
    finally:
        begin = time.monotonic()
        engine.stop()
    assert time.monotonic() - begin < 8
    assert_ended(processes.values(), 0)
    settings = facts.settings
    assert facts.real_time is True
    assert settings.version == engine.build
    assert settings.checkpoint_interval_ms == 5000
    assert settings.collector == "G1GC"
    assert settings.priority == found_priority.text
    wanted = {f"source.{key}": value for key, value in clients.SOURCE.items()}
    wanted |= {f"sink.{key}": value for key, value in clients.SINK.items()}
    assert {key: settings.kafka_clients.get(key) for key in wanted} == wanted


def test_both_engines_run_with_the_same_settings():
    if len(FACTS) < 2:
        pytest.skip("needs the facts that both engines' tests leave")
    different = {row.setting for row in parity(FACTS) if not row.same}
    assert different <= {
        "engine build",
        "Java heap, all processes (MiB)",
        "longest wait in a network buffer (ms)",
        "object reuse",
        "operators checked for Real-Time Mode",
        "sort before repartition",
        "restarts after a failure",
        "trigger",
        "Kafka client",
        "local files of the checkpoint",
        "changelog of the state",
    }


@pytest.mark.parametrize(("name", "victim"), [("flink@1.20", "flink-taskmanager"), ("spark@4.1", "java")])
def test_a_killed_engine_is_a_failure(running, name, victim):
    platform, servers, directory = running
    engine = create_engine(parse_engine(name), platform=platform, pattern="01")
    io = trial_io(platform, servers, f"kill-{name.replace('@', '-')}", directory / "kill" / name)
    engine.prepare()
    try:
        engine.start(io)
        (pid,) = (
            [process.pid for process in engine.processes() if process.name == victim]
            if name.startswith("flink")
            else [
                child.pid
                for child in psutil.Process(engine.processes()[0].pid).children(recursive=True)
                if child.name() == victim
            ]
        )
        os.kill(pid, signal.SIGKILL)
        assert "log" in str(first_failure(engine.check))
    finally:
        engine.stop()


OWNER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_platform_e2e import *
platform = open_platform(Path(sys.argv[1]))
servers = platform.kafka().bootstrap_servers
engine = create_engine(parse_engine(sys.argv[3]), platform=platform, pattern="01")
engine.prepare()
engine.start(trial_io(platform, servers, "owned", Path(sys.argv[1]) / "trial"))
print("running", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("name", ["flink@1.20", "spark@4.1"])
def test_nothing_outlives_a_killed_owner(tmp_path: Path, name):
    command = [sys.executable, "-c", OWNER, str(tmp_path), str(Path(__file__).parent), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"running\n"
        processes = family(tmp_path / "state")
        assert len(processes) >= 4
        owner.kill()
        begin = time.monotonic()
        assert_ended(processes.values())
        assert time.monotonic() - begin < 10
    assert family(tmp_path / "state") == {}
    works = list((tmp_path / "state").glob("*.work.json"))
    assert len(works) == 1
    groups = [json.loads(path.read_text())["group"] for path in (tmp_path / "state").glob("*.group.json")]
    assert len(journal.reap_stale(tmp_path / "state")) == 1 + len(groups)
    assert not any(Path(place).exists() for places in groups for place in places)
