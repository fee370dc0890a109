"""How a Kafka is reached: its address, and what its clients must know and show for TLS and SASL.

One file of properties, in the names of Java's client or of librdkafka, serves the harness, which is built on
librdkafka, and the engines, which use Java's client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.errors import ConfigurationError
from rtmbench.kafka import properties, stores

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCESS = re.compile(r"(security|ssl|sasl)\.|enable\.ssl\.certificate\.verification$|client\.dns\.lookup$")
"""Found at the start of the names of the properties that decide about the connection."""
_NOT_OF_THE_CLIENT = re.compile(
    r"(schema\.registry\.|basic\.auth\.|bearer\.auth\.|auto\.register\.schemas$|use\.latest\.version$"
    r"|(key|value)\.(de)?serializer|interceptor\.classes$|max\.poll\.records$|metric\.reporters$)"
)
"""Properties of serializers, of Schema Registry and of the Java client's API: no connection depends on them."""
_RENAMED = {
    "fetch.max.wait.ms": "fetch.wait.max.ms",
    # Aliases within librdkafka: of two names for one setting, the last would win.
    "compression.type": "compression.codec",
    "queue.buffering.max.ms": "linger.ms",
    "request.required.acks": "acks",
    "sasl.mechanisms": "sasl.mechanism",
}
_LOGIN = re.compile(r"(?P<module>Plain|Scram)LoginModule\s+required\s+(?P<options>.*?);?\s*$", re.DOTALL)
# Java's own parser takes both kinds of quotes; the files of Confluent Cloud have single ones.
_OPTION = re.compile(r"""(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;]+))""")
_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_STORES = frozenset({f"ssl.{store}.{what}" for store in ("truststore", "keystore") for what in ("type", "password")})
_ONLY_JAVA = frozenset(
    {
        "security.providers",
        "ssl.enabled.protocols",
        "ssl.keymanager.algorithm",
        "ssl.protocol",
        "ssl.provider",
        "ssl.secure.random.implementation",
        "ssl.trustmanager.algorithm",
    }
)
"""What only Java's client knows, and what the harness can do without."""
_NOWHERE = "nowhere:0"
"""The address of a connection that is never made."""
PROBE = "probe"
"""Instead of a file with authorities: librdkafka looks where systems keep them."""
_ONLY_LIBRDKAFKA = frozenset({"ssl.ca.certificate.stores", "ssl.providers"})


@dataclass(frozen=True, kw_only=True)
class Connection:
    """An address, and the properties of both kinds of client. The values are not shown: they may be secrets."""

    bootstrap_servers: str
    librdkafka: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """What the harness's clients need besides the address, in librdkafka's names."""
    java: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """What the engines' clients need besides the address, in the names of Java's client."""
    tuning: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """The file's other client properties, in librdkafka's names. A run does without them: there, all engines have the
    same."""
    left_out: tuple[str, ...] = ()
    """Names in the file that are not of a Kafka client."""
    java_problem: str = ""
    """Why Java's client cannot have the same connection; empty where it can."""

    @property
    def admin(self) -> dict[str, str]:
        """The properties of a client of the harness, without anything that is of a producer or a consumer alone."""
        return {**self.librdkafka, "bootstrap.servers": self.bootstrap_servers}

    def at(self, bootstrap_servers: str | None) -> Connection:
        """Return the same at another address; at its own for None."""
        return self if bootstrap_servers is None else replace(self, bootstrap_servers=bootstrap_servers)

    def inline(self) -> dict[str, str]:
        """Return Java's properties with the content of the stores, for a machine that has no file of this one.

        Raises:
            ConfigurationError: a keystore that is not PEM.

        """
        values = dict(self.java)
        if file := values.pop("ssl.truststore.location", ""):
            password = values.pop("ssl.truststore.password", "")
            values["ssl.truststore.type"] = "PEM"
            values["ssl.truststore.certificates"] = stores.text(stores.authorities(Path(file), password))
        if file := values.pop("ssl.keystore.location", ""):
            if values.get("ssl.keystore.type") != "PEM":
                raise ConfigurationError(
                    f"The keystore {file} cannot be taken to another machine. Give key and certificate as PEM, with "
                    "ssl.key.location and ssl.certificate.location."
                )
            key, chain = stores.split(Path(file))
            values |= {"ssl.keystore.key": key, "ssl.keystore.certificate.chain": chain}
        return values

    def require_java(self) -> None:
        """Raise ConfigurationError where Java's client cannot have the same connection."""
        if self.java_problem:
            raise ConfigurationError(self.java_problem)

    def redact(self, message: str) -> str:
        """Return a message without the values that are secrets."""
        for values in (self.librdkafka, self.java, self.tuning):
            message = properties.redact(message, values)
        return message


def java_properties(path: Path) -> dict[str, str]:
    """Return what Java's client needs for TLS and SASL, from a client's file. Raises ConfigurationError as `load`."""
    connection = load(path, _NOWHERE)
    connection.require_java()
    return dict(connection.java)


def load(path: Path | None, bootstrap_servers: str | None = None) -> Connection:
    r"""Read a properties file: `name=value` lines, `#` and `!` comments, `\` at the end of a line continues it.

    Stores are converted where one of the clients cannot read them, which needs the `keytool` of a JDK.

    Args:
        path: the file; None: a Kafka without TLS and SASL.
        bootstrap_servers: the address, over that of the file.

    Raises:
        ConfigurationError: no address, a file or a store that cannot be read, a line that is not an entry, or a login
            that is not supported. No message shows a value.

    """
    entries: dict[str, tuple[int, str]] = {}
    left_out = []
    for number, name, value in () if path is None else properties.entries(path):
        if _NOT_OF_THE_CLIENT.match(name):
            left_out.append(name)
        else:
            entries[_RENAMED.get(name, name)] = (number, value)
    servers = bootstrap_servers or entries.pop("bootstrap.servers", (0, ""))[1]
    entries.pop("bootstrap.servers", None)
    if not servers:
        raise ConfigurationError(
            "Which Kafka? Give --bootstrap-servers HOST:PORT, or set KAFKA_BOOTSTRAP_SERVERS, or name "
            "bootstrap.servers in the file of --kafka-properties."
        )
    if path is None:
        return Connection(bootstrap_servers=servers)
    access = {name: _absolute(name, value) for name, (_, value) in entries.items() if ACCESS.match(name)}
    reader = _Access(path, {name: number for name, (number, _) in entries.items()}, access)
    librdkafka = reader.librdkafka()
    problem = ""
    java: dict[str, str] = {}
    try:
        java = reader.java()
    except ConfigurationError as error:
        problem = str(error)
    return Connection(
        bootstrap_servers=servers,
        librdkafka=librdkafka,
        java=java,
        tuning={name: value for name, (_, value) in entries.items() if name not in access},
        left_out=tuple(left_out),
        java_problem=problem,
    )


class _Access:
    """The properties of TLS and SASL in a file, for each kind of client."""

    def __init__(self, path: Path, lines: Mapping[str, int], values: Mapping[str, str]) -> None:
        self._path = path
        self._lines = lines
        self._values = values
        self._login = self._jaas()

    def librdkafka(self) -> dict[str, str]:
        """Return them in librdkafka's names."""
        values, translated = self._values, dict[str, str]()
        for name, value in values.items():
            if name in _STORES or name in _ONLY_JAVA or name == "sasl.jaas.config":
                continue
            if name == "ssl.endpoint.identification.algorithm":
                translated[name] = value or "none"
            elif name == "ssl.truststore.location":
                password = values.get("ssl.truststore.password", "")
                translated["ssl.ca.location"] = str(stores.authorities(self._file(name), password))
            elif name == "ssl.truststore.certificates":
                translated["ssl.ca.pem"] = _lines_of(value)
            elif name == "ssl.keystore.location":
                translated |= self._keystore()
            elif name in ("ssl.keystore.key", "ssl.keystore.certificate.chain"):
                translated["ssl.key.pem" if name.endswith("key") else "ssl.certificate.pem"] = _lines_of(value)
            elif name.endswith("callback.handler.class"):
                raise self._error(name, "a login by a callback of Java has no counterpart in librdkafka.")
            else:
                translated[name] = _lines_of(value) if name.endswith(".pem") else value
        return translated | self._login

    def java(self) -> dict[str, str]:
        """Return them in the names of Java's client."""
        values = dict(self._values)
        if values.pop("enable.ssl.certificate.verification", "true").lower() == "false":
            raise ConfigurationError(
                f"{self._path}: enable.ssl.certificate.verification=false has no counterpart in Java's Kafka client, "
                "which the engines use. Name the authority of the broker's certificate as ssl.ca.location instead."
            )
        translated = self._java_login(values) | self._java_authorities(values) | self._java_key(values)
        for store in ("truststore", "keystore"):
            if f"ssl.{store}.location" in values:
                # The type by the content: librdkafka's files do not name it, and Java's default is JKS.
                translated[f"ssl.{store}.type"] = stores.kind(self._file(f"ssl.{store}.location"))
                values.pop(f"ssl.{store}.type", None)
        for name, value in values.items():
            if name == "ssl.endpoint.identification.algorithm":
                translated[name] = "" if value == "none" else value
            elif name not in _ONLY_LIBRDKAFKA:
                translated[name] = value.upper() if name == "security.protocol" else value
        return translated

    def _java_login(self, values: dict[str, str]) -> dict[str, str]:
        """Take name and password out of `values`, and return the login for Java."""
        user, password = (values.pop(f"sasl.{name}", None) for name in ("username", "password"))
        if "sasl.jaas.config" in values:
            # As the file has it: it may say more than name and password.
            return {"sasl.jaas.config": values.pop("sasl.jaas.config")}
        if user is None or password is None:
            return {}
        return {"sasl.jaas.config": self._module(user, password)}

    @staticmethod
    def _java_authorities(values: dict[str, str]) -> dict[str, str]:
        """Take librdkafka's authorities out of `values`, and return them for Java."""
        file, text = values.pop("ssl.ca.location", PROBE), values.pop("ssl.ca.pem", "")
        if text:
            return {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": _lines_of(text)}
        # Java knows by itself where the authorities of the system are.
        return {} if file == PROBE else {"ssl.truststore.type": "PEM", "ssl.truststore.location": file}

    @staticmethod
    def _java_key(values: dict[str, str]) -> dict[str, str]:
        """Take librdkafka's key and certificate out of `values`, and return them for Java."""
        certificate, key = (values.pop(f"ssl.{name}.location", "") for name in ("certificate", "key"))
        if certificate and key:
            joined = stores.joined(Path(certificate), Path(key))
            return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(joined)}
        chain, key = (values.pop(f"ssl.{name}.pem", "") for name in ("certificate", "key"))
        if not (chain and key):
            return {}
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": _lines_of(chain),
            "ssl.keystore.key": _lines_of(key),
        }

    def _keystore(self) -> dict[str, str]:
        file, password = self._file("ssl.keystore.location"), self._values.get("ssl.keystore.password", "")
        kind = stores.kind(file)
        if kind == "PEM":
            # OpenSSL takes from a file what it asks for.
            return {"ssl.certificate.location": str(file), "ssl.key.location": str(file)}
        if kind in ("JKS", "JCEKS"):
            file, password = stores.pkcs12(file, password)
        return {"ssl.keystore.location": str(file), "ssl.keystore.password": password}

    def _jaas(self) -> dict[str, str]:
        """Return name and password of `sasl.jaas.config`."""
        value = self._values.get("sasl.jaas.config")
        if value is None:
            return {}
        match = _LOGIN.search(value)
        matches = _OPTION.findall(match["options"]) if match else []
        options = {name: double or single or bare for name, double, single, bare in matches}
        if not {"username", "password"} <= options.keys():
            raise self._error(
                "sasl.jaas.config",
                "only the login modules Plain and Scram with username and password can be taken over; give "
                "librdkafka's sasl.* properties instead.",
            )
        return {f"sasl.{name}": re.sub(r"\\(.)", r"\1", options[name]) for name in ("username", "password")}

    def _module(self, user: str, password: str) -> str:
        mechanism = self._values.get("sasl.mechanism", "").upper()
        if mechanism not in _MODULES:
            raise ConfigurationError(
                f"{self._path}: sasl.username and sasl.password go with sasl.mechanism {', '.join(_MODULES)}."
            )
        quoted = [re.sub(r'(["\\])', r"\\\1", text) for text in (user, password)]
        return f'{_MODULES[mechanism]} required username="{quoted[0]}" password="{quoted[1]}";'

    def _file(self, name: str) -> Path:
        return Path(self._values[name])

    def _error(self, name: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path}, line {self._lines[name]}: {name}: {what}")


def _absolute(name: str, value: str) -> str:
    """Return a value as it is meant in another directory too: an engine's is not that of the command."""
    names_file = name.endswith(".location") and value != PROBE
    return str(Path(value).absolute()) if names_file else value


def _lines_of(value: str) -> str:
    r"""Return a PEM text with its line ends, which stand as `\n` in a file of properties."""
    return value.replace("\\n", "\n")


__all__ = ["ACCESS", "PROBE", "Connection", "java_properties", "load"]
