"""Where a pipeline reads and writes, and with which Kafka client settings: its environment, as one value."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rtmbench.errors import ConfigurationError
from rtmbench.kafka import clients, properties
from rtmbench.kafka.connection import java_properties
from rtmbench.spark.trigger import duration_ms, real_time_trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import DataStreamWriter

_Variant = TypeVar("_Variant")

REAL_TIME_MODES = ("rtm", "rtm-unchecked", "rtm-aggregate")
MODES = (*REAL_TIME_MODES, "microbatch", "close")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, kw_only=True)
class Io:
    """The surroundings of a pipeline: topics, checkpoint, mode, and where to leave facts about the run."""

    bootstrap_servers: str = "localhost:9092"
    input_topic: str = "benchmark-input"
    output_topic: str = "benchmark-output"
    checkpoint_interval: str = "5 seconds"
    """How long a real-time batch runs until it commits. Micro-batches follow each other at once and commit each."""
    checkpoint_dir: str | None = None
    """Any URI that Spark can write; None is a new directory below the system's temporary one."""
    mode: str = "rtm"
    """One of `MODES`. `rtm`: the real-time trigger; `rtm-unchecked`: the same, in a session whose operator check is
    off; `rtm-aggregate`: the same, with the pattern's streaming aggregate instead of custom state; `microbatch`:
    batches that follow each other at once; `close`: such batches, and each window's result once, when it closes."""
    window: str | None = None
    """How long a window is, such as `"1 minute"`; None is the pattern's own."""
    slide: str | None = None
    """How far apart two windows start; None is the pattern's own."""
    watermark_delay: str = "10 seconds"
    """How far the watermark stays behind the newest event time."""
    source_properties: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    sink_properties: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Kafka client settings that extend or replace the defaults; they may hold secrets, so repr omits them."""
    facts: Path | None = None
    """A file that `main` keeps true about the running query (JSON)."""
    progress: Path | None = None
    """A file that gets Spark's progress events, one JSON document a line."""

    def __post_init__(self) -> None:
        """Refuse what could only fail later, in the JVM."""
        if self.mode not in MODES:
            raise ConfigurationError(f"{self.mode!r} is not a mode. The modes are: {', '.join(MODES)}.")
        for name in ("bootstrap_servers", "input_topic", "output_topic"):
            if not getattr(self, name).strip():
                raise ConfigurationError(f"The pipeline's {name} is empty.")
        duration_ms(self.checkpoint_interval)
        duration_ms(self.watermark_delay, zero=True)
        window, slide = (None if text is None else duration_ms(text) for text in (self.window, self.slide))
        if window and slide and slide > window:
            raise ConfigurationError(
                f"The slide, {self.slide}, is longer than the window, {self.window}: events between two windows would"
                " be lost."
            )

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Io:
        """Read them from `KAFKA_BOOTSTRAP_SERVERS` and `RTMBENCH_*`; what is unset or empty has its default.

        Raises `ConfigurationError` for a value that makes no sense, or a file of Kafka settings that cannot be read.
        """
        names = {
            "bootstrap_servers": "KAFKA_BOOTSTRAP_SERVERS",
            "input_topic": "RTMBENCH_INPUT_TOPIC",
            "output_topic": "RTMBENCH_OUTPUT_TOPIC",
            "checkpoint_interval": "RTMBENCH_CHECKPOINT_INTERVAL",
            "checkpoint_dir": "RTMBENCH_CHECKPOINT_DIR",
            "mode": "RTMBENCH_MODE",
            "window": "RTMBENCH_WINDOW",
            "slide": "RTMBENCH_SLIDE",
            "watermark_delay": "RTMBENCH_WATERMARK_DELAY",
        }
        texts = {name: env[variable] for name, variable in names.items() if env.get(variable)}
        kafka = env.get("RTMBENCH_KAFKA_PROPERTIES")
        source, sink = read_kafka_properties(Path(kafka)) if kafka else ({}, {})
        facts, progress = env.get("RTMBENCH_FACTS"), env.get("RTMBENCH_PROGRESS")
        return cls(
            **texts,
            source_properties=source,
            sink_properties=sink,
            facts=Path(facts) if facts else None,
            progress=Path(progress) if progress else None,
        )

    @property
    def real_time(self) -> bool:
        """Whether this mode asks for the real-time trigger."""
        return self.mode in REAL_TIME_MODES

    def variant(self, variants: Mapping[str, _Variant]) -> _Variant:
        """Return what a pipeline has for this mode.

        Raises `ConfigurationError`, which lists the pipeline's modes, where it has nothing.
        """
        if self.mode not in variants:
            raise ConfigurationError(f"This pipeline has no mode {self.mode!r}. Its modes are: {', '.join(variants)}.")
        return variants[self.mode]

    def source_options(self) -> dict[str, str]:
        """Return the options of the Kafka source: the input topic from its beginning."""
        return {
            "subscribe": self.input_topic,
            "startingOffsets": "earliest",
            "failOnDataLoss": "true",
            **_prefixed(self.bootstrap_servers, clients.SOURCE, self.source_properties),
        }

    def sink_options(self) -> dict[str, str]:
        """Return the options of the Kafka sink, which is at-least-once."""
        return {
            "topic": self.output_topic,
            **_prefixed(self.bootstrap_servers, clients.SINK, self.sink_properties),
        }

    def read(self, spark: SparkSession) -> DataFrame:
        """Read the input topic: `key`, `value`, `topic`, `partition`, `offset`, … of each record."""
        return spark.readStream.format("kafka").options(**self.source_options()).load()

    def write(self, results: DataFrame) -> DataStreamWriter:
        """Prepare a writer of `key` and `value` to the output topic; its trigger is not set yet.

        It writes in update mode, and in append mode where it emits only closed windows.
        """
        checkpoint = self.checkpoint_dir or tempfile.mkdtemp(prefix="rtmbench-checkpoint-")
        return (
            results.writeStream.format("kafka")
            .options(**self.sink_options())
            .option("checkpointLocation", checkpoint)
            .outputMode("append" if self.mode == "close" else "update")
        )

    def trigger(self, writer: DataStreamWriter) -> DataStreamWriter:
        """Give a writer the trigger of this mode: Real-Time Mode, or micro-batches that follow each other at once."""
        if self.real_time:
            return real_time_trigger(writer, self.checkpoint_interval)
        return writer.trigger(processingTime="0 seconds")


def read_kafka_properties(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    r"""Read a file of Kafka client settings: `source.NAME=value` or `sink.NAME=value` a line, or a client's own file.

    `#` starts a comment. Values are escaped as in Java's files of properties: `\\` is one backslash. A file in which
    no name begins with `source.` or `sink.` is that of a Kafka client. What it has for TLS and SASL is for both sides.

    Returns the source's and the sink's settings, by Java client name. Raises `ConfigurationError` where the file cannot
    be read or a line is neither.
    """
    entries = list(properties.entries(path))
    sides: dict[str, dict[str, str]] = {"source": {}, "sink": {}}
    if not any(name.partition(".")[0] in sides for _, name, _ in entries):
        access = java_properties(path)
        return access, dict(access)
    for number, name, value in entries:
        side, dot, setting = name.partition(".")
        if not dot or side not in sides or not setting:
            # The line may hold a secret, so only its number is shown.
            raise ConfigurationError(f"{path}, line {number}: write source.NAME=value or sink.NAME=value.")
        sides[side][setting] = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), value)
    return sides["source"], sides["sink"]


def _prefixed(servers: str, defaults: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    settings = {**defaults, **overrides, "bootstrap.servers": servers}
    return {f"kafka.{name}": value for name, value in settings.items()}
