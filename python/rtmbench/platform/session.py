"""One session for several supervised programs, for kernels whose autogroup gives out time session by session."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rtmbench.json_object import JsonObject

HOLDER = Path(__file__).with_name("session_holder.py")
END_TIMEOUT_S = 2.0
RATE_LIMIT_S = 2.0


class SessionError(Exception):
    """The session cannot be had, or a program cannot be started in it; the message is the reason, as a clause."""


class Session:
    """A session with a separate nice value, kept by a small process that starts programs in it. Linux only."""

    def __init__(self) -> None:
        """Start the holder. Raises SessionError where the session has no nice value that could be set."""
        near_end, far_end = socket.socketpair()
        self._lock = threading.Lock()
        self._socket = near_end
        with far_end:
            self._holder = subprocess.Popen(
                [sys.executable, "-I", "-S", str(HOLDER), str(far_end.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[far_end.fileno()],
                start_new_session=True,
            )
        try:
            self._answer()
        except SessionError:
            self.close()
            raise
        if not os.access(self._autogroup, os.W_OK):
            self.close()
            raise SessionError(f"{self._autogroup} cannot be written")

    @property
    def _autogroup(self) -> Path:
        return Path(f"/proc/{self.pid}/autogroup")

    @property
    def pid(self) -> int:
        """The session's leader."""
        return self._holder.pid

    def set_nice(self, nice: int) -> None:
        """Set the nice value of the whole session; whether it took effect, `/proc/PID/autogroup` shows."""
        deadline = time.monotonic() + RATE_LIMIT_S
        while True:
            try:
                self._autogroup.write_text(str(nice), encoding="ascii")
            except BlockingIOError:  # noqa: PERF203 - it waits anyway
                # From users without privileges the kernel takes one such order in a tenth of a second.
                if time.monotonic() > deadline:
                    return
                time.sleep(0.05)
            except OSError:
                return
            else:
                return

    def start(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> SessionChild:
        """Start a program in the session, with pipes to its standard input and output.

        Raises SessionError where it cannot be started, or the holder is gone.
        """
        stdin_read, stdin_write = os.pipe()
        stdout_read, stdout_write = os.pipe()
        try:
            request = {"argv": list(argv), "env": dict(env), "cwd": str(cwd)}
            reply, descriptors = self._request(request, [stdin_read, stdout_write])
        except SessionError:
            for descriptor in (stdin_write, stdout_read):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (stdin_read, stdout_write):
                os.close(descriptor)
        return SessionChild(
            self, int(reply["pid"]), descriptors[0], os.fdopen(stdin_write, "wb", 0), os.fdopen(stdout_read, "rb", 0)
        )

    def status(self, pid: int) -> int | None:
        """Return the exit code of a child that has ended; None where the holder is gone."""
        with contextlib.suppress(SessionError):
            reply, _ = self._request({"wait": pid}, [])
            return int(reply["status"])
        return None

    def close(self) -> None:
        """End the holder; programs that it started live on. Safe to call again."""
        self._socket.close()
        try:
            self._holder.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()

    def _request(self, request: Mapping[str, Any], descriptors: list[int]) -> tuple[JsonObject, list[int]]:
        body = json.dumps(request).encode()
        with self._lock:
            try:
                socket.send_fds(self._socket, [f"{len(body):08x}".encode()], descriptors)
                self._socket.sendall(body)
            except OSError as error:
                raise SessionError(f"the process that holds the session is gone ({error.strerror})") from error
            return self._answer()

    def _answer(self) -> tuple[JsonObject, list[int]]:
        try:
            text, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 1, socket.MSG_CMSG_CLOEXEC)
            while text and not text.endswith(b"\n"):
                text += self._socket.recv(4096)
        except OSError as error:
            raise SessionError(f"the process that holds the session is gone ({error.strerror})") from error
        reply: JsonObject = json.loads(text) if text else {"error": "the process that holds the session has ended"}
        if "error" in reply:
            for descriptor in descriptors:
                os.close(descriptor)
            raise SessionError(str(reply["error"]))
        return reply, list(descriptors)


class SessionChild:
    """A program in a session. Has what is used of `subprocess.Popen`."""

    def __init__(self, session: Session, pid: int, pidfd: int, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdin: IO[bytes] | None = stdin
        self.stdout: IO[bytes] | None = stdout
        self.returncode: int | None = None
        self._session = session
        self._pidfd = pidfd

    def poll(self) -> int | None:
        """Return None while the program runs, then its exit code."""
        return self._await(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises subprocess.TimeoutExpired after `timeout` seconds.
        """
        code = self._await(timeout)
        if code is None:
            assert timeout is not None  # noqa: S101 - without one, the wait has no end but the program's
            raise subprocess.TimeoutExpired([str(self.pid)], timeout)
        return code

    def kill(self) -> None:
        """Kill the program."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _await(self, timeout_s: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if poll.poll(None if timeout_s is None else timeout_s * 1000):
                status = self._session.status(self.pid)
                self.returncode = -signal.SIGKILL if status is None else status
                os.close(self._pidfd)
        return self.returncode


__all__ = ["Session", "SessionChild", "SessionError"]
