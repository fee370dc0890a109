from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import math

import jsonschema
import pytest
from places import DATA, ROOT
from results_builder import cell, latency, result, scenarios, trial

from rtmbench.errors import ConfigurationError
from rtmbench.results import Backlog, Latency, Result, Status, json_schema
from rtmbench.results.model import (
    Attribution,
    CloseLatency,
    Coincidence,
    EngineFacts,
    EngineSettings,
    Grid,
    Interruption,
    NoiseBand,
    Offence,
    RatePoint,
    Sustained,
    TargetOutcome,
    Timeline,
)

RECORDED = DATA / "result-2.json"
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def full_result():
    """A document in which every optional field is present."""
    whole = trial(
        close_latency_us=CloseLatency.measured(count=40, minimum=1, maximum=9, quantile=lambda q: int(9 * q)),
        stall_max_us=230_000,
        backlog=Backlog(start=2, end=4, slope=0.1, slope_upper=0.4),
        offending=[Offence(kind="wrong", partition=0, offset=7, detail="count 3 of 4", record="{}")],
        files={"hlog": "flink-1.hlog"},
        timeline=Timeline(from_us=1, count=[3], p50_us=[900], p99_us=[1_000], max_us=[1_200], backlog=[-1]),
        interruptions=[Interruption(kind="gc_pause", source="kafka", at_ms=-3.5, duration_ms=12.0)],
        attribution=Attribution(
            tail_samples=1,
            coincidences=[
                Coincidence(kind="gc_pause", source="kafka", count=1, total_ms=12, time_share=0.01, tail_share=1.0)
            ],
            unexplained=0.0,
        ),
    )
    found = result(
        cell("flink@1.20", [whole], facts=EngineFacts(settings=EngineSettings(buffer_wait_ms=1), details={"any": [1]})),
        cell("spark@4.1"),
    )
    decided = dataclasses.replace(
        found.comparisons[0],
        pairs=6,
        interval=[0.9, 1.2],
        interval_p50=[1.1, 1.3],
        verdict="no difference shown",
        verdict_p50="slower",
        noise_band=NoiseBand(p50=1.02, p99=1.1, measured=True),
    )
    point = RatePoint(rate=1_000.0, run_id=found.run_id, passed=True, reason="", p50_us=2_100, p99_us=7_770)
    return dataclasses.replace(
        found,
        comparisons=[decided],
        slo=[TargetOutcome(target="p99<1s", cell="spark@4.1", outcome="met", detail="trial 1 7.77 ms")],
        grid=Grid(axes={"rate": [1_000.0, 2_000.0]}, point={"rate": 1_000.0}),
        sustained=[
            Sustained(cell="spark@4.1", passed=1_000.0, failed=None, quick=True, limit="the harness", points=[point])
        ],
    )


@pytest.fixture
def document():
    return scenarios()["unsustained"].to_dict()


def problems(document):
    return [error.message for error in VALIDATOR.iter_errors(document)]


def test_the_schema_is_itself_sound():
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", [*scenarios(), "full"])
def test_documents_satisfy_the_schema_and_come_back_equal(name):
    found = full_result() if name == "full" else scenarios()[name]
    text = found.to_json()
    assert problems(json.loads(text)) == []
    assert Result.from_dict(json.loads(text)) == found
    assert next(iter(json.loads(text))) == "schema"


def test_a_recorded_document_is_still_read():
    # Later versions of this major version must go on reading it.
    text = RECORDED.read_text("utf-8")
    found = Result.from_dict(json.loads(text))
    assert problems(json.loads(text)) == []
    assert found.cells[0].headline.p99_us == 7_770
    assert found.cells[1].trials[0].latency_us.is_lower_bound("p99")


def test_the_published_schemas_are_those_of_the_model():
    spec = importlib.util.spec_from_file_location("result_schema", ROOT / "tools" / "result_schema.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for path, text in tool.files().items():
        assert path.read_text("utf-8") == text, "run tools/result_schema.py"


def set_at(document, path, value):
    changed = copy.deepcopy(document)
    *parents, last = path
    target = changed
    for key in parents:
        target = target[key]
    target[last] = value
    return changed


TRIAL = ("cells", 1, "trials", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("surprise",), 1),
        ((*TRIAL, "surprise"), 1),
        (("host", "memory"), "24 GB"),
        ((*TRIAL, "status"), "fine"),
        ((*TRIAL, "valid"), True),
        ((*TRIAL, "reasons"), []),
        ((*TRIAL, "latency_us", "censored_percentiles"), []),
        ((*TRIAL, "latency_us", "censored_percentiles"), ["p99"]),
        ((*TRIAL, "latency_us", "p50"), None),
        ((*TRIAL, "counts", "missing"), -1),
        (("cells", 0, "trials", 0, "latency_us", "censored"), 1),
        (("cells", 0, "trials", 0, "counts", "wrong"), 1),
        (("cells", 0, "trials", 0, "latency_us"), None),
        (("cells", 1, "refusal"), {"code": "A", "message": "b"}),
        (("cells", 1, "status"), "refused"),
        (("comparisons", 0, "verdict"), "faster"),
        (("comparisons", 0, "interval"), [0.9, 1.1]),
        (("comparisons", 0, "verdict_p50"), "faster"),
        (("slo",), [{"target": "p99<1s", "cell": "a", "outcome": "perhaps", "detail": ""}]),
        (("grid",), {"axes": {"rate": []}, "point": {}}),
        (("created_at",), "yesterday"),
    ],
)
def test_the_schema_refuses(document, path, value):
    assert problems(document) == []
    assert problems(set_at(document, path, value)) != []


@pytest.mark.parametrize("status", [Status.FAILED, Status.REFUSED, Status.VOID])
def test_no_figure_stands_beside_a_failure(status):
    bad = result(cell("spark@4.1", [trial(1, status, ["why"], latency_us=latency())]))
    assert problems(bad.to_dict()) != []


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        ("rtmbench.result/1", "rtmbench.result/2"),
        ("other/1", "not an rtmbench result"),
        (None, "not an rtmbench result"),
        (7, "not an rtmbench result"),
    ],
)
def test_an_unknown_schema_is_refused_by_name(document, schema, word):
    with pytest.raises(ConfigurationError, match=word):
        Result.from_dict({**document, "schema": schema}, source="a.json")


@pytest.mark.parametrize("foreign", [None, [], "text", 3])
def test_what_is_no_object_is_refused(foreign):
    with pytest.raises(ConfigurationError, match="not an rtmbench result"):
        Result.from_dict(foreign)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("cells", 0, "trials", 0, "latency_us", "p99"), "7", r"a\.json\.cells\[0\]\.trials\[0\]\.latency_us"),
        (("cells", 0, "status"), "good", r"a\.json\.cells\[0\]\.status: Invalid enum value 'good'"),
        (("cells",), {}, r"a\.json\.cells: Expected `array`, got `object`"),
        (("host",), [], r"a\.json\.host: Expected `object`, got `array`"),
        (("complete",), 1, r"a\.json\.complete: Expected `bool`, got `int`"),
        (("host", "cores"), True, r"a\.json\.host\.cores: Expected `int`, got `bool`"),
        (("host", "cores"), 0, r"a\.json\.host\.cores: Expected `int` >= 1"),
        (("cells", 0, "trials", 0, "stall_share"), 1.5, r"stall_share: Expected `float` <= 1"),
        (("comparisons", 0, "verdict"), "quicker", r"verdict: Invalid enum value 'quicker'"),
    ],
)
def test_a_damaged_field_is_named(document, path, value, where):
    with pytest.raises(ConfigurationError, match=where):
        Result.from_dict(set_at(document, path, value), source="a.json")


def test_a_missing_field_is_named(document):
    del document["cells"][0]["trials"][0]["rate"]
    with pytest.raises(ConfigurationError, match=r"a.json.cells\[0\].trials\[0\]: .*missing required field `rate`"):
        Result.from_dict(document, source="a.json")


def test_a_field_of_a_later_minor_version_is_ignored(document):
    found = Result.from_dict(document)
    document["cells"][0]["later"] = {"any": "thing"}
    assert Result.from_dict(document) == found


def test_absent_and_null_are_told_apart():
    document = result(cell("f", [trial(1, Status.FAILED, ["crash"], counts=None)])).to_dict()
    found = document["cells"][0]["trials"][0]
    assert found["latency_us"] is None
    assert found["counts"] is None
    assert "close_latency_us" not in found
    assert "headline" not in document["cells"][0]


def test_a_figure_that_is_no_number_is_null():
    found = result(cell("f", [trial(stall_share=math.nan, seconds=math.inf)])).to_dict()
    assert found["cells"][0]["trials"][0]["stall_share"] is None
    assert found["cells"][0]["trials"][0]["seconds"] is None


def test_hostile_text_survives_the_way_to_json_and_back():
    text = "\x1b[31m\ud800 <script> \u202e ../ " + "x" * 10_000
    found = result(cell("f", [trial(1, Status.FAILED, [text])]))
    read = Result.from_dict(json.loads(found.to_json().encode("utf-8")))
    assert read.cells[0].trials[0].reasons == [text]


def test_latency_is_read_from_a_histogram_with_its_lower_bounds():
    samples = [*range(1, 98), 1_000, 1_000, 1_000]
    found = Latency.measured(
        count=100,
        minimum=1,
        maximum=1_000,
        quantile=lambda q: samples[math.ceil(q * 100) - 1],
        censored=3,
        reaches_censored=lambda q: q > 0.97,
    )
    assert (found.p50, found.p95, found.p99) == (50, 95, 1_000)
    assert found.censored_percentiles == ["p99", "p99_9", "max"]
    assert found.is_lower_bound("p99")
    assert not found.is_lower_bound("p95")


def test_without_censored_samples_nothing_is_a_lower_bound():
    found = Latency.measured(count=1, minimum=5, maximum=5, quantile=lambda _: 5, reaches_censored=lambda _: True)
    assert found.censored_percentiles == []


def test_few_windows_have_a_median_and_nothing_else():
    few = CloseLatency.measured(count=29, minimum=1, maximum=9, quantile=lambda q: int(10 * q))
    assert few == CloseLatency(count=29, p50=5)
    enough = CloseLatency.measured(count=30, minimum=1, maximum=9, quantile=lambda q: int(1000 * q))
    assert (enough.min, enough.p50, enough.p99, enough.max) == (1, 500, 990, 9)
    document = full_result().to_dict()
    found = document["cells"][0]["trials"][0]["close_latency_us"]
    found["count"] = 3
    assert problems(document) != []
