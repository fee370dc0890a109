"""Patterns 02, 03 and 04 on real Kafka, Flink and Spark: every output against a reference that fits on a page."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import pytest
from pipeline_runs import PARTITIONS, Pipelines, await_true

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.platform.java import find_java
from rtmbench.platform.local import LocalPlatform

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

EVENTS = 3_000
RATE = 500
WINDOW_MS = 2_000
SLIDE_MS = 1_000
DELAY_MS = 500
UNCHECKED = {"spark.sql.streaming.realTimeMode.allowlistCheck": "false"}


@dataclasses.dataclass
class Shared:
    """One recorded input for all runs, and what each pattern makes of it."""

    pipelines: Pipelines
    topic: str
    events: list[dict]

    def topics(self):
        return [self.topic, self.pipelines.topics()[1]]

    def reference(self, pattern):
        """Return, for each key and window, its result after each event: a list that ends with the final one."""
        after = defaultdict(list)
        for event in self.events:
            for start, end in windows(pattern, event["produced_at"]):
                before = after[event["key"], start]
                count = len(before) + 1
                total = (before[-1]["sum"] if before else 0) + event["value"]
                result = {"key": event["key"], "window_start": start, "window_end": end, "sum": total}
                result |= {"avg": total / count, "count": count}
                before.append(result | {name: event[name] for name in ("produced_at", "scheduled_at_us")})
        return {place: [shaped(pattern, result) for result in results] for place, results in after.items()}

    def closed(self, pattern):
        """Return the places whose window the slowest partition's watermark has passed."""
        newest = min(
            max(event["produced_at"] for event in self.events if event["partition"] == partition)
            for partition in range(PARTITIONS)
        )
        return {
            place for place, results in self.reference(pattern).items() if results[-1]["window_end"] + DELAY_MS < newest
        }


def windows(pattern, time_ms):
    if pattern == "04":
        return [(None, None)]
    slide = WINDOW_MS if pattern == "02" else SLIDE_MS
    last = time_ms - time_ms % slide
    return [(start, start + WINDOW_MS) for start in range(last, last - WINDOW_MS, -slide)]


FIELDS = {
    "02": ["key", "window_start", "window_end", "count", "sum", "produced_at", "scheduled_at_us"],
    "03": ["key", "window_start", "window_end", "avg", "count", "produced_at", "scheduled_at_us"],
    "04": ["key", "count", "sum", "produced_at", "scheduled_at_us"],
}


def shaped(pattern, result):
    return {name: result[name] for name in FIELDS[pattern]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    root = tmp_path_factory.mktemp("state")
    with LocalPlatform(java=find_java(), cache=Cache(), logs=root / "logs", kafka_heap_mb=256) as platform:
        pipelines = Pipelines(platform, platform.kafka(), root)
        topic, _ = pipelines.topics()
        workload = _core.Workload(seed=11, keys=10)
        config = {"bootstrap.servers": pipelines.servers}
        _core.Generator(config, topic, workload, _core.Schedule.constant(RATE), count=EVENTS).run()
        events = [value | {"partition": partition} for partition, _, value in pipelines.records(topic)]
        assert len(events) == EVENTS
        yield Shared(pipelines, topic, events)


def outputs(shared, pipeline, pattern):
    """Return what a pipeline wrote, by key and window, in the order in which it wrote it."""
    written = defaultdict(list)
    for _, key, value in shared.pipelines.records(pipeline.output_topic):
        assert list(value) == FIELDS[pattern]
        assert key == value["key"]
        written[key, value.get("window_start")].append(value)
    return dict(written)


def await_quiet(pipeline, least):
    """Wait until a pipeline has written `least` results, and then no more for a second."""
    await_true(lambda: pipeline.process.poll() is not None or pipeline.produced() >= least, 100)
    seen = [-1]

    def quiet():
        seen.append(pipeline.produced())
        return seen[-1] == seen[-min(len(seen), 10)]

    await_true(quiet, 30)
    assert pipeline.process.poll() is None, pipeline.log[-3000:]


def check_updates(shared, pipeline, pattern):
    """Every event gave one result in each of its windows, and each of them is right."""
    reference = shared.reference(pattern)
    await_quiet(pipeline, sum(map(len, reference.values())))
    assert outputs(shared, pipeline, pattern) == reference
    pipeline.stop()


def check_batches(shared, pipeline, pattern):
    """Results climb, each right for its count, up to the final one; there may be one for many events."""
    reference = shared.reference(pattern)
    last = {place: results[-1] for place, results in reference.items()}

    def finals():
        written = outputs(shared, pipeline, pattern)
        return {place: results[-1] for place, results in written.items()}

    await_true(lambda: pipeline.process.poll() is not None or finals() == last, 100)
    written = outputs(shared, pipeline, pattern)
    assert {place: results[-1] for place, results in written.items()} == last, pipeline.log[-3000:]
    for place, results in written.items():
        counts = [result["count"] for result in results]
        assert counts == sorted(set(counts))
        assert results == [reference[place][count - 1] for count in counts]
    pipeline.stop()


def check_closes(shared, pipeline, pattern):
    """Each window whose time has come gave its final result, once; no other window gave any."""
    closed = shared.closed(pattern)
    assert len(closed) > 10
    await_quiet(pipeline, len(closed))
    written = outputs(shared, pipeline, pattern)
    reference = shared.reference(pattern)
    assert closed <= set(written)
    assert written == {place: reference[place][-1:] for place in written}
    pipeline.stop()


def flink(shared, pattern, *arguments, **options):
    if pattern != "04":
        arguments += ("--window-ms", str(WINDOW_MS))
    if pattern == "03":
        arguments += ("--slide-ms", str(SLIDE_MS))
    return shared.pipelines.start_flink(shared.topics(), *arguments, pattern=pattern, **options)


def spark(shared, pattern, mode, version, **options):
    streams = version == "4.3" and mode.startswith("rtm")
    environment = {
        "RTMBENCH_MODE": mode,
        "RTMBENCH_WINDOW": f"{WINDOW_MS} milliseconds",
        "RTMBENCH_SLIDE": f"{SLIDE_MS} milliseconds",
    }
    return shared.pipelines.start(
        shared.topics(),
        pattern=pattern,
        version=version,
        slots=2 * PARTITIONS if streams else PARTITIONS,
        **environment | options,
    )


FLINK = [("02", "rocksdb"), ("03", "hashmap"), ("04", "rocksdb")]


@pytest.mark.parametrize(("pattern", "backend"), FLINK)
def test_flink_gives_a_result_for_each_event(shared, pattern, backend):
    check_updates(shared, flink(shared, pattern, backend=backend), pattern)


@pytest.mark.full
@pytest.mark.parametrize(("pattern", "backend"), [("02", "hashmap"), ("03", "rocksdb"), ("04", "hashmap")])
def test_flink_gives_the_same_on_the_other_state_backend(shared, pattern, backend):
    check_updates(shared, flink(shared, pattern, backend=backend), pattern)


@pytest.mark.full
@pytest.mark.parametrize("pattern", ["02", "03"])
def test_flink_gives_a_window_once_as_it_closes(shared, pattern):
    job = flink(shared, pattern, "--emit", "close", "--watermark-delay-ms", str(DELAY_MS))
    check_closes(shared, job, pattern)


@pytest.mark.parametrize(
    ("pattern", "version"),
    [
        pytest.param("02", "4.1", marks=pytest.mark.full),
        pytest.param("03", "4.1", marks=pytest.mark.full),
        ("04", "4.1"),
        pytest.param("02", "4.3", marks=pytest.mark.full),
        pytest.param("03", "4.3", marks=pytest.mark.full),
        pytest.param("04", "4.3", marks=pytest.mark.full),
    ],
)
def test_spark_gives_the_same_in_micro_batches(shared, pattern, version):
    pipeline = spark(shared, pattern, "microbatch", version)
    pipeline.running()
    check_batches(shared, pipeline, pattern)
    assert pipeline.facts["real_time"] is False


@pytest.mark.full
@pytest.mark.parametrize("version", ["4.1", "4.3"])
@pytest.mark.parametrize("pattern", ["02", "03"])
def test_spark_gives_a_window_once_as_it_closes(shared, pattern, version):
    pipeline = spark(shared, pattern, "close", version, RTMBENCH_WATERMARK_DELAY=f"{DELAY_MS} milliseconds")
    check_closes(shared, pipeline, pattern)


@pytest.mark.full
@pytest.mark.parametrize(("pattern", "mode"), [("02", "rtm"), ("03", "rtm"), ("04", "rtm"), ("04", "rtm-aggregate")])
def test_spark_4_3_streams_a_result_for_each_event(shared, pattern, mode):
    """Start with a batch longer than the test: what comes out came out within it."""
    pipeline = spark(shared, pattern, mode, "4.3", RTMBENCH_CHECKPOINT_INTERVAL="3 minutes")
    facts = pipeline.running()
    assert facts["trigger"] == "RealTimeTrigger(180000)"
    assert facts["real_time"] is True
    check_updates(shared, pipeline, pattern)
    assert not pipeline.progress.exists(), "the batch has ended: this shows nothing about real time"


def test_spark_4_1_refuses_a_window_in_real_time(shared):
    pipeline = spark(shared, "02", "rtm", "4.1")
    assert pipeline.exit_code() == 64
    assert pipeline.facts["refused"]["code"] == "STREAMING_REAL_TIME_MODE.OPERATOR_OR_SINK_NOT_IN_ALLOWLIST"


@pytest.mark.full
@pytest.mark.parametrize("pattern", ["02", "03"])
def test_spark_4_1_runs_a_window_unchecked_bound_to_its_batches(shared, pattern):
    pipeline = spark(shared, pattern, "rtm-unchecked", "4.1", conf=UNCHECKED)
    facts = pipeline.running()
    assert facts["trigger"] == "RealTimeTrigger(5000)"
    assert facts["real_time"] is False, "a stage waits for the end of the batch"
    check_batches(shared, pipeline, pattern)


@pytest.mark.full
@pytest.mark.parametrize("version", ["4.1", "4.3"])
def test_transform_with_state_in_python_does_not_start_in_real_time(shared, version):
    pipeline = spark(shared, "04", "rtm-unchecked", version, conf=UNCHECKED)
    assert pipeline.exit_code() == 1
    assert "STDS_FAILED_TO_READ_OPERATOR_METADATA" in pipeline.facts["error"]["code"]
    assert pipeline.produced() == 0


@pytest.mark.full
@pytest.mark.parametrize(("pattern", "mode"), [("02", "rtm"), ("04", "rtm"), ("04", "rtm-aggregate")])
def test_a_streaming_shuffle_needs_slots_for_both_its_sides(shared, pattern, mode):
    pipeline = shared.pipelines.start(shared.topics(), pattern=pattern, version="4.3", slots=7, RTMBENCH_MODE=mode)
    assert pipeline.exit_code() == 3
    assert "needs 8 slots at once, and Spark has 7: 4 partitions of topic" in pipeline.log
    assert "+ 4 shuffle partitions = 8" in pipeline.log


def test_a_mode_that_the_pattern_has_not_is_named(shared):
    pipeline = spark(shared, "04", "close", "4.1")
    assert pipeline.exit_code() == 2
    assert "has no mode 'close'. Its modes are: rtm, microbatch, rtm-unchecked, rtm-aggregate" in pipeline.log
