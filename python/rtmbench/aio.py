"""The asynchronous twin of the package: what waits is awaited, and a cancellation stops the Rust side.

The functions are `rtmbench._core`'s NAME_async under their plain names. `Generator` and `LatencyConsumer` have their
`start_async()`, `join_async()` and `run_async()` themselves; `running()` and `snapshots()` are for their use with
`async with` and `async for`.

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
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar, overload

from rtmbench._core import (
    ConsumerSnapshot,
    Generator,
    GeneratorSnapshot,
    LatencyConsumer,
)
from rtmbench._core import create_topics_async as create_topics
from rtmbench._core import delete_topics_async as delete_topics
from rtmbench._core import end_offsets_async as end_offsets
from rtmbench._core import read_topic_async as read_topic
from rtmbench._core import verify_async as verify
from rtmbench._core import verify_stamped_async as verify_stamped
from rtmbench._core import wait_for_broker_async as wait_for_broker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_Client = TypeVar("_Client", Generator, LatencyConsumer)


@asynccontextmanager
async def running(client: _Client) -> AsyncIterator[_Client]:
    """Start a generator or a consumer; stop it at the end of the block, and wait until it has ended.

    `client.join()` then returns its report at once. Raises what `start()` and `join()` raise.
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
async def snapshots(
    client: Generator | LatencyConsumer, *, every_s: float = 1.0
) -> AsyncIterator[GeneratorSnapshot | ConsumerSnapshot]:
    """Give the counters of a running generator or consumer now and then each `every_s` seconds, without an end."""
    while True:
        yield client.snapshot()
        await asyncio.sleep(every_s)


__all__ = [
    "create_topics",
    "delete_topics",
    "end_offsets",
    "read_topic",
    "running",
    "snapshots",
    "verify",
    "verify_stamped",
    "wait_for_broker",
]
