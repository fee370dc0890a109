"""A run in a process of its own, for `rtmbench.aio.run`: a signal ends it in the way that it ends the command line.

`python -m rtmbench.worker` reads one line of JSON (`patterns`, `engines`, `slo`, `results`, `settings`) from standard
input and writes one to standard output: the ids of the runs, or the error. When its standard input ends, so does it:
whoever asked for the run is gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from rtmbench import api, signals
from rtmbench.errors import RtmbenchError

INTERRUPTED = 128 + signal.SIGINT


def main() -> int:
    """Serve one request; return the exit code of the command line's contract."""
    signals.install()
    try:
        wish = json.loads(_line())
        threading.Thread(target=_end_with_the_caller, daemon=True).start()
        found = api.start(wish["patterns"], wish["engines"], wish["slo"], Path(wish["results"]), wish["settings"])
    except RtmbenchError as error:
        _say({"error": type(error).__name__, "message": str(error)})
        return getattr(error, "exit_code", 1)
    except (KeyboardInterrupt, signals.Terminated):
        return INTERRUPTED
    _say({"runs": [run.run_id for run in found]})
    return 0


def _line() -> bytes:
    # Python's own standard input holds a lock while it waits, which an exit would trip over.
    text = b""
    while not text.endswith(b"\n"):
        read = os.read(0, 1 << 16)
        if not read:
            break
        text += read
    return text


def _end_with_the_caller() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
