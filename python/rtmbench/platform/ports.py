"""Free TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket

from rtmbench.errors import PreflightError

LOOPBACK = "127.0.0.1"
# Below the range from which Linux (32768) and macOS (49152) take the ports of outgoing connections,
# so that nothing but another server can take a port between the choice and its use.
FIRST, LAST = 20_000, 32_000
ATTEMPTS = 200


def is_of_this_machine(host: str) -> bool:
    """Return whether a host name or address is one of this machine: a server could listen on it."""
    if host == LOOPBACK:
        return True
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that was free a moment ago.

    Raises PreflightError where none is found.
    """
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return several different ports that were free a moment ago.

    Raises PreflightError if fewer ports are free.
    """
    choice = random.SystemRandom()
    ports: list[int] = []
    for _ in range(ATTEMPTS + count):
        port = choice.randint(FIRST, LAST)
        if port not in ports and is_free(port):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise PreflightError(
        f"rtmbench found no free TCP port on {LOOPBACK} between {FIRST} and {LAST} in {ATTEMPTS} attempts. "
        "Stop the programs that listen there, or lift the limit that forbids this user to listen."
    )


def ensure_free(port: int, purpose: str = "a local service") -> None:
    """Raise PreflightError, naming the port, where something already listens on it."""
    if not is_free(port):
        raise PreflightError(
            f"Port {port} on {LOOPBACK} is in use, but {purpose} needs it. "
            "Stop the program that holds it, or leave the port out: rtmbench then chooses a free one."
        )


__all__ = ["LOOPBACK", "ensure_free", "free_port", "free_ports", "is_free", "is_of_this_machine"]
