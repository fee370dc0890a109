"""Reports what keeps this machine from using an existing Kafka, before anything is started.

`check` looks and changes nothing. `try_topic` makes a topic, writes a record, reads it, and deletes the topic.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import ssl
import time
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.addresses import host_and_port
from rtmbench.errors import PreflightError
from rtmbench.kafka import clients
from rtmbench.kafka.connection import PROBE

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtmbench.kafka.connection import Connection

ANSWER_S = 8.0
"""For the answer to a metadata request."""
CONNECT_S = 3.0
TOPIC_S = 10.0
"""For the life of the topic."""
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
_EXPIRED = 10
_NOT_YET_VALID = 9
_ADVERTISED = re.compile(r"([^\s/()]+:\d+)/\d+: ")
"""A broker with its id in an error of librdkafka; one that is known only from the command line has no id."""
_OTHER_NAME = frozenset({62, 64})
"""OpenSSL's codes of a certificate that it refuses."""
_FIX = "Correct --bootstrap-servers (or KAFKA_BOOTSTRAP_SERVERS) and --kafka-properties; `rtmbench up` starts a broker."


def check(connection: Connection) -> list[str]:
    """Return the addresses of the brokers, each of which can be reached.

    Raises:
        PreflightError: no address listens, TLS fails, no broker answers, the login is refused, or a broker advertises
            an address that cannot be reached from here.

    """
    listening = _listening(connection.bootstrap_servers)
    _check_tls(connection, listening[0])
    try:
        brokers = _core.broker_addresses(connection.at(",".join(listening)).admin, ANSWER_S)
    except (_core.KafkaError, ValueError) as error:
        raise PreflightError(_unanswered(connection, listening[0], str(error))) from None
    for broker in brokers:
        if problem := _unreachable(broker):
            raise PreflightError(_lost(listening[0], broker, problem))
        _check_tls(connection, broker)
    return brokers


def try_topic(connection: Connection, replication: int | None = None) -> None:
    """Do what a trial does with its topics, with one record, and leave nothing there.

    `replication` is the replication factor of the topic; None: the brokers' default.

    Raises:
        PreflightError: the brokers refuse one of the steps; the message names it.

    """
    topic = f"rtmbench-preflight-{secrets.token_hex(4)}"
    admin = connection.admin
    _step(
        connection,
        "Create",
        topic,
        lambda: _core.create_topics(admin, [topic], partitions=1, replication=replication, timeout_s=TOPIC_S),
    )
    try:
        _step(connection, "Write", topic, lambda: _write(connection, topic))
        _step(connection, "Read", topic, lambda: _read(connection, topic))
    except PreflightError:
        # Whether the topic can be deleted must not hide what was refused first.
        with contextlib.suppress(_core.KafkaError):
            _core.delete_topics(admin, [topic], timeout_s=TOPIC_S)
        raise
    _step(connection, "Delete", topic, lambda: _core.delete_topics(admin, [topic], timeout_s=TOPIC_S))


def _listening(servers: str) -> list[str]:
    """Return those of the addresses at which something listens. Raises PreflightError if there is none."""
    reasons, listening = [], []
    for server in filter(None, (part.strip() for part in servers.split(","))):
        if problem := _unreachable(server):
            reasons.append(problem if problem.startswith(server) else f"{server}: {problem}")
        else:
            listening.append(server)
    if not listening:
        raise PreflightError(f"No broker can be reached ({'; '.join(reasons) or 'no address was set'}). {_FIX}")
    return listening


def _unreachable(address: str) -> str:
    """Return why nothing can be reached at an address; empty where something listens there."""
    place = host_and_port(address)
    if place is None:
        return f"{address} is not HOST:PORT"
    try:
        socket.create_connection(place, timeout=CONNECT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _check_tls(connection: Connection, address: str) -> None:
    """Shake hands with a broker where the connection has TLS: OpenSSL distinguishes the reasons of a refusal.

    Raises:
        PreflightError: the broker's certificate is refused, or it does not speak TLS.

    """
    properties = connection.librdkafka
    if not properties.get("security.protocol", "").lower().endswith("ssl"):
        return
    try:
        context = _context(connection)
    except (OSError, ValueError) as error:
        raise PreflightError(f"The authorities of ssl.ca.location cannot be read: {error}. {_FIX}") from None
    try:
        _shake_hands(address, context)
    except ssl.SSLCertVerificationError as error:
        raise PreflightError(_refused_certificate(address, error)) from None
    except TimeoutError:
        raise PreflightError(
            f"{address} accepts connections and does not answer the start of TLS within {CONNECT_S:g} s. Is it the "
            f"port of a Kafka broker? {_FIX}"
        ) from None
    except ssl.SSLError as error:
        if error.reason in ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"):
            # A broker that wants the client's certificate: librdkafka shows it.
            return
        raise PreflightError(_no_tls(address, str(error.reason or error))) from None
    except OSError as error:
        raise PreflightError(_no_tls(address, error.strerror or str(error))) from None


def _context(connection: Connection) -> ssl.SSLContext:
    properties = connection.librdkafka
    file, text = properties.get("ssl.ca.location"), properties.get("ssl.ca.pem")
    context = ssl.create_default_context(cafile=None if file == PROBE else file, cadata=text)
    if properties.get("ssl.endpoint.identification.algorithm") == "none":
        context.check_hostname = False
    if properties.get("enable.ssl.certificate.verification", "").lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _shake_hands(address: str, context: ssl.SSLContext) -> None:
    place = host_and_port(address)
    if place is None:
        raise OSError(f"{address} is not HOST:PORT")
    with (
        socket.create_connection(place, timeout=CONNECT_S) as plain,
        context.wrap_socket(plain, server_hostname=place[0]),
    ):
        pass


def _refused_certificate(address: str, error: ssl.SSLCertVerificationError) -> str:
    reason = error.verify_message.rstrip(".")
    if error.verify_code in _OTHER_NAME:
        return (
            f"The certificate of {address} is for another host: {reason}. Use the name that is in the certificate, or "
            "switch host name verification off: an empty ssl.endpoint.identification.algorithm."
        )
    if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        return f"The certificate of {address} is not valid now: {reason}. Renew it on the broker."
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return (
            f"The certificate of {address} is not signed by an authority that is known here: {reason}. Name the "
            "authority with ssl.ca.location (PEM) or ssl.truststore.location."
        )
    return f"The certificate of {address} is refused: {reason}."


def _no_tls(address: str, reason: str) -> str:
    return (
        f"{address} does not speak TLS ({reason}), and security.protocol asks for it. Use the port of its TLS "
        "listener, or set security.protocol to PLAINTEXT or SASL_PLAINTEXT."
    )


def _unanswered(connection: Connection, address: str, reason: str) -> str:
    """Explain why the brokers did not answer a metadata request."""
    # After the first answer a client knows brokers by their ids, and uses the addresses that they advertise.
    advertised = _ADVERTISED.search(reason)
    if advertised is not None and (problem := _unreachable(advertised[1])):
        return _lost(address, advertised[1], problem)
    reason = connection.redact(reason)
    protocol = connection.librdkafka.get("security.protocol", "plaintext").lower()
    if "uthentication" in reason or "SASL" in reason.upper().replace("SASL_SSL", "").replace("SASL_PLAINTEXT", ""):
        return f"{address} refuses the login ({reason}). Check sasl.mechanism, user name and password."
    if not protocol.endswith("ssl") and _speaks_tls(address):
        return (
            f"{address} speaks TLS, and security.protocol is {protocol.upper()}. Set it to SSL or SASL_SSL in the file "
            "of --kafka-properties."
        )
    return f"{address} accepts connections and does not answer as a Kafka broker ({reason}). {_FIX}"


def _lost(address: str, advertised: str, problem: str) -> str:
    return (
        f"Kafka at {address} advertises the address {advertised} for one of its brokers, which cannot be reached from "
        f"here: {problem}. Clients use the advertised address: correct `advertised.listeners` of the broker, or make "
        "the name known to this machine."
    )


def _speaks_tls(address: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        _shake_hands(address, context)
    except OSError:
        return False
    return True


def _step(connection: Connection, operation: str, topic: str, action: Callable[[], None]) -> None:
    try:
        action()
    except (_core.KafkaError, _core.HarnessError) as error:
        reason = connection.redact(str(error))
        if "authorization failed" in reason.lower():
            raise PreflightError(
                f"This user may not do everything that a run does with its topics. Allow the operation {operation} on "
                f"topics whose names begin with `rtmbench-` (Create, Describe, Write, Read and Delete are needed). "
                f"The broker reports: {reason}"
            ) from None
        if "in-sync" in reason.lower():
            raise PreflightError(
                f"A topic of a run does not take records: `min.insync.replicas` is above its replication factor, or "
                f"brokers are missing. Give --replication-factor. The broker reports: {reason}"
            ) from None
        raise PreflightError(f"The operation {operation} on the topic {topic} failed: {reason}") from None


def _write(connection: Connection, topic: str) -> None:
    config = {**clients.harness_producer(connection), "message.timeout.ms": str(round(TOPIC_S * 1000 / 2))}
    report = _core.Generator(config, topic, _core.Workload(0), _core.Schedule.unpaced(), count=1).run()
    if report.failed or not report.acked:
        raise _core.KafkaError("; ".join(report.errors) or "the record was not confirmed")


def _read(connection: Connection, topic: str) -> None:
    consumer = _core.LatencyConsumer(clients.harness_consumer(connection), topic)
    consumer.start()
    try:
        deadline = time.monotonic() + TOPIC_S / 2
        while consumer.snapshot().received == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        consumer.stop()
    if consumer.join().received == 0:
        raise _core.KafkaError("the record was not received")


__all__ = ["check", "try_topic"]
