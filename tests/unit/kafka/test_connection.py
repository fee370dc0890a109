"""One file of client properties for librdkafka and for Java's client."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from certificates import PASSWORD, issue, keystore

from rtmbench.errors import ConfigurationError
from rtmbench.kafka.connection import Connection, load

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"


@pytest.fixture
def read(tmp_path):
    """Write a file of properties, and load it."""

    def load_text(text, servers="kafka:9092"):
        path = tmp_path / "client.properties"
        path.write_text(text, encoding="utf-8")
        return load(path, servers)

    return load_text


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return issue(tmp_path_factory.mktemp("certificates"))


def test_without_a_file_there_is_an_address_and_no_more():
    assert load(None, "kafka:9092") == Connection(bootstrap_servers="kafka:9092")
    assert load(None, "kafka:9092").admin == {"bootstrap.servers": "kafka:9092"}
    with pytest.raises(ConfigurationError, match="Which Kafka"):
        load(None)


def test_the_file_of_a_java_client_serves_both(read):
    jaas = f'{SCRAM} required username="ann" password="a\\"b=c;";'
    found = read(
        "# comment\n! another\n\nsecurity.protocol = SASL_SSL\nsasl.mechanism: SCRAM-SHA-512\n"
        f'sasl.jaas.config={SCRAM} required \\\n   username="ann" password="a\\"b=c;";\nssl.ca.location /etc/ca.pem\n'
    )
    assert found.librdkafka == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": 'a"b=c;',
        "ssl.ca.location": "/etc/ca.pem",
    }
    assert found.java == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": jaas,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "/etc/ca.pem",
    }


def test_the_file_of_librdkafka_serves_both(read):
    found = read(
        "bootstrap.servers=elsewhere:1\nsecurity.protocol=sasl_plaintext\nsasl.mechanisms=PLAIN\nsasl.username=ann\n"
        'sasl.password=it"s \\ mine\nlinger.ms=7\nrequest.required.acks=1\n',
        servers=None,
    )
    assert found.bootstrap_servers == "elsewhere:1"
    assert found.librdkafka["sasl.mechanism"] == "PLAIN"
    assert found.java == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": f'{PLAIN} required username="ann" password="it\\"s \\\\ mine";',
    }
    # What is not of the connection is for `produce` and `measure` alone.
    assert found.tuning == {"linger.ms": "7", "acks": "1"}


def test_the_file_of_confluent_cloud_is_read(read):
    login = f"{PLAIN} required username='KEY' password='it\\'s=\"x\";';"
    found = read(
        f"bootstrap.servers=kafka.example:9092\nsecurity.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n"
        f"sasl.jaas.config={login}\nssl.endpoint.identification.algorithm=\nclient.dns.lookup=use_all_dns_ips\n"
        "schema.registry.url=https://registry.example\nbasic.auth.credentials.source=USER_INFO\n"
        "basic.auth.user.info=KEY:hunter2\nkey.serializer=org.example.Avro\nmax.poll.records=500\n",
        servers=None,
    )
    assert found.admin == {
        "bootstrap.servers": "kafka.example:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "KEY",
        "sasl.password": """it's="x";""",
        "ssl.endpoint.identification.algorithm": "none",
        "client.dns.lookup": "use_all_dns_ips",
    }
    assert found.java["sasl.jaas.config"] == login
    assert found.java["ssl.endpoint.identification.algorithm"] == ""
    assert found.left_out == (
        "schema.registry.url",
        "basic.auth.credentials.source",
        "basic.auth.user.info",
        "key.serializer",
        "max.poll.records",
    )
    shown = f"{found!r} {found.redact('sent it' + chr(39) + 's=' + chr(34) + 'x' + chr(34) + ';')}"
    assert "it's" not in shown


@pytest.mark.parametrize("kind", ["JKS", "PKCS12"])
def test_a_truststore_of_java_is_converted_for_librdkafka(kind, certificates, read, tmp_path):
    store = certificates.truststore(tmp_path, kind)
    found = read(f"security.protocol=SSL\nssl.truststore.location={store}\nssl.truststore.password={PASSWORD}\n")
    pem = Path(found.librdkafka["ssl.ca.location"])
    assert pem.read_text().split() == certificates.authority.read_text().split()
    assert stat.S_IMODE(pem.stat().st_mode) == 0o600
    assert found.librdkafka.keys() == {"security.protocol", "ssl.ca.location"}
    assert found.java == {
        "security.protocol": "SSL",
        "ssl.truststore.type": kind,
        "ssl.truststore.location": str(store),
        "ssl.truststore.password": PASSWORD,
    }
    assert "BEGIN CERTIFICATE" in found.inline()["ssl.truststore.certificates"]


def test_a_keystore_of_java_is_converted_for_librdkafka(read, tmp_path):
    store = keystore(tmp_path, "JKS")
    found = read(f"security.protocol=SSL\nssl.keystore.location={store}\nssl.keystore.password={PASSWORD}\n")
    converted = Path(found.librdkafka["ssl.keystore.location"])
    assert converted.read_bytes()[:1] == b"\x30"
    assert stat.S_IMODE(converted.stat().st_mode) == 0o600
    assert PASSWORD not in found.librdkafka["ssl.keystore.password"] != ""
    assert found.java["ssl.keystore.type"] == "JKS"
    with pytest.raises(ConfigurationError, match="as PEM"):
        found.inline()


def test_a_keystore_of_pkcs12_is_read_by_both(read, tmp_path):
    store = keystore(tmp_path, "PKCS12")
    found = read(f"ssl.keystore.location={store}\nssl.keystore.password={PASSWORD}\n")
    assert found.librdkafka == {"ssl.keystore.location": str(store), "ssl.keystore.password": PASSWORD}
    assert found.java == {**found.librdkafka, "ssl.keystore.type": "PKCS12"}


def test_key_and_certificate_in_two_files_are_one_for_java(certificates, read):
    found = read(f"ssl.key.location={certificates.key}\nssl.certificate.location={certificates.certificate}\n")
    assert found.librdkafka["ssl.key.location"] == str(certificates.key)
    joined = Path(found.java["ssl.keystore.location"])
    assert found.java["ssl.keystore.type"] == "PEM"
    assert joined.read_text().split() == certificates.both.split()
    assert stat.S_IMODE(joined.stat().st_mode) == 0o600
    inline = found.inline()
    assert "PRIVATE KEY" in inline["ssl.keystore.key"]
    assert "BEGIN CERTIFICATE" in inline["ssl.keystore.certificate.chain"]
    assert "ssl.keystore.location" not in inline


def test_a_keystore_in_pem_is_read_by_both(certificates, read, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(certificates.both)
    found = read(f"ssl.keystore.type=PEM\nssl.keystore.location={both}\n")
    assert found.librdkafka == {"ssl.certificate.location": str(both), "ssl.key.location": str(both)}
    assert found.java == {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(both)}


def test_a_file_is_meant_from_where_the_command_was_typed(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read("ssl.ca.location=ca.pem\n")
    assert found.librdkafka["ssl.ca.location"] == found.java["ssl.truststore.location"] == str(tmp_path / "ca.pem")
    systems = read("ssl.ca.location=probe\n")
    assert (systems.librdkafka, systems.java) == ({"ssl.ca.location": "probe"}, {})


def test_pem_in_the_file_itself_gets_its_line_ends(certificates, read):
    text = certificates.authority.read_text()
    line = text.replace("\n", "\\n")
    assert read(f"ssl.truststore.certificates={line}\n").librdkafka["ssl.ca.pem"] == text
    found = read(f"ssl.ca.pem={line}\n")
    assert found.librdkafka["ssl.ca.pem"] == text
    assert found.java == {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": text}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("enable.ssl.certificate.verification=false", "no counterpart in Java's Kafka client"),
        ("sasl.mechanism=GSSAPI\nsasl.username=a\nsasl.password=hunter2", "go with sasl.mechanism PLAIN"),
        ("ssl.key.location={old}\nssl.certificate.location={certificate}", "openssl pkcs8 -topk8"),
    ],
)
def test_what_only_librdkafka_can_do_stops_an_engine_and_not_produce(text, message, certificates, read):
    found = read(text.format(old=certificates.old_key, certificate=certificates.certificate) + "\n")
    with pytest.raises(ConfigurationError, match=message) as caught:
        found.require_java()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ssl.truststore.location=/nowhere/x.jks", "/nowhere/x.jks cannot be read"),
        ("ssl.truststore.location={noise}", "neither PEM, PKCS#12 nor JKS"),
        ("ssl.truststore.location={store}\nssl.truststore.password=hunter2", "Check its password"),
        ("sasl.jaas.config=com.example.Kerberos required secret=hunter2;", "Plain and Scram"),
        ("sasl.login.callback.handler.class=com.example.Login", "no counterpart in librdkafka"),
        ("lonely-hunter2", "not `name=value`"),
    ],
)
def test_bad_properties_are_explained_without_their_values(text, message, certificates, read, tmp_path):
    noise = tmp_path / "noise"
    noise.write_bytes(bytes(range(1, 200)))
    store = certificates.truststore(tmp_path)
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(text.format(noise=noise, store=store) + "\n")
    assert "hunter2" not in str(caught.value)
