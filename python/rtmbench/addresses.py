"""Addresses as they are written: HOST:PORT."""

from __future__ import annotations

MAX_PORT = 65_535


def host_and_port(address: str) -> tuple[str, int] | None:
    """Return the two parts of HOST:PORT, the host without the brackets of IPv6; None for any other text."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return (host, int(port)) if host and port.isdigit() and int(port) <= MAX_PORT else None


__all__ = ["host_and_port"]
