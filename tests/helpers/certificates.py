"""Certificates for tests: an authority, what it has issued, and stores of both in Java's formats."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme
from cryptography.hazmat.primitives import serialization

from rtmbench.platform.java import find_java

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

PASSWORD = "canary-store-7d1f"  # noqa: S105


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Files below one directory."""

    authority: Path
    """The authority's certificate, PEM."""
    certificate: Path
    """Of localhost and 127.0.0.1, PEM."""
    key: Path
    """Its key, PKCS#8 in PEM."""
    old_key: Path
    """The same key as OpenSSL wrote it before PKCS#8."""

    @property
    def both(self) -> str:
        """Key and certificate in one PEM text, as Java's client and broker want them."""
        return self.key.read_text() + self.certificate.read_text()

    def truststore(self, place: Path, kind: str = "JKS") -> Path:
        """Make a store with the authority, `PASSWORD` its password."""
        path = place / f"trust.{kind.lower()}"
        _keytool("-importcert", "-noprompt", "-alias", "ca", "-file", self.authority, *_store(path, kind))
        return path


def issue(place: Path, *hosts: str, not_after: dt.datetime | None = None) -> Certificates:
    """Make an authority and a certificate of `hosts`."""
    place.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    issued = authority.issue_cert(*(hosts or ("localhost", "127.0.0.1")), not_after=not_after)
    old = issued.private_key_pem.bytes()
    new = serialization.load_pem_private_key(old, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    texts = {
        "authority": authority.cert_pem.bytes(),
        "certificate": b"".join(pem.bytes() for pem in issued.cert_chain_pems),
        "key": new,
        "old_key": old,
    }
    for name, text in texts.items():
        (place / f"{name}.pem").write_bytes(text)
    return Certificates(**{name: place / f"{name}.pem" for name in texts})


def keystore(place: Path, kind: str) -> Path:
    """Make a store with a key of its own, `PASSWORD` its password."""
    path = place / f"key.{kind.lower()}"
    names = ["-alias", "client", "-dname", "CN=client", "-keyalg", "RSA"]
    _keytool("-genkeypair", *names, "-keypass", PASSWORD, *_store(path, kind))
    return path


def _store(path: Path, kind: str) -> list[object]:
    return ["-keystore", path, "-storetype", kind, "-storepass", PASSWORD]


def _keytool(*arguments: object) -> None:
    keytool = find_java().home / "bin" / "keytool"
    subprocess.run([str(keytool), *map(str, arguments)], check=True, capture_output=True, timeout=60)
