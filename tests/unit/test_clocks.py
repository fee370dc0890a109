"""How far another host's clock is: a server in this process, whose clock is wrong on purpose."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from rtmbench import _core
from rtmbench.clocks import ClockOffset, ClockServer, compare
from rtmbench.errors import ConfigurationError, RunFailedError


@contextlib.contextmanager
def clock(offset_us=0, slow_s=0.0):
    """A clock that is ahead by `offset_us`, and whose requests take `slow_s` to be read."""

    def now_us():
        time.sleep(slow_s)
        return _core.now_us() + offset_us

    with ClockServer("127.0.0.1:0", now_us) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server.address
        server.shutdown()
        thread.join(5)


@pytest.mark.parametrize("offset_us", [0, 3_000_000, -7_654_321])
def test_an_offset_is_known_within_its_error(offset_us):
    with clock(offset_us) as address:
        found = compare(address)
    assert abs(found.offset_us - offset_us) <= found.error_us
    assert 0 < found.error_us < 5_000


def test_a_way_that_is_slow_in_one_direction_makes_the_error_as_large():
    with clock(1_000_000, slow_s=0.02) as address:
        found = compare(address, exchanges=3)
    # The request waited before its time was taken: the offset looks larger, and the error covers it.
    assert found.error_us >= 9_000
    assert abs(found.offset_us - 1_000_000) <= found.error_us


def test_what_clocks_drift_apart_is_part_of_the_error():
    before, after = ClockOffset(offset_us=100, error_us=5), ClockOffset(offset_us=130, error_us=7)
    assert before.then(after) == ClockOffset(offset_us=100, error_us=37)
    assert before.then(before) == before


def test_a_clock_that_jumps_is_not_compared():
    jumps = iter(range(0, 10**12, 5_000_000))
    with ClockServer("127.0.0.1:0", lambda: _core.now_us() + next(jumps)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(RunFailedError, match="was set while it was compared"):
            compare(server.address)
        server.shutdown()


def test_what_is_no_clock_is_named():
    with pytest.raises(ConfigurationError, match="is not HOST:PORT"):
        compare("nowhere")
    with pytest.raises(RunFailedError, match="rtmbench clock"):
        compare("127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def close():
            connection, _ = server.accept()
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=close)
        thread.start()
        with pytest.raises(RunFailedError, match="does not answer"):
            compare(f"127.0.0.1:{server.getsockname()[1]}")
        thread.join(5)


def test_a_stranger_gets_no_answer():
    with clock() as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=5) as stranger:
            stranger.sendall(b"GET / HT")
            assert stranger.recv(100) == b""
