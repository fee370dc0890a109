"""A pattern's job on a Kafka that exists, by itself: no load, no measurement, until it is stopped."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench import _core, doctor
from rtmbench.artifacts import Cache
from rtmbench.artifacts.lock import load_lock
from rtmbench.engines import FLOORS, choose, create_engine, spec_name
from rtmbench.engines.spark import remote
from rtmbench.errors import ConfigurationError, PreflightError
from rtmbench.experiment.places import open_platform
from rtmbench.experiment.settings import resolve
from rtmbench.kafka import preflight, warm_up
from rtmbench.kafka.connection import load
from rtmbench.kafka.topics import partition_ends
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform
from rtmbench.platform.machine import describe
from rtmbench.platform.spark_address import is_remote, read_properties
from rtmbench.results.store import new_run_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtmbench.engines.base import Engine
    from rtmbench.experiment.settings import RunRequest, Settings
    from rtmbench.kafka.connection import Connection
    from rtmbench.platform.machine import Machine

INPUT, OUTPUT = "benchmark-input", "benchmark-output"
"""The topics of the published setup, and the defaults of every pipeline, of `produce` and of `measure`."""
LATENCY = "benchmark-latency"
"""The third topic of the published setup. There is room in it for what a team's own tools measure."""
CHECK_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Topics:
    """Where a submitted job reads and writes."""

    input: str = INPUT
    output: str = OUTPUT


def submit(
    request: RunRequest,
    topics: Topics,
    *,
    duration_s: float | None = None,
    say: Callable[[str], None],
) -> None:
    """Start one engine with one pattern's job on existing topics, and watch it for `duration_s`, or indefinitely.

    The job has the settings that it would have in a run, and as many slots as the input topic's partitions need.
    `say` receives the progress messages. On any way out, engine and processes are stopped; their logs stay below
    `request.results`.

    Raises ConfigurationError for a request that names no single engine and pattern, PreflightError for what the
    machine or the topics lack, EngineRefusedError where the engine refuses the query, and RunFailedError where it
    fails.
    """
    machine = describe()
    connection = load(request.kafka_properties, request.bootstrap_servers)
    settings = _settings(request, connection, topics, machine)
    (pattern,), (spec,) = settings.patterns, settings.cells(settings.patterns[0])
    if spec.engine in FLOORS:
        raise ConfigurationError(f"{spec} has no job to submit. Name an engine, such as flink@1.20.")
    connection.require_java()
    cache = Cache(offline=settings.offline)
    doctor_request = doctor.DoctorRequest.of(settings)
    doctor.require(doctor.checks(doctor_request, cache, machine))
    cache.ensure_many(doctor_request.bundles())
    logs = (settings.results / new_run_id(f"submit-{pattern.id}")).absolute()
    with open_platform(settings, java=find_java(), cache=cache, logs=logs) as platform:
        engine = create_engine(spec, pattern=pattern.id, platform=platform, settings=settings)
        name = f"{spec_name(spec, pattern)}, pattern {pattern.id}"
        engine.prepare()
        say(f"starting {name}; logs: {logs}")
        try:
            engine.start(
                settings.trial_io(
                    pattern,
                    connection=connection,
                    input_topic=topics.input,
                    output_topic=topics.output,
                    slots=settings.slots_of(engine.spec, pattern),
                    work=platform.scratch("submit"),
                    logs=logs,
                )
            )
            say(f"{name} runs in mode {engine.mode}: {topics.input} → {topics.output}; Ctrl-C stops it")
            _watch(engine, duration_s)
        finally:
            engine.stop()
    say(f"{name} was stopped after {duration_s:g} s")


def remote_command(request: RunRequest, topics: Topics) -> str | None:
    """Return the command that starts a pattern's job on YARN or Kubernetes; None where rtmbench starts it itself.

    Nothing is started or fetched. Raises ConfigurationError for a request that cannot work there, and PreflightError
    where Kafka or its topics cannot be reached.
    """
    if request.spark_master is None or not is_remote(request.spark_master):
        return None
    connection = load(request.kafka_properties, request.bootstrap_servers)
    settings = _settings(request, connection, topics, describe())
    (pattern,), (spec,) = settings.patterns, settings.cells(settings.patterns[0])
    if spec.engine != "spark":
        raise ConfigurationError(f"{spec} does not run on {request.spark_master}: name a Spark, such as spark@4.3.")
    if settings.spark_remote_conf is not None:
        read_properties(settings.spark_remote_conf)
    here = Path.cwd()
    return remote.command(
        request.spark_master,
        load_lock().bundle(f"spark-connector-kafka@{spec.version}").build,
        pattern=pattern.id,
        variant=choose(spec, pattern),
        io=settings.trial_io(
            pattern,
            connection=connection,
            input_topic=topics.input,
            output_topic=topics.output,
            slots=settings.slots_of(spec, pattern),
            work=here,
            logs=here,
        ),
        executors=settings.spark_executors,
        properties=settings.spark_remote_conf,
    )


def set_up(connection: Connection, topics: Topics, partitions: int, replication: int | None = None) -> list[str]:
    """Create the topics that are not there yet and return their names.

    `replication` is the number of replicas of each partition; None: the brokers' default.

    Raises PreflightError where no broker answers, or one is there with another number of partitions; KafkaError where
    the broker refuses.
    """
    config = _reached(connection)
    partition_counts = {topic: _partitions_of(config, topic) for topic in (topics.input, topics.output, LATENCY)}
    for topic, count in partition_counts.items():
        if count not in (None, partitions):
            raise PreflightError(
                f"The topic {topic} exists already, with {count} partitions and not {partitions}. Use it as it is "
                f"with --partitions {count}, name another one, or delete it."
            )
    missing = [topic for topic, count in partition_counts.items() if count is None]
    if missing:
        _core.create_topics(config, missing, partitions=partitions, replication=replication)
    return missing


def serve_kafka(results: Path, *, port: int, offline: bool, say: Callable[[str], None]) -> None:
    """Run a broker on the loopback address until an interrupt; its topics are gone at the end.

    Load warms it up first: the JVM compiles the broker's code only while records go through it.
    """
    cache = Cache(offline=offline)
    logs = results / new_run_id("up")
    with LocalPlatform(java=find_java(), cache=cache, logs=logs) as platform:
        service = platform.kafka(port)
        say(f"warming the broker up for {warm_up.SECONDS:g} s")
        warm_up.warm_up(service.connection)
        say(f"Kafka {service.build} at {service.bootstrap_servers}; Ctrl-C stops it")
        while True:
            if service.process is not None:
                service.process.check()
            time.sleep(CHECK_EVERY_S)


def _settings(request: RunRequest, connection: Connection, topics: Topics, machine: Machine) -> Settings:
    """Return the settings of the only pattern, for as many partitions as the input topic has."""
    if len(request.patterns) != 1 or request.patterns == ("all",):
        raise ConfigurationError("submit takes one pattern, such as 01: each needs a separate engine.")
    partitions, servers = _partitions(connection, topics), connection.bootstrap_servers
    return resolve(replace(request, bootstrap_servers=servers, partitions=partitions), machine)


def _watch(engine: Engine, duration_s: float | None) -> None:
    deadline = None if duration_s is None else time.monotonic() + duration_s
    while deadline is None or time.monotonic() < deadline:
        engine.check()
        time.sleep(CHECK_EVERY_S if deadline is None else max(0.0, min(CHECK_EVERY_S, deadline - time.monotonic())))


def _partitions(connection: Connection, topics: Topics) -> int:
    config = _reached(connection)
    there = {topic: _partitions_of(config, topic) for topic in (topics.input, topics.output)}
    missing = [topic for topic, partitions in there.items() if partitions is None]
    if missing:
        raise PreflightError(
            f"The broker at {connection.bootstrap_servers} has no topic {' and no topic '.join(missing)}. "
            "Create them with `rtmbench setup`, or name others with --input-topic and --output-topic."
        )
    return there[topics.input] or 1


def _reached(connection: Connection) -> dict[str, str]:
    preflight.check(connection)
    return connection.admin


def _partitions_of(config: dict[str, str], topic: str) -> int | None:
    ends = partition_ends(config, topic)
    return None if ends is None else len(ends)


__all__ = ["INPUT", "LATENCY", "OUTPUT", "Topics", "remote_command", "serve_kafka", "set_up", "submit"]
