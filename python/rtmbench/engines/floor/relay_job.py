"""The process of the `relay` engine: `python -m rtmbench.engines.floor.relay_job FILE`.

FILE is JSON: `config` (librdkafka's properties), `input`, `output`, and `running`, a file that is made when both topics
are connected. It relays until it is terminated, and ends with an error message where a record is lost.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench import _core

if TYPE_CHECKING:
    from types import FrameType


def main(file: Path) -> int:
    """Relay until SIGTERM or SIGINT; return the process's exit code."""
    options = json.loads(file.read_text(encoding="utf-8"))
    relay = _core.Relay(options["config"], options["input"], options["output"])

    def stop(_number: int, _frame: FrameType | None) -> None:
        relay.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        relay.start()
        Path(options["running"]).touch()
        ended = relay.join()
    except _core.RtmbenchError as error:
        sys.stdout.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{ended}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
