"""Running a pipeline's query from start to end: start, facts, progress, stop, and what to report when it fails."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rtmbench.errors import RtmbenchError, RunFailedError
from rtmbench.spark import cluster, slots, twin
from rtmbench.spark.facts import FactsFile, ProgressFile, collect
from rtmbench.spark.failures import Failure
from rtmbench.spark.io import Io
from rtmbench.spark.sessions import session
from rtmbench.spark.trigger import is_real_time, plan_of, trigger_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType
    from typing import NoReturn

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import DataStreamWriter, StreamingQuery

    Build = Callable[[SparkSession, Io], DataStreamWriter]

EXIT_REFUSED = 64
"""The exit code of a query that Spark refuses to run; the facts hold its error code and message."""

REMOVE = "RTMBENCH_REMOVE_CHECKPOINT"
"""The variable with the URI of a directory that is removed after the query's end."""

POLL_S = 0.1
PROGRESS_S = 1.0


def main(build: Build, *, io: Io | None = None) -> NoReturn:
    """Run a pipeline's query until SIGTERM or SIGINT, then exit the process.

    Exit codes: 0 stopped on request, 1 the query failed, 2 a setting is invalid, 3 something is missing on this
    machine, 64 Spark refused the query. By default, `io` is read from the environment.

    With `--compare` on the command line, it does what `rtmbench run` does for this pipeline's pattern instead: the
    query and its Flink twin, side by side; further arguments are those of `rtmbench run`.
    """
    if twin.FLAG in sys.argv[1:]:
        twin.run_with_twin(build, sys.argv[1:])
    sys.exit(_main(build, io))


def _main(build: Build, io: Io | None) -> int:
    with (
        _Stop().installed() as stop,
        tempfile.TemporaryDirectory(prefix="rtmbench-spark-") as scratch,
    ):
        try:
            io = io or Io.from_env()
            if io.checkpoint_dir is None:
                io = replace(io, checkpoint_dir=f"{scratch}/checkpoint")
            return _run(build, io, stop)
        except _StoppedError:
            return 0
        except RtmbenchError as error:
            _say(str(error))
            return getattr(error, "exit_code", 1)


def _run(build: Build, io: Io, stop: _Stop) -> int:
    facts = FactsFile(io.facts)
    spark = session("rtmbench")
    stop.install()  # PySpark has put its own SIGINT handler in place, which cancels jobs and raises
    query = None
    try:
        try:
            writer = build(spark, io)
            if io.real_time:
                slots.check(spark, io, writer)
            query = writer.start()
            stop.only_set()
            _follow(spark, query, io, facts, stop)
        except RtmbenchError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever PySpark or the JVM throws ends the run and is reported
            return _failed(Failure.of(error), facts)
        if stop.requested or query.exception() is None:
            facts.update(state="stopped")
            return 0
        return _failed(Failure.of_query(query), facts)
    finally:
        _close(spark, query)


def _follow(spark: SparkSession, query: StreamingQuery, io: Io, facts: FactsFile, stop: _Stop) -> None:
    """Watch a query until it ends or a stop is requested; write its facts once, and its progress continuously."""
    progress = ProgressFile(io.progress)
    reported, plan = False, ""
    while query.isActive and not stop.wait(PROGRESS_S if plan else POLL_S):
        if not plan:
            plan = plan_of(query)
            # Real-Time Mode shows only in a planned batch. Micro-batches are planned when data comes: no use to wait.
            if plan or not (reported or trigger_of(query).startswith("RealTimeTrigger")):
                facts.update(state="running", real_time=is_real_time(query), plan=plan, **collect(spark, query, io))
                reported = True
        progress.append(query)
    if stop.requested:
        query.stop()
    progress.append(query)


def _failed(failure: Failure, facts: FactsFile) -> int:
    if failure.refused:
        facts.update(state="refused", refused={"code": failure.code, "message": failure.message})
        _say(f"Spark refused the query ({failure.code}): {failure.message}")
        return EXIT_REFUSED
    facts.update(state="failed", error={"code": failure.code, "message": failure.message})
    _say(f"The query failed ({failure.code}): {failure.message}\n{failure.trace}")
    return RunFailedError.exit_code


def _close(spark: SparkSession, query: StreamingQuery | None) -> None:
    try:
        if query is not None and query.isActive:
            query.stop()
        if checkpoint := os.environ.get(REMOVE):
            cluster.remove(spark, checkpoint)
        spark.stop()
    except Exception as error:  # noqa: BLE001 - the JVM may be gone already, and with it all there was to stop
        _say(f"While stopping: {error}")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - a pipeline is a standalone program


class _StoppedError(BaseException):
    """A stop was requested before a query existed."""


class _Stop:
    """SIGTERM and SIGINT as a flag; before the query has started, as an exception that ends the start."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._raises = True

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        return self._event.wait(timeout_s)

    def only_set(self) -> None:
        """From now on a signal sets the flag and interrupts nothing."""
        self._raises = False

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    @contextmanager
    def installed(self) -> Generator[_Stop, None, None]:
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        self.install()
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._event.set()
        if self._raises:
            self._raises = False
            raise _StoppedError
