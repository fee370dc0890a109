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
