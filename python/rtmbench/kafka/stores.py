"""Stores of keys and certificates, made readable for both kinds of client: PEM, PKCS#12, and Java's JKS and JCEKS.

A store is recognised by its content. librdkafka reads PEM and PKCS#12, Java's client reads all of them. What has to be
converted is written to a directory that only this user can read, and that is removed when the process ends. It is
converted once: a command reads its file of properties several times.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from rtmbench.errors import ConfigurationError
from rtmbench.private_files import private_directory, write_private

Kind = Literal["PEM", "PKCS12", "JKS", "JCEKS"]

_MAGIC: dict[bytes, Kind] = {b"\xfe\xed\xfe\xed": "JKS", b"\xce\xce\xce\xce": "JCEKS"}
_TIMEOUT_S = 30
_BLOCK = re.compile(r"-----BEGIN (?P<label>[A-Z0-9 ]+)-----.*?-----END (?P=label)-----", re.DOTALL)
_PASSWORD = "KEYTOOL_STORE_PASSWORD"  # noqa: S105 - the name of a variable
_NEW_PASSWORD = "KEYTOOL_NEW_STORE_PASSWORD"  # noqa: S105 - as above
_OLD_KEYS = ("RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY")
"""Keys that OpenSSL wrote before PKCS#8, which Java cannot read."""


def kind(path: Path) -> Kind:
    """Return what a file is, by its first bytes.

    Raises ConfigurationError for a file that cannot be read, or is none of them.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise ConfigurationError(f"The store {path} cannot be read: {error.strerror or error}.") from None
    if found := _MAGIC.get(head[:4]):
        return found
    if b"-----BEGIN " in head:
        return "PEM"
    # DER: a sequence, whose length takes more than one byte.
    if head[:1] == b"\x30" and head[1:2] >= b"\x80":
        return "PKCS12"
    raise ConfigurationError(f"{path} is not a store of keys or certificates: neither PEM, PKCS#12 nor JKS.")


@functools.cache
def authorities(path: Path, password: str) -> Path:
    """Return a PEM file with the certificates of a store that are trusted.

    Raises ConfigurationError where it cannot be read, or holds none.
    """
    if kind(path) == "PEM":
        return path
    arguments = ["-list", "-rfc", "-keystore", str(path)]
    printed = _keytool(path, [*arguments, "-storepass:env", _PASSWORD] if password else arguments, password)
    certificates = [block[0] for block in _BLOCK.finditer(printed) if block["label"] == "CERTIFICATE"]
    if not certificates:
        raise ConfigurationError(f"The truststore {path} holds no certificate.")
    return private_file(f"{path.name}.pem", "\n".join(certificates) + "\n")


@functools.cache
def pkcs12(path: Path, password: str) -> tuple[Path, str]:
    """Return a JKS or JCEKS keystore as PKCS#12, with its new password.

    Raises ConfigurationError where it cannot be converted.
    """
    target, new = private_directory() / f"{secrets.token_hex(4)}-{path.name}.p12", secrets.token_hex(16)
    arguments = ["-importkeystore", "-noprompt", "-srckeystore", str(path), "-srcstorepass:env", _PASSWORD]
    arguments += ["-destkeystore", str(target), "-deststoretype", "PKCS12", "-deststorepass:env", _NEW_PASSWORD]
    _keytool(path, arguments, password, new)
    target.chmod(0o600)
    return target, new


@functools.cache
def joined(certificates: Path, key: Path) -> Path:
    """Return one PEM file with a key and its certificates, as Java's client wants them.

    Raises ConfigurationError for a key that Java cannot read.
    """
    texts = [text(key), text(certificates)]
    labels = [block["label"] for block in _BLOCK.finditer(texts[0])]
    if old := next((label for label in labels if label in _OLD_KEYS), None):
        raise ConfigurationError(
            f"The key {key} is a `{old}`, which Java's Kafka client cannot read. Convert it: "
            f"`openssl pkcs8 -topk8 -in {key} -out key-pkcs8.pem` (with -nocrypt for a key without a password)."
        )
    blocks = [block[0] for text in texts for block in _BLOCK.finditer(text)]
    return private_file(f"{key.name}-joined.pem", "\n".join(dict.fromkeys(blocks)) + "\n")


def split(path: Path) -> tuple[str, str]:
    """Return the key and the certificates of a PEM file that holds both.

    Raises ConfigurationError where it holds only one of them.
    """
    key: list[str] = []
    certificates: list[str] = []
    for block in _BLOCK.finditer(text(path)):
        (certificates if block["label"] == "CERTIFICATE" else key).append(block[0])
    if not key or not certificates:
        raise ConfigurationError(f"{path} does not hold a key and its certificates.")
    return "\n".join(key), "\n".join(certificates)


def private_file(name: str, text: str) -> Path:
    """Write a new file that only this user can read, and that is removed when the process ends; return it."""
    path = private_directory() / f"{secrets.token_hex(4)}-{name}"
    write_private(path, text)
    return path


def text(path: Path) -> str:
    """Return a PEM file's text. Raises ConfigurationError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as PEM: {error}.") from None


def _keytool(path: Path, arguments: list[str], password: str, new: str = "") -> str:
    home = os.environ.get("JAVA_HOME")
    keytool = shutil.which("keytool", path=str(Path(home) / "bin") if home else None)
    if keytool is None:
        raise ConfigurationError(
            f"The store {path} is not PEM, and the JDK's keytool, which would convert it, is not there. Set JAVA_HOME "
            "to a JDK, or convert the store to PEM."
        )
    environment = {**os.environ, _PASSWORD: password, _NEW_PASSWORD: new}
    try:
        ended = subprocess.run(
            [keytool, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"keytool, which would convert the store {path}, cannot be run: {error}.") from None
    if ended.returncode:
        reason = " ".join((ended.stdout + ended.stderr).split())[-300:]
        raise ConfigurationError(
            f"keytool cannot read the store {path}. Check its password, and that each key has the same one. It "
            f"reports: {reason.replace(password, '***') if password else reason}"
        )
    return ended.stdout


__all__ = ["Kind", "authorities", "joined", "kind", "pkcs12", "private_file", "split", "text"]
