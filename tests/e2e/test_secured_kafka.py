"""A Kafka with TLS and SCRAM, which serves the harness and both engines by one file, and whose secrets stay in it."""

from __future__ import annotations

import json
import time

import pytest
from commandline import running
from secured_kafka import OTHERS, SECRETS, secrets_in, secured_kafka, topic_exists

from rtmbench import submit

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

QUICK = ("--quick", "--rate", "300", "--partitions", "2", "--warmup", "5s", "--duration", "10s", "--json")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    with secured_kafka(tmp_path_factory.mktemp("kafka")) as found:
        yield found


def topics(kafka):
    """Name the topics of the broker that are not its own."""
    return [name for name in (submit.INPUT, submit.OUTPUT, submit.LATENCY) if topic_exists(kafka, name)]


@pytest.mark.parametrize("pattern", ["01", pytest.param("02", marks=pytest.mark.full)])
def test_both_engines_run_on_it_and_no_secret_is_left(pattern, kafka, tmp_path):
    place, work = tmp_path / "place", tmp_path / "work"
    place.mkdir()
    work.mkdir()
    file = kafka.java_properties(place)
    engines = ("--engines", "flink@1.20,spark@4.3,relay") if pattern == "01" else ("--engines", "flink@1.20,spark@4.3")
    with running("run", pattern, *engines, *QUICK, "--kafka-properties", str(file), cwd=work) as run:
        assert run.wait(300) == 0, run.stderr
    document = json.loads(run.stdout)
    for cell in document["cells"]:
        (trial,) = cell["trials"]
        assert trial["valid"], trial["reasons"]
        counts = trial["counts"]
        assert counts["received"] == counts["expected"] > 0
        assert counts["missing"] == counts["unexpected"] == counts["wrong"] == 0
    assert "left out, nothing of the connection: schema.registry.url, basic.auth.user.info" in run.stderr
    assert any("TaskManager" in line for line in run.command_lines)
    assert secrets_in(work, run.stdout, run.stderr, *run.command_lines) == []
    assert document["settings"]["bootstrap_servers"] == "existing"
    assert "localhost" not in run.stdout


def test_the_commands_beside_run_take_the_same_file(kafka, tmp_path):
    place, work = tmp_path / "place", tmp_path / "work"
    place.mkdir()
    work.mkdir()
    file = ("--kafka-properties", str(kafka.librdkafka_properties(place)))
    with running("setup", "--partitions", "2", *file, cwd=work) as setup:
        assert setup.wait(300) == 0, setup.stderr
    assert topics(kafka) == ["benchmark-input", "benchmark-output", "benchmark-latency"]
    with running("doctor", "01", "--engines", "relay", *file, cwd=work) as doctor:
        doctor.wait(60)
    assert f"1 broker: {kafka.servers}" in doctor.stdout
    with running("submit", "spark@4.3", "01", "--duration", "25s", *file, cwd=work) as submit:
        submit.wait_for("runs in mode rtm")
        with running("produce", "--rate", "200", "--count", "1000", "--json", *file, cwd=work) as produce:
            assert produce.wait(60) == 0, produce.stderr
        measure = ("measure", "--topic", "benchmark-output", "--from-beginning", "--duration", "5s", "--json")
        with running(*measure, *file, cwd=work) as measured:
            assert measured.wait(60) == 0, measured.stderr
        assert submit.wait(60) == 0, submit.stderr
    assert json.loads(produce.stdout)["acked"] == 1000
    assert json.loads(measured.stdout)["latency_us"]["count"] > 0
    runs = (setup, doctor, submit, produce, measured)
    texts = [text for run in runs for text in (run.stdout, run.stderr, *run.command_lines)]
    assert secrets_in(work, *texts) == []


def refused(*arguments, cwd):
    """Run pattern 01, which must end soon with exit code 3; return what it said."""
    started = time.monotonic()
    with running("run", "01", "--engines", "relay", *QUICK, *map(str, arguments), cwd=cwd) as run:
        assert run.wait(60) == 3, run.stderr
    assert time.monotonic() - started < 15
    assert not any(secret in run.stderr + run.stdout for secret in ("wrong-canary", *SECRETS))
    return run.stderr


def test_a_wrong_password(kafka, tmp_path):
    file = kafka.java_properties(tmp_path, password="wrong-canary")  # noqa: S106
    assert "refuses the login" in refused("--kafka-properties", file, cwd=tmp_path)


def test_a_client_without_tls_on_a_port_with_it(kafka, tmp_path):
    said = refused("--bootstrap-servers", kafka.servers, cwd=tmp_path)
    assert "speaks TLS, and security.protocol is PLAINTEXT" in said


def test_a_client_with_tls_on_a_port_without_it(kafka, tmp_path):
    file = kafka.java_properties(tmp_path)
    said = refused("--bootstrap-servers", kafka.inner, "--kafka-properties", file, cwd=tmp_path)
    assert f"{kafka.inner} does not speak TLS" in said


def test_an_advertised_address_that_does_not_exist(kafka, tmp_path):
    said = refused("--bootstrap-servers", kafka.lost, cwd=tmp_path)
    assert "advertises the address broker.invalid:" in said


def test_a_user_without_rights(kafka, tmp_path):
    ((user, password),) = OTHERS.items()
    file = kafka.java_properties(tmp_path, user=user, password=password)
    said = refused("--kafka-properties", file, cwd=tmp_path)
    assert "Allow the operation Create on topics whose names begin with `rtmbench-`" in said


def test_more_replicas_than_brokers(kafka, tmp_path):
    file = kafka.java_properties(tmp_path)
    said = refused("--kafka-properties", file, "--replication-factor", "3", cwd=tmp_path)
    assert "operation Create" in said
    assert "eplication" in said
