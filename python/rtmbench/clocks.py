"""How far the clock of another host is from the clock of this one, and how sure that is.

A host answers with the time at which a request came and the time of its answer. From these and the two times here
follows the offset, as in NTP: half of the way there and back is the most by which it can be wrong, whatever the network
does. Of many exchanges the fastest one is the best.
"""

from __future__ import annotations

import socket
import socketserver
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtmbench import _core
from rtmbench.addresses import host_and_port
from rtmbench.errors import ConfigurationError, RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

EXCHANGES = 200
TIMEOUT_S = 5.0
_REQUEST = b"rtmbench"
_ANSWER = struct.Struct("!qq")


@dataclass(frozen=True, kw_only=True)
class ClockOffset:
    """The clock of another host minus the clock of this one, µs."""

    offset_us: int
    error_us: int
    """The offset is right within this, both ways."""

    def then(self, later: ClockOffset) -> ClockOffset:
        """Return this offset for the whole time from its measurement to a later one."""
        drift_us = abs(later.offset_us - self.offset_us)
        return ClockOffset(offset_us=self.offset_us, error_us=max(self.error_us, later.error_us + drift_us))


class ClockServer(socketserver.ThreadingTCPServer):
    """Answers the requests of other hosts with the time here."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, now_us: Callable[[], int] = _core.now_us) -> None:
        self.now_us = now_us
        super().__init__(_place(address), _Handler)

    @property
    def address(self) -> str:
        """Where it listens, HOST:PORT."""
        host, port = self.socket.getsockname()[:2]
        return f"{host}:{port}"


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, ClockServer)  # noqa: S101 - the only one that makes it
        connection: socket.socket = self.request
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(TIMEOUT_S)
        try:
            while _receive(connection, len(_REQUEST)) == _REQUEST:
                came_us = server.now_us()
                connection.sendall(_ANSWER.pack(came_us, server.now_us()))
        except OSError:
            # A client that is gone.
            return


def compare(address: str, exchanges: int = EXCHANGES) -> ClockOffset:
    """Compare the clock of the host that answers at HOST:PORT with the clock of this one.

    Raises:
        ConfigurationError: not an address.
        RunFailedError: nobody answers, or something else than `rtmbench clock`.

    """
    best: tuple[int, int] | None = None
    try:
        with socket.create_connection(_place(address), timeout=TIMEOUT_S) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(exchanges):
                sent_us = _core.now_us()
                connection.sendall(_REQUEST)
                came_us, answered_us = _ANSWER.unpack(_receive(connection, _ANSWER.size))
                back_us = _core.now_us()
                way_us = (back_us - sent_us) - (answered_us - came_us)
                twice_offset_us = (came_us - sent_us) + (answered_us - back_us)
                if way_us >= 0:
                    best = min(best or (way_us, twice_offset_us), (way_us, twice_offset_us))
    except (OSError, struct.error) as error:
        raise RunFailedError(
            f"The clock at {address} does not answer: {error}. Run `rtmbench clock` on that host."
        ) from None
    if best is None:
        # No answer takes less than nothing.
        raise RunFailedError(f"The clock at {address} was set while it was compared. Measure again.")
    # Times are whole µs: one more on either side.
    return ClockOffset(offset_us=round(best[1] / 2), error_us=best[0] // 2 + 1)


def _receive(connection: socket.socket, size: int) -> bytes:
    """Return so many bytes, or fewer where the other side has ended."""
    received = b""
    while len(received) < size and (part := connection.recv(size - len(received))):
        received += part
    return received


def _place(address: str) -> tuple[str, int]:
    place = host_and_port(address)
    if place is None:
        raise ConfigurationError(f"{address!r} is not HOST:PORT, such as 10.0.0.5:9123.")
    return place


__all__ = ["ClockOffset", "ClockServer", "compare"]
