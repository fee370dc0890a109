"""Clusters that rtmbench does not start: a Spark standalone cluster, and a Flink session cluster."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtmbench.artifacts import Cache
from rtmbench.engines.flink import config as flink_config
from rtmbench.engines.flink.cluster import JOB_MANAGER, TASK_MANAGER
from rtmbench.platform.java import find_java
from rtmbench.platform.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

START_S = 60
STOP_S = 20


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running cluster."""

    url: str
    """Spark's master, or the REST API of Flink."""
    web: str
    """Its own account of itself, for the tests."""
    logs: Path

    def account(self, path: str) -> Any:
        """Return one page of the cluster's account."""
        with urllib.request.urlopen(f"{self.web}{path}", timeout=5) as page:  # noqa: S310 - http alone
            return json.load(page)


@contextlib.contextmanager
def spark_cluster(
    place: Path, version: str, *, workers: int = 2, cores: int = 4, properties: Mapping[str, str] | None = None
) -> Iterator[Cluster]:
    """Run a master and workers of 1 GiB, with `properties` for all of them, until the end of the block."""
    home = Cache().ensure(f"spark@{version}").root / "pyspark"
    master, web, *webs = free_ports(2 + workers)
    place.mkdir(parents=True)
    conf = place / "spark.conf"
    conf.write_text("".join(f"{name} {value}\n" for name, value in (properties or {}).items()))
    env = {
        "PATH": os.environ["PATH"],
        "JAVA_HOME": str(find_java().home),
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(place),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",
    }

    def daemon(name: str, *arguments: str) -> Service:
        package = f"org.apache.spark.deploy.{name}.{name.capitalize()}"
        command = [str(home / "bin" / "spark-class"), package, "--host", "127.0.0.1", "--properties-file", str(conf)]
        return Service([*command, *arguments], place / f"{name}-{len(services)}.log", env)

    services: list[Service] = []
    with ended(services):
        services.append(daemon("master", "--port", str(master), "--webui-port", str(web)))
        cluster = Cluster(url=f"spark://127.0.0.1:{master}", web=f"http://127.0.0.1:{web}", logs=place)
        # A worker ends where no master answers its first few requests.
        wait(services, lambda: cluster.account("/json/")["status"] == "ALIVE")
        for number, port in enumerate(webs):
            size = ("--cores", str(cores), "--memory", "1g", "--work-dir", str(place / f"work-{number}"))
            services.append(daemon("worker", *size, "--webui-port", str(port), cluster.url))
        wait(services, lambda: cluster.account("/json/")["aliveworkers"] == workers)
        yield cluster


@contextlib.contextmanager
def flink_cluster(place: Path, version: str, *, managers: int = 2, slots: int = 2) -> Iterator[Cluster]:
    """Run a JobManager and TaskManagers of `slots` each, without any connector, until the end of the block."""
    rest, rpc = free_ports(2)
    memory = flink_config.divide_memory(1536)
    settings = flink_config.configuration(
        memory=memory, slots=slots, rest_port=rest, rpc_port=rpc, work=place, state_backend="hashmap"
    )
    conf = flink_config.write_configuration(place, settings)
    jars = ":".join(map(str, sorted((Cache().ensure(f"flink@{version}").root / "lib").glob("*.jar"))))
    java = [str(find_java().executable), "-XX:+UseG1GC", *flink_config.MODULE_OPTIONS]
    log4j = f"-Dlog4j.configurationFile={(conf / 'log4j.properties').as_uri()}"

    def daemon(name: str, main: str, heap_mb: int, *arguments: str) -> Service:
        command = [*java, f"-Xmx{heap_mb}m", log4j, "-cp", jars, main, "--configDir", str(conf), *arguments]
        return Service(command, place / f"{name}.log", dict(os.environ))

    services: list[Service] = []
    with ended(services):
        services.append(daemon("jobmanager", JOB_MANAGER, memory.job_heap))
        for number in range(managers):
            own = ("-D", f"taskmanager.resource-id=taskmanager-{number}")
            services.append(daemon(f"taskmanager-{number}", TASK_MANAGER, memory.data_plane_heap, *own))
        yield flink_answers(services, rest, slots=managers * slots, logs=place)


def flink_answers(services: list[Service], port: int, *, slots: int, logs: Path) -> Cluster:
    """Return a Flink cluster when all of its slots are there."""
    url = f"http://127.0.0.1:{port}"
    cluster = Cluster(url=url, web=url, logs=logs)
    wait(services, lambda: cluster.account("/overview")["slots-total"] == slots)
    return cluster


class Service:
    """A process with a log."""

    def __init__(self, command: list[str], log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=log.parent, env=env, stdout=output, stderr=subprocess.STDOUT)


def wait(services: list[Service], ready: Callable[[], bool]) -> None:
    """Wait until the cluster's own account is as it should be; fail where a process has ended."""
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError, ValueError):
            if ready():
                return
        for service in services:
            assert service.process.poll() is None, service.log.read_text()[-3000:]
        assert time.monotonic() < deadline, "\n".join(service.log.read_text()[-1500:] for service in services)
        time.sleep(0.2)


@contextlib.contextmanager
def ended(services: list[Service]) -> Iterator[None]:
    """End all processes that are in the list at the end of the block, the last one first."""
    try:
        yield
    finally:
        for service in reversed(services):
            service.process.terminate()
        for service in reversed(services):
            try:
                service.process.wait(STOP_S)
            except subprocess.TimeoutExpired:  # noqa: PERF203 - each of them must end
                service.process.kill()
                service.process.wait()
