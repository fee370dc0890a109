"""The asynchronous twins: same results and errors as the long calls, and a cancellation stops the Rust side."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtmbench import _core, aio

UNREACHABLE = {"bootstrap.servers": "127.0.0.1:1"}
OWN_LIMIT_S = 10

# What returns at once, or after work that nobody waits for: no twin.
SHORT = {
    "Generator": {"measure_from", "measure_to", "snapshot", "stop"},
    "LatencyConsumer": {
        "ahead",
        "malformed_samples",
        "reset_live",
        "resolution_us",
        "snapshot",
        "stop",
        "take_live",
        "units",
    },
    "Relay": {"snapshot", "stop"},
    "TopicDiff": {"snapshot", "stop"},
    "_core": {
        "clock_jump_us",
        "expected_outputs",
        "librdkafka_features",
        "librdkafka_version",
        "now_us",
        "partition_of",
        "read_interval_log",
        "timestamp_of",
        "write_interval_log",
    },
}
VERIFY = {"input_topic": "a", "output_topic": "b", "spool": ".", "measure": (0, 1), "deadline_us": 1}


@pytest.fixture
def broker(broker):
    broker.create_topic("topic", partitions=2)
    return broker


def _owners():
    functions = {name: member for name, member in vars(_core).items() if inspect.isbuiltin(member)}
    yield "_core", functions
    for owner in (_core.Generator, _core.LatencyConsumer, _core.Relay, _core.TopicDiff):
        yield owner.__name__, {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("owner", "members"), list(_owners()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_call_that_may_wait_has_a_twin(owner, members):
    twins = {name for name in members if name.endswith("_async")}
    assert twins == {f"{name}_async" for name in set(members) - twins - SHORT[owner]}
    assert len(twins) >= 2
    for twin in twins:
        sync = members[twin.removesuffix("_async")]
        assert inspect.signature(members[twin]) == inspect.signature(sync)
        assert twin.removesuffix("_async") in members[twin].__doc__


def test_the_package_gives_the_functions_under_their_plain_names():
    twins = {name for name in dir(_core) if name.endswith("_async")}
    assert {name.removesuffix("_async") for name in twins} <= set(aio.__all__)
    for twin in twins:
        assert getattr(aio, twin.removesuffix("_async")) is getattr(_core, twin)


def test_twins_give_what_the_calls_give(config, tmp_path):
    async def trial():
        assert await aio.wait_for_broker(config, 5) == 1
        consumer = _core.LatencyConsumer(config, "topic", spool=tmp_path / "spool")
        await consumer.start_async()
        workload = _core.Workload(1)
        start_us = _core.now_us() + 20_000
        measure = (start_us, start_us + 10_000_000)
        generator = _core.Generator(
            config, "topic", workload, _core.Schedule.constant(1000), count=500, start_us=start_us, measure=measure
        )
        await generator.start_async()
        with pytest.raises(TimeoutError):
            await generator.join_async(0.05)
        report = await generator.join_async()
        assert report.acked == 500
        async for snapshot in aio.snapshots(consumer, every_s=0.01):
            if snapshot.received == 500:
                break
        consumer.stop()
        received = await consumer.join_async()
        assert received.received == sum(await aio.end_offsets(config, "topic")) == 500
        return await aio.verify(
            "transport",
            config,
            input_topic="topic",
            output_topic="topic",
            spool=tmp_path / "spool",
            workload=workload,
            measure=measure,
            deadline_us=_core.now_us(),
        )

    verdict = asyncio.run(trial())
    assert verdict.correct
    assert verdict.latency.count == 500


def test_calls_overlap_on_one_loop(config):
    async def both():
        consumer = _core.LatencyConsumer(config, "topic")
        generator = _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(500), duration_s=0.5)
        turns = 0

        async def count():
            nonlocal turns
            while True:
                await asyncio.sleep(0.005)
                turns += 1

        counting = asyncio.create_task(count())
        received, sent = await asyncio.gather(consumer.run_async(1.5), generator.run_async())
        counting.cancel()
        return turns, received, sent

    turns, received, sent = asyncio.run(both())
    assert sent.acked == 250
    assert received.partitions
    # The loop turned all the while: nothing held it up.
    assert turns > 50


def _threads_named(name):
    tasks = Path("/proc/self/task")
    names = []
    for task in tasks.iterdir():
        # A thread may end while the list is read.
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text(encoding="ascii").strip())
    return sum(found.startswith(name) for found in names)


async def _until(condition):
    async with asyncio.timeout(OWN_LIMIT_S) if hasattr(asyncio, "timeout") else contextlib.nullcontext():
        while not condition():  # noqa: ASYNC110 - the other side is no asyncio code
            await asyncio.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="thread names are read from /proc")
@pytest.mark.parametrize("kind", ["generator", "consumer"])
def test_a_cancellation_stops_the_rust_side(kind, config):
    if kind == "generator":
        client = _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(2000))
        call, thread, count = client.run_async, "rtmbench-genera", lambda: client.snapshot().generated
    else:
        client = _core.LatencyConsumer(config, "topic")
        feeder = _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(2000))
        feeder.start()
        call, thread, count = lambda: client.run_async(60), "rtmbench-receiv", lambda: client.snapshot().received

    async def cancelled():
        task = asyncio.ensure_future(call())
        await _until(lambda: count() > 0)
        assert _threads_named(thread) >= 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancelled(), OWN_LIMIT_S))
    client.join(5)
    if kind == "consumer":
        feeder.stop()
        feeder.join(5)
    deadline = time.monotonic() + 5
    while _threads_named(thread):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    before = count()
    time.sleep(0.2)
    assert count() == before > 0


@pytest.mark.parametrize(
    "name",
    [
        "broker_addresses",
        "create_topics",
        "delete_topics",
        "end_offsets",
        "verify",
        "wait_for_broker",
        "Generator.start",
        "Generator.run",
        "LatencyConsumer.start",
        "LatencyConsumer.run",
    ],
)
def test_a_call_that_hangs_on_a_broker_is_cancelled_at_once(name):
    workload = _core.Workload(1)
    generator = _core.Generator(UNREACHABLE, "topic", workload, _core.Schedule.constant(1))
    consumer = _core.LatencyConsumer(UNREACHABLE, "topic")
    calls = {
        "broker_addresses": lambda: aio.broker_addresses(UNREACHABLE, 60),
        "create_topics": lambda: aio.create_topics(UNREACHABLE, ["t"], partitions=1),
        "delete_topics": lambda: aio.delete_topics(UNREACHABLE, ["t"]),
        "end_offsets": lambda: aio.end_offsets(UNREACHABLE, "t", timeout_s=60),
        "verify": lambda: aio.verify("01", UNREACHABLE, workload=workload, **VERIFY),
        "wait_for_broker": lambda: aio.wait_for_broker(UNREACHABLE, 60),
        "Generator.start": generator.start_async,
        "Generator.run": generator.run_async,
        "LatencyConsumer.start": consumer.start_async,
        "LatencyConsumer.run": lambda: consumer.run_async(60),
    }

    async def timed():
        before = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(calls[name](), 0.2)
        return time.monotonic() - before

    assert asyncio.run(timed()) < 0.6
    # What was cancelled was told to stop: it ends long before the 30 s that it may wait for a broker.
    if "." in name:
        client = generator if name.startswith("Generator") else consumer
        client.join(5)


INTERRUPTED = """
import asyncio, time
from rtmbench import _core

async def main():
    print("ready", flush=True)
    await generator.run_async()

with _core.MockBroker() as broker:
    broker.create_topic("topic")
    kafka = {"bootstrap.servers": broker.bootstrap_servers}
    generator = _core.Generator(kafka, "topic", _core.Workload(1), _core.Schedule.constant(1000))
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
        report = generator.join(5)
        print(report.generated > 0, generator.snapshot().generated == report.generated, flush=True)
"""


def test_an_interrupt_ends_the_loop_and_the_rust_side():
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.4)
        sent = time.clock_gettime(time.CLOCK_MONOTONIC)
        child.send_signal(signal.SIGINT)
        raised = float(child.stdout.readline())
        assert child.stdout.readline() == "True True\n"
        assert child.wait(10) == 0
    # 200 ms, and as much again for a busy machine.
    assert raised - sent < 0.4


def test_errors_are_those_of_the_calls(config):
    async def failing():
        with pytest.raises(_core.KafkaError, match=r"127\.0\.0\.1:1"):
            await aio.wait_for_broker(UNREACHABLE, 0.3)
        with pytest.raises(_core.KafkaError, match="missing"):
            await aio.end_offsets(config, "missing", timeout_s=1)
        with pytest.raises(ValueError, match=r"bootstrap\.servers"):
            await aio.end_offsets({}, "topic")
        generator = _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(1))
        with pytest.raises(_core.RtmbenchError, match="start"):
            await generator.join_async()

    asyncio.run(failing())
    with pytest.raises(RuntimeError, match="event loop"):
        aio.wait_for_broker(config, 1)


def test_a_block_ends_what_it_started(config):
    async def block():
        async with aio.running(generator):
            await _until(lambda: generator.snapshot().acked > 0)
            raise KeyError

    generator = _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(1000))
    with pytest.raises(KeyError):
        asyncio.run(block())
    assert generator.join(0.1).acked > 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_of_asynchronous_calls_gets_an_error_not_a_hang(config):
    async def asynchronous():
        return await aio.wait_for_broker(config, 5)

    assert asyncio.run(asynchronous()) == 1
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(asynchronous())
        except _core.RtmbenchError as error:
            # What does not need the parent's threads works.
            os.write(writing, f"{error} {_core.wait_for_broker(config, 5)} broker".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        message = pipe.read().decode()
    os.waitpid(child, 0)
    assert "forked" in message
    assert message.endswith("1 broker")
