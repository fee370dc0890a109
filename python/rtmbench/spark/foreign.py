"""Runs a custom PySpark file as `python FILE` would, and reports the state of its query.

`rtmbench` starts it as `python -m rtmbench.spark.foreign FILE ARGUMENT…`. The file needs to know nothing of rtmbench:
the query that writes the output topic is detected as it starts.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtmbench.errors import RunFailedError
from rtmbench.spark import cluster
from rtmbench.spark.facts import FactsFile, ProgressFile, collect
from rtmbench.spark.failures import Failure
from rtmbench.spark.query_starts import QueryStarts
from rtmbench.spark.runner import EXIT_REFUSED, POLL_S, PROGRESS_S, REMOVE
from rtmbench.spark.trigger import is_real_time, plan_of, trigger_of

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

_MESSAGE = 600


class _StoppedError(BaseException):
    """A stop was requested."""


class _Watch(threading.Thread):
    """Follows the query that writes the output; writes its facts once, its progress all along."""

    def __init__(self, facts: FactsFile, progress: ProgressFile) -> None:
        super().__init__(name="rtmbench-watch", daemon=True)
        self.facts = facts
        self.progress = progress
        self.query: StreamingQuery | None = None
        self.failure: Failure | None = None
        self._restarts = 0
        self._session: SparkSession | None = None
        self._query_started = threading.Event()
        self._over = threading.Event()

    def begin(self, query: StreamingQuery, session: SparkSession) -> None:
        """Follow this query, unless another one is followed already."""
        if not self._query_started.is_set():
            self.query, self._session = query, session
            self._query_started.set()
        elif self.query is not None and not self.query.isActive:
            # The file has started its query again, as some do where it fails.
            self._restarts += 1
            self.facts.update(restarts=self._restarts)

    def run(self) -> None:
        """Follow the query to its end."""
        self._query_started.wait()
        query, session = self.query, self._session
        assert query is not None  # noqa: S101 - set before the event
        assert session is not None  # noqa: S101 - set before the event
        try:
            self._follow(query, session)
            if not self._over.is_set() and query.exception() is not None:
                self.failure = Failure.of_query(query)
        except Exception:  # noqa: BLE001 - a JVM that ends throws anything; the file's process reports why it ended
            if not self._over.is_set():
                traceback.print_exc()

    def _follow(self, query: StreamingQuery, session: SparkSession) -> None:
        reported, plan = False, ""
        while query.isActive and not self._over.wait(PROGRESS_S if plan else POLL_S):
            if not plan:
                plan = plan_of(query)
                # As in `rtmbench.spark.runner`: micro-batches are planned only when data comes.
                if plan or not (reported or trigger_of(query).startswith("RealTimeTrigger")):
                    self.facts.update(
                        state="running", real_time=is_real_time(query), plan=plan, **collect(session, query)
                    )
                    reported = True
            self.progress.append(query)

    def end(self) -> None:
        """Stop the query, if it runs; it is not followed any more."""
        self._over.set()
        with suppress(Exception):
            if self.query is not None and self.query.isActive:
                self.query.stop()
            if self._session is not None and (checkpoint := os.environ.get(REMOVE)):
                cluster.remove(self._session, checkpoint)
            if self._session is not None and not cluster.is_local(self._session):
                # Executors go back to the cluster at once.
                self._session.stop()


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the file, and exit: 0 stopped on request, 1 it failed or ended by itself, 64 Spark refused its query."""
    name, *job_arguments = sys.argv[1:] if arguments is None else arguments
    path = Path(name).resolve()
    # The file may be one of rtmbench's pipelines, which would write into these too.
    facts = FactsFile(_taken("RTMBENCH_FACTS"))
    watch = _Watch(facts, ProgressFile(_taken("RTMBENCH_PROGRESS")))
    signal.signal(signal.SIGTERM, _stop)
    code = 0
    try:
        failure = _run(path, job_arguments, watch)
        code = _report(failure, facts)
    except _StoppedError:
        facts.update(state="stopped")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watch.end()
    sys.stdout.flush()
    sys.stderr.flush()
    # The file's own threads and Py4J's must not delay a requested end.
    os._exit(code)


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _StoppedError


def _taken(name: str) -> Path | None:
    value = os.environ.pop(name, "")
    return Path(value) if value else None


def _run(path: Path, arguments: list[str], watch: _Watch) -> Failure:
    """Run the file until a stop is requested; any other end is a failure."""
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    topic, checkpoints = os.environ.get("RTMBENCH_OUTPUT_TOPIC"), os.environ.get("RTMBENCH_CHECKPOINT_DIR")
    QueryStarts(watch.begin, output_topic=topic, checkpoints=checkpoints).hook()
    watch.start()
    ended = f"{path.name} ended"
    try:
        runpy.run_path(str(path), run_name="__main__")
        if watch.query is not None:
            # A file may leave its query running and end: under `spark-submit` that would end the query too.
            watch.join()
    except SystemExit as error:
        if error.code not in (None, 0):
            ended = f"{path.name} ended with exit code {error.code}"
    except Exception as error:  # noqa: BLE001 - every exception is reported
        traceback.print_exc()
        return watch.failure or _of(error, path)
    # The watch notices a failed query a moment later.
    if watch.query is not None:
        watch.join(2 * PROGRESS_S)
        return watch.failure or Failure(code="QUERY_ENDED", message=f"{ended}, and its query with it.")
    message = (
        f"{ended} and started no streaming query that writes the output topic. It must call start() on a "
        "DataStreamWriter with the format kafka and the topic of RTMBENCH_OUTPUT_TOPIC or --output."
    )
    return Failure(code="NO_QUERY", message=message)


def _of(error: Exception, path: Path) -> Failure:
    """Describe what the file raised, with the line of it that did."""
    failure = Failure.of(error)
    if isinstance(error, TypeError) and "realTime" in failure.message:
        failure = replace(
            failure,
            message="trigger() of this Spark has no realTime, which came with Spark 4.2. Use a newer Spark, as in "
            "--engines spark@4.3, or rtmbench.spark.real_time_trigger(writer, interval), which works with each version",
        )
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    place = f" ({path.name}, line {lines[-1]})" if lines else ""
    return Failure(code=failure.code, message=f"{failure.message[:_MESSAGE]}{place}", trace=failure.trace)


def _report(failure: Failure, facts: FactsFile) -> int:
    if failure.refused:
        facts.update(state="refused", refused={"code": failure.code, "message": failure.message})
        return EXIT_REFUSED
    facts.update(state="failed", error={"code": failure.code, "message": failure.message})
    print(f"{failure.code}: {failure.message}", file=sys.stderr, flush=True)  # noqa: T201 - to the log of the process
    return RunFailedError.exit_code


if __name__ == "__main__":
    main()
