"""A Kafka that rtmbench does not start: TLS with host name verification, SCRAM, and an authorizer."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certificates import PASSWORD as STORE_PASSWORD
from certificates import Certificates, issue

from rtmbench import _core
from rtmbench.artifacts import Cache
from rtmbench.platform.java import find_java
from rtmbench.platform.local import KAFKA_BUNDLE
from rtmbench.platform.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

USER = "ann"
PASSWORD = "canary-scram-52c9e1"  # noqa: S105
REGISTRY_SECRET = "canary-registry-9a"  # noqa: S105
SECRETS = (PASSWORD, STORE_PASSWORD, REGISTRY_SECRET)
MECHANISM = "SCRAM-SHA-512"
MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
START_S = 60
KEYSTORE = "broker.pem"
OTHERS = {"bob": "not-anns"}
"""Users with a password and without any rights."""


@dataclass(frozen=True, kw_only=True)
class SecuredKafka:
    """Addresses and files."""

    servers: str
    """The listener with TLS and SCRAM."""
    inner: str
    """A listener without either, for the tests themselves."""
    certificates: Certificates
    lost: str
    """A listener without either that advertises an address which does not exist."""
    log: Path

    def java_properties(self, place: Path, *, user: str = USER, password: str = PASSWORD) -> Path:
        """Write the file of a Java client, with a JKS truststore."""
        store = self.certificates.truststore(place)
        file = place / "client.properties"
        file.write_text(
            f"bootstrap.servers={self.servers}\nsecurity.protocol=SASL_SSL\nsasl.mechanism={MECHANISM}\n"
            f"sasl.jaas.config={MODULE} required username='{user}' password='{password}';\n"
            f"ssl.truststore.location={store}\nssl.truststore.password={STORE_PASSWORD}\n"
            f"schema.registry.url=https://registry.example\nbasic.auth.user.info=KEY:{REGISTRY_SECRET}\n"
        )
        return file

    def librdkafka_properties(self, place: Path) -> Path:
        """Write the file of a client on librdkafka, with the authority in PEM."""
        file = place / "librdkafka.properties"
        file.write_text(
            f"bootstrap.servers={self.servers}\nsecurity.protocol=sasl_ssl\nsasl.mechanisms={MECHANISM}\n"
            f"sasl.username={USER}\nsasl.password={PASSWORD}\nssl.ca.location={self.certificates.authority}\n"
        )
        return file


def secrets_in(place: Path, *texts: str, secrets: Sequence[str] = SECRETS) -> list[str]:
    """Name the files below a place, and the texts, that hold a secret."""
    matches = [text[:200] for text in texts if any(secret in text for secret in secrets)]
    for root, _, names in os.walk(place):
        for name in names:
            with open(os.path.join(root, name), "rb") as file:  # noqa: PTH118, PTH123 - a socket may be among them
                content = file.read()
            matches += [f"{root}/{name}" for secret in secrets if secret.encode() in content]
    return matches


def topic_exists(kafka: SecuredKafka, topic: str) -> bool:
    """Whether the brokers have a topic."""
    try:
        _core.end_offsets({"bootstrap.servers": kafka.inner}, topic, timeout_s=5)
    except _core.KafkaError:
        return False
    return True


@contextlib.contextmanager
def secured_kafka(place: Path, *, brokers: int = 1) -> Iterator[SecuredKafka]:
    """Run brokers until the end of the block; topics have a replica on each of them."""
    java, jars = str(find_java().executable), Cache().ensure(KAFKA_BUNDLE).jars
    class_path = ":".join(map(str, jars))
    certificates = issue(place / "certificates")
    (place / KEYSTORE).write_text(certificates.both)
    controller, *ports = free_ports(1 + 3 * brokers)
    listeners = [ports[3 * number : 3 * number + 3] for number in range(brokers)]
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    users = [f"{MECHANISM}=[name={user},password={word}]" for user, word in {USER: PASSWORD, **OTHERS}.items()]
    scram = [part for user in users for part in ("--add-scram", user)]
    logs = [place / f"broker-{number}.log" for number in range(brokers)]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number, (own, log) in enumerate(zip(listeners, logs, strict=True)):
            properties = place / f"server-{number}.properties"
            properties.write_text(_server(number, own, place, brokers=brokers, controller=controller))
            tool = [java, "-cp", class_path, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
            subprocess.run([*tool, *(() if number else scram)], check=True, capture_output=True, timeout=START_S)
            command = [java, "-Xmx512m", "-cp", class_path, "kafka.Kafka", str(properties)]
            with log.open("wb") as output:
                processes.append(subprocess.Popen(command, cwd=place, stdout=output, stderr=subprocess.STDOUT))
        deadline = time.monotonic() + START_S
        for (_, inner, _), log, process in zip(listeners, logs, processes, strict=True):
            while True:
                assert process.poll() is None, log.read_text()[-2000:]
                with contextlib.suppress(_core.KafkaError):
                    _core.wait_for_broker({"bootstrap.servers": f"127.0.0.1:{inner}"}, 1)
                    break
                assert time.monotonic() < deadline, log.read_text()[-2000:]
        yield SecuredKafka(
            servers=",".join(f"localhost:{outer}" for outer, _, _ in listeners),
            inner=f"127.0.0.1:{listeners[0][1]}",
            lost=f"127.0.0.1:{listeners[0][2]}",
            certificates=certificates,
            log=logs[0],
        )
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:  # noqa: PERF203 - each of them must end
                process.kill()
                process.wait()


def _server(number: int, ports: list[int], place: Path, *, brokers: int, controller: int) -> str:
    """Return the properties of one broker; the first one is the controller too."""
    outer, inner, lost = ports
    names = {"SASL_SSL": outer, "INNER": inner, "LOST": lost} | ({} if number else {"CONTROLLER": controller})
    return f"""\
process.roles={"broker" if number else "broker,controller"}
node.id={number + 1}
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={",".join(f"{name}://127.0.0.1:{port}" for name, port in names.items())}
advertised.listeners=SASL_SSL://localhost:{outer},INNER://127.0.0.1:{inner},LOST://broker.invalid:{lost}
listener.security.protocol.map=SASL_SSL:SASL_SSL,INNER:PLAINTEXT,LOST:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INNER
log.dirs={place / f"data-{number}"}
default.replication.factor={brokers}
min.insync.replicas={max(1, brokers - 1)}
offsets.topic.replication.factor={brokers}
offsets.topic.num.partitions=1
transaction.state.log.replication.factor={brokers}
transaction.state.log.min.isr=1
auto.create.topics.enable=false
sasl.enabled.mechanisms={MECHANISM}
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={MODULE} required;
ssl.keystore.type=PEM
ssl.keystore.location={place / KEYSTORE}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{USER};User:ANONYMOUS
"""
