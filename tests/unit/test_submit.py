"""`up`, `setup`, `submit`: what they ask of a broker and of an engine, without either."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from rtmbench import _core, submit
from rtmbench.engines.base import EngineRefusedError, PlainEngine
from rtmbench.errors import ConfigurationError, PreflightError, RunFailedError
from rtmbench.experiment.settings import RunRequest
from rtmbench.kafka.connection import Connection


class FakeEngine(PlainEngine):
    """Notes what it is told; fails at the `fails`-th look."""

    def __init__(self, spec, *, pattern, fails=None, refuses=False):
        self.spec, self.pattern, self.mode = spec, pattern, spec.mode
        self.io, self.looks, self.stopped = None, 0, 0
        self.fails, self.refuses = fails, refuses

    def start(self, io):
        if self.refuses:
            raise EngineRefusedError("SOME_CODE", "no such query")
        self.io = io

    def check(self):
        self.looks += 1
        if self.looks == self.fails:
            raise RunFailedError("the job has failed")

    def stop(self):
        self.stopped += 1


@pytest.fixture
def topics(monkeypatch):
    """A broker with these topics, by their partitions."""
    there = {"benchmark-input": 6, "benchmark-output": 6}
    made = []

    def end_offsets(_config, topic, *, timeout_s):
        assert timeout_s > 0
        if topic not in there:
            raise _core.KafkaError(f"topic {topic} is unknown to the brokers")
        return [0] * there[topic]

    monkeypatch.setattr(submit.preflight, "check", lambda *_: ["127.0.0.1:9092"])
    monkeypatch.setattr(submit._core, "end_offsets", end_offsets)
    monkeypatch.setattr(
        submit._core, "create_topics", lambda _, names, partitions, **__: made.append((names, partitions))
    )
    there["made"] = made
    return there


@pytest.fixture
def engines(monkeypatch, topics):  # noqa: ARG001 - a submission needs both
    started = []

    def create(spec, *, pattern, platform, settings, **options):  # noqa: ARG001 - the signature
        started.append(FakeEngine(spec, pattern=pattern, **behaviour))
        return started[-1]

    behaviour: dict = {}
    monkeypatch.setattr(submit, "create_engine", create)
    monkeypatch.setattr(submit.doctor, "checks", lambda *_: [])
    monkeypatch.setattr(submit.Cache, "ensure_many", lambda *_: {})
    monkeypatch.setattr(submit, "CHECK_EVERY_S", 0.01)
    return started, behaviour


def run(tmp_path, engine="spark@4.3", pattern="02", duration_s=0.05, **options):
    said = []
    request = RunRequest(
        patterns=(pattern,), engines=(engine,), bootstrap_servers="127.0.0.1:9092", results=tmp_path, **options
    )
    submit.submit(request, submit.Topics(), duration_s=duration_s, say=said.append)
    return said


def test_a_job_gets_the_topics_and_the_slots_that_their_partitions_need(engines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = run(Path("results"), window_s=5.0, shuffle_partitions=3)
    (engine,) = engines[0]
    io = engine.io
    assert (io.input_topic, io.output_topic, io.bootstrap_servers) == (submit.INPUT, submit.OUTPUT, "127.0.0.1:9092")
    assert (io.partitions, io.settings.shuffle_partitions, io.slots) == (6, 3, 9)
    assert io.logs.is_absolute()
    assert (io.window_ms, io.checkpoint_interval_ms) == (5_000, 5_000)
    assert engine.mode == "rtm"
    assert engine.looks >= 2
    assert engine.stopped == 1
    assert "benchmark-input → benchmark-output" in said[1]


@pytest.mark.parametrize(
    ("behaviour", "error"), [({"fails": 2}, RunFailedError), ({"refuses": True}, EngineRefusedError)]
)
def test_an_engine_that_fails_is_stopped_and_told(engines, tmp_path, behaviour, error):
    engines[1].update(behaviour)
    with pytest.raises(error):
        run(tmp_path, duration_s=None)
    assert engines[0][0].stopped == 1


@pytest.mark.parametrize("options", [{"pattern": "all"}, {"engine": "transport"}, {"engine": "beam"}])
def test_what_is_no_single_job_is_a_configuration_error(engines, tmp_path, options):
    with pytest.raises(ConfigurationError):
        run(tmp_path, **options)
    assert engines[0] == []


def test_a_missing_topic_names_the_command_that_makes_it(engines, topics, tmp_path):
    del topics["benchmark-output"]
    with pytest.raises(PreflightError, match=r"no topic benchmark-output.*rtmbench setup.*--output-topic"):
        run(tmp_path)
    assert engines[0] == []


@pytest.mark.usefixtures("topics")
def test_too_few_slots_are_refused_with_the_arithmetic(tmp_path):
    with pytest.raises(PreflightError, match=r"6 input partitions"):
        run(tmp_path, engine="flink@1.20", slots=2, offline=True)


def test_set_up_makes_what_is_missing_and_leaves_the_rest(topics):
    del topics["benchmark-input"]
    made = ["benchmark-input", "benchmark-latency"]
    assert submit.set_up(Connection(bootstrap_servers="127.0.0.1:9092"), submit.Topics(), 6) == made
    assert topics["made"] == [(made, 6)]
    with pytest.raises(PreflightError, match="with 6 partitions and not 4"):
        submit.set_up(Connection(bootstrap_servers="127.0.0.1:9092"), submit.Topics(), 4)


def test_a_broker_that_is_not_there_is_a_preflight_error():
    with pytest.raises(PreflightError, match=r"127\.0\.0\.1:1\b.*rtmbench up"):
        submit.set_up(Connection(bootstrap_servers="127.0.0.1:1"), submit.Topics(), 4)


def test_a_topic_that_may_not_be_looked_at_is_not_taken_for_a_missing_one(topics, monkeypatch):
    def refused(*_arguments, **_options):
        raise _core.KafkaError("topic authorization failed")

    monkeypatch.setattr(submit._core, "end_offsets", refused)
    with pytest.raises(_core.KafkaError, match="authorization"):
        submit.set_up(Connection(bootstrap_servers="127.0.0.1:9092"), submit.Topics(), 6)
    assert topics["made"] == []


def remote(tmp_path, engine="spark@4.3", **changes):
    conf = tmp_path / "spark.conf"
    conf.write_text("spark.yarn.queue team\n")
    request = RunRequest(
        patterns=("02",),
        engines=(engine,),
        bootstrap_servers="kafka.example:9092",
        **{"spark_master": "yarn", "spark_remote_conf": conf, "checkpoint_storage": "hdfs://h/cp", **changes},
    )
    return submit.remote_command(request, submit.Topics())


@pytest.mark.usefixtures("topics")
def test_the_command_for_yarn_has_the_variables_and_the_settings_of_a_run(tmp_path):
    words = shlex.split(remote(tmp_path, memory_mb=4096, slots=12).replace("\\\n", " "))
    variables = dict(word.split("=", 1) for word in words[: words.index("spark-submit")])
    assert variables["KAFKA_BOOTSTRAP_SERVERS"] == "kafka.example:9092"
    assert variables["RTMBENCH_MODE"] == "rtm"
    assert variables["RTMBENCH_CHECKPOINT_DIR"].startswith("hdfs://h/cp/rtmbench-")
    options = words[words.index("spark-submit") + 1 : -1]
    pairs = list(zip(options[::2], options[1::2], strict=True))
    assert ("--master", "yarn") in pairs
    assert ("--properties-file", str(tmp_path / "spark.conf")) in pairs
    settings = dict(value.split("=", 1) for name, value in pairs if name == "--conf")
    assert (settings["spark.executor.instances"], settings["spark.executor.cores"]) == ("2", "6")
    assert settings["spark.sql.shuffle.partitions"] == "6"
    assert words[-1].endswith(".py")
    assert Path(words[-1]).is_file()


@pytest.mark.usefixtures("topics")
def test_a_command_for_yarn_needs_spark_and_a_shared_place_for_checkpoints(tmp_path):
    with pytest.raises(ConfigurationError, match="--checkpoint-storage hdfs"):
        remote(tmp_path, checkpoint_storage="local")
    with pytest.raises(ConfigurationError, match="does not run on yarn"):
        remote(tmp_path, engine="flink@1.20")
    assert remote(tmp_path, spark_master="spark://h:7077") is None
