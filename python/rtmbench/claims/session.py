"""The process that holds a Spark session and tries claims in it: `python -m rtmbench.claims.session FILE ID…`.

It appends one JSON document a line to FILE: `ready`, then `start` and `end` for each claim.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from rtmbench.claims.lab import Lab, Topics
from rtmbench.claims.model import NotObservableError
from rtmbench.claims.registry import find
from rtmbench.spark.sessions import session


def main(outcomes: Path, ids: list[str]) -> None:
    """Try claims one after the other; an experiment that breaks is an `end` with a problem."""
    with outcomes.open("a", encoding="utf-8", buffering=1) as file:

        def write(**document: object) -> None:
            file.write(json.dumps(document) + "\n")

        spark = session("rtmbench-claims")
        scratch = Path(os.environ["TMPDIR"])
        topics = Topics(os.environ["KAFKA_BOOTSTRAP_SERVERS"], f"claims-{os.getpid()}")
        lab = Lab(spark=spark, topics=topics, scratch=scratch, log=Path(os.environ["RTMBENCH_CLAIMS_LOG"]))
        warm_up(lab)
        write(event="ready")
        for name in ids:
            claim = find(name)
            write(event="start", id=name)
            began = time.monotonic()
            try:
                result: dict[str, object] = {"observation": claim.run(lab).to_dict()}
            except NotObservableError as reason:
                result = {"not_observable": str(reason)}
            except Exception as error:  # noqa: BLE001 - the next claims are still to be tried
                result = {"problem": f"{type(error).__name__}: {error}"}
            write(event="end", id=name, seconds=time.monotonic() - began, **result)
        spark.stop()


def warm_up(lab: Lab) -> None:
    """Run a query whose result is not used, so that the first claim does not measure class loading."""
    lab.probe(lambda events: events)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
