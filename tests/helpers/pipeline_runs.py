"""Runs pipelines as a user does, each in a process of its own on a real Kafka, and reads what came out."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from rtmbench import _core
from rtmbench.engines.flink.config import MODULE_OPTIONS
from rtmbench.patterns.pipelines import locate, spark_jars

PARTITIONS = 4
EVENTS = 400
KEPT = {"click", "purchase"}
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"


class Pipelines:
    """Starts pipelines as processes of a platform, each on topics and in a directory of its own."""

    def __init__(self, platform, kafka, root):
        self.platform = platform
        self.servers = kafka.bootstrap_servers
        self.root = root
        self._count = 0

    def topics(self, partitions=PARTITIONS):
        self._count += 1
        names = [f"pipeline-{self._count}-{side}" for side in ("in", "out")]
        _core.create_topics({"bootstrap.servers": self.servers}, names, partitions=partitions)
        return names

    def start(self, topics, *, pattern="01", version="4.1", slots=PARTITIONS, conf=None, file=None, **environment):
        """Start a pattern's Spark pipeline, or another file in its place."""
        directory = self.root / topics[1]
        (directory / "conf").mkdir(parents=True)
        spark = self.platform.cache.ensure(f"spark@{version}").root
        connector = self.platform.cache.ensure(f"spark-connector-kafka@{version}")
        settings = {
            "spark.master": f"local[{slots}]",
            "spark.driver.memory": "700m",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": str(PARTITIONS),
            "spark.sql.streaming.stateStore.providerClass": ROCKSDB,
            "spark.jars": ",".join(str(jar) for jar in [*connector.jars, *spark_jars(pattern)]),
            **(conf or {}),
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        (directory / "conf" / "spark-defaults.conf").write_text("".join(lines))
        env = {
            **self.platform.environment(),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(spark), os.environ.get("PYTHONPATH")])),
            "SPARK_HOME": str(spark / "pyspark"),
            "SPARK_CONF_DIR": str(directory / "conf"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "RTMBENCH_INPUT_TOPIC": topics[0],
            "RTMBENCH_OUTPUT_TOPIC": topics[1],
            "RTMBENCH_FACTS": str(directory / "facts.json"),
            "RTMBENCH_PROGRESS": str(directory / "progress.jsonl"),
            **environment,
        }
        argv = [sys.executable, str(file or locate(pattern, "spark"))]
        return Pipeline(self, self.platform.spawn(topics[1], argv, env=env, cwd=directory), directory, topics)

    def start_flink(self, topics, *arguments, pattern, backend="rocksdb", bundle="flink@1.20"):
        """Start a pattern's Flink job with `flink run`, on a cluster inside that same process."""
        directory = self.root / topics[1]
        (directory / "conf").mkdir(parents=True)
        (directory / "conf" / "config.yaml").write_text("{}\n")
        flink = self.platform.cache.ensure(bundle).root
        connector = self.platform.cache.ensure(bundle.replace("flink", "flink-connector-kafka"))
        settings = {
            "state.backend.type": backend,
            "parallelism.default": PARTITIONS,
            "execution.checkpointing.dir": (directory / "checkpoints").as_uri(),
            "restart-strategy.type": "none",
            "rest.bind-address": "127.0.0.1",
            "rest.bind-port": "0",
        }
        argv = [
            *(str(self.platform.java.executable), "-Xmx512m", *MODULE_OPTIONS),
            *("-cp", os.pathsep.join(map(str, [*(flink / "lib").glob("*.jar"), *connector.jars]))),
            *("org.apache.flink.client.cli.CliFrontend", "run", "-t", "local"),
            *(f"-D{name}={value}" for name, value in settings.items()),
            str(locate(pattern, "flink")),
            *("--bootstrap-servers", self.servers, "--input-topic", topics[0], "--output-topic", topics[1]),
            *("--checkpoint-interval-ms", "1000", *arguments),
        ]
        env = {**self.platform.environment(), "FLINK_CONF_DIR": str(directory / "conf")}
        return Pipeline(self, self.platform.spawn(topics[1], argv, env=env, cwd=directory), directory, topics)

    def records(self, topic):
        """Read a whole topic: partition, key and value of each record, in the order of the partition."""
        ends = _core.end_offsets({"bootstrap.servers": self.servers}, topic)
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "tests", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(len(ends))])
        deadline = time.monotonic() + 60
        records = []
        while len(records) < sum(ends):
            assert time.monotonic() < deadline, f"read {len(records)} of {sum(ends)} records of {topic}"
            for message in consumer.consume(1000, timeout=1):
                assert message.error() is None, message.error()
                records.append((message.partition(), message.key().decode(), json.loads(message.value())))
        consumer.close()
        return records


class Pipeline:
    """One started pipeline."""

    def __init__(self, owner, process, directory, topics):
        self.owner = owner
        self.process = process
        self.progress = directory / "progress.jsonl"
        self.input_topic, self.output_topic = topics
        self._facts = directory / "facts.json"

    @property
    def facts(self):
        return json.loads(self._facts.read_text()) if self._facts.exists() else {}

    @property
    def log(self):
        return Path(self.process.log).read_text(errors="replace")

    def running(self, timeout_s=90):
        await_true(lambda: self.facts.get("state") == "running" or self.process.poll() is not None, timeout_s)
        assert self.process.poll() is None, self.log[-3000:]
        return self.facts

    def exit_code(self, timeout_s=90):
        await_true(lambda: self.process.poll() is not None, timeout_s)
        return self.process.poll()

    def send(self, count=EVENTS):
        """Send `count` events and return how many of them the pipeline has to let through."""
        workload = _core.Workload(seed=7, keys=10)
        config = {"bootstrap.servers": self.owner.servers}
        schedule = _core.Schedule.constant(2_000)
        _core.Generator(config, self.input_topic, workload, schedule, count=count).run()
        return sum(json.loads(workload.event(index, 0))["event_type"] in KEPT for index in range(count))

    def produced(self):
        return sum(_core.end_offsets({"bootstrap.servers": self.owner.servers}, self.output_topic))

    def stop(self):
        self.owner.platform.stop(self.process, grace_s=10)


def await_true(condition, timeout_s):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.1)
