"""Client properties for an existing Kafka, from a file: TLS, SASL, whatever librdkafka knows. Values stay secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SECRET = re.compile(r"password|secret|token|jaas|credential|user\.info|\.key(\.|$)|\.pem$", re.IGNORECASE)
"""Found in the names of the settings whose values are never shown."""
_LOGIN = re.compile(r"(?:Plain|Scram)LoginModule\s+required\s+(?P<options>.*?);?\s*$", re.DOTALL)
# Java's own parser takes both kinds of quotes; the files of Confluent Cloud have single ones.
_OPTION = re.compile(r"""(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;]+))""")
_LINE = re.compile(r"\s*(?P<name>[^\s=:]+)\s*(?:[=:]|\s)\s*(?P<value>.*?)\s*$")

# What the Java client calls otherwise, and what has no counterpart.
_RENAMED = {
    "fetch.max.wait.ms": "fetch.wait.max.ms",
    # Aliases within librdkafka: of two names for one setting, the last would win.
    "compression.type": "compression.codec",
    "queue.buffering.max.ms": "linger.ms",
    "request.required.acks": "acks",
}
_JAVA_ONLY = {
    "ssl.truststore.location": "convert the truststore to PEM and name it as `ssl.ca.location`",
    "ssl.truststore.password": "a PEM file named by `ssl.ca.location` needs none",
    "ssl.truststore.type": "librdkafka reads PEM: name the file as `ssl.ca.location`",
    "ssl.keystore.type": "librdkafka reads PKCS#12 as `ssl.keystore.location`, PEM as `ssl.certificate.location`",
    "sasl.login.callback.handler.class": "librdkafka has no counterpart here: its OIDC login is not built in",
    "sasl.client.callback.handler.class": "librdkafka has no counterpart",
}
_NOT_OF_THE_CLIENT = re.compile(
    r"(schema\.registry\.|basic\.auth\.|bearer\.auth\.|auto\.register\.schemas$|use\.latest\.version$"
    r"|(key|value)\.(de)?serializer|interceptor\.classes$|max\.poll\.records$|metric\.reporters$)"
)
"""Properties of serializers, of Schema Registry and of the Java client's API: no connection depends on them."""


def read(path: Path) -> dict[str, str]:
    r"""Read a properties file: `name=value` lines, `#` and `!` comments, `\` at the end of a line continues it.

    Names are librdkafka's. A Java client's `sasl.jaas.config` for PLAIN or SCRAM becomes `sasl.username` and
    `sasl.password`; an empty `ssl.endpoint.identification.algorithm` is `none`. Properties that are not of the client,
    such as those of Schema Registry, are left out: `left_out` has their names. Raises `ConfigurationError` for a file
    that cannot be read, a line that is not an entry, and a property that only the Java client has; no message shows a
    value.
    """
    properties: dict[str, str] = {}
    for number, name, value in entries(path):
        if _NOT_OF_THE_CLIENT.match(name):
            continue
        if name in _JAVA_ONLY:
            raise ConfigurationError(
                f"{path}, line {number}: {name} is a property of the Java client only; {_JAVA_ONLY[name]}."
            )
        if name == "sasl.jaas.config":
            properties.update(_login(path, number, value))
        elif name == "ssl.endpoint.identification.algorithm":
            properties[name] = value or "none"
        else:
            properties[_RENAMED.get(name, name)] = value
    return properties


def left_out(path: Path) -> list[str]:
    """Return the names of the properties in a file that are not of the client, and that `read` leaves out."""
    return [name for _, name, _ in entries(path) if _NOT_OF_THE_CLIENT.match(name)]


def entries(path: Path) -> Iterator[tuple[int, str, str]]:
    """Give the entries of a properties file: number of the line, name, value. See `read` for the syntax.

    Raises `ConfigurationError` for a file that cannot be read, and a line that is not an entry; no message shows a
    value.
    """
    # No library: a pipeline reads its file too, inside Spark, where only rtmbench itself is installed.
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The Kafka properties {path} cannot be read: {error}.") from error
    for number, line in _lines(text):
        match = _LINE.match(line)
        if match is None:
            raise ConfigurationError(f"{path}, line {number}, is not `name=value`.")
        yield number, match["name"], match["value"]


def redact(message: str, properties: Mapping[str, str]) -> str:
    """Return a message without the values of properties that hold secrets."""
    secrets = {value for name, value in properties.items() if SECRET.search(name) and value}
    for secret in sorted(secrets, key=len, reverse=True):
        message = message.replace(secret, "***")
    return message


def _lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending = ""
    first = 0
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not pending and (not stripped or stripped[0] in "#!"):
            continue
        first = first if pending else number
        if stripped.endswith("\\"):
            pending += stripped[:-1]
            continue
        lines.append((first, pending + stripped))
        pending = ""
    if pending:
        lines.append((first, pending))
    return lines


def _login(path: Path, number: int, value: str) -> dict[str, str]:
    match = _LOGIN.search(value)
    matches = _OPTION.findall(match["options"]) if match else []
    options = {name: double or single or bare for name, double, single, bare in matches}
    if not {"username", "password"} <= options.keys():
        raise ConfigurationError(
            f"{path}, line {number}: only the login modules Plain and Scram with username and password can be taken "
            "over from sasl.jaas.config; give librdkafka's sasl.* properties instead."
        )
    return {
        "sasl.username": re.sub(r"\\(.)", r"\1", options["username"]),
        "sasl.password": re.sub(r"\\(.)", r"\1", options["password"]),
    }


__all__ = ["SECRET", "entries", "left_out", "read", "redact"]
