"""The extension from Python: it is what its stub says, lets other threads run, and can be interrupted."""

from __future__ import annotations

import ast
import inspect
import json
import os
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

STUB = ast.parse(Path(_core.__file__).with_name("_core.pyi").read_text(encoding="utf-8"))
UNREACHABLE = {"bootstrap.servers": "127.0.0.1:1"}
INTERRUPT_LIMIT_S = 0.2
# The machine that runs the tests may be busy; the limit is what the core promises on a quiet one.
SLACK_S = 0.2


def _public(names):
    return {name for name in names if not name.startswith("_")}


def _stub_names(body):
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return names | {node.target.id for node in body if isinstance(node, ast.AnnAssign)}


def _stub_classes():
    return [
        node
        for node in STUB.body
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and not issubclass(getattr(_core, node.name), Exception)
    ]


def _is_property(function):
    return any(isinstance(d, ast.Name) and d.id == "property" for d in function.decorator_list)


def _is_static(function):
    return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)


def _stub_parameters(function, *, bound):
    """The parameters of a stub's function as (name, keyword-only, default)."""
    positional = function.args.args[1:] if bound else function.args.args
    defaults = [None] * (len(positional) - len(function.args.defaults)) + list(function.args.defaults)
    pairs = [(arg, False, default) for arg, default in zip(positional, defaults, strict=True)]
    pairs += [
        (arg, True, default) for arg, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    ]
    return [
        (arg.arg, keyword, ... if default is None else ast.literal_eval(default)) for arg, keyword, default in pairs
    ]


def _parameters(callable_):
    return [
        (
            p.name,
            p.kind is p.KEYWORD_ONLY,
            ... if p.default is p.empty else p.default,
        )
        for p in inspect.signature(callable_).parameters.values()
        if p.name != "self"
    ]


def test_stub_and_extension_have_the_same_names():
    assert _public(_stub_names(STUB.body)) == _public(dir(_core))
    assert _core.__version__ == rtmbench.__version__


@pytest.mark.parametrize("node", _stub_classes(), ids=lambda node: node.name)
def test_a_class_is_what_its_stub_says(node):
    real = getattr(_core, node.name)
    assert _public(_stub_names(node.body)) == _public(dir(real))
    assert real.__module__ == "rtmbench._core"
    assert real.__doc__.split(".")[0] in ast.get_docstring(node).replace("\n", " ")
    for function in node.body:
        if not isinstance(function, ast.FunctionDef):
            continue
        member = getattr(real, function.name)
        if function.name == "__new__":
            assert _parameters(real) == _stub_parameters(function, bound=True)
        elif _is_property(function):
            assert inspect.isdatadescriptor(member)
        elif not function.name.startswith("_"):
            assert _parameters(member) == _stub_parameters(function, bound=not _is_static(function))


def test_functions_have_the_signatures_of_the_stub():
    functions = [node for node in STUB.body if isinstance(node, ast.FunctionDef)]
    assert len(functions) > 5
    for function in functions:
        real = getattr(_core, function.name)
        assert _parameters(real) == _stub_parameters(function, bound=False), function.name
        assert real.__doc__


def test_errors_have_one_base():
    assert issubclass(_core.KafkaError, _core.RtmbenchError)
    assert issubclass(_core.HarnessError, _core.RtmbenchError)


def test_an_event_is_a_function_of_seed_and_index():
    workload = _core.Workload(7, keys=10)
    event = json.loads(workload.event(3, 1_700_000_000_123_456))
    assert list(event) == [
        "event_id",
        "event_type",
        "key",
        "value",
        "produced_at",
        "scheduled_at_us",
    ]
    assert event["event_id"] == workload.event_id(3)
    assert event["produced_at"] == 1_700_000_000_123
    assert event["scheduled_at_us"] == 1_700_000_000_123_456
    assert workload.index_of(workload.event_id(3)) == 3
    assert _core.Workload(8).index_of(workload.event_id(3)) is None
    assert workload.index_of("no id") is None
    assert _core.Workload(7, keys=10).event(3, 0) == workload.event(3, 0)


def test_expected_outputs_counts_what_pattern_01_keeps():
    workload = _core.Workload(7)
    kept = [json.loads(workload.event(i, 0))["event_type"] != "view" for i in range(300)]
    assert _core.expected_outputs("01", workload, first=100, count=200) == sum(kept[100:])
    assert _core.expected_outputs("transport", workload, first=100, count=200) == 200
    assert _core.expected_outputs("relay", workload, first=100, count=200) == 200
    with pytest.raises(ValueError, match="99"):
        _core.expected_outputs("99", workload, first=0, count=1)


@pytest.mark.parametrize(
    ("pattern", "settings", "expected"),
    [
        ("02", {"emit": "update"}, 200),
        ("03", {"emit": "update"}, 1000),
        ("03", {"emit": "update", "window_ms": 6000, "slide_ms": 2000}, 600),
        ("04", {"emit": "update"}, 200),
        ("02", {"emit": "batch"}, None),
        ("02", {"emit": "close"}, None),
        ("03", {"emit": "update", "window_ms": 5000, "slide_ms": 2000}, None),
        # A floor may be asked for with the settings of the pattern that it stands beside.
        ("transport", {"window_ms": 5000, "slide_ms": 2000}, 200),
    ],
)
def test_expected_outputs_are_known_where_each_event_gives_its_own(pattern, settings, expected):
    assert _core.expected_outputs(pattern, _core.Workload(7), first=100, count=200, **settings) == expected


@pytest.mark.parametrize(
    ("pattern", "settings", "match"),
    [
        ("01", {"emit": "update"}, "01 does not emit"),
        ("02", {}, "update, batch or close"),
        ("04", {"emit": "close"}, "update or batch"),
        ("02", {"emit": "update", "window_ms": 6000, "slide_ms": 3000}, "tumbling"),
        ("03", {"emit": "update", "window_ms": 1000, "slide_ms": 2000}, "at most the window"),
        ("03", {"emit": "update", "window_ms": 1000, "slide_ms": 0}, "at least 1 ms"),
    ],
)
def test_settings_that_do_not_fit_a_pattern_are_refused(pattern, settings, match, tmp_path):
    workload = _core.Workload(7)
    with pytest.raises(ValueError, match=match):
        _core.expected_outputs(pattern, workload, first=0, count=1, **settings)
    topics = {"input_topic": "a", "output_topic": "b", "spool": tmp_path}
    with pytest.raises(ValueError, match=match):
        _core.verify(pattern, UNREACHABLE, workload=workload, measure=(0, 1), deadline_us=1, **topics, **settings)


def test_a_schedule_gives_offsets():
    offsets = _core.Schedule.constant(1000).at_us(5, 3)
    assert offsets.dtype == np.int64
    assert offsets.tolist() == [5000, 6000, 7000]
    assert _core.Schedule.burst(100, 2).at_us(0, 4).tolist() == [0, 0, 20_000, 20_000]
    poisson = _core.Schedule.poisson(1000, 3)
    assert (poisson.at_us(0, 100)[50:] == poisson.at_us(50, 50)).all()


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValueError, match="rate"):
        _core.Schedule.constant(rate)


def test_a_histogram_travels():
    histogram = _core.Histogram()
    histogram.record_many(np.arange(1, 100_001, dtype=np.int64))
    histogram.record(-5)
    assert histogram.count == 100_001
    assert (histogram.min, histogram.max) == (1, 100_000)
    assert histogram.percentile(50) == pytest.approx(50_000, rel=1e-3)
    several = histogram.percentiles(np.array([50.0, 99.0]))
    assert several.tolist() == [histogram.percentile(50), histogram.percentile(99)]
    values, counts = histogram.counts()
    assert counts.sum() == 100_001
    assert (np.diff(values) > 0).all()
    for copy in (
        pickle.loads(pickle.dumps(histogram)),
        _core.Histogram.from_bytes(histogram.to_bytes()),
    ):
        assert copy == histogram
        assert copy.max == pytest.approx(100_000, rel=1e-3)
    histogram.merge(histogram)
    assert histogram.count == 200_002
    with pytest.raises(ValueError, match="HdrHistogram"):
        _core.Histogram.from_bytes(b"nonsense")


def test_a_round_trip_is_verified(broker, config, tmp_path):
    broker.create_topic("topic", partitions=3)
    assert _core.wait_for_broker(config, 5) == 1
    workload = _core.Workload(1)
    consumer = _core.LatencyConsumer(config, "topic", spool=tmp_path / "spool")
    consumer.start()
    start_us = _core.now_us() + 50_000
    measure = (start_us + 500_000, start_us + 1_500_000)
    report = _core.Generator(
        config,
        "topic",
        workload,
        _core.Schedule.constant(1000),
        duration_s=2,
        start_us=start_us,
        measure=measure,
    ).run()
    assert (report.generated, report.acked, report.failed) == (2000, 2000, 0)
    assert report.errors == []
    assert report.slip.count == 1000
    assert report.slip_all.count == 2000
    assert report.rate == pytest.approx(1000, rel=0.05)
    deadline = time.monotonic() + 20
    while consumer.snapshot().received < 2000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert consumer.snapshot().p99_us >= consumer.snapshot().p50_us > 0
    consumer.reset_live()
    assert consumer.snapshot().live_count == 0
    with pytest.raises(TimeoutError):
        consumer.join(0.1)
    consumer.stop()
    received = consumer.join()
    assert received.received == sum(received.partitions) == 2000
    assert sum(_core.end_offsets(config, "topic")) == 2000
    verdict = _core.verify(
        "transport",
        config,
        input_topic="topic",
        output_topic="topic",
        spool=tmp_path / "spool",
        workload=workload,
        measure=measure,
        deadline_us=_core.now_us(),
        hlog=tmp_path / "latency.hlog",
        cycles=[measure[0] + at for at in range(0, 1_000_001, 100_000)],
    )
    assert verdict.correct
    assert verdict.offending == []
    assert verdict.counts["expected"] == 2000
    assert verdict.latency.count == verdict.seconds["count"].sum() == 1000
    assert sum(half.count for half in verdict.halves) == 1000
    assert verdict.input_bytes == verdict.output_bytes > 2000 * 100
    assert verdict.unread_partitions == []
    cycles = verdict.cycles
    assert (cycles["from_us"][1:] == cycles["to_us"][:-1]).all()
    assert cycles["count"].sum() == 1000
    assert cycles["max_us"].max() == verdict.latency.max
    low, high = verdict.intervals([50])[0] or (0, 0)
    assert 0 < low <= high <= verdict.latency.max
    assert verdict.intervals([50, 100]) == [(low, high), None]
    with pytest.raises(ValueError, match="percentiles must be 0 to 100"):
        verdict.intervals([101])
    assert not verdict.ge(100)
    assert (verdict.legal_duplicates, verdict.close_latency, verdict.close_windows) == (0, None, 0)
    assert verdict.tail["scheduled_us"].shape == verdict.tail["latency_us"].shape
    assert verdict.stalls["length_us"].sum() == pytest.approx(verdict.stall_share * 1_000_000, abs=1)
    assert (tmp_path / "latency.hlog").read_text(encoding="ascii").startswith("#[Histogram log format version 1.3]")


def test_a_foreign_seed_is_a_harness_error(broker, config, tmp_path):
    broker.create_topic("topic")
    consumer = _core.LatencyConsumer(config, "topic", spool=tmp_path / "spool")
    consumer.start()
    schedule = _core.Schedule.unpaced()
    _core.Generator(config, "topic", _core.Workload(1), schedule, count=10).run()
    consumer.stop()
    consumer.join()
    with pytest.raises(_core.HarnessError, match="another seed"):
        _core.verify(
            "transport",
            config,
            input_topic="topic",
            output_topic="topic",
            spool=tmp_path / "spool",
            workload=_core.Workload(2),
            measure=(0, 1),
            deadline_us=1,
        )


def test_a_spool_is_one_consumers_own(broker, config, tmp_path):
    broker.create_topic("topic")
    first = _core.LatencyConsumer(config, "topic", spool=tmp_path / "spool")
    first.run(0.1)
    with pytest.raises(FileExistsError):
        _core.LatencyConsumer(config, "topic", spool=tmp_path / "spool").start()


def test_bad_settings_are_refused_before_anything_starts(config):
    workload, schedule = _core.Workload(1), _core.Schedule.constant(1)
    with pytest.raises(ValueError, match=r"bootstrap\.servers"):
        _core.wait_for_broker({}, 1)
    with pytest.raises(TypeError):
        _core.wait_for_broker({"bootstrap.servers": 1}, 1)
    with pytest.raises(ValueError, match=r"no\.such"):
        _core.wait_for_broker({**config, "no.such": "x"}, 1)
    with pytest.raises(ValueError, match="precision"):
        _core.Generator(config, "topic", workload, schedule, precision="exact")
    with pytest.raises(ValueError, match="length of time"):
        _core.Generator(config, "topic", workload, schedule, duration_s=-1)
    with pytest.raises(ValueError, match="window"):
        _core.Generator(config, "topic", workload, schedule, measure=(2, 1))
    with pytest.raises(ValueError, match="threads"):
        _core.LatencyConsumer(config, "topic", threads=0)


def test_a_broker_that_is_not_there_is_named():
    with pytest.raises(_core.KafkaError, match=r"127\.0\.0\.1:1"):
        _core.wait_for_broker(UNREACHABLE, 0.5)


def test_other_threads_run_while_a_call_waits(broker, config):
    broker.create_topic("topic")
    generator = _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(10), duration_s=1)
    waiting = threading.Thread(target=generator.run)
    waiting.start()
    turns, longest, last = 0, 0.0, time.monotonic()
    while waiting.is_alive():
        time.sleep(0.001)
        now = time.monotonic()
        longest, last, turns = max(longest, now - last), now, turns + 1
    # A call that held the GIL would leave one turn of a second.
    assert turns > 100
    assert longest < 0.5


@pytest.mark.parametrize("connected", [True, False], ids=["running", "connecting"])
def test_stop_from_another_thread_returns_what_there_is(broker, config, connected):
    broker.create_topic("topic")
    generator = _core.Generator(
        config if connected else UNREACHABLE,
        "topic",
        _core.Workload(1),
        _core.Schedule.constant(100),
    )
    consumer = _core.LatencyConsumer(config if connected else UNREACHABLE, "topic")
    for call in (generator, consumer):
        timer = threading.Timer(0.5, call.stop)
        timer.start()
        before = time.monotonic()
        report = call.run() if call is generator else call.run(60)
        assert time.monotonic() - before < 5
        timer.join()
        if call is generator:
            assert report.acked == report.generated
            assert (report.generated > 0) is connected


def test_use_before_start_is_an_error(config):
    generator = _core.Generator(config, "topic", _core.Workload(1), _core.Schedule.constant(1))
    with pytest.raises(_core.RtmbenchError, match="start"):
        generator.join()
    with pytest.raises(_core.RtmbenchError, match="start"):
        _core.LatencyConsumer(config, "topic").join()


CHILD = """
import sys, threading, time
from rtmbench import _core

unreachable = {{"bootstrap.servers": "127.0.0.1:1"}}
workload, schedule = _core.Workload(1), _core.Schedule.constant(100)
broker = _core.MockBroker()
broker.create_topic("topic")
config = {{"bootstrap.servers": broker.bootstrap_servers, "fetch.wait.max.ms": "1"}}
generator = _core.Generator(config, "topic", workload, schedule)
consumer = _core.LatencyConsumer(config, "topic")
{prepare}
print("ready", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print(time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
    {after}
    sys.exit(130)
"""

CALLS = {
    "generator.run": ("", "generator.run()", "generator.join(5)"),
    "generator.join": ("generator.start()", "generator.join()", "generator.stop(); generator.join(5)"),
    "generator.start": (
        "generator = _core.Generator(unreachable, 'topic', workload, schedule)",
        "generator.start()",
        "",
    ),
    "consumer.run": ("", "consumer.run(60)", "consumer.join(5)"),
    "consumer.join": ("consumer.start()", "consumer.join()", "consumer.stop(); consumer.join(5)"),
    "consumer.start": (
        "consumer = _core.LatencyConsumer(unreachable, 'topic')",
        "consumer.start()",
        "",
    ),
    "diff.join": (
        "broker.create_topic('other'); diff = _core.TopicDiff(config, 'topic', 'other', key=['key']); diff.start()",
        "diff.join()",
        "diff.stop(); diff.join(5)",
    ),
    "diff.start": ("diff = _core.TopicDiff(unreachable, 'topic', 'other', key=['key'])", "diff.start()", ""),
    "wait_for_broker": ("", "_core.wait_for_broker(unreachable, 60)", ""),
    "broker_addresses": ("", "_core.broker_addresses(unreachable, 60)", ""),
    "create_topics": ("", "_core.create_topics(unreachable, ['t'], partitions=1)", ""),
    "delete_topics": ("", "_core.delete_topics(unreachable, ['t'])", ""),
    "end_offsets": ("", "_core.end_offsets(unreachable, 't', timeout_s=60)", ""),
    "verify": (
        "",
        (
            "_core.verify('01', unreachable, input_topic='a', output_topic='b', spool='.',"
            " workload=workload, measure=(0, 1), deadline_us=1)"
        ),
        "",
    ),
    "verify_stamped": (
        "",
        (
            "_core.verify_stamped(unreachable, input_topic='a', input_field='t', output_topic='b', output_field='t',"
            " spool='.', measure=(0, 1), deadline_us=1)"
        ),
        "",
    ),
    "newest_records": ("", "_core.newest_records(unreachable, 't', 10, timeout_s=60)", ""),
    "read_topic": ("", "_core.read_topic(unreachable, 't', timeout_s=60)", ""),
}


def test_every_long_call_is_interrupted_in_a_test():
    twins = {name.removesuffix("_async") for name in dir(_core) if name.endswith("_async")}
    owners = {"generator": _core.Generator, "consumer": _core.LatencyConsumer, "diff": _core.TopicDiff}
    for variable, owner in owners.items():
        twins |= {f"{variable}.{name.removesuffix('_async')}" for name in dir(owner) if name.endswith("_async")}
    assert twins == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_ends_a_long_call(name, tmp_path):
    prepare, call, after = CALLS[name]
    script = tmp_path / "child.py"
    script.write_text(
        textwrap.dedent(CHILD).format(prepare=prepare, call=call, after=after or "pass"),
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.4)
        assert child.poll() is None
        sent = time.clock_gettime(time.CLOCK_MONOTONIC)
        child.send_signal(signal.SIGINT)
        raised = float(child.stdout.readline())
        assert child.wait(10) == 130
    assert raised - sent < INTERRUPT_LIMIT_S + SLACK_S


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_gets_an_error_not_a_hang(broker, config):
    broker.create_topic("topic")
    consumer = _core.LatencyConsumer(config, "topic")
    consumer.start()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            consumer.join()
        except _core.RtmbenchError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        message = pipe.read().decode()
    os.waitpid(child, 0)
    consumer.stop()
    consumer.join()
    assert "parent process" in message


def test_a_closed_mock_broker_says_so():
    broker = _core.MockBroker()
    broker.close()
    broker.close()
    with pytest.raises(_core.RtmbenchError, match="closed"):
        _ = broker.bootstrap_servers
