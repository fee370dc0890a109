"""Holds one session, and starts the requested programs in it: where autogroup decides, one session is one group.

A stand-alone script (`python -I -S session_holder.py FD`), started as the leader of a new session. It greets
with `{}` and then answers requests on the socket FD. A request is its length as eight hexadecimal
digits, sent with the two descriptors that become the child's standard input and output, and a JSON object: `argv`,
`env`, `cwd`, or `wait` with a pid. The answer is one JSON line: `pid` (with a pidfd), `status` or `error`. Children
start in separate process groups. When the socket closes, the script ends; its children live on.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rtmbench.json_object import JsonObject

LENGTH = 8


def start(request: JsonObject, descriptors: list[int]) -> int:
    """Start a child of this session with the two descriptors; return its pid."""
    os.chdir(request["cwd"])
    return os.posix_spawn(
        request["argv"][0],
        request["argv"],
        request["env"],
        file_actions=[
            (os.POSIX_SPAWN_DUP2, descriptors[0], 0),
            (os.POSIX_SPAWN_DUP2, descriptors[1], 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setpgroup=0,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
    )


def answer(connection: socket.socket, request: JsonObject, descriptors: list[int]) -> None:
    """Do what the request asks for and answer it."""
    reply: JsonObject
    passed: list[int] = []
    try:
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            reply = {"status": os.waitstatus_to_exitcode(status)}
        else:
            pid = start(request, descriptors)
            reply = {"pid": pid}
            passed.append(os.pidfd_open(pid))
    except OSError as error:
        reply = {"error": str(error)}
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    socket.send_fds(connection, [json.dumps(reply).encode() + b"\n"], passed)
    for descriptor in passed:
        os.close(descriptor)


def main() -> int:
    """Run as a script."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    connection.sendall(b"{}\n")
    while True:
        header, descriptors, _, _ = socket.recv_fds(connection, LENGTH, 2, socket.MSG_CMSG_CLOEXEC)
        if not header:
            return 0
        body = b""
        while len(body) < int(header, 16):
            body += connection.recv(65536)
        answer(connection, json.loads(body), list(descriptors))


if __name__ == "__main__":
    sys.exit(main())
