"""`rtmbench diff` as a user calls it, against the mock broker: equal topics, and mutants of them."""

from __future__ import annotations

import json
import random
import signal
import time
from datetime import UTC, datetime

import jsonschema
import pytest
from commandline import running
from confluent_kafka import Producer

from rtmbench import _core
from rtmbench.results import json_schema

RECORDS = 20_000
MUTANTS = 200
"""Of each kind."""
LAG_MS = 30_000
SEED = 20_261_201
BASE = ("--key", "key", "--window", "window.start", "--ignore", "written_at", "--once", "--json")


@pytest.fixture
def properties(broker, tmp_path):
    """Client properties for two topics that differ in their partitions."""
    broker.create_topic("a", partitions=4)
    broker.create_topic("b", partitions=3)
    path = tmp_path / "client.properties"
    path.write_text(f"bootstrap.servers={broker.bootstrap_servers}\nfetch.wait.max.ms=1\n", encoding="utf-8")
    return path


def compared(properties, *options, topics=("a", "b")):
    """Run the command to its end; return its exit code, what it printed, and its messages."""
    command = ("diff", *topics, "--kafka-properties", properties, *options)
    with running(*map(str, command), cwd=properties.parent) as run:
        code = run.wait(60)
        assert "Traceback" not in run.stderr
        return code, run.stdout, run.stderr


def document_of(properties, *options):
    code, out, err = compared(properties, *options)
    document = json.loads(out)
    jsonschema.validate(document, json_schema("diff-1"))
    return code, document, err


def send(config, topic, partitions, records):
    """Send records, each as its text, or None for a tombstone, and the time that Kafka keeps of it, ms."""
    producer = Producer({"bootstrap.servers": config["bootstrap.servers"], "linger.ms": 50})
    for number, (text, at_ms) in enumerate(records):
        producer.produce(topic, text, key=b"k", partition=number % partitions, timestamp=at_ms)
        if number % 10_000 == 9_999:
            producer.flush(20)
    assert producer.flush(20) == 0


class Results:
    """Windows of a job as one engine writes them, and as the other does."""

    def __init__(self) -> None:
        rng = random.Random(SEED)
        self.rng = rng
        self.start_ms = time.time_ns() // 1_000_000 - 600_000
        self.rows = [
            {
                "key": f"user_{index % 500}",
                "start_ms": 1_700_000_000_000 + index // 500 * 60_000,
                "count": rng.randrange(1, 50),
                "avg": rng.uniform(0, 1_000),
            }
            for index in range(RECORDS)
        ]

    def first(self, index):
        """Return the record of topic A."""
        row = self.rows[index]
        window = {"start": row["start_ms"], "end": row["start_ms"] + 60_000}
        record = {"key": row["key"], "window": window, "count": row["count"], "avg": row["avg"], "written_at": 1}
        return json.dumps(record), self.start_ms + index

    def second(self, index, row=None, delay_ms=None):
        """Return the record of topic B: other units, another order of fields, other spellings of numbers."""
        row = row or self.rows[index]
        delay_ms = self.rng.randrange(-2_000, 2_000) if delay_ms is None else delay_ms
        start = datetime.fromtimestamp(row["start_ms"] / 1_000, tz=UTC).isoformat()
        window = {"end": float(row["start_ms"] + 60_000), "start": start}
        record = {"avg": row["avg"], "count": float(row["count"]), "written_at": 2, "window": window, "key": row["key"]}
        return json.dumps(record, separators=(",", ":")), self.start_ms + index + delay_ms


@pytest.fixture(scope="module")
def results():
    return Results()


def identities(document, kind):
    """The indexes of the records that are shown for a kind."""
    indexes = []
    for example in document["examples"]:
        if example["kind"] == kind:
            record = json.loads((example["a"] or example["b"])["text"])
            start = record["window"]["start"]
            start_ms = start if isinstance(start, int) else datetime.fromisoformat(start).timestamp() * 1_000
            minute = round((start_ms - 1_700_000_000_000) / 60_000)
            indexes.append(minute * 500 + int(record["key"].removeprefix("user_")))
    return sorted(indexes)


def test_equal_topics_in_another_order_raise_no_alarm(config, properties, results):
    send(config, "a", 4, [results.first(index) for index in range(RECORDS)])
    order = random.Random(1).sample(range(RECORDS), RECORDS)
    send(config, "b", 3, [results.second(index) for index in order])
    for options in ((), ("--lag", "30s"), ("--last",)):
        code, document, err = document_of(properties, *BASE, *options)
        assert code == 0, err
        assert document["equal"] is True
        assert (document["matched"], document["differences"]) == (RECORDS, 0)
        assert (document["waiting"], document["undecided"], document["examples"]) == (0, 0, [])
        assert document["a"]["read"] == document["b"]["read"] == RECORDS
    apart = document["a_later_us"], document["b_later_us"]
    assert all(1_900_000 < side["max"] <= 2_001_000 and side["count"] > RECORDS / 3 for side in apart)


def test_every_mutant_is_found_and_nothing_else(config, properties, results):
    rng = random.Random(2)
    chosen = rng.sample(range(RECORDS), 5 * MUTANTS)
    dropped, altered, late, doubled, swapped = (sorted(chosen[n::5]) for n in range(5))
    rows = {}
    for number, index in enumerate(altered):
        row = results.rows[index]
        change = {"count": row["count"] + 1} if number % 2 else {"avg": row["avg"] * (1 + 1e-12)}
        rows[index] = row | change
    for one, other in zip(swapped[::2], swapped[1::2], strict=True):
        identity = ("key", "start_ms")
        rows[one] = results.rows[other] | {name: results.rows[one][name] for name in identity}
        rows[other] = results.rows[one] | {name: results.rows[other][name] for name in identity}
    gone, slow = set(dropped), set(late)
    second = [
        results.second(index, rows.get(index), LAG_MS + 1 + rng.randrange(9_000) if index in slow else None)
        for index in rng.sample(range(RECORDS), RECORDS)
        if index not in gone
    ]
    # Within the lag, so that they differ in their number alone.
    second += [results.second(index) for index in doubled]
    send(config, "a", 4, [results.first(index) for index in range(RECORDS)])
    send(config, "b", 3, second)
    code, document, err = document_of(properties, *BASE, "--lag", f"{LAG_MS // 1_000}s", "--examples", 1_000)
    assert code == 5, err
    assert "a and b differ: 1,000 differences" in err
    assert document["equal"] is False
    assert document["differences"] == 5 * MUTANTS
    assert (document["different"], document["late"]) == (2 * MUTANTS, MUTANTS)
    assert (document["a"]["missing"], document["b"]["missing"]) == (0, MUTANTS)
    assert (document["a"]["duplicates"], document["b"]["duplicates"]) == (0, MUTANTS)
    assert identities(document, "different") == sorted(altered + swapped)
    assert identities(document, "late") == late
    assert identities(document, "missing_in_b") == dropped
    assert identities(document, "duplicate_in_b") == doubled


def test_averages_are_compared_to_the_digits_that_are_given(config, properties, results):
    send(config, "a", 4, [results.first(index) for index in range(1_000)])
    near = [row | {"avg": row["avg"] * (1 + 3e-16)} for row in results.rows[:1_000]]
    send(config, "b", 3, [results.second(index, near[index]) for index in range(1_000)])
    code, document, _ = document_of(properties, *BASE)
    assert code == 5
    assert document["different"] > 100
    assert document_of(properties, *BASE, "--digits", 12)[0] == 0


def test_only_the_last_of_the_updates_counts(config, properties):
    now_ms = time.time_ns() // 1_000_000 - 60_000

    def updates(counts):
        return [(json.dumps({"key": f"k{key}", "n": n}), now_ms + n) for n in counts for key in range(100)]

    send(config, "a", 1, updates([1, 2, 3, 4, 5]))
    send(config, "b", 1, updates([2, 5]))
    options = ("--key", "key", "--once", "--json")
    code, document, err = document_of(properties, *options, "--last")
    assert (code, document["matched"]) == (0, 100), err
    code, document, _ = document_of(properties, *options)
    assert (code, document["matched"], document["b"]["missing"]) == (5, 200, 300)
    send(config, "b", 1, [(json.dumps({"key": "k7", "n": 6}), now_ms + 6)])
    code, document, _ = document_of(properties, *options, "--last")
    assert (code, document["matched"], document["different"]) == (5, 99, 1)


def test_a_comparison_continues_from_its_state(config, properties):
    state = properties.parent / "state.json"
    at_ms = time.time_ns() // 1_000_000 - 60_000
    records = [(json.dumps({"key": key}), at_ms) for key in range(100)]
    send(config, "a", 4, records)
    send(config, "b", 3, records[:90])
    options = ("--key", "key", "--from-beginning", "--lag", "5s", "--duration", "3s", "--state", state, "--json")
    code, document, err = document_of(properties, *options)
    assert code == 5, err
    assert (document["matched"], document["b"]["missing"], document["resumed"]) == (90, 10, False)
    # What was missing comes, too late.
    send(config, "b", 3, [(text, at_ms + 6_000) for text, _ in records[90:]])
    code, document, err = document_of(properties, *options)
    assert code == 5, err
    assert (document["matched"], document["late"], document["b"]["missing"]) == (100, 10, 0)
    assert (document["a"]["read"], document["b"]["read"], document["resumed"]) == (100, 100, True)
    assert document["b_later_us"]["max"] == pytest.approx(6_000_000, rel=0.001)
    code, _, err = compared(properties, *options, "--ignore", "other")
    assert code == 2
    assert "holds the state of another comparison" in err
    assert "delete it to start anew" in err


def test_an_interrupt_ends_with_the_report(config, properties):
    load = {"key": ("event_id",), "ignore": ("produced_at", "scheduled_at_us")}
    options = [part for name, fields in load.items() for part in (f"--{name}", ",".join(fields))]
    command = ("diff", "a", "b", "--kafka-properties", str(properties), *options, "--json")
    # What both hold already, and only one does, is not compared.
    send(config, "a", 4, [("{}", 0)] * 10)
    with running(*command, cwd=properties.parent) as run:
        run.wait_for("comparing a and b")
        for topic in ("a", "b"):
            _core.Generator(config, topic, _core.Workload(1), _core.Schedule.constant(2_000), count=500).run()
        time.sleep(1)
        run.send(signal.SIGINT)
        assert run.wait(20) == 130, run.stderr
    document = json.loads(run.stdout)
    jsonschema.validate(document, json_schema("diff-1"))
    assert (document["equal"], document["matched"], document["differences"]) == (True, 500, 0)
    assert document["a"]["created"] == 500


def test_people_see_the_records_that_differ(config, properties):
    at_ms = 1_700_000_000_123
    send(config, "a", 1, [('{"key": 1, "n": 5}', at_ms), ('{"key": 2, "n": 6}', at_ms)])
    send(config, "b", 1, [('{"key": 1, "n": 7}', at_ms + 250)])
    code, out, err = compared(properties, "--key", "key", "--once")
    assert code == 5
    assert out.splitlines()[0].startswith("a (2 records) and b (1 records): 0 equal, 2 differences, ")
    assert out.splitlines()[1:] == [
        "  different       1",
        "  missing in b    1",
        "different:",
        '  a partition 0 offset 0, 2023-11-14T22:13:20.123+00:00: {"key": 1, "n": 5}',
        '  b partition 0 offset 0, 2023-11-14T22:13:20.373+00:00: {"key": 1, "n": 7}',
        "missing in b:",
        '  a partition 0 offset 1, 2023-11-14T22:13:20.123+00:00: {"key": 2, "n": 6}',
    ]
    assert "are the producer's (CreateTime)" in err
    assert "rtmbench: a and b differ: 2 differences" in err


def test_a_record_that_cannot_be_compared_proves_nothing(config, properties):
    at_ms = time.time_ns() // 1_000_000 - 60_000
    send(config, "a", 1, [('{"key": 1}', at_ms), ("no JSON", at_ms)])
    send(config, "b", 1, [('{"key": 1}', at_ms), ('{"other": 1}', at_ms)])
    code, document, err = document_of(properties, "--key", "key", "--once", "--json")
    assert code == 1
    assert (document["equal"], document["matched"], document["differences"]) == (None, 1, 0)
    assert (document["a"]["malformed"], document["b"]["malformed"]) == (1, 1)
    assert "1 record of a could not be compared" in err
    assert "the record has no field `key`" in document["b"]["malformed_samples"][0]


def test_nothing_compared_is_no_success(properties):
    code, document, err = document_of(properties, "--key", "key", "--once", "--json")
    assert (code, document["equal"]) == (1, None)
    assert "Nothing was compared" in err


def test_too_little_memory_is_an_error_and_no_result(config, properties):
    now_ms = time.time_ns() // 1_000_000
    send(config, "a", 4, [(json.dumps({"key": key}), now_ms) for key in range(9_000)])
    code, out, err = compared(properties, "--key", "key", "--once", "--memory", 1)
    assert (code, out) == (1, "")
    assert "4096 records wait for a counterpart" in err


@pytest.mark.parametrize(
    ("options", "topics", "code", "message"),
    [
        (("--once",), ("a", "b"), 2, "--key"),
        (("--key", "k"), ("a", "a"), 2, "topic a is named twice"),
        (("--key", "k"), ("a", "missing"), 1, "missing"),
        (("--key", "k", "--ignore", "k"), ("a", "b"), 2, "`k` is named twice"),
        (("--key", "k", "--digits", "16"), ("a", "b"), 2, "--digits"),
        (("--key", "k", "--once", "--state", "s.json"), ("a", "b"), 2, "needs no state"),
        (("--key", "k", "--lag", "soon"), ("a", "b"), 2, "not a duration"),
        (("--key", "k", "--metrics", "9464"), ("a", "b"), 2, "HOST:PORT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_bad_request_is_answered(options, topics, code, message, properties):
    actual, out, err = compared(properties, *options, topics=topics)
    assert (actual, out) == (code, "")
    assert message in err
