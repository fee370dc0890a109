"""A template from records: what it keeps of them, and that it has none of their values."""

from __future__ import annotations

import json
import random
import re
import uuid

import pytest

from rtmbench import _core
from rtmbench.custom_jobs.payload import of_template
from rtmbench.custom_jobs.topic_template import topic_template
from rtmbench.errors import ConfigurationError

AT_MS = 1_764_000_000_000
COUNTRIES = ("Norway", "Peru", "Chad")


def records(number=1_000, customers=40, partitions=4):
    """Orders as a shop has them, a hundred a second, with what nobody may see."""
    rng = random.Random(5)
    made = []
    for index in range(number):
        at_ms = AT_MS + index * 10
        # A few customers order often.
        customer = f"customer-{int(customers * rng.random() ** 2)}"
        value = {
            "id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "number": 70_000_000 + index,
            "reference": f"Order of Ann {index:05d}",
            "customer": customer,
            "born": f"19{index % 60 + 30}-05-17",
            "country": COUNTRIES[index % 3],
            "amount": round(rng.uniform(10, 999), 2),
            "discount": -5,
            "paid": index % 2 == 0,
            "note": None,
            "lines": [{"sku": f"AB-{rng.randrange(1_000)}", "pieces": rng.randrange(1, 9)} for _ in range(index % 4)],
            "meta": {"created": at_ms - 40, "since": "2024-02-03T16:00:00.123Z"},
            "by_mail": {f"ann{index}@example.com": 1},
        }
        made.append((index % partitions, index // partitions, customer.encode(), json.dumps(value).encode(), at_ms))
    return made


@pytest.fixture
def made(tmp_path):
    """A template, its file as `--template` takes it, and the first events that are made of it."""
    result = topic_template("orders", records(), keep=("country", "absent"))
    path = tmp_path / "template.jsonl"
    path.write_text("".join(f"{line}\n" for line in result.lines), encoding="utf-8")
    payload = of_template(path)
    workload = payload.workload(1, 100, None)
    events = [json.loads(workload.event(index, AT_MS * 1_000)) for index in range(2_000)]
    return result, payload, events


def test_shapes_sizes_and_kinds_stay(made):
    result, payload, events = made
    assert payload.field == "meta.created"
    originals = [json.loads(value) for _, _, _, value, _ in records()]
    for original, event in zip(originals, events, strict=False):
        assert list(event)[:-1] == list(original)[:-1]
        assert {name: type(value) for name, value in event.items()} == {
            name: type(value) for name, value in original.items()
        }
        assert [list(line) for line in event["lines"]] == [list(line) for line in original["lines"]]
        assert event["discount"] in range(-9, 0)
        assert len(str(int(event["amount"]))) == len(str(int(original["amount"])))
        assert (event["paid"], event["note"], event["country"]) == (original["paid"], None, original["country"])
        assert event["born"] == "2001-01-01"
        assert event["meta"] == {"created": AT_MS, "since": "2001-01-01T00:00:00.000Z"}
    sizes = [len(json.dumps(each, separators=(", ", ": "))) for each in (*originals, *events[:1_000])]
    assert sum(sizes[1_000:]) == pytest.approx(sum(sizes[:1_000]), rel=0.06)
    assert (result.records, result.skipped, len(result.lines)) == (1_000, 0, 1_000)
    assert result.times == {"meta.created": "epoch ms"}
    assert result.unknown_fields == ("absent",)


def test_no_value_is_kept_that_was_not_named(made):
    result, _, _ = made
    text = "\n".join(result.lines)
    assert not re.search(r"Ann|ann\d|example|customer-|AB-|1[89]\d\d-05|2024-02-03", text)
    assert not [value for _, _, key, value, _ in records() if json.loads(value)["id"] in text or key.decode() in text]
    assert not re.search(r"\b70000\d\d\d\b", text)
    assert "Norway" in text


def test_what_no_two_records_share_no_two_events_share(made):
    _, _, events = made
    for name in ("id", "number", "reference"):
        assert len({event[name] for event in events}) == len(events), name


def test_keys_are_as_frequent_and_stand_in_their_field(made):
    result, payload, events = made
    assert (result.keys, result.keys_estimated) == (40, False)
    original = sorted((sum(1 for r in records() if r[2] == key) for key in {r[2] for r in records()}), reverse=True)
    keys = [key for key, _ in payload.texts]
    assert sorted((keys.count(key) for key in set(keys)), reverse=True) == original
    assert [key.decode() for key in keys] == [event["customer"] for event in events[:1_000]]
    assert keys.count(b"key_0") == original[0]


def test_of_many_keys_the_number_is_estimated(tmp_path):
    rng = random.Random(3)
    many = [
        (
            0,
            index,
            str(customer).encode(),
            json.dumps({"customer": customer, "at": AT_MS + index}).encode(),
            AT_MS + index,
        )
        for index, customer in enumerate(rng.randrange(5_000) for _ in range(1_000))
    ]
    result = topic_template("orders", many)
    assert result.keys_estimated
    assert result.keys == pytest.approx(5_000, rel=0.3)
    path = tmp_path / "template.jsonl"
    path.write_text("\n".join(result.lines), encoding="utf-8")
    assert {key for key, _ in of_template(path).texts} == {None}


def test_the_rate_is_that_of_all_partitions():
    assert topic_template("orders", records()).rate == pytest.approx(100, rel=0.02)
    at_once = [(*record[:4], AT_MS) for record in records()]
    assert topic_template("orders", at_once).rate is None


@pytest.mark.parametrize(
    ("at", "unit", "placeholder"),
    [
        (AT_MS // 1_000, "epoch s", "{{scheduled_at_s}}"),
        (AT_MS * 1_000, "epoch µs", "{{scheduled_at_us}}"),
        (AT_MS * 1_000_000, "epoch ns", "{{scheduled_at_ns}}"),
        (str(AT_MS), "epoch ms", '"{{scheduled_at_ms}}"'),
        ("2025-11-24T16:00:00.000Z", "ISO 8601", '"{{scheduled_at_iso}}"'),
    ],
)
def test_a_time_keeps_its_unit(at, unit, placeholder):
    result = topic_template("orders", [(0, 0, None, json.dumps({"at": at}).encode(), AT_MS)])
    assert result.times == {"at": unit}
    assert result.lines == (f'{{"at":{placeholder}}}',)
    assert (result.keys, result.rate) == (None, None)


def test_braces_and_line_separators_of_a_record_are_those_of_no_template(tmp_path):
    value = {"at": AT_MS, "kept": "{{i}}\u2028", "{{odd}}": 1}
    some = [
        (0, n, None, text, AT_MS)
        for n, text in enumerate([json.dumps(value).encode(), None, b"\x00\x01", b'{"at": NaN}'])
    ]
    result = topic_template("orders", some, keep=["kept"])
    assert (result.records, result.skipped) == (4, 3)
    event = json.loads(_core.Workload(1, templates=[(None, result.lines[0])]).event(0, AT_MS * 1_000))
    assert event["kept"] == "{{i}}\u2028"
    assert "{{odd}}" in event
    path = tmp_path / "template.jsonl"
    path.write_text(f"{result.lines[0]}\n" * 2, encoding="utf-8")
    assert len(of_template(path).texts) == 2


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\x00\x00\x00\x00\x01avro", "none is a JSON object"),
        (b'{"n": 1}', "No field of the records in orders is a time"),
    ],
)
def test_records_without_a_template_are_an_error(value, message):
    with pytest.raises(ConfigurationError, match=message):
        topic_template("orders", [(0, 0, None, value, AT_MS)])
