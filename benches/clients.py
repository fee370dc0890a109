"""The Python contenders of `make bench`, each in its own process: `python clients.py ROLE JSON`.

It prints one JSON object: events and seconds, and what the role measures besides.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from rtmbench import _core

WARMUP_S = 4.0
AFTER_S = 0.5
SEED = 7
KEYS = 100


def constant(options):
    """Return the keys and the payload that every other client than the core sends."""
    return [f"user_{number + 1}".encode() for number in range(KEYS)], b"x" * options["bytes"]


def python_event(index, at_us, padding):
    """Return the record of an event, bytes, as a harness in Python makes one, and its key."""
    key = f"user_{index % KEYS + 1}"
    event = {
        "event_id": f"00000000-0000-8000-8000-{index:012x}",
        "event_type": "click",
        "key": key,
        "value": index % 1000 + 1,
        "produced_at": at_us // 1000,
        "scheduled_at_us": at_us,
        "padding": padding,
    }
    return json.dumps(event).encode(), key.encode()


def padding_of(options):
    """Return what makes a record of `python_event` about as large as the core's."""
    return "x" * max(0, options["bytes"] - len(python_event(0, _core.now_us(), "")[0]))


def core_workload(options):
    return _core.Workload(SEED, keys=KEYS, payload_bytes=options["bytes"])


def core_produce(options):
    generator = _core.Generator(
        options["librdkafka"],
        options["topic"],
        core_workload(options),
        _core.Schedule.unpaced(),
        count=options["count"],
    )
    report = generator.run()
    if report.acked != options["count"]:
        raise SystemExit(f"{report.acked} of {options['count']} acknowledged: {report.errors}")
    to_us = report.start_us + round(report.seconds * 1e6)
    return {"events": report.acked, "seconds": report.seconds, "from_us": report.start_us, "to_us": to_us + 1}


def core_receive(options):
    """Receive, parse, record and spool; then read both topics again and judge them: each timed separately."""
    with tempfile.TemporaryDirectory() as directory:
        spool = Path(directory) / "spool"
        begin = time.perf_counter()
        consumer = _core.LatencyConsumer(options["librdkafka"], options["topic"], spool=spool)
        consumer.start()
        while consumer.snapshot().received < options["count"]:
            time.sleep(0.005)
        seconds = time.perf_counter() - begin
        consumer.stop()
        report = consumer.join()
        if report.malformed or report.latency.count != options["count"]:
            raise SystemExit(f"{report} of {options['count']}")
        begin = time.perf_counter()
        verdict = _core.verify(
            "transport",
            options["librdkafka"],
            input_topic=options["topic"],
            output_topic=options["topic"],
            spool=spool,
            workload=core_workload(options),
            measure=(options["from_us"], options["to_us"]),
            deadline_us=_core.now_us(),
        )
        verified = time.perf_counter() - begin
    if not verdict.correct:
        raise SystemExit(f"the oracle found {verdict.counts}")
    return {"events": options["count"], "seconds": seconds, "verify_seconds": verified}


def confluent_produce(options):
    from confluent_kafka import Producer

    producer = Producer(options["librdkafka"])
    keys, payload = constant(options)
    topic, count = options["topic"], options["count"]
    begin = time.perf_counter()
    for index in range(count):
        while True:
            try:
                producer.produce(topic, payload, keys[index % KEYS])
                break
            except BufferError:
                producer.poll(0.001)
        if index % 1000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise SystemExit("not everything was acknowledged")
    return {"events": count, "seconds": time.perf_counter() - begin}


def confluent_events(options):
    """Send what the core sends: events that are made and encoded one by one."""
    from confluent_kafka import Producer

    producer = Producer(options["librdkafka"])
    padding = padding_of(options)
    topic, count = options["topic"], options["count"]
    begin = time.perf_counter()
    for index in range(count):
        payload, key = python_event(index, _core.now_us(), padding)
        while True:
            try:
                producer.produce(topic, payload, key)
                break
            except BufferError:
                producer.poll(0.001)
        if index % 1000 == 0:
            producer.poll(0)
    if producer.flush(60):
        raise SystemExit("not everything was acknowledged")
    return {"events": count, "seconds": time.perf_counter() - begin}


def confluent_receive(options):
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({**options["librdkafka"], "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(options["topic"], number, 0) for number in range(options["partitions"])])
    received, total = 0, 0
    begin = time.perf_counter()
    while received < options["count"]:
        for message in consumer.consume(500, 0.1):
            if message.error() is None:
                total += json.loads(message.value())["scheduled_at_us"]
                received += 1
    return {"events": received, "seconds": time.perf_counter() - begin}


def kafka_python_produce(options):
    from kafka import KafkaProducer

    java = options["java"]
    producer = KafkaProducer(
        bootstrap_servers=options["librdkafka"]["bootstrap.servers"],
        acks=int(java["acks"]),
        linger_ms=int(java["linger.ms"]),
        batch_size=int(java["batch.size"]),
    )
    keys, payload = constant(options)
    begin = time.perf_counter()
    for index in range(options["count"]):
        producer.send(options["topic"], payload, keys[index % KEYS])
    producer.flush()
    return {"events": options["count"], "seconds": time.perf_counter() - begin}


class Threads:
    """CPU time and wake-ups of this process's threads, by their names, from one point in time to another."""

    TASKS = Path("/proc/self/task")

    def __init__(self, receiving):
        self.receiving = receiving
        self.began, self.before = time.perf_counter(), self._read()

    @classmethod
    def known(cls):
        """Return the threads that exist now."""
        return {path.name for path in cls.TASKS.iterdir()}

    def _read(self):
        figures = {}
        for path in self.TASKS.iterdir():
            try:
                name, scheduled, status = ((path / file).read_text() for file in ("comm", "schedstat", "status"))
            except (FileNotFoundError, ProcessLookupError):
                # It has ended since the directory was listed.
                continue
            name = name.strip()
            # librdkafka names the threads of a producer and of a consumer by the same name.
            if name.startswith("rdk:"):
                name += " (receiving)" if path.name in self.receiving else " (sending)"
            nanoseconds = int(scheduled.split()[0])
            switches = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
            cpu_s, wakes = figures.get(name, (0, 0))
            figures[name] = cpu_s + nanoseconds / 1e9, wakes + int(switches[1])
        return figures

    def shares(self):
        """Return the share of a core and the wake-ups a second of each thread."""
        seconds, after = time.perf_counter() - self.began, self._read()
        shares = {}
        for name, (cpu_s, wakes) in after.items():
            cpu_before, wakes_before = self.before.get(name, (0, 0))
            shares[f"thread cpu {name}"] = (cpu_s - cpu_before) / seconds
            shares[f"thread wakes {name}"] = (wakes - wakes_before) / seconds
        return shares


class Usage:
    """CPU seconds of this process and of the broker between two points in time."""

    def __init__(self, options):
        self.broker = psutil.Process(options["broker"])
        self.before = self._read()

    def _read(self):
        own, broker = resource.getrusage(resource.RUSAGE_SELF), self.broker.cpu_times()
        return time.perf_counter(), own.ru_utime + own.ru_stime, broker.user + broker.system

    def shares(self):
        """Return the share of one core that each took: this process, the broker."""
        seconds, own, broker = (after - before for after, before in zip(self._read(), self.before, strict=True))
        return {"cpu": own / seconds, "broker_cpu": broker / seconds}


def core_paced(options):
    """Generate and receive at a rate, as a trial does, and measure what that costs."""
    with tempfile.TemporaryDirectory() as directory:
        consumer = _core.LatencyConsumer(options["librdkafka"], options["topic"], spool=Path(directory) / "spool")
        consumer.start()
        receiving = Threads.known()
        start_us = _core.now_us() + 200_000
        measure = start_us + round(WARMUP_S * 1e6), start_us + round((WARMUP_S + options["seconds"]) * 1e6)
        generator = _core.Generator(
            options["librdkafka"],
            options["topic"],
            _core.Workload(SEED, keys=KEYS, payload_bytes=options["bytes"]),
            _core.Schedule.constant(options["rate"]),
            # It outlasts the measurement, so that its threads are still there to be looked at.
            duration_s=WARMUP_S + options["seconds"] + AFTER_S,
            start_us=start_us,
            measure=measure,
            precision=options["precision"],
        )
        generator.start()
        time.sleep(max(0.0, (measure[0] - _core.now_us()) / 1e6))
        consumer.reset_live()
        usage, threads = Usage(options), Threads(receiving)
        time.sleep(max(0.0, (measure[1] - _core.now_us()) / 1e6))
        shares, snapshot = usage.shares() | threads.shares(), consumer.snapshot()
        report = generator.join()
        consumer.stop()
        consumer.join()
    return {
        "events": report.acked,
        "seconds": report.seconds,
        **shares,
        "slip_p50_us": report.slip.percentile(50),
        "slip_p99_us": report.slip.percentile(99),
        "p50_us": snapshot.p50_us,
        "p99_us": snapshot.p99_us,
    }


def confluent_paced(options):
    """Do what a harness in Python does: the same events, rate, records and figures with confluent-kafka."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    producer = Producer(options["librdkafka"])
    consumer = Consumer({**options["librdkafka"], "group.id": "bench", "enable.auto.commit": False})
    consumer.assign([TopicPartition(options["topic"], number, 0) for number in range(options["partitions"])])
    interval_us = 1e6 / options["rate"]
    padding = padding_of(options)
    latencies, ended = [], threading.Event()

    def receive():
        while not ended.is_set():
            # A time stamp for each record, as soon as it is looked at.
            latencies.extend(
                _core.now_us() - json.loads(message.value())["scheduled_at_us"]
                for message in consumer.consume(500, 0.001)
                if message.error() is None
            )

    receiver = threading.Thread(target=receive)
    receiver.start()
    start_us = _core.now_us() + 200_000
    index, usage, count = 0, None, round(options["rate"] * (WARMUP_S + options["seconds"]))
    while index < count:
        now_us = _core.now_us()
        due = min(count, int((now_us - start_us) / interval_us) + 1)
        if usage is None and now_us >= start_us + WARMUP_S * 1e6:
            usage = Usage(options)
            latencies.clear()
        while index < due:
            payload, key = python_event(index, start_us + round(index * interval_us), padding)
            producer.produce(options["topic"], payload, key)
            index += 1
        producer.poll(0)
        time.sleep(options["wake_s"])
    shares = usage.shares()
    producer.flush(10)
    time.sleep(0.5)
    ended.set()
    receiver.join()
    latencies.sort()
    return {
        "events": count,
        "seconds": WARMUP_S + options["seconds"],
        **shares,
        "p50_us": latencies[len(latencies) // 2],
        "p99_us": latencies[len(latencies) * 99 // 100],
    }


def core_large(options):
    """Send, receive and check many events while the peak of this process's memory is watched."""
    base = {"base_mib": peak_mib()}
    sent = core_produce(options)
    base["sent_mib"] = peak_mib()
    return base | sent | core_receive(options | sent)


def peak_mib():
    """Return the most memory that this process has had so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


ROLES = {
    role.__name__: role
    for role in (
        core_produce,
        core_receive,
        core_paced,
        core_large,
        confluent_produce,
        confluent_events,
        confluent_receive,
        confluent_paced,
        kafka_python_produce,
    )
}

if __name__ == "__main__":
    print(json.dumps(ROLES[sys.argv[1]](json.loads(sys.argv[2]))))
