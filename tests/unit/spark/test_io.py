"""The surroundings of a Spark pipeline, read from its environment."""

from __future__ import annotations

import pytest

from rtmbench.errors import ConfigurationError
from rtmbench.kafka import clients
from rtmbench.spark import Io
from rtmbench.spark.io import read_kafka_properties


def test_one_address_is_enough():
    io = Io.from_env({"KAFKA_BOOTSTRAP_SERVERS": "broker:9092"})
    assert io == Io(bootstrap_servers="broker:9092")
    assert (io.input_topic, io.output_topic) == ("benchmark-input", "benchmark-output")
    assert (io.mode, io.checkpoint_interval, io.checkpoint_dir) == ("rtm", "5 seconds", None)


def test_everything_can_be_set(tmp_path):
    kafka = tmp_path / "kafka.properties"
    kafka.write_text("# both sides\nsource.fetch.max.wait.ms = 1\n\nsink.linger.ms=5\nsink.sasl.jaas.config=a=b\n")
    io = Io.from_env(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
            "RTMBENCH_INPUT_TOPIC": "in",
            "RTMBENCH_OUTPUT_TOPIC": "out",
            "RTMBENCH_CHECKPOINT_INTERVAL": "30 seconds",
            "RTMBENCH_CHECKPOINT_DIR": "s3://bucket/checkpoint",
            "RTMBENCH_MODE": "close",
            "RTMBENCH_WINDOW": "60000 milliseconds",
            "RTMBENCH_SLIDE": "10 seconds",
            "RTMBENCH_WATERMARK_DELAY": "0 seconds",
            "RTMBENCH_FACTS": str(tmp_path / "facts.json"),
            "RTMBENCH_PROGRESS": str(tmp_path / "progress.jsonl"),
            "RTMBENCH_KAFKA_PROPERTIES": str(kafka),
        }
    )
    assert io == Io(
        bootstrap_servers="a:1,b:2",
        input_topic="in",
        output_topic="out",
        checkpoint_interval="30 seconds",
        checkpoint_dir="s3://bucket/checkpoint",
        mode="close",
        window="60000 milliseconds",
        slide="10 seconds",
        watermark_delay="0 seconds",
        source_properties={"fetch.max.wait.ms": "1"},
        sink_properties={"linger.ms": "5", "sasl.jaas.config": "a=b"},
        facts=tmp_path / "facts.json",
        progress=tmp_path / "progress.jsonl",
    )
    assert "a=b" not in repr(io)


def test_an_empty_variable_is_as_good_as_none():
    assert Io.from_env({"RTMBENCH_MODE": "", "RTMBENCH_KAFKA_PROPERTIES": "", "RTMBENCH_FACTS": ""}) == Io()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("RTMBENCH_MODE", "realtime", "'realtime' is not a mode. The modes are: rtm, rtm-unchecked"),
        ("RTMBENCH_WINDOW", "0 seconds", "'0 seconds' is not a duration"),
        ("RTMBENCH_SLIDE", "often", "'often' is not a duration"),
        ("RTMBENCH_WATERMARK_DELAY", "-1 seconds", "'-1 seconds' is not a duration"),
        ("RTMBENCH_CHECKPOINT_INTERVAL", "soon", "'soon' is not a duration"),
        ("RTMBENCH_INPUT_TOPIC", " ", "input_topic is empty"),
        ("RTMBENCH_KAFKA_PROPERTIES", "/nowhere/kafka.properties", "/nowhere/kafka.properties cannot be read"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(variable, value, message):
    with pytest.raises(ConfigurationError) as error:
        Io.from_env({variable: value})
    assert message in str(error.value)


def test_a_slide_longer_than_the_window_would_lose_events():
    with pytest.raises(ConfigurationError, match=r"The slide, 2 seconds, is longer than the window, 1 second"):
        Io(window="1 second", slide="2 seconds")


@pytest.mark.parametrize(
    ("mode", "real_time", "output"),
    [
        ("rtm", True, "update"),
        ("rtm-unchecked", True, "update"),
        ("rtm-aggregate", True, "update"),
        ("microbatch", False, "update"),
        ("close", False, "append"),
    ],
)
def test_a_mode_is_a_trigger_and_an_output_mode(mode, real_time, output):
    io = Io(mode=mode, checkpoint_dir="/checkpoint", checkpoint_interval="7 seconds")
    writer = Writer()
    assert io.write(Results(writer)) is writer
    io.trigger(writer)
    assert io.real_time is real_time
    assert writer.mode == output
    assert writer.triggered == ({"realTime": "7 seconds"} if real_time else {"processingTime": "0 seconds"})


def test_a_mode_that_a_pipeline_has_not_is_named_with_those_it_has():
    assert Io(mode="rtm").variant({"rtm": 1, "microbatch": 2}) == 1
    with pytest.raises(ConfigurationError, match=r"no mode 'close'\. Its modes are: rtm, microbatch"):
        Io(mode="close").variant({"rtm": 1, "microbatch": 2})


class Results:
    """A streaming DataFrame with its writer."""

    def __init__(self, writer):
        self.writeStream = writer


class Writer:
    """A stream writer that notes what it is told."""

    def format(self, _name):
        return self

    def options(self, **_options):
        return self

    def option(self, _name, _value):
        return self

    def outputMode(self, mode):  # noqa: N802
        self.mode = mode
        return self

    def trigger(self, *, processingTime=None, realTime=None):  # noqa: N803
        told = {"processingTime": processingTime, "realTime": realTime}
        self.triggered = {name: value for name, value in told.items() if value}
        return self


def test_the_source_reads_from_the_beginning_and_never_skips():
    options = Io(bootstrap_servers="b:1", input_topic="in").source_options()
    assert options == {
        "subscribe": "in",
        "startingOffsets": "earliest",
        "failOnDataLoss": "true",
        "kafka.bootstrap.servers": "b:1",
        "kafka.fetch.min.bytes": "1",
        "kafka.fetch.max.wait.ms": "500",
    }


def test_given_client_settings_win_but_for_the_address():
    given = {"linger.ms": "5", "bootstrap.servers": "elsewhere:1", "security.protocol": "SSL"}
    options = Io(bootstrap_servers="b:1", output_topic="out", sink_properties=given).sink_options()
    assert options["kafka.linger.ms"] == "5"
    assert options["kafka.security.protocol"] == "SSL"
    assert options["kafka.bootstrap.servers"] == "b:1"
    assert options["kafka.acks"] == "all"
    assert options["topic"] == "out"


def test_both_ends_read_the_file_that_rtmbench_writes(tmp_path):
    file = tmp_path / "kafka.properties"
    file.write_text(clients.properties_file({}))
    assert read_kafka_properties(file) == (dict(clients.SOURCE), dict(clients.SINK))


def test_the_file_of_a_client_is_for_both_sides(tmp_path):
    file = tmp_path / "client.properties"
    file.write_text("bootstrap.servers=elsewhere:1\nsecurity.protocol=ssl\nlinger.ms=5\n")
    assert read_kafka_properties(file) == ({"security.protocol": "SSL"}, {"security.protocol": "SSL"})


@pytest.mark.parametrize("line", ["linger.ms=5", "source.=5", "sink=5"])
def test_a_line_without_a_side_is_refused_without_being_shown(tmp_path, line):
    file = tmp_path / "kafka.properties"
    file.write_text(f"sink.acks=all\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"line 2: write source\.NAME=value") as error:
        read_kafka_properties(file)
    assert line not in str(error.value)


def test_a_line_without_a_value_is_refused_without_being_shown(tmp_path):
    file = tmp_path / "kafka.properties"
    file.write_text("sink.acks=all\nsource.linger.ms\n")
    with pytest.raises(ConfigurationError, match="line 2, is not `name=value`") as error:
        read_kafka_properties(file)
    assert "linger" not in str(error.value)
