"""Custom jobs: what is given, what is sent, and how outputs are judged. No JVM: a relay stands for a job."""

from __future__ import annotations

import functools
import itertools
import json
import re
import sys
import threading
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import jsonschema
import mock_runs
import pytest
import results_builder as build
from click.testing import CliRunner
from confluent_kafka import Consumer, Producer, TopicPartition
from machines import MACHINE

import rtmbench
from rtmbench import _core
from rtmbench.cli.run import run as run_command
from rtmbench.custom_jobs import payload as payloads
from rtmbench.custom_jobs.model import custom_job
from rtmbench.custom_jobs.oracle import Record, oracle_of
from rtmbench.engines import BRACKETS, choose, spec_name
from rtmbench.engines.base import EngineRefusedError, PlainEngine
from rtmbench.errors import ConfigurationError, RunFailedError
from rtmbench.experiment import pattern_run, runner
from rtmbench.experiment.options import Options
from rtmbench.experiment.runner import exit_code
from rtmbench.experiment.settings import RunRequest
from rtmbench.experiment.settings import resolve as resolved
from rtmbench.experiment.trial_plan import TimeLimits
from rtmbench.report import sections, terminal
from rtmbench.results.model import EngineFacts, EngineSettings, Outputs, Result, json_schema
from rtmbench.results.status import Observation, classify

if TYPE_CHECKING:
    from pathlib import Path

QUICK = TimeLimits(stamp_s=0.3, quiet_cycles=0.1)
SHORT = {**mock_runs.SHORT, "arrivals": "constant"}
run = functools.partial(runner.run, limits=QUICK)
ORDER = '{"order":{{i}},"who":"{{key}}","meta":{"at":{{scheduled_at_us}}}}'


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A directory of the user's, with a job for each engine."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.py").write_text("")
    jar(tmp_path / "job.jar", "Main-Class: com.example.Job\n", "com/example/Job.class")
    (tmp_path / "order.json").write_text(ORDER + "\n")
    return tmp_path


def jar(path: Path, manifest: str, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\n{manifest}\n")
        for name in names:
            archive.writestr(name, b"")
    return path


# What is given


@pytest.mark.usefixtures("files")
def test_a_template_is_read_and_its_time_stamp_found():
    payload = payloads.of_template("order.json")
    assert (payload.label, payload.field) == ("template order.json", "meta.at")
    event = json.loads(payload.workload(1, 10, None).event(7, 1_700_000_000_123_456))
    assert event["order"] == 7
    assert event["who"].startswith("user_")
    assert event["meta"] == {"at": 1_700_000_000_123_456}


def test_the_finest_time_stamp_counts():
    both = {"ms": "{{scheduled_at_ms}}", "iso": "{{scheduled_at_iso}}", "i": "{{i}}"}
    assert payloads.of_template(both).field == "iso"
    assert payloads.of_template({**both, "us": "{{scheduled_at_us}}"}).field == "us"
    # In a file numbers may stand between quotes, where they are text and no time stamp.
    with pytest.raises(ConfigurationError, match="has no time stamp"):
        payloads.of_template({"us": "at {{scheduled_at_us}}"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a":{{scheduled_at_us}}', "is not a JSON object after the placeholders are filled in"),
        ('{"a":{{now}}}', "there is no placeholder {{now}}; there are: i, event_id"),
        ('{"a":{{scheduled_at_us}', "does not end"),
        ("[{{scheduled_at_us}}]", "is not a JSON object, but"),
        ('{"a":1}', "has no time stamp"),
        ('{"a":[{{scheduled_at_us}}]}', "has no time stamp"),
    ],
)
def test_a_bad_template_says_why(files, text, said):
    (files / "bad.json").write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        payloads.of_template("bad.json")
    assert said in str(raised.value)


def test_events_of_a_function_go_round_with_new_time_stamps(files):
    (files / "made.py").write_text(
        "def orders():\n"
        "    for n in range(3):\n"
        "        yield f'k{n}', {'n': n, 'i': '{{i}}', 'at': '{{scheduled_at_ms}}'}\n"
    )
    payload = payloads.of_events("made.py:orders")
    assert (payload.label, payload.field) == ("events made.py:orders (3)", "at")
    assert "repeatedly" in payload.note
    workload = payload.workload(1, 10, None)
    assert json.loads(workload.event(4, 1_700_000_000_123_456)) == {"n": 1, "i": 4, "at": 1_700_000_000_123}
    assert payload.digest
    assert payload.digest != payloads.of_template("order.json").digest


def test_an_endless_function_is_cut(monkeypatch):
    monkeypatch.setattr(payloads, "MAX_EVENTS", 5)
    found = payloads.of_events(lambda: ({"n": n, "at": "{{scheduled_at_us}}"} for n in itertools.count()))
    assert len(found.texts) == 5


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("return []", "returned no event"),
        ("return [3]", "Event 0 of made.py:made is 3"),
        ("return [{'at': 1}]", "has no time stamp"),
        ("return [{'at': '{{scheduled_at_us}}'}, {'at': 1}]", "Event 1 of made.py:made has no time stamp in `at`"),
        ("return [{'at': '{{scheduled_at_us}}', 'x': {1}}]", "cannot be written as JSON"),
        ("raise KeyError('price')", "KeyError: 'price' (made.py, line 2)"),
    ],
)
def test_bad_events_say_why(files, source, said):
    (files / "made.py").write_text(f"def made():\n    {source}\n")
    with pytest.raises(ConfigurationError) as raised:
        payloads.of_events("made.py:made")
    assert said in str(raised.value)


def test_a_function_is_found_or_told(files):
    (files / "beside.py").write_text("LIMIT = 3\n")
    (files / "check.py").write_text("import beside\ndef check(i, o):\n    return str(beside.LIMIT)\nx = 3\n")
    (files / "broken.py").write_text("1 / 0\n")
    assert oracle_of("check.py:check").function([], []) == "3"
    assert oracle_of("check.py:check").name == "check.py:check"
    assert str(files) not in sys.path
    for reference, said in (
        ("check.py", "give FILE.py:FUNCTION"),
        ("none.py:check", "which is not a file"),
        ("check.py:x", "defines no function 'x'"),
        ("broken.py:check", "ZeroDivisionError: division by zero (broken.py, line 1)"),
    ):
        with pytest.raises(ConfigurationError) as raised:
            oracle_of(reference)
        assert said in str(raised.value)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("requested", "said"),
    [
        ({}, "No job to measure"),
        ({"spark_job": "none.py"}, "--spark-job is none.py, but there is no file"),
        ({"flink_jar": "job.py"}, "--flink-jar is job.py, which is not a .jar file"),
        ({"spark_job": "job.py", "flink_class": "A"}, "go with --flink-jar"),
        ({"spark_job": "job.py", "template": "order.json", "events": "a.py:b"}, "exclude each other"),
        ({"spark_job": "job.py", "first_output_s": 0}, "out of range"),
        ({"spark_job": "job.py", "input": "t", "output": "t"}, "read what it writes"),
        ({"spark_job": "job.py", "input": "a b"}, "not a valid topic name"),
        ({"spark_job": "job.py", "timestamp_field": "a..b"}, "is not a field"),
        ({"spark_job": "job.py", "template": "none.json"}, "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_started(requested, said):
    with pytest.raises(ConfigurationError) as raised:
        custom_job(**requested)
    assert said in str(raised.value)


def test_a_jar_needs_a_main_class(files):
    job = custom_job(flink_jar="job.jar")
    job.main_class()
    replace(job, flink_class="com.example.Job").main_class()
    with pytest.raises(RunFailedError, match=r"no class com\.example\.Other.*--flink-class"):
        replace(job, flink_class="com.example.Other").main_class()
    nameless = jar(files / "nameless.jar", "", "com/example/Job.class")
    with pytest.raises(RunFailedError, match=r"names no main class.*--flink-class"):
        custom_job(flink_jar=nameless).main_class()
    (files / "text.jar").write_text("no jar")
    with pytest.raises(RunFailedError, match="cannot be read as a jar"):
        custom_job(flink_jar="text.jar").main_class()


@pytest.mark.usefixtures("files")
def test_a_job_runs_on_the_engines_that_it_was_given_for():
    job = custom_job(spark_job="job.py")
    found = resolved(RunRequest(patterns=(), job=job), MACHINE)
    assert [str(spec) for spec in found.specs] == ["spark@4.1"]
    assert "flink@1.20 is left out: it has no job" in found.notes
    (pattern,) = found.patterns
    assert [spec_name(spec, pattern) for spec in found.cells(pattern)] == ["spark@4.1"]
    assert choose(found.specs[0], pattern).emit == "output"
    several = resolved(RunRequest(patterns=(), engines=("spark@4.3", "relay"), job=job, partitions=4), MACHINE)
    need, _ = several.required_slots(several.specs[0], several.patterns[0])
    assert need == 4 + several.shuffle_partitions
    with pytest.raises(ConfigurationError, match="but has no job: give --flink-jar"):
        resolved(RunRequest(patterns=(), engines=("flink@2.2",), job=job), MACHINE)
    with pytest.raises(ConfigurationError, match="a custom job sets its mode itself"):
        resolved(RunRequest(patterns=(), engines=("spark@4.1:rtm",), job=job), MACHINE)
    with pytest.raises(ConfigurationError, match="name one or the other"):
        resolved(RunRequest(patterns=("01",), job=job), MACHINE)
    checked = custom_job(spark_job="job.py", oracle=lambda _inputs, _outputs: None)
    # The oracle can be shown 2 million records: a warm-up of 140 s, not of up to 6 minutes.
    assert resolved(RunRequest(patterns=(), job=checked, rate=10_000), MACHINE).warmup_s == 140
    with pytest.raises(ConfigurationError, match="about 4,000,000 input records"):
        resolved(RunRequest(patterns=(), job=checked, rate=50_000), MACHINE)
    with pytest.raises(ConfigurationError, match="about 3,600,000 input records"):
        resolved(RunRequest(patterns=(), job=checked, rate=10_000, warmup_s=300.0), MACHINE)
    with pytest.raises(ConfigurationError, match="--payload pads"):
        resolved(
            RunRequest(patterns=(), job=custom_job(spark_job="job.py", template="order.json"), payload_bytes=512),
            MACHINE,
        )


def test_the_document_names_files_and_no_path(files):
    job = custom_job(spark_job="job.py", flink_jar="job.jar", template="order.json", oracle=lambda _i, _o: None)
    settings = resolved(RunRequest(patterns=(), job=job), MACHINE).document()
    assert settings["job"]["spark_job"] == "job.py"
    assert settings["job"]["payload"] == "template order.json"
    assert str(files) not in json.dumps(settings)
    assert job.versions()["flink job"].startswith("job.jar sha256:")


def test_options_that_need_to_know_the_output_are_refused():
    for options, said in ((Options(find_rate=True), "--find-rate"), (Options(resume="x"), "--resume")):
        with pytest.raises(ConfigurationError, match=said):
            options.check(custom_job=True)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--timestamp-field", "at"], "--timestamp-field requires a custom job"),
        (["01", "--spark-job", "job.py"], "Name one or more PATTERNs"),
        (["--spark-job", "job.py", "--resume", "x"], "Name one or more PATTERNs"),
        (["--flink-jar", "job.jar", "--flink-args", "'"], "cannot be split into words"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(arguments, said):
    result = CliRunner().invoke(run_command, arguments)
    assert result.exit_code == 2
    assert said in result.output


# How outputs are judged


def outputs(**changes) -> Outputs:
    sound = Outputs(
        produced=1_000,
        received=600,
        matched=600,
        missing_timestamp=0,
        foreign_timestamp=0,
        earlier_events=0,
        distinct_timestamps=900,
        covered_timestamps=540,
        duplicated_timestamps=0,
        timestamp_field="at",
        resolution_us=1,
        oracle=None,
        complaints=[],
    )
    return replace(sound, **changes)


def test_outputs_stand_in_the_place_of_counts():
    status, reasons = classify(Observation(outputs=outputs(), output_notes=["output not checked"]))
    assert (status.value, reasons) == ("valid", ["output not checked"])
    status, reasons = classify(Observation(outputs=outputs(), output_faults=["no time stamp"]))
    assert (status.value, reasons) == ("failed", ["no time stamp"])
    status, reasons = classify(Observation(outputs=outputs(), drained=False))
    assert status.value == "unsustained"


def cell(name, **changes):
    trials = [build.trial(n, counts=None, outputs=outputs(**changes)) for n in range(1, 7)]
    return build.cell(name, trials, emit="output", mode="")


def test_jobs_that_do_not_write_alike_get_no_verdict():
    from rtmbench.results import compare  # noqa: PLC0415

    alike = compare(cell("flink@1.20"), cell("spark@4.1"))
    assert "unlike" not in alike.note
    fewer = compare(cell("flink@1.20"), cell("spark@4.1", matched=60, covered_timestamps=60))
    assert fewer.verdict == "no verdict"
    assert "unlike outputs" in fewer.note


def test_a_report_says_how_outputs_are_known(capsys):
    own = cell("flink@1.20", resolution_us=1_000)
    settings = {
        "engines": ["flink@1.20"],
        "job": {"flink_jar": "job.jar", "timestamp_field": "at", "payload": "template o.json", "oracle": "c.py:f"},
    }
    result = build.result(own, pattern="own", settings=settings)
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(result.to_json()))
    assert Result.from_dict(json.loads(result.to_json())) == result
    terminal.print_result(result)
    assert (
        "output not checked: 3,600 records for 6,000 events, each with an event's time stamp in at"
        in capsys.readouterr().out.replace("\n  ", " ")
    )
    page = sections.document([(result, None)], plots=False)
    shown = repr(page)
    assert "output not checked" in shown
    assert "nothing here is proven complete" in shown
    command = sections.command(result)
    assert command.startswith(
        "rtmbench run --flink-jar job.jar --template o.json --timestamp-field at --oracle c.py:f --engines"
    )


# A whole run, with a relay for a job


class RelayJob(PlainEngine):
    """Stands for an engine with a job: an in-process relay, or nothing at all."""

    broken: Exception | None = None
    silent = False
    read: dict[int, int] | None = None

    def __init__(self, spec, job):
        self.spec, self.build, self.mode, self.emit = spec, "0", "", "output"
        self.job, self.relay = job, None

    def prepare(self):
        self.job.file(self.spec.engine)

    def start(self, io):
        if self.broken is not None:
            raise self.broken
        if not self.silent:
            config = {"bootstrap.servers": io.bootstrap_servers, "fetch.wait.max.ms": "1"}
            self.relay = _core.Relay(config, io.input_topic, io.output_topic)
            self.relay.start()

    def boundaries_so_far(self):
        return 0

    def consumed(self):
        return self.read

    def facts(self):
        return EngineFacts(settings=EngineSettings(version="0"), remark="micro-batches")

    def stop(self):
        if self.relay is not None:
            self.relay.stop()
            self.relay.join()
            self.relay = None


class Filter:
    """Stands for a relay that drops events: every fourth comes through."""

    def __init__(self, config, source, target):
        self._consumer = Consumer({**config, "group.id": "filter"})
        self._consumer.assign([TopicPartition(source, 0, 0)])
        self._producer, self._target = Producer(config), target
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self):
        self._thread.start()

    def _run(self):
        seen = 0
        while not self._ended.is_set():
            message = self._consumer.poll(0.01)
            if message is None or message.error():
                self._producer.flush(1)
                continue
            if seen % 4 == 0:
                self._producer.produce(self._target, message.value(), partition=0)
            seen += 1
        self._consumer.close()

    def stop(self):
        self._ended.set()

    def join(self):
        self._thread.join(5)


@pytest.fixture
def request_(files, broker, monkeypatch):
    """A request for short trials of a job on a mock broker."""
    mock_runs.install(monkeypatch, broker, drain_s=2.0)
    made, create, ends = pattern_run.create_engine, _core.create_topics, _core.end_offsets
    created: set[str] = set()

    def create_known(admin, topics, **options):
        create(admin, topics, **options)
        created.update(topics)

    def ends_known(admin, topic, **options):
        # The mock makes any topic that it is asked for.
        if topic not in created:
            raise _core.KafkaError(f"topic {topic} is unknown to the brokers")
        return ends(admin, topic, **options)

    monkeypatch.setattr(_core, "create_topics", create_known)
    monkeypatch.setattr(_core, "delete_topics", lambda _admin, topics, **_: created.difference_update(topics))
    monkeypatch.setattr(_core, "end_offsets", ends_known)
    monkeypatch.setattr(
        pattern_run,
        "create_engine",
        lambda spec, job, **options: RelayJob(spec, job) if spec.engine == "flink" else made(spec, job=job, **options),
    )
    # The floors are a test of their own.
    monkeypatch.setattr(pattern_run, "BRACKETS", ())

    def make(**requested):
        return RunRequest(
            patterns=(),
            job=custom_job(flink_jar="job.jar", **requested),
            bootstrap_servers=broker.bootstrap_servers,
            results=files,
            **SHORT,
        )

    return make


def the_trial(result):
    (found,) = result.cells[0].trials
    return found


def test_a_job_is_measured_by_the_time_stamps_of_its_outputs(request_, monkeypatch):
    monkeypatch.setattr(pattern_run, "BRACKETS", BRACKETS)
    seen = []

    def check(inputs, outputs):
        seen.append((len(inputs), len(outputs)))
        assert all(isinstance(record, Record) for record in outputs)
        assert {record.json()["order"] for record in inputs} == {record.json()["order"] for record in outputs}

    (result,) = run(request_(template="order.json", oracle=check))
    jsonschema.Draft202012Validator(json_schema()).validate(json.loads(result.to_json()))
    trial = the_trial(result)
    assert trial.valid, trial.reasons
    assert trial.outputs.oracle == "test_jobs.py:check"
    assert seen == [(trial.outputs.produced, trial.outputs.received)]
    assert trial.outputs.matched == trial.outputs.produced > 200
    assert (
        trial.latency_us.count
        == trial.outputs.distinct_timestamps
        == trial.outputs.covered_timestamps
        == pytest.approx(200, abs=2)
    )
    assert trial.outputs.timestamp_field == "meta.at"
    assert trial.slip_us is not None
    assert "output checked by test_jobs.py:check" in trial.reasons
    assert result.pattern == "own"
    assert result.cells[0].remark.endswith("micro-batches")
    (floor,) = result.floors
    assert [one.outputs.oracle for one in floor.trials] == [None, None]
    assert all(one.valid for one in floor.trials), floor.trials
    # A second holds no boundary, so there is no headline.
    assert exit_code([result]) == 4


def test_a_job_that_drops_events_has_lower_bounds(request_, monkeypatch):
    monkeypatch.setattr(_core, "Relay", Filter)
    (result,) = run(request_())
    trial = the_trial(result)
    outputs = trial.outputs
    assert trial.status.value == "unsustained"
    assert outputs.distinct_timestamps == trial.latency_us.count == pytest.approx(200, abs=2)
    assert (
        trial.latency_us.censored
        == outputs.distinct_timestamps - outputs.covered_timestamps
        == pytest.approx(150, abs=2)
    )
    assert {"p50", "p99", "max"} <= set(trial.latency_us.censored_percentiles)
    (coverage,) = [reason for reason in trial.reasons if reason.startswith("coverage ")]
    assert re.match(
        r"coverage 2\d\.\d\d%: some output carries \d+ of \d+ measured time stamps; the \d+ events", coverage
    )
    assert "--filters" in coverage
    assert "--filters" not in result.cells[0].remark


def test_a_job_that_drops_events_by_design_says_so(request_, monkeypatch):
    monkeypatch.setattr(_core, "Relay", Filter)
    (result,) = run(request_(filters=True))
    trial = the_trial(result)
    assert trial.valid, trial.reasons
    assert (trial.latency_us.count, trial.latency_us.censored) == (pytest.approx(50, abs=2), 0)
    (coverage,) = [reason for reason in trial.reasons if reason.startswith("coverage ")]
    assert coverage.startswith("coverage 2")
    assert coverage.endswith("events without an output are not samples, because of --filters")
    assert "an event without an output is not a sample (--filters)" in result.cells[0].remark
    assert result.settings["job"]["filters"] is True
    assert "--filters" in sections.command(result)


def test_a_job_that_passes_on_the_append_time_fails_with_the_way_out(request_, monkeypatch):
    verify = _core.verify_stamped

    def verified(config, **options):
        verdict, found = verify(config, **options)
        return verdict, {**found, "append_time": True}

    # The mock broker has no append times; a test of the core shows how they are recognised.
    monkeypatch.setattr(_core, "verify_stamped", verified)
    (result,) = run(request_(template="order.json"))
    trial = the_trial(result)
    assert (trial.status.value, trial.latency_us) == ("failed", None)
    assert "Kafka appended the input (LogAppendTime)" in trial.reasons[0]
    assert "pass on the field `meta.at`" in trial.reasons[0]


def test_what_an_oracle_says_fails_the_trial(request_):
    def check(_inputs, outputs):
        yield f"{len(outputs)} orders"
        yield "no prices"

    (result,) = run(request_(oracle=check))
    trial = the_trial(result)
    assert trial.status.value == "failed"
    assert trial.latency_us is None
    assert trial.outputs.complaints == [f"{trial.outputs.received} orders", "no prices"]
    assert "reports: no prices" in " ".join(trial.reasons)
    assert exit_code([result]) == 1


def test_a_partition_that_was_never_read_fails_the_trial(request_, monkeypatch):
    monkeypatch.setattr(RelayJob, "read", {0: 0})
    found = the_trial(run(request_(), Options())[0])
    assert found.status.value == "failed"
    assert found.reasons[0].startswith("input partition 0 of 1 was never read: ")
    monkeypatch.setattr(RelayJob, "read", {0: 1})
    assert the_trial(run(request_(), Options())[0]).status.value != "failed"


def test_without_an_oracle_the_output_is_called_unchecked(request_):
    (result,) = run(request_(events=lambda: [{"at": "{{scheduled_at_ms}}"}]))
    trial = the_trial(result)
    assert trial.valid, trial.reasons
    assert any("output not checked" in reason for reason in trial.reasons)
    assert any("up to 1 ms" in reason for reason in trial.reasons)
    assert any("repeatedly" in note for note in result.settings["notes"])


def test_a_job_whose_outputs_have_no_time_stamp_fails_at_once(request_):
    (result,) = run(request_(timestamp_field="created.at"))
    trial = the_trial(result)
    assert trial.status.value == "failed"
    assert "has a time stamp in `created.at`" in trial.reasons[0]
    assert "the input has it in `scheduled_at_us`" in trial.reasons[0]
    assert result.complete
    assert exit_code([result]) == 1


def test_a_job_that_writes_nothing_fails(request_, monkeypatch):
    monkeypatch.setattr(RelayJob, "silent", True)
    (result,) = run(request_(first_output_s=1))
    trial = the_trial(result)
    assert trial.status.value == "failed"
    assert "events within 1 s" in trial.reasons[0]
    assert exit_code([result]) == 1


def test_a_job_that_crashes_or_is_refused_is_told_so(request_, monkeypatch):
    monkeypatch.setattr(RelayJob, "broken", RunFailedError("job.jar failed: no prices"))
    (result,) = run(request_())
    assert the_trial(result).reasons == ["the engine failed: job.jar failed: no prices"]
    assert exit_code([result]) == 1
    monkeypatch.setattr(RelayJob, "broken", EngineRefusedError("NOT.ALLOWED", "no such thing"))
    (result,) = run(request_())
    assert result.cells[0].refusal.code == "NOT.ALLOWED"
    assert exit_code([result]) == 0


def test_a_topic_that_exists_is_used_and_left(request_):
    request = request_(input="orders", output="large-orders")
    _core.create_topics({}, ["orders", "large-orders"], partitions=1)
    config = {"bootstrap.servers": request.bootstrap_servers}
    before = _core.Workload(9, keys=3)
    _core.Generator(config, "orders", before, _core.Schedule.constant(500), count=40).run()
    (result,) = run(request)
    trial = the_trial(result)
    assert (trial.topics.input, trial.topics.output) == ("orders", "large-orders")
    assert trial.valid, trial.reasons
    assert trial.outputs.earlier_events == 40
    assert trial.outputs.matched == trial.outputs.produced
    assert any("40 output records are of events from before the trial" in reason for reason in trial.reasons)
    assert _core.end_offsets(config, "orders")[0] == 40 + trial.outputs.produced
    with pytest.raises(ConfigurationError, match="has 1 partitions, not 3"):
        run(replace(request, partitions=3))
    assert _core.end_offsets(config, "orders")[0] == 40 + trial.outputs.produced


def test_topics_that_the_jobs_expect_are_made_and_deleted(request_):
    (result,) = run(replace(request_(input="orders", output="large-orders"), trials=1))
    assert the_trial(result).topics.output == "large-orders"
    with pytest.raises(_core.KafkaError, match="unknown"):
        _core.end_offsets({}, "large-orders")


def test_python_measures_a_job_too(request_, files, monkeypatch):
    monkeypatch.setattr(runner, "run", run)
    request = request_()
    found = rtmbench.run_job(
        flink_jar="job.jar",
        template={"at": "{{scheduled_at_iso}}"},
        bootstrap_servers=request.bootstrap_servers,
        results=files,
        **SHORT,
    )
    assert found.engines == ["flink@1.20"]
    assert found.latency("flink").count == pytest.approx(200, abs=2)
    with pytest.raises(ConfigurationError, match="unknown setting 'job'"):
        rtmbench.run("01", job=request.job)
