"""What keeps a client from a Kafka, against servers that only shake hands."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading

import pytest
from certificates import issue

from rtmbench import _core
from rtmbench.errors import PreflightError
from rtmbench.kafka import preflight
from rtmbench.kafka.connection import Connection

PAST = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)


@contextlib.contextmanager
def listening(certificates=None, *, silent=False):
    """A server that shakes hands, or that does not answer, or that closes at once."""
    context = None
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
    held = []

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            held.append(connection)
            if silent:
                continue
            with contextlib.suppress(OSError):
                if context is not None:
                    context.wrap_socket(connection, server_side=True).close()
                else:
                    connection.recv(5)
                    connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for connection in held:
        connection.close()


def refused(address, **properties):
    """Return why a connection with TLS is not made; names are those of librdkafka, with `_` for dots."""
    named = {name.replace("_", "."): str(value) for name, value in properties.items()}
    connection = Connection(bootstrap_servers=address, librdkafka={"security.protocol": "SSL", **named})
    with pytest.raises(PreflightError) as caught:
        preflight.check(connection)
    return str(caught.value)


def test_a_certificate_of_another_host(tmp_path):
    certificates = issue(tmp_path, "broker.example")
    with listening(certificates) as address:
        said = refused(address, ssl_ca_location=certificates.authority)
    assert f"The certificate of {address} is for another host" in said
    assert "ssl.endpoint.identification.algorithm" in said


def test_a_certificate_that_has_expired(tmp_path):
    certificates = issue(tmp_path, not_after=PAST)
    with listening(certificates) as address:
        said = refused(address, ssl_ca_location=certificates.authority)
    assert "is not valid now: certificate has expired" in said


@pytest.mark.parametrize("other", [True, False])
def test_an_authority_that_is_not_known(other, tmp_path):
    certificates = issue(tmp_path / "one")
    known = {"ssl_ca_location": issue(tmp_path / "two").authority} if other else {}
    with listening(certificates) as address:
        said = refused(address, **known)
    assert "not signed by an authority that is known here" in said
    assert "ssl.ca.location" in said


def test_authorities_that_cannot_be_read(tmp_path):
    with listening(issue(tmp_path)) as address:
        assert "cannot be read" in refused(address, ssl_ca_location=tmp_path / "none.pem")


def test_tls_on_a_port_without_it():
    with listening() as address:
        assert f"{address} does not speak TLS" in refused(address)


def test_a_port_that_never_answers(monkeypatch):
    monkeypatch.setattr(preflight, "CONNECT_S", 0.3)
    monkeypatch.setattr(preflight, "ANSWER_S", 0.5)
    with listening(silent=True) as address:
        assert "does not answer the start of TLS" in refused(address)
        with pytest.raises(PreflightError, match="does not answer as a Kafka broker"):
            preflight.check(Connection(bootstrap_servers=address))


def test_no_tls_on_a_port_with_it(monkeypatch, tmp_path):
    monkeypatch.setattr(preflight, "ANSWER_S", 0.5)
    with (
        listening(issue(tmp_path)) as address,
        pytest.raises(PreflightError, match="speaks TLS, and"),
    ):
        preflight.check(Connection(bootstrap_servers=address))


def test_an_advertised_address_in_the_error_of_the_client_is_named(broker, monkeypatch):
    def fails(*_):
        raise _core.KafkaError("no answer: Timed out (sasl_ssl://kafka.invalid:9092/1: Failed to resolve); brokers: x")

    monkeypatch.setattr(_core, "broker_addresses", fails)
    with pytest.raises(PreflightError, match=r"advertises the address kafka\.invalid:9092"):
        preflight.check(Connection(bootstrap_servers=broker.bootstrap_servers))


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:1", "kafka.invalid:9092"])
def test_nothing_listens(address):
    with pytest.raises(PreflightError, match="No broker can be reached") as caught:
        preflight.check(Connection(bootstrap_servers=address))
    assert address in str(caught.value)


def test_a_broker_that_answers_takes_a_record_and_keeps_nothing(broker, monkeypatch):
    made = []

    def create(_config, topics, *, partitions, **_):
        made.extend(topics)
        broker.create_topic(topics[0], partitions=partitions)

    monkeypatch.setattr(_core, "create_topics", create)
    monkeypatch.setattr(_core, "delete_topics", lambda _config, topics, **_: made.remove(topics[0]))
    connection = Connection(bootstrap_servers=broker.bootstrap_servers)
    assert preflight.check(connection) == [broker.bootstrap_servers]
    preflight.try_topic(connection)
    assert made == []


@pytest.mark.parametrize(
    ("step", "reason", "message"),
    [
        ("create_topics", "t: Broker: Topic authorization failed", "Allow the operation Create"),
        ("create_topics", "t: InvalidReplicationFactor", "The operation Create on the topic"),
        ("_write", "Broker: Topic authorization failed", "Allow the operation Write"),
        ("_write", "Broker: Not enough in-sync replicas", "min.insync.replicas"),
        ("_read", "Broker: Topic authorization failed", "Allow the operation Read"),
    ],
)
def test_what_a_broker_refuses_is_named_and_the_topic_is_deleted(step, reason, message, monkeypatch):
    def fails(*_, **__):
        raise _core.KafkaError(f"{reason} hunter2")

    deleted = []
    for name in ("_write", "_read"):
        monkeypatch.setattr(preflight, name, lambda *_: None)
    monkeypatch.setattr(_core, "create_topics", lambda *_, **__: None)
    monkeypatch.setattr(_core, "delete_topics", lambda _, topics, **__: deleted.extend(topics))
    monkeypatch.setattr(_core if step == "create_topics" else preflight, step, fails)
    connection = Connection(bootstrap_servers="127.0.0.1:1", librdkafka={"sasl.password": "hunter2"})
    with pytest.raises(PreflightError, match=message) as caught:
        preflight.try_topic(connection)
    assert "hunter2" not in str(caught.value)
    assert len(deleted) == (step != "create_topics")


def test_a_topic_that_cannot_be_deleted_does_not_hide_what_was_refused_first(monkeypatch):
    def fails(*_, **__):
        raise _core.KafkaError("Broker: Topic authorization failed")

    monkeypatch.setattr(_core, "create_topics", lambda *_, **__: None)
    monkeypatch.setattr(preflight, "_write", fails)
    monkeypatch.setattr(_core, "delete_topics", fails)
    with pytest.raises(PreflightError, match="Allow the operation Write"):
        preflight.try_topic(Connection(bootstrap_servers="127.0.0.1:1"))
    monkeypatch.setattr(preflight, "_write", lambda *_: None)
    monkeypatch.setattr(preflight, "_read", lambda *_: None)
    with pytest.raises(PreflightError, match="Allow the operation Delete"):
        preflight.try_topic(Connection(bootstrap_servers="127.0.0.1:1"))
