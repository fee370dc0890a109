"""The asynchronous twin of the package: what waits is awaited, and a cancellation stops the Rust side.

The functions are `rtmbench._core`'s NAME_async under their plain names. `Generator`, `LatencyConsumer` and `TopicDiff`
have their `start_async()` and `join_async()` themselves, and the first two `run_async()`; `running()` and `snapshots()`
are for their use with `async with` and `async for`.

>>> import asyncio
>>> from rtmbench import _core, aio
>>> async def main(kafka):
...     generator = _core.Generator(kafka, "topic", _core.Workload(1), _core.Schedule.constant(1000), count=100)
...     async with aio.running(_core.LatencyConsumer(kafka, "topic")) as consumer:
...         report = await generator.run_async()
...         async for snapshot in aio.snapshots(consumer, every_s=0.01):
...             if snapshot.received == report.acked:
...                 return snapshot.received
>>> with _core.MockBroker() as broker:
...     broker.create_topic("topic")
...     asyncio.run(main({"bootstrap.servers": broker.bootstrap_servers, "fetch.wait.max.ms": "1"}))
100

`await aio.run("02", engines=[…])` is `rtmbench.run` in a separate process, which a cancellation ends.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, overload

from rtmbench._core import (
    ConsumerSnapshot,
    DiffCounts,
    Generator,
    GeneratorSnapshot,
    LatencyConsumer,
    TopicDiff,
)
from rtmbench._core import broker_addresses_async as broker_addresses
from rtmbench._core import create_topics_async as create_topics
from rtmbench._core import delete_topics_async as delete_topics
from rtmbench._core import end_offsets_async as end_offsets
from rtmbench._core import newest_records_async as newest_records
from rtmbench._core import read_topic_async as read_topic
from rtmbench._core import verify_async as verify
from rtmbench._core import verify_stamped_async as verify_stamped
from rtmbench._core import wait_for_broker_async as wait_for_broker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from typing_extensions import Unpack

    from rtmbench.api.run_result import Run
    from rtmbench.run_settings import RunArguments

WORKER = (sys.executable, "-m", "rtmbench.api.worker")
END_WITHIN_S = 30.0
"""After an interrupt, before the process of a run is killed; its engines end with it either way."""
INTERRUPTED = (130, 143)
"""The exit codes of a process that SIGINT or SIGTERM ended."""
_Client = TypeVar("_Client", Generator, LatencyConsumer, TopicDiff)


@asynccontextmanager
async def running(client: _Client) -> AsyncGenerator[_Client, None]:
    """Start a generator, consumer or comparison; stop it at the end of the block, and wait until it has ended.

    `client.join()` then returns its report at once. Raises what `start()` and `join()` raise.

    >>> import asyncio
    >>> from rtmbench import Generator, Schedule, Workload, aio
    >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000))
    >>> async def main():
    ...     async with aio.running(generator):
    ...         await asyncio.sleep(0.1)
    ...     return generator.join().acked > 0
    >>> asyncio.run(main())
    True
    """
    await client.start_async()
    try:
        yield client
    finally:
        client.stop()
        await client.join_async()


@overload
def snapshots(client: Generator, *, every_s: float = 1.0) -> AsyncIterator[GeneratorSnapshot]: ...
@overload
def snapshots(client: LatencyConsumer, *, every_s: float = 1.0) -> AsyncIterator[ConsumerSnapshot]: ...
@overload
def snapshots(client: TopicDiff, *, every_s: float = 1.0) -> AsyncIterator[DiffCounts]: ...
async def snapshots(
    client: Generator | LatencyConsumer | TopicDiff, *, every_s: float = 1.0
) -> AsyncIterator[GeneratorSnapshot | ConsumerSnapshot | DiffCounts]:
    """Give the counters of a running generator, consumer or comparison now and then each `every_s` seconds, endlessly.

    >>> import asyncio
    >>> from rtmbench import LatencyConsumer, aio
    >>> async def main():
    ...     async with aio.running(LatencyConsumer(kafka, "topic")) as consumer:
    ...         async for snapshot in aio.snapshots(consumer, every_s=0.01):
    ...             return snapshot.received
    >>> asyncio.run(main())
    0
    """
    while True:
        yield client.snapshot()
        await asyncio.sleep(every_s)


async def run(
    pattern: str,
    *,
    engines: Iterable[str] = ("flink@1.20", "spark@4.1"),
    slo: str | Iterable[str] = (),
    results: str | os.PathLike[str] = "results",
    **settings: Unpack[RunArguments],
) -> Run:
    """Do the same as `rtmbench.run` in a separate process, and read the run after its end.

    A cancellation interrupts the run, waits until its engines have ended, and leaves the document of what was
    measured until then, marked incomplete. A second cancellation does not wait: the process is killed, and its engines
    end within seconds. The event loop is free meanwhile; what else it does takes time from the measurement.

    Raises what `rtmbench.run` raises, and RunFailedError where that process is ended by somebody else.

    >>> import asyncio
    >>> from rtmbench import aio
    >>> asyncio.run(aio.run("02", engines=["flink@1.20", "spark@4.3"], quick=True))  # doctest: +SKIP
    >>> asyncio.run(aio.run("02", rate=0.5))
    Traceback (most recent call last):
    rtmbench.errors.ConfigurationError: --rate is 0.5, which is out of range: give 1 to ... events/s.
    """
    arguments = {
        "engines": engines if isinstance(engines, str) else list(engines),
        "slo": slo if isinstance(slo, str) else list(slo),
        "results": os.fspath(results),
        **settings,
    }
    run_id = await _served(json.dumps({"pattern": pattern, "arguments": arguments}, default=_as_text))
    from rtmbench.api.functions import load  # noqa: PLC0415 - the rest of this module does without

    return load(Path(results) / run_id, results)


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    from rtmbench.errors import ConfigurationError  # noqa: PLC0415 - as in `run`

    raise ConfigurationError(
        f"aio.run() runs in a separate process, and {value!r} cannot be sent there. Use rtmbench.run()."
    )


async def _served(request: str) -> str:
    # A terminal is handed on, for the panel that is drawn on it. Where else its progress belongs, `sys.stderr` knows: a
    # notebook's cell, for example, is not a file.
    stderr = None if sys.stderr.isatty() else asyncio.subprocess.PIPE
    # A separate session: a Ctrl-C reaches it once, as the cancellation that it becomes here.
    process = await asyncio.create_subprocess_exec(
        *WORKER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr, start_new_session=True
    )
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101 - as above
    forwarding = asyncio.create_task(_forward(process.stderr))
    try:
        process.stdin.write(request.encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        output = await process.stdout.read()
        code = await process.wait()
        await forwarding
    finally:
        # The end of its standard input is what interrupts it, at whatever point it is.
        process.stdin.close()
        if process.returncode is None:
            await _ended(process)
        forwarding.cancel()
    return _answer(output, code)


async def _forward(stream: asyncio.StreamReader | None) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while stream is not None and (chunk := await stream.read(1 << 12)):
        # A closed standard error needs no more text; the run continues, and its output is still read.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(decoder.decode(chunk))
            sys.stderr.flush()


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), END_WITHIN_S)
    except asyncio.TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _answer(output: bytes, code: int) -> str:
    from rtmbench import _core, errors  # noqa: PLC0415 - as in `run`

    try:
        answer = json.loads(output)
    except ValueError:
        how = "was interrupted from outside" if code in INTERRUPTED else f"ended with code {code}"
        raise errors.RunFailedError(
            f"The process of the run {how}; its messages are on standard error. Its measurements until then, if any,"
            " are on disk."
        ) from None
    if "error" in answer:
        name = answer["error"]
        raise getattr(errors, name, getattr(_core, name, errors.RtmbenchError))(answer["message"])
    return str(answer["run"])


__all__ = [
    "broker_addresses",
    "create_topics",
    "delete_topics",
    "end_offsets",
    "newest_records",
    "read_topic",
    "run",
    "running",
    "snapshots",
    "verify",
    "verify_stamped",
    "wait_for_broker",
]
