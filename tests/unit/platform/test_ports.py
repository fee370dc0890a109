from __future__ import annotations

import socket

import pytest

from rtmbench.errors import PreflightError
from rtmbench.platform import ports


def test_free_ports_are_different_and_can_be_taken():
    chosen = ports.free_ports(5)
    assert len(set(chosen)) == 5
    for port in chosen:
        with socket.socket() as server:
            server.bind((ports.LOOPBACK, port))


def test_a_taken_port_is_named():
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        assert not ports.is_free(port)
        with pytest.raises(PreflightError, match=rf"Port {port} on 127\.0\.0\.1 is in use, but Kafka"):
            ports.ensure_free(port, "Kafka")
    ports.ensure_free(port)
