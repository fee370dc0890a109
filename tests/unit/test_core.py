"""The extension as Python sees it: its stub, its long calls, and one round trip over librdkafka's mock brokers."""

from __future__ import annotations

import ast
import inspect
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import rtmbench
from rtmbench import _core

STUB = ast.parse((Path(rtmbench.__file__).parent / "_core.pyi").read_text())
FAST = {"fetch.wait.max.ms": "1"}
UNREACHABLE = {"bootstrap.servers": "127.0.0.1:1"}
RATE = 5_000


def declared() -> dict[str, ast.stmt]:
    found = {}
    for node in STUB.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_stub_declares_what_the_extension_exports():
    # Typed dictionaries are shapes of what is returned, and exist in the stub alone.
    shapes = {
        name
        for name, node in declared().items()
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "TypedDict" for base in node.bases)
    }
    assert {name for name in declared() if not name.startswith("_")} - shapes == public(_core)


@pytest.mark.parametrize("name", sorted(name for name, node in declared().items() if isinstance(node, ast.ClassDef)))
def test_the_stub_declares_each_member(name):
    node = declared()[name]
    if not hasattr(_core, name) or issubclass(getattr(_core, name), Exception):
        return
    members = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    members |= {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
    assert {member for member in members if not member.startswith("_")} == public(getattr(_core, name))


@pytest.mark.parametrize("name", sorted(n for n, node in declared().items() if isinstance(node, ast.FunctionDef)))
def test_the_stub_has_the_functions_parameters(name):
    arguments = declared()[name].args
    stub = [argument.arg for argument in (*arguments.args, *arguments.kwonlyargs)]
    signature = inspect.signature(getattr(_core, name))
    assert stub == list(signature.parameters)
    keyword_only = [p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert keyword_only == [argument.arg for argument in arguments.kwonlyargs]


def test_an_event_id_inverts_and_knows_its_run():
    workload = _core.Workload(7)
    assert workload.index_of(workload.event_id(123_456)) == 123_456
    assert _core.Workload(8).index_of(workload.event_id(123_456)) is None


def test_expected_outputs_are_the_clicks_and_purchases():
    workload = _core.Workload(1)
    kept = sum(b'"view"' not in workload.event(index, 0) for index in range(500, 2_500))
    assert _core.expected_outputs("01", workload, first=500, count=2_000) == kept
    assert _core.expected_outputs("transport", workload, first=500, count=2_000) == 2_000
    with pytest.raises(ValueError, match="02"):
        _core.expected_outputs("02", workload, first=0, count=1)


def test_percentiles_are_within_a_thousandth_of_numpys():
    samples = np.random.default_rng(1).integers(1, 10_000_000, 10_000)
    histogram = _core.Histogram()
    histogram.record_many(samples)
    for q in (50.0, 99.0, 99.9):
        exact = np.percentile(samples, q, method="inverted_cdf")
        assert abs(histogram.percentile(q) - exact) <= exact / 1_000 + 1
    values, counts = histogram.counts()
    assert counts.sum() == histogram.count == len(samples)
    assert len(values) == len(counts)
    assert pickle.loads(pickle.dumps(histogram)) == histogram


def test_generator_consumer_and_oracle_agree(tmp_path):
    with _core.MockBroker() as broker:
        broker.create_topic("input", partitions=4)
        config = {"bootstrap.servers": broker.bootstrap_servers, **FAST}
        workload = _core.Workload(3, keys=10)
        consumer = _core.LatencyConsumer(config, "input", spool=tmp_path)
        consumer.start()
        start_us = _core.now_us() + 50_000
        generator = _core.Generator(
            config, "input", workload, _core.Schedule.constant(RATE), count=RATE, start_us=start_us
        )
        report = generator.run()
        assert (report.generated, report.acked, report.failed) == (RATE, RATE, 0)
        deadline = time.monotonic() + 10
        while consumer.snapshot().received < RATE and time.monotonic() < deadline:
            time.sleep(0.02)
        consumer.stop()
        assert consumer.join().received == RATE
        verdict = _core.verify(
            "transport",
            config,
            input_topic="input",
            output_topic="input",
            spool=tmp_path,
            workload=workload,
            measure=(start_us, start_us + 500_000),
            deadline_us=_core.now_us(),
            hlog=tmp_path / "latency.hlog",
        )
    assert verdict.correct
    assert verdict.counts["expected"] == verdict.counts["received"] == RATE
    assert verdict.latency.count == RATE // 2
    assert verdict.censored == 0
    assert verdict.seconds["count"].sum() == RATE // 2
    assert (tmp_path / "latency.hlog").stat().st_size > 0


def slow_generator(broker: _core.MockBroker) -> _core.Generator:
    broker.create_topic("slow", partitions=1)
    config = {"bootstrap.servers": broker.bootstrap_servers, **FAST}
    return _core.Generator(config, "slow", _core.Workload(1), _core.Schedule.constant(10), duration_s=600)


def test_stop_from_another_thread_ends_a_run_and_the_gil_is_free_meanwhile():
    with _core.MockBroker() as broker:
        generator = slow_generator(broker)
        ticks = []

        def tick_then_stop() -> None:
            for _ in range(20):
                ticks.append(time.monotonic())
                time.sleep(0.01)
            generator.stop()

        thread = threading.Thread(target=tick_then_stop)
        thread.start()
        report = generator.run()
        thread.join()
    assert len(ticks) == 20
    assert max(np.diff(ticks)) < 0.2
    assert report.seconds < 5


def test_join_times_out_with_the_builtin_error():
    with _core.MockBroker() as broker:
        generator = slow_generator(broker)
        generator.start()
        with pytest.raises(TimeoutError):
            generator.join(timeout_s=0.1)
        generator.stop()
        generator.join(timeout_s=5)


def test_an_unreachable_broker_is_named():
    with pytest.raises(_core.KafkaError, match=r"127\.0\.0\.1:1"):
        _core.wait_for_broker(UNREACHABLE, 0.3)


PROLOGUE = """
import sys, time
from rtmbench import _core
broker = _core.MockBroker()
broker.create_topic("t", partitions=1)
config = {"bootstrap.servers": broker.bootstrap_servers, "fetch.wait.max.ms": "1"}
workload = _core.Workload(1)
generator = _core.Generator(config, "t", workload, _core.Schedule.constant(10), duration_s=600)
consumer = _core.LatencyConsumer(config, "t")
def interrupted(call):
    print("ready", flush=True)
    try:
        call()
    except KeyboardInterrupt:
        print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
"""


@pytest.mark.parametrize(
    "call",
    [
        "generator.run",
        "(generator.start(), generator.join)[1]",
        "lambda: consumer.run(600)",
        "(consumer.start(), consumer.join)[1]",
        'lambda: _core.wait_for_broker({"bootstrap.servers": "127.0.0.1:1"}, 600)',
    ],
)
def test_ctrl_c_ends_a_long_call_within_200_ms(call):
    program = textwrap.dedent(PROLOGUE) + f"interrupted({call})\n"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        sent = time.clock_gettime(time.CLOCK_MONOTONIC)
        child.send_signal(signal.SIGINT)
        caught = float(child.stdout.readline())
        child.wait(10)
    assert caught - sent < 0.2
