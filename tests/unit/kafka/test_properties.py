"""Client properties as Java tools write them."""

from __future__ import annotations

import pytest

from rtmbench.errors import ConfigurationError
from rtmbench.kafka import properties


def test_properties_are_read_as_java_writes_them(tmp_path):
    path = tmp_path / "client.properties"
    path.write_text(
        "# comment\n! another\n\nsecurity.protocol = SASL_SSL\nsasl.mechanism: SCRAM-SHA-512\n"
        "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n"
        '   username="ann" password="a\\"b=c;";\nssl.ca.location /etc/ca.pem\n',
        encoding="utf-8",
    )
    assert properties.read(path) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": 'a"b=c;',
        "ssl.ca.location": "/etc/ca.pem",
    }


def test_the_file_of_confluent_cloud_is_read(tmp_path):
    path = tmp_path / "client.properties"
    path.write_text(
        "bootstrap.servers=kafka.example:9092\nsecurity.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n"
        "sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
        "username='KEY' password='it\\'s=\"x\";';\n"
        "ssl.endpoint.identification.algorithm=\nclient.dns.lookup=use_all_dns_ips\n"
        "schema.registry.url=https://registry.example\nbasic.auth.credentials.source=USER_INFO\n"
        "basic.auth.user.info=KEY:hunter2\nkey.serializer=org.example.Avro\nmax.poll.records=500\n",
        encoding="utf-8",
    )
    assert properties.read(path) == {
        "bootstrap.servers": "kafka.example:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "KEY",
        "sasl.password": """it's="x";""",
        "ssl.endpoint.identification.algorithm": "none",
        "client.dns.lookup": "use_all_dns_ips",
    }
    assert properties.left_out(path) == [
        "schema.registry.url",
        "basic.auth.credentials.source",
        "basic.auth.user.info",
        "key.serializer",
        "max.poll.records",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ssl.truststore.location=/x.jks", "ssl.ca.location"),
        ("sasl.jaas.config=com.example.Kerberos required secret=hunter2;", "Plain and Scram"),
        ("lonely-hunter2", "not `name=value`"),
    ],
)
def test_bad_properties_are_explained_without_their_values(text, message, tmp_path):
    path = tmp_path / "client.properties"
    path.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message) as caught:
        properties.read(path)
    assert "hunter2" not in str(caught.value)
