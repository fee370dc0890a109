"""A run in a separate process, for `rtmbench.aio.run`: a signal ends it as it ends the command line.

`python -m rtmbench.api.worker` reads one line of JSON (`pattern`, and `arguments`, those of `rtmbench.run`) from
standard input and writes one to standard output: the id of the run, or the error. The end of its standard input
interrupts the run: the caller has cancelled it, or has ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from rtmbench import signals
from rtmbench.api import functions
from rtmbench.errors import RtmbenchError

if TYPE_CHECKING:
    from rtmbench.json_object import JsonObject


def main() -> int:
    """Serve one request; return the exit code of the command line's contract."""
    signals.install()
    try:
        line = _line()
        if not line:
            return 128 + signal.SIGINT
        request = json.loads(line)
        threading.Thread(target=_end_with_the_caller, daemon=True).start()
        run = functions.run(request["pattern"], **request["arguments"])
    except RtmbenchError as error:
        _say({"error": type(error).__name__, "message": str(error)})
        return getattr(error, "exit_code", 1)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except signals.Terminated:
        return 128 + signal.SIGTERM
    _say({"run": run.run_id})
    return 0


def _line() -> bytes:
    """Read the request; return nothing where it was taken back before it was complete."""
    # Python's own standard input holds a lock while it waits, which an exit would trip over.
    text = b""
    while not text.endswith(b"\n"):
        read = os.read(0, 1 << 16)
        if not read:
            return b""
        text += read
    return text


def _end_with_the_caller() -> None:
    while os.read(0, 1):
        pass
    # To the main thread itself: a signal that another one takes would not end what it waits for.
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _say(document: JsonObject) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
