# ruff: noqa: PYI021 -- editors show these docstrings; the extension carries only their first lines
"""The Rust core: load generator, latency consumer and output oracle for Kafka.

All times are µs since the Unix epoch; durations are µs unless a name ends in `_s`. `config` is a mapping of
librdkafka properties with at least `bootstrap.servers`; properties that only a producer or only a consumer
has reach that client alone. A value out of its range raises ValueError, and nothing is started. Long calls
release the GIL and raise KeyboardInterrupt within 200 ms of a Ctrl-C on the main thread; from another thread
use `stop()`.

Each long call NAME has a twin NAME_async with the same parameters and errors, which returns a future of the running
event loop; all of them share one tokio runtime. To cancel it stops the Rust side. In a process that was forked off
after the first of them they raise RtmbenchError.

In the examples the names of this module are imported, and `kafka` is the config of a broker with an empty "topic" and
an empty "other".
"""

from asyncio import Future
from collections.abc import Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Literal, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

OPTIMIZED: bool
"""Whether the extension was built with optimisation; without it no figure means anything."""

__version__: str

class RtmbenchError(Exception):
    """Base of every error that rtmbench raises on purpose."""

class KafkaError(RtmbenchError):
    """A Kafka broker is unreachable or refuses: a missing topic, a failed authentication, a bad request."""

class HarnessError(RtmbenchError):
    """The measurement itself is at fault, not what it measures: its figures must not be used."""

def now_us() -> int:
    """Now, in µs since the Unix epoch: the realtime clock read once, then the monotonic clock."""

def clock_jump_us() -> int:
    """Return the realtime clock minus `now_us()`, in µs, signed. A change of more than 1 ms voids a trial."""

def librdkafka_features() -> list[str]:
    """Return what the librdkafka that is linked in was built with, such as "gzip", "ssl" and "sasl_scram"."""

def librdkafka_version() -> str:
    """Return the version of librdkafka that is linked in, as in "2.12.1"."""

def wait_for_broker(config: Mapping[str, str], timeout_s: float) -> int:
    """Wait until a broker answers; return how many brokers there are. KafkaError when none does in time.

    >>> wait_for_broker(kafka, 5)
    1
    """

def broker_addresses(config: Mapping[str, str], timeout_s: float) -> list[str]:
    """Return the address of each broker, `host:port` as it is advertised. KafkaError when none answers in time.

    >>> broker_addresses(kafka, 5) == [kafka["bootstrap.servers"]]
    True
    """

def broker_addresses_async(config: Mapping[str, str], timeout_s: float) -> Future[list[str]]:
    """`broker_addresses()` for asyncio.

    >>> async def main():
    ...     return await broker_addresses_async(kafka, 5)
    >>> len(asyncio.run(main()))
    1
    """

def wait_for_broker_async(config: Mapping[str, str], timeout_s: float) -> Future[int]:
    """`wait_for_broker()` for asyncio.

    >>> async def main():
    ...     return await wait_for_broker_async(kafka, 5)
    >>> asyncio.run(main())
    1
    """

def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Java's default partitioner, and librdkafka's `murmur2_random`, choose for a key.

    ValueError for a topic without partitions.

    >>> partition_of(b"user_1", 4)
    3
    """

def create_topics(
    config: Mapping[str, str],
    topics: Sequence[str],
    *,
    partitions: int,
    replication: int | None = None,
    properties: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> None:
    """Create topics; return when every partition has a leader. KafkaError when one exists or is refused.

    `replication` is the number of replicas of each partition; None: the brokers' default.

    >>> create_topics(kafka, ["orders", "counts"], partitions=4)  # doctest: +SKIP
    >>> create_topics({"bootstrap.servers": "127.0.0.1:1"}, ["orders"], partitions=4, timeout_s=0.2)
    Traceback (most recent call last):
    rtmbench._core.KafkaError: ...127.0.0.1:1...
    """

def create_topics_async(
    config: Mapping[str, str],
    topics: Sequence[str],
    *,
    partitions: int,
    replication: int | None = None,
    properties: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
) -> Future[None]:
    """`create_topics()` for asyncio.

    >>> async def main():
    ...     await create_topics_async({"bootstrap.servers": "127.0.0.1:1"}, ["orders"], partitions=4, timeout_s=0.2)
    >>> asyncio.run(main())
    Traceback (most recent call last):
    rtmbench._core.KafkaError: ...127.0.0.1:1...
    """

def delete_topics(config: Mapping[str, str], topics: Sequence[str], *, timeout_s: float = 30.0) -> None:
    """Delete topics; one that does not exist is not an error.

    >>> delete_topics(kafka, ["orders", "counts"])  # doctest: +SKIP
    >>> delete_topics({"bootstrap.servers": "127.0.0.1:1"}, ["orders"], timeout_s=0.2)
    Traceback (most recent call last):
    rtmbench._core.KafkaError: ...127.0.0.1:1...
    """

def delete_topics_async(config: Mapping[str, str], topics: Sequence[str], *, timeout_s: float = 30.0) -> Future[None]:
    """`delete_topics()` for asyncio.

    >>> async def main():
    ...     await delete_topics_async({"bootstrap.servers": "127.0.0.1:1"}, ["orders"], timeout_s=0.2)
    >>> asyncio.run(main())
    Traceback (most recent call last):
    rtmbench._core.KafkaError: ...127.0.0.1:1...
    """

def end_offsets(config: Mapping[str, str], topic: str, *, timeout_s: float = 10.0) -> list[int]:
    """Return the offset that the next record of each partition will get.

    >>> end_offsets(kafka, "topic")
    [0]
    """

def end_offsets_async(config: Mapping[str, str], topic: str, *, timeout_s: float = 10.0) -> Future[list[int]]:
    """`end_offsets()` for asyncio.

    >>> async def main():
    ...     return await end_offsets_async(kafka, "topic")
    >>> asyncio.run(main())
    [0]
    """

def verify(
    pattern: str,
    config: Mapping[str, str],
    *,
    input_topic: str,
    output_topic: str,
    spool: str | PathLike[str],
    workload: Workload,
    measure: tuple[int, int],
    deadline_us: int,
    emit: Literal["row", "update", "batch", "close"] = "row",
    window_ms: int | None = None,
    slide_ms: int | None = None,
    watermark_delay_ms: int = 10_000,
    restarts: Sequence[tuple[int, int]] = (),
    hlog: str | PathLike[str] | None = None,
    close_hlog: str | PathLike[str] | None = None,
    offending_limit: int = 20,
    cycles: Sequence[int] | None = None,
) -> Verdict:
    """Read both topics whole after the drain, judge the output, and join it with the spooled receipts.

    `pattern` is "01", "02", "03", "04", "transport" (the output topic is the input topic), or "relay". `emit` is
    "row" for "01" and the floors, "update" (one result per event and window) or "batch" (counts climb to the final
    one) for the others, and "close" (the final result of each window that closed) for "02" and "03". Windows are
    aligned to the epoch: 60,000 ms for "02", 300,000 ms each 60,000 ms for "03", unless given; event time is
    `produced_at`.

    `measure` is the window [from, to) of intended times whose latency is reported; what nothing covered by
    `deadline_us` is a censored sample there. `restarts` are windows [from, to) of intended times: an unaltered
    output may be repeated if its newest event lies in one, or, for "close", window end + watermark delay. `hlog`
    and `close_hlog` are where the interval logs of update and of close latency go. `cycles` are the observed boundaries
    of the measuring phase, ascending times from `measure[0]` to `measure[1]`.

    Each result must be in the partition that Java's default partitioner chooses for its key; those of "02" and "04"
    carry `count` and `sum`, those of "03" `count` and `avg`, of the first `count` events.

    Call it after the consumer was stopped and joined. ValueError for settings that do not fit the pattern; KafkaError
    when a topic cannot be read; HarnessError when the input is not what the workload generates or outputs were
    never received by the consumer; OSError when the spool cannot be read or an interval log not be written.

    >>> import tempfile
    >>> spool = tempfile.mkdtemp() + "/spool"
    >>> consumer = LatencyConsumer(kafka, "topic", spool=spool)
    >>> consumer.start()
    >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=100).run()
    >>> while consumer.snapshot().received < sent.acked:
    ...     pass
    >>> consumer.stop()
    >>> received = consumer.join()
    >>> trial = {
    ...     "input_topic": "topic",
    ...     "output_topic": "topic",
    ...     "spool": spool,
    ...     "workload": Workload(1),
    ...     "measure": (sent.start_us, sent.start_us + 100_000),
    ...     "deadline_us": now_us(),
    ... }
    >>> verdict = verify("transport", kafka, **trial)
    >>> verdict.correct, verdict.latency.count
    (True, 100)
    """

def verify_async(
    pattern: str,
    config: Mapping[str, str],
    *,
    input_topic: str,
    output_topic: str,
    spool: str | PathLike[str],
    workload: Workload,
    measure: tuple[int, int],
    deadline_us: int,
    emit: Literal["row", "update", "batch", "close"] = "row",
    window_ms: int | None = None,
    slide_ms: int | None = None,
    watermark_delay_ms: int = 10_000,
    restarts: Sequence[tuple[int, int]] = (),
    hlog: str | PathLike[str] | None = None,
    close_hlog: str | PathLike[str] | None = None,
    offending_limit: int = 20,
    cycles: Sequence[int] | None = None,
) -> Future[Verdict]:
    """`verify()` for asyncio.

    >>> async def main():
    ...     return await verify_async(
    ...         "transport",
    ...         kafka,
    ...         input_topic="topic",
    ...         output_topic="topic",
    ...         spool="no-spool",
    ...         workload=Workload(1),
    ...         measure=(0, 1),
    ...         deadline_us=1,
    ...     )
    >>> asyncio.run(main())
    Traceback (most recent call last):
    OSError: cannot read the spool no-spool: entity not found
    """

def verify_stamped(
    config: Mapping[str, str],
    *,
    input_topic: str,
    input_field: str,
    output_topic: str,
    output_field: str,
    spool: str | PathLike[str],
    measure: tuple[int, int],
    deadline_us: int,
    input_from: Sequence[int] = (),
    output_from: Sequence[int] = (),
    shared: bool = False,
    filters: bool = False,
    hlog: str | PathLike[str] | None = None,
    offending_limit: int = 20,
    cycles: Sequence[int] | None = None,
) -> tuple[Verdict, _Stamped]:
    """Read both topics after the drain, and judge outputs of any job by the time stamps that they carry.

    A field is read as by `LatencyConsumer`. An output with the time stamp of an input record is a sample: receipt minus
    that time stamp. The expected output is not known, so nothing is missing; but each input record of the
    measuring phase whose time stamp no output carries is a sample at `deadline_us`, censored. With `filters` the job
    drops or merges records by design, and such a record is not a sample; `uncovered` counts it in any case.

    `append_time` is whether the outputs carry the ms in which the broker appended the input, instead of the input's
    time stamps. `unread_partitions` are the input partitions without any output in the measuring phase, although
    as many outputs as the others have would be at least 10 outputs; only time stamps of one partition alone count.

    `input_from` and `output_from` are where the trial's records begin in each partition, `shared` says that the topics
    held others before. `measure`, `spool`, `hlog` and `cycles` are as in `verify()`; so are the errors.

    >>> import tempfile
    >>> spool = tempfile.mkdtemp() + "/spool"
    >>> consumer = LatencyConsumer(kafka, "topic", spool=spool)
    >>> consumer.start()
    >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=100).run()
    >>> while consumer.snapshot().received < sent.acked:
    ...     pass
    >>> consumer.stop()
    >>> received = consumer.join()
    >>> trial = {
    ...     "input_topic": "topic",
    ...     "input_field": "scheduled_at_us",
    ...     "output_topic": "topic",
    ...     "output_field": "scheduled_at_us",
    ...     "spool": spool,
    ...     "measure": (sent.start_us, sent.start_us + 100_000),
    ...     "deadline_us": now_us(),
    ... }
    >>> verdict, outputs = verify_stamped(kafka, **trial)
    >>> verdict.latency.count, outputs["stamped"], outputs["foreign"]
    (100, 100, 0)
    """

def verify_stamped_async(
    config: Mapping[str, str],
    *,
    input_topic: str,
    input_field: str,
    output_topic: str,
    output_field: str,
    spool: str | PathLike[str],
    measure: tuple[int, int],
    deadline_us: int,
    input_from: Sequence[int] = (),
    output_from: Sequence[int] = (),
    shared: bool = False,
    filters: bool = False,
    hlog: str | PathLike[str] | None = None,
    offending_limit: int = 20,
    cycles: Sequence[int] | None = None,
) -> Future[tuple[Verdict, _Stamped]]:
    """`verify_stamped()` for asyncio.

    >>> async def main():
    ...     return await verify_stamped_async(
    ...         kafka,
    ...         input_topic="topic",
    ...         input_field="created",
    ...         output_topic="topic",
    ...         output_field="meta.created",
    ...         spool="no-spool",
    ...         measure=(0, 1),
    ...         deadline_us=1,
    ...     )
    >>> asyncio.run(main())
    Traceback (most recent call last):
    OSError: cannot read the spool no-spool: entity not found
    """

def read_topic(
    config: Mapping[str, str],
    topic: str,
    *,
    from_offsets: Sequence[int] = (),
    most: int = 1_000_000,
    timeout_s: float = 30.0,
) -> list[tuple[int, int, bytes | None, bytes | None, int | None]]:
    """Read a topic from `from_offsets` (each partition's; else its beginning) to the end that it has now.

    Returns (partition, offset, key, value, ms of the append where the broker stamps it) of each record, in order.
    ValueError where there are more than `most` records; KafkaError when the topic cannot be read.

    >>> order = Workload(1, templates=[(b"a-key", '{"order": {{i}}}')])
    >>> sent = Generator(kafka, "topic", order, Schedule.constant(1000), count=3).run()
    >>> [(offset, key, value) for _, offset, key, value, _ in read_topic(kafka, "topic", from_offsets=[1])]
    [(1, b'a-key', b'{"order": 1}'), (2, b'a-key', b'{"order": 2}')]
    """

def read_topic_async(
    config: Mapping[str, str],
    topic: str,
    *,
    from_offsets: Sequence[int] = (),
    most: int = 1_000_000,
    timeout_s: float = 30.0,
) -> Future[list[tuple[int, int, bytes | None, bytes | None, int | None]]]:
    """`read_topic()` for asyncio.

    >>> async def main():
    ...     return await read_topic_async(kafka, "topic")
    >>> asyncio.run(main())
    []
    """

def newest_records(
    config: Mapping[str, str], topic: str, most: int, *, timeout_s: float = 30.0
) -> list[tuple[int, int, bytes | None, bytes | None, int | None]]:
    """Read the newest records of a topic: equally many of each partition, `most` or a few more in total.

    Returns (partition, offset, key, value, ms of the time that Kafka keeps, the broker's or the producer's) of each
    record, in order. KafkaError when the topic cannot be read.

    >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
    >>> [offset for _, offset, *_ in newest_records(kafka, "topic", 3)]
    [17, 18, 19]
    """

def newest_records_async(
    config: Mapping[str, str], topic: str, most: int, *, timeout_s: float = 30.0
) -> Future[list[tuple[int, int, bytes | None, bytes | None, int | None]]]:
    """`newest_records()` for asyncio.

    >>> async def main():
    ...     return await newest_records_async(kafka, "topic", 3)
    >>> asyncio.run(main())
    []
    """

def timestamp_of(record: bytes, field: str) -> tuple[int, str] | None:
    """Return the time that a JSON record has in a field, µs since the Unix epoch, and its unit.

    None where the record does not have the field, or its value is not a time. A field is read as by `LatencyConsumer`.

    >>> timestamp_of(b'{"at": {"ms": 1700000000123}}', "at.ms")
    (1700000000123000, 'epoch ms')
    """

def expected_outputs(
    pattern: str,
    workload: Workload,
    *,
    first: int,
    count: int,
    emit: Literal["row", "update", "batch", "close"] = "row",
    window_ms: int | None = None,
    slide_ms: int | None = None,
) -> int | None:
    """Count the outputs that the events `first` to `first + count` ask for under a pattern.

    None where that cannot be known beforehand: for "batch", for "close", and for windows that are no multiple of
    their slide. ValueError for settings that do not fit the pattern.
    """

def read_interval_log(path: str | PathLike[str]) -> list[tuple[int, int, Histogram]]:
    """Read an interval log (.hlog, V2): a list of (start, length, histogram).

    Both times are in µs, the start since the epoch; recorded values are taken as µs, tags are ignored. ValueError
    when the file is not an interval log; OSError when it cannot be read.

    >>> import tempfile
    >>> from rtmbench import _core
    >>> histogram = _core.Histogram()
    >>> histogram.record(250)
    >>> with tempfile.NamedTemporaryFile(suffix=".hlog") as file:
    ...     _core.write_interval_log(file.name, 1_700_000_000_000_000, [(1_000_000, histogram)])
    ...     [(start, length, read.count) for start, length, read in _core.read_interval_log(file.name)]
    [(1700000000000000, 1000000, 1)]
    """

def write_interval_log(path: str | PathLike[str], start_us: int, intervals: Sequence[tuple[int, Histogram]]) -> None:
    """Write an interval log (.hlog, V2) of consecutive intervals: (length in µs, histogram).

    Other HdrHistogram tools read it; its maximum column is in ms. OSError when the file cannot be written.
    """

@final
class Table:
    """Named columns of one length: int64, uint64, float64 or text, without nulls. Anything that speaks Arrow reads it.

    `columns` gives one-dimensional arrays of these types, or lists of str, in order; they are copied once. PyArrow,
    polars, DuckDB and others then take numeric columns without a copy, through the Arrow PyCapsule protocol.

    >>> import numpy as np
    >>> from rtmbench import _core
    >>> table = _core.Table({"engine": ["flink", "spark"], "p99_us": np.array([900, 2100])})
    >>> table
    <Table rows=2 columns=engine, p99_us>
    >>> table.to_numpy("p99_us")
    array([ 900, 2100])
    """

    def __new__(cls, columns: Mapping[str, NDArray[np.int64 | np.uint64 | np.float64] | Sequence[str]]) -> Self: ...
    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in their order.

        >>> Table({"engine": ["flink", "spark"]}).column_names
        ['engine']
        """

    @property
    def num_rows(self) -> int:
        """How many rows there are.

        >>> Table({"engine": ["flink", "spark"]}).num_rows
        2
        """

    def __len__(self) -> int: ...
    def to_numpy(self, name: str) -> NDArray[np.int64 | np.uint64 | np.float64 | np.str_]:
        """Return a column as an array: a read-only view of the numbers, a copy of text. KeyError when there is none.

        >>> Table({"p99_us": np.array([900, 2100])}).to_numpy("p99_us")
        array([ 900, 2100])
        """

    def __getitem__(self, name: str, /) -> NDArray[np.int64 | np.uint64 | np.float64 | np.str_]: ...
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def _repr_html_(self) -> str: ...

@final
class Workload:
    """Event i as a function of (seed, i): the same arguments always make the same events.

    `seed` is 0 to 2**64 - 1, `keys` 1 to 10 million; keys are uniform or, with `zipf_exponent` (0 to 10),
    Zipf-distributed. With `payload_bytes` (256 to 1 million) each record is padded to exactly that size by a last
    field, `padding`, which engines and oracle ignore: the output stays unpadded.

    >>> workload = Workload(1, keys=10, payload_bytes=256)
    >>> workload.seed, workload.keys, workload.payload_bytes
    (1, 10, 256)
    >>> len(workload.event(0, 1_700_000_000_000_000))
    256

    `out_of_order` is a share of the events, above 0 and at most 1, and the longest time in ms before the intended time
    that one of them happened: `produced_at` lies before `scheduled_at_us`. `late` is such a share, how many ms before
    all of them happened, and the index of the first event that may be late; `verify()` expects those in no window.

    >>> import json
    >>> mixed = Workload(1, out_of_order=(1.0, 5000))
    >>> 0 < 1_700_000_000_000 - json.loads(mixed.event(0, 1_700_000_000_000_000))["produced_at"] <= 5000
    True

    With `templates` the records are others, and `verify()` knows nothing of them. Event i is made from the template i
    modulo their number: a pair of a Kafka key (None: the event's) and a text with placeholders. `{{i}}`,
    `{{event_id}}`, `{{event_type}}`, `{{key}}` and `{{value}}` are filled with the event's, `{{scheduled_at_ns}}`,
    `{{scheduled_at_us}}`, `{{scheduled_at_ms}}`, `{{scheduled_at_s}}` and `{{scheduled_at_iso}}` with its intended
    time.

    >>> order = Workload(1, templates=[(None, '{"order": {{i}}, "at": {{scheduled_at_ms}}}')])
    >>> order.event(7, 1_700_000_000_123_456)
    b'{"order": 7, "at": 1700000000123}'
    """

    def __new__(
        cls,
        seed: int,
        *,
        keys: int = 100,
        zipf_exponent: float | None = None,
        payload_bytes: int | None = None,
        templates: Sequence[tuple[bytes | None, str]] | None = None,
        out_of_order: tuple[float, int] | None = None,
        late: tuple[float, int, int] | None = None,
    ) -> Self: ...
    @property
    def seed(self) -> int: ...
    @property
    def keys(self) -> int: ...
    @property
    def payload_bytes(self) -> int | None: ...
    def event(self, index: int, scheduled_at_us: int) -> bytes:
        """Encode event `index`, intended for `scheduled_at_us`: JSON in UTF-8.

        >>> import json
        >>> json.loads(Workload(1).event(0, 1_700_000_000_000_000))["produced_at"]
        1700000000000
        """

    def event_id(self, index: int) -> str:
        """Return the event_id of event `index`: a UUID that inverts to the index and is tagged with the seed.

        >>> Workload(1).event_id(7) == Workload(2).event_id(7)
        False
        """

    def index_of(self, event_id: str) -> int | None:
        """Return the index that an event_id was made from; None for another run's, or no event_id.

        >>> Workload(1).index_of(Workload(1).event_id(7))
        7
        >>> Workload(2).index_of(Workload(1).event_id(7)) is None
        True
        """

    def late_in(self, first: int, count: int) -> int:
        """Return how many of the events from `first` on, `count` in all, happened too long ago to count in a window.

        >>> Workload(1, late=(0.5, 60_000, 100)).late_in(0, 101) <= 1
        True
        """

@final
class Schedule:
    """When events are intended, as offsets from the start. Never re-based: lateness shows as schedule slip.

    Rates are in events/s, above 0 and at most 10 million.

    >>> Schedule.constant(1000).at_us(0, 3)
    array([   0, 1000, 2000])
    """

    @staticmethod
    def constant(rate: float, seed: int | None = None) -> Schedule:
        """Send one event each 1/rate seconds.

        With a seed it starts at a random phase, and each event is moved by a random part of 1 ms or of the distance to
        the next one, whichever is less.

        >>> Schedule.constant(2).at_us(0, 3)
        array([      0,  500000, 1000000])
        >>> len(set(Schedule.constant(1000, seed=1).at_us(0, 1000) % 1000)) > 500
        True
        """

    @staticmethod
    def poisson(rate: float, seed: int) -> Schedule:
        """Make a Poisson process with a mean of `rate`; the gaps are a function of the seed.

        >>> offsets = Schedule.poisson(1000, seed=1).at_us(0, 10_000)
        >>> bool(9_000_000 < offsets[-1] < 11_000_000)
        True
        """

    @staticmethod
    def ramp(from_rate: float, to_rate: float, seconds: float, seed: int | None = None) -> Schedule:
        """Go linearly from `from_rate` (0 allowed) to `to_rate` in `seconds`, then stay. A seed as in `constant`.

        >>> gaps = np.diff(Schedule.ramp(100, 1000, seconds=10).at_us(0, 2000))
        >>> bool(gaps[0] > 5 * gaps[-1])
        True
        """

    @staticmethod
    def step(steps: Sequence[tuple[float, float]], seed: int | None = None) -> Schedule:
        """Hold rates one after the other, as (seconds, rate); the last one indefinitely. A seed as in `constant`.

        >>> Schedule.step([(1, 2), (1, 4)]).at_us(0, 4)
        array([      0,  500000, 1000000, 1250000])
        """

    @staticmethod
    def burst(rate: float, size: int, seed: int | None = None) -> Schedule:
        """Send groups of `size` events intended for the same instant, with a mean of `rate`.

        With a seed the groups start at a random phase, and are moved as in `constant`.

        >>> Schedule.burst(1000, size=2).at_us(0, 4)
        array([   0,    0, 2000, 2000])
        """

    @staticmethod
    def unpaced() -> Schedule:
        """Go as fast as it goes, each event intended for its hand-over. Not for latency.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.unpaced(), count=5_000)
        >>> generator.run().acked
        5000
        """

    def at_us(self, first: int, count: int) -> NDArray[np.int64]:
        """Return the offsets of `count` events from event `first` on, µs.

        >>> Schedule.constant(1000).at_us(10, 2)
        array([10000, 11000])
        """

    def count_before(self, offset_us: int) -> int:
        """Return how many events are intended for less than `offset_us` after the start; 0 without a schedule.

        >>> Schedule.constant(1000).count_before(2_000_001)
        2001
        """

@final
class Histogram:
    """Durations in µs: HdrHistogram, 3 significant digits, 1 µs to 1 h; values outside are clamped.

    >>> from rtmbench import _core
    >>> histogram = _core.Histogram()
    >>> for us in range(1, 101):
    ...     histogram.record(us)
    >>> histogram.percentile(99)
    99
    >>> shard = _core.Histogram.from_bytes(histogram.to_bytes())
    >>> histogram.merge(shard)
    >>> histogram.count
    200
    """

    def __new__(cls) -> Self: ...
    def record(self, us: int) -> None:
        """Record one duration, µs.

        >>> histogram = Histogram()
        >>> histogram.record(250)
        >>> histogram.min, histogram.max, histogram.mean
        (250, 250, 250.0)
        """

    def record_many(self, us: NDArray[np.int64]) -> None:
        """Record an array of durations, µs.

        >>> histogram = Histogram()
        >>> histogram.record_many(np.array([100, 200, 300]))
        >>> histogram.count
        3
        """

    def merge(self, other: Histogram) -> None:
        """Add every sample of the other histogram.

        >>> histogram = Histogram()
        >>> histogram.record_many(np.array([100, 200, 300]))
        >>> histogram.merge(histogram)
        >>> histogram.count
        6
        """

    @property
    def count(self) -> int:
        """The number of samples."""

    @property
    def min(self) -> int:
        """The least sample, µs; 0 when empty."""

    @property
    def max(self) -> int:
        """The greatest sample, µs; 0 when empty."""

    @property
    def mean(self) -> float:
        """The mean, µs; 0 when empty."""

    def percentile(self, q: float) -> int:
        """Return the value, µs, at or below which q percent (0 to 100) of the samples lie; 0 when empty.

        >>> histogram = Histogram()
        >>> histogram.record_many(np.array([100, 200, 300]))
        >>> histogram.percentile(50)
        200
        """

    def percentiles(self, q: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the percentiles of an array of q, as an array.

        >>> histogram = Histogram()
        >>> histogram.record_many(np.array([100, 200, 300]))
        >>> histogram.percentiles(np.array([50.0, 99.0]))
        array([200, 300])
        """

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Return the recorded values, µs (the upper end of each bucket), and how often each came.

        >>> histogram = Histogram()
        >>> histogram.record_many(np.array([100, 200, 300]))
        >>> histogram.counts()
        (array([100, 200, 300]), array([1, 1, 1], dtype=uint64))
        """

    def table(self) -> Table:
        """Return the same as a table: value_us, count, and percentile.

        The last is the share of samples at or below value_us, in percent.

        >>> histogram = Histogram()
        >>> histogram.record_many(np.array([100, 200, 300]))
        >>> histogram.table()["percentile"].round(1)
        array([ 33.3,  66.7, 100. ])
        """

    def to_bytes(self) -> bytes:
        """Return the samples in HdrHistogram's V2 form, deflated.

        >>> histogram = Histogram()
        >>> histogram.record_many(np.array([100, 200, 300]))
        >>> Histogram.from_bytes(histogram.to_bytes()) == histogram
        True
        """

    @staticmethod
    def from_bytes(data: bytes) -> Histogram:
        """Read a histogram in HdrHistogram's V2 form. ValueError when it is none.

        >>> Histogram.from_bytes(Histogram().to_bytes()).count
        0
        """

    def __reduce__(self) -> tuple[object, tuple[bytes], tuple[int, int]]: ...
    def __setstate__(self, bounds: tuple[int, int]) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class Generator:
    """An open-loop load generator: workload and schedule into one existing topic. Use it once.

    It ends after `count` events or before the first event that is intended `duration_s` after the start,
    whichever comes first; with neither, at `stop()`. Event `first_index` is intended for `start_us`, or for
    a moment after `start()`. `measure` is the window [from, to) of intended times that the report's `slip` covers.

    `precision` is "low" (wakes each ms at most), "default" (each 400 µs at most; neither ever spins) or "high" (wakes
    for each event and spins the last stretch before it). `spin_share` (0 to 1) bounds the share of a core that
    spinning may take, 0.5 in "high"; given with another precision, the last stretch before each wake-up is spun.

    `shard` (i, n), i from 1 to n, sends only the events whose key belongs to that shard, each with the index and
    the intended time that it has in the whole: n generators with the same workload, schedule, `start_us` and end
    make exactly the workload of one. `count` counts the whole workload's events. `slip_log` is the file for an
    HdrHistogram interval log (V2) of the slip in each second of intended times; OSError's message is in the
    KafkaError of `join()` where it cannot be written.

    >>> from rtmbench import _core
    >>> with _core.MockBroker() as broker:
    ...     broker.create_topic("topic")
    ...     kafka = {"bootstrap.servers": broker.bootstrap_servers}
    ...     _core.Generator(kafka, "topic", _core.Workload(1), _core.Schedule.constant(1000), count=20).run().acked
    20
    """

    def __new__(
        cls,
        config: Mapping[str, str],
        topic: str,
        workload: Workload,
        schedule: Schedule,
        *,
        count: int | None = None,
        duration_s: float | None = None,
        first_index: int = 0,
        start_us: int | None = None,
        measure: tuple[int, int] | None = None,
        precision: str = "default",
        spin_share: float | None = None,
        shard: tuple[int, int] | None = None,
        slip_log: str | PathLike[str] | None = None,
    ) -> Self: ...
    def start(self) -> None:
        """Connect and start. KafkaError when the topic is missing or the brokers do not answer within 30 s.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20)
        >>> generator.start()
        >>> generator.join().acked
        20
        """

    def start_async(self) -> Future[None]:
        """`start()` for asyncio. A cancellation stops the generator.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20)
        >>> async def main():
        ...     await generator.start_async()
        ...     return (await generator.join_async()).acked
        >>> asyncio.run(main())
        20
        """

    def measure_from(self, from_us: int) -> None:
        """Let the measuring window begin at `from_us`, µs since the Unix epoch, while the generator runs.

        The report's `slip` leaves out the events intended for less, those handed over already as well. ValueError when
        the window ends before that, when more than the newest 262,144 events are intended for later, or after the end.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=200)
        >>> generator.start()
        >>> generator.measure_from(now_us() + 100_000)
        >>> 0 < generator.join().slip.count < 200
        True
        """

    def measure_to(self, to_us: int) -> None:
        """Let the measuring window end at `to_us`: `slip` leaves out the events intended for then or later.

        ValueError as for `measure_from`.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=200)
        >>> generator.start()
        >>> generator.measure_to(now_us() + 100_000)
        >>> 0 < generator.join().slip.count < 200
        True
        """

    def stop(self) -> None:
        """End the generation, from any thread. Records in flight are waited for while the broker confirms any.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000))
        >>> generator.start()
        >>> generator.stop()
        >>> report = generator.join()
        >>> report.acked == report.generated
        True
        """

    def join(self, timeout_s: float | None = None) -> GeneratorReport:
        """Wait for the end and return the report. TimeoutError after `timeout_s`; it then still runs.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=200)
        >>> generator.start()
        >>> generator.join(timeout_s=0.01)
        Traceback (most recent call last):
        TimeoutError: ...
        >>> generator.join().acked
        200
        """

    def join_async(self, timeout_s: float | None = None) -> Future[GeneratorReport]:
        """`join()` for asyncio. A cancellation ends the waiting; the generator still runs.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20)
        >>> generator.start()
        >>> async def main():
        ...     return (await generator.join_async()).acked
        >>> asyncio.run(main())
        20
        """

    def run(self) -> GeneratorReport:
        """`start()` and `join()`. An interrupt stops the generator.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20)
        >>> report = generator.run()
        >>> report.acked, report.slip_all.count
        (20, 20)
        """

    def run_async(self) -> Future[GeneratorReport]:
        """`run()` for asyncio. A cancellation stops the generator.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20)
        >>> async def main():
        ...     return (await generator.run_async()).acked
        >>> asyncio.run(main())
        20
        """

    def snapshot(self) -> GeneratorSnapshot:
        """Return the counters now.

        >>> generator = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20)
        >>> generator.snapshot().generated
        0
        """

@final
class GeneratorSnapshot:
    """Counters of a running generator."""

    @property
    def generated(self) -> int:
        """Events handed over to the client."""

    @property
    def acked(self) -> int:
        """Events that the broker confirmed."""

    @property
    def failed(self) -> int:
        """Events that were refused or not delivered."""

    @property
    def queue_full(self) -> int:
        """Events that had to wait because the client's queue was full."""

    @property
    def behind_us(self) -> int:
        """For how long the next event has been due, µs; 0 when none is, and without a schedule."""

@final
class GeneratorReport:
    """What a generator did."""

    @property
    def topic(self) -> str: ...
    @property
    def first_index(self) -> int: ...
    @property
    def next_index(self) -> int:
        """The index after the last event that was handed over, or left to other shards."""

    @property
    def generated(self) -> int:
        """Events handed over to the client."""

    @property
    def acked(self) -> int:
        """Events that the broker confirmed."""

    @property
    def failed(self) -> int:
        """Events that were refused or not delivered."""

    @property
    def queue_full(self) -> int:
        """Events that had to wait because the client's queue was full."""

    @property
    def start_us(self) -> int:
        """The start of the schedule."""

    @property
    def seconds(self) -> float:
        """From the start to the last confirmation or, if later, to the end of the schedule."""

    @property
    def rate(self) -> float:
        """Confirmed events a second."""

    @property
    def slip(self) -> Histogram:
        """Hand-over minus intended time, of the events in the measuring window."""

    @property
    def slip_all(self) -> Histogram:
        """The same of all events."""

    @property
    def errors(self) -> list[str]:
        """The first few errors."""

@final
class LatencyConsumer:
    """Receives a topic, times each record on receipt, and writes the receipts to a spool. Use it once.

    `spool` is a directory of its own, made by it, without which `verify()` has no receipts. `timestamp_field` is
    a name, or names with dots between (`outer.inner`); its time is a number since the Unix epoch in s, ms, µs or ns,
    by its size, with or without a fraction or quotes, or an ISO 8601 text (in UTC without a zone). What is not a time
    of the years 2001 to 2099 is malformed. A record that lacks the field is read by its `fallback_field`. Instead of
    a field, `timestamp_header` names a header (text, or the 8 bytes of a number), and `kafka_timestamp` takes the time
    stamp that Kafka keeps of each record, in ms: the producer's, or the broker's where the topic says so. `threads`
    share the partitions. It receives what the topic holds from offset 0 on, or with `from_end` only what comes after
    `start()`. `hlog` is the file for an HdrHistogram interval log (V2) of the latencies in each second of
    receipt times, written meanwhile. `shard` is `(i, n)`, i from 1 to n: of n consumers, this one reads every n-th
    partition. `clock_offset_us` is how far the clock that stamps the records is ahead of the clock here; latencies are
    corrected by it.

    >>> from rtmbench import _core
    >>> with _core.MockBroker() as broker:
    ...     broker.create_topic("topic")
    ...     kafka = {"bootstrap.servers": broker.bootstrap_servers, "fetch.wait.max.ms": "1"}
    ...     consumer = _core.LatencyConsumer(kafka, "topic")
    ...     consumer.start()
    ...     sent = _core.Generator(kafka, "topic", _core.Workload(1), _core.Schedule.constant(500), count=50).run()
    ...     while consumer.snapshot().received < sent.acked:
    ...         pass
    ...     consumer.stop()
    ...     report = consumer.join()
    >>> report.latency.count, report.malformed
    (50, 0)
    """

    def __new__(
        cls,
        config: Mapping[str, str],
        topic: str,
        *,
        spool: str | PathLike[str] | None = None,
        timestamp_field: str = "scheduled_at_us",
        fallback_field: str | None = None,
        timestamp_header: str | None = None,
        kafka_timestamp: bool = False,
        threads: int = 1,
        from_end: bool = False,
        hlog: str | PathLike[str] | None = None,
        shard: tuple[int, int] | None = None,
        clock_offset_us: int = 0,
    ) -> Self: ...
    def start(self) -> None:
        """Start; return once every partition is being fetched. KafkaError after 30 s.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> consumer.start()
        >>> consumer.snapshot().received
        0
        """

    def start_async(self) -> Future[None]:
        """`start()` for asyncio. A cancellation stops the consumer.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> async def main():
        ...     await consumer.start_async()
        ...     consumer.stop()
        ...     return (await consumer.join_async()).received
        >>> asyncio.run(main())
        0
        """

    def stop(self) -> None:
        """Ask for the end, from any thread; receipts are then written to the spool.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> consumer.start()
        >>> consumer.stop()
        >>> consumer.join().received
        0
        """

    def join(self, timeout_s: float | None = None) -> ConsumerReport:
        """Wait until the consumer was stopped and all receipts are on disk; return the report.

        TimeoutError after `timeout_s`; it then still runs.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> consumer.start()
        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
        >>> while consumer.snapshot().received < sent.acked:
        ...     pass
        >>> consumer.stop()
        >>> consumer.join(timeout_s=5).latency.count
        20
        """

    def join_async(self, timeout_s: float | None = None) -> Future[ConsumerReport]:
        """`join()` for asyncio. A cancellation ends the waiting; the consumer still runs.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> async def main():
        ...     await consumer.start_async()
        ...     await consumer.join_async(timeout_s=0.01)
        >>> asyncio.run(main())
        Traceback (most recent call last):
        TimeoutError: ...
        """

    def run(self, duration_s: float) -> ConsumerReport:
        """`start()`, receive for `duration_s` or until `stop()`, `join()`. An interrupt stops the consumer.

        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
        >>> LatencyConsumer(kafka, "topic").run(0.5).received
        20
        """

    def run_async(self, duration_s: float) -> Future[ConsumerReport]:
        """`run()` for asyncio. A cancellation stops the consumer.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> async def main():
        ...     return (await consumer.run_async(0.1)).received
        >>> asyncio.run(main())
        0
        """

    def snapshot(self) -> ConsumerSnapshot:
        """Return the counters and live percentiles now.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> consumer.start()
        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
        >>> while consumer.snapshot().received < sent.acked:
        ...     pass
        >>> snapshot = consumer.snapshot()
        >>> snapshot.live_count, snapshot.malformed
        (20, 0)
        """

    def take_live(self) -> Histogram:
        """Return the latencies since the live percentiles were started afresh, and start them afresh.

        Called again and again it loses no sample and counts none twice.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> consumer.start()
        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
        >>> while consumer.snapshot().received < sent.acked:
        ...     pass
        >>> consumer.take_live().count, consumer.take_live().count
        (20, 0)
        """

    def units(self) -> list[tuple[str, int]]:
        """Return the units of the time stamps until now and how often each occurred, the most frequent first.

        They are "epoch s", "epoch ms", "epoch µs", "epoch ns" and "ISO 8601".

        >>> consumer = LatencyConsumer(kafka, "topic", timestamp_field="produced_at")
        >>> consumer.start()
        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
        >>> while consumer.snapshot().received < sent.acked:
        ...     pass
        >>> consumer.units()
        [('epoch ms', 20)]
        """

    def resolution_us(self) -> int | None:
        """Return what the time stamps until now are good to; None without any.

        Of texts and fractions it is that of the finest, since trailing zeros are often left out; of several units, that
        of the coarsest.

        >>> consumer = LatencyConsumer(kafka, "topic", timestamp_field="produced_at")
        >>> consumer.start()
        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
        >>> while consumer.snapshot().received < sent.acked:
        ...     pass
        >>> consumer.resolution_us()
        1000
        """

    def ahead(self) -> Histogram:
        """Return how far time stamps were ahead of their receipt, since the start or the last `reset_live()`.

        It holds the negative latencies alone, which the other histograms count as 1 µs.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> consumer.start()
        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
        >>> while consumer.snapshot().received < sent.acked:
        ...     pass
        >>> consumer.ahead().count
        0
        """

    def reset_live(self) -> None:
        """Start the live percentiles and `ahead()` afresh.

        >>> consumer = LatencyConsumer(kafka, "topic")
        >>> consumer.start()
        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=20).run()
        >>> while consumer.snapshot().received < sent.acked:
        ...     pass
        >>> consumer.reset_live()
        >>> consumer.snapshot().live_count
        0
        """

    def malformed_samples(self) -> list[str]:
        """Return the first malformed records so far: where, why, and what they look like.

        >>> consumer = LatencyConsumer(kafka, "topic", timestamp_field="ordered_at")
        >>> consumer.start()
        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=1).run()
        >>> while consumer.snapshot().received < sent.acked:
        ...     pass
        >>> consumer.malformed_samples()
        ['partition 0 offset 0: missing field `ordered_at`...']
        """

@final
class ConsumerSnapshot:
    """Counters and live percentiles of a running consumer."""

    @property
    def received(self) -> int:
        """Records received."""

    @property
    def malformed(self) -> int:
        """Of these, records that are no event with a time stamp."""

    @property
    def negative(self) -> int:
        """Latencies below 0, counted as 1 µs."""

    @property
    def live_count(self) -> int:
        """Latencies since `reset_live()`."""

    @property
    def p50_us(self) -> int:
        """Their median; 0 when there are none."""

    @property
    def p99_us(self) -> int:
        """Their 99th percentile; 0 when there are none."""

    @property
    def p99_9_us(self) -> int:
        """Their 99.9th percentile; 0 when there are none."""

    @property
    def newest_received_us(self) -> int:
        """When the last record was received; 0 before the first."""

@final
class ConsumerReport:
    """What a consumer received."""

    @property
    def received(self) -> int:
        """Records received."""

    @property
    def malformed(self) -> int:
        """Of these, records that are no event with a time stamp."""

    @property
    def negative(self) -> int:
        """Latencies below 0, counted as 1 µs."""

    @property
    def fallback(self) -> int:
        """Latencies that were taken from the fallback field."""

    @property
    def appended(self) -> int:
        """With `kafka_timestamp`: latencies from the time of the append, which the broker gives."""

    @property
    def min_us(self) -> int:
        """The least latency, unclamped; 0 without any."""

    @property
    def ahead(self) -> Histogram:
        """How far the time stamps of the negative latencies were ahead; since `reset_live()`, if that was called."""

    @property
    def units(self) -> list[tuple[str, int]]:
        """The units of the time stamps and how often each occurred, the most frequent first."""

    @property
    def resolution_us(self) -> int | None:
        """What the time stamps are good to; None without any."""

    @property
    def malformed_samples(self) -> list[str]:
        """The first malformed records: where, why, and what they look like."""

    @property
    def latency(self) -> Histogram:
        """Receipt minus the time stamp that the record carries."""

    @property
    def partitions(self) -> list[int]:
        """Records received of each partition."""

@final
class SignedHistogram:
    """Signed durations in µs: percentiles within 0.1 %, exact mean, least and greatest value.

    Magnitudes above 1 h count as 1 h in the percentiles.
    """

    @property
    def count(self) -> int:
        """The number of samples."""

    @property
    def negative(self) -> int:
        """The number of samples below 0."""

    @property
    def min(self) -> int:
        """The least sample, exact; 0 when empty."""

    @property
    def max(self) -> int:
        """The greatest sample, exact; 0 when empty."""

    @property
    def mean(self) -> float:
        """The exact mean; 0 when empty."""

    def percentile(self, q: float) -> int:
        """Return the value at or below which q percent (0 to 100) of the samples lie; 0 when empty."""

class _Counts(TypedDict):
    produced: int
    late: int
    expected: int
    received: int
    missing: int
    unexpected: int
    wrong: int
    duplicate: int
    late_dropped: int

class _Stamped(TypedDict):
    produced: int
    received: int
    stamped: int
    without: int
    foreign: int
    earlier: int
    stamps: int
    covered: int
    crowded: int
    uncovered: int
    censored: int
    resolution_us: int
    newest_us: int | None
    append_time: bool
    unread_partitions: list[int]

class _Seconds(TypedDict):
    second: NDArray[np.int64]
    count: NDArray[np.int64]
    p50_us: NDArray[np.int64]
    p99_us: NDArray[np.int64]
    max_us: NDArray[np.int64]
    backlog: NDArray[np.int64]

class _Cycles(TypedDict):
    from_us: NDArray[np.int64]  # since the measuring phase began
    to_us: NDArray[np.int64]
    count: NDArray[np.int64]
    p50_us: NDArray[np.int64]
    p95_us: NDArray[np.int64]
    p99_us: NDArray[np.int64]
    max_us: NDArray[np.int64]

class _Stalls(TypedDict):
    from_us: NDArray[np.int64]  # since the measuring phase began
    length_us: NDArray[np.int64]

class _Tail(TypedDict):
    scheduled_us: NDArray[np.int64]  # since the measuring phase began
    latency_us: NDArray[np.int64]

_Kind: TypeAlias = Literal[
    "missing",
    "malformed",
    "foreign",
    "filtered",
    "window",
    "open",
    "altered",
    "key",
    "partition",
    "order",
    "gap",
    "early",
    "duplicate",
    "timestamp",
]

class _Offence(TypedDict):
    kind: _Kind
    partition: int | None
    offset: int | None
    detail: str
    record: str

@final
class Verdict:
    """What the oracle found in one trial. Counts cover the whole trial, figures the measuring phase."""

    @property
    def counts(self) -> _Counts:
        """produced, late (of these), expected, received, missing, unexpected, wrong, duplicate, late_dropped (0)."""

    @property
    def correct(self) -> bool:
        """Whether the output was exactly what the input asks for, but for repetitions that a restart excuses."""

    @property
    def input_bytes(self) -> int:
        """Bytes of the values in the input topic, without keys and what Kafka adds."""

    @property
    def output_bytes(self) -> int:
        """The same of the output topic."""

    @property
    def unread_partitions(self) -> list[int]:
        """Input partitions that hold expected events of which none is covered. Always empty after verify_stamped()."""

    @property
    def legal_duplicates(self) -> int:
        """Of the duplicates, those that a restart excuses."""

    @property
    def latency(self) -> Histogram:
        """Update latency: one sample per expected event (and window); censored ones at the deadline."""

    @property
    def close_latency(self) -> Histogram | None:
        """One sample per window: receipt of its last key's final result minus (window end + watermark delay).

        Of the windows that must have closed, hold an event of the measuring phase, and were emitted for every key. None
        unless `emit` was "close".
        """

    @property
    def close_windows(self) -> int:
        """How many windows the close latency is of."""

    @property
    def censored(self) -> int:
        """Samples that are only known to be at least what is recorded."""

    @property
    def min_us(self) -> int:
        """The least latency, unclamped; 0 without samples."""

    @property
    def max_us(self) -> int:
        """The greatest latency, unclamped; 0 without samples."""

    @property
    def negative(self) -> int:
        """Samples below 0, recorded as 1 µs."""

    def ge(self, q: float) -> bool:
        """Say whether percentile q (0 to 100) reaches a censored sample: then it is a lower bound, shown with ≥."""

    @property
    def halves(self) -> tuple[Histogram, Histogram]:
        """The latencies of events intended for the first and for the second half of the measuring phase.

        With `cycles`, halves are equal numbers of whole cycles; of an odd number the middle one is in neither.
        """

    @property
    def stall_share(self) -> float:
        """Share of the measuring time without any output for over 100 ms although input waited."""

    @property
    def stall_share_worst_partition(self) -> float:
        """The greatest share of a single input partition, of its own input and outputs; good to 10 ms.

        Stalls that come to one partition after the other do not show in `stall_share`.
        """

    @property
    def stall_max_us(self) -> int:
        """The longest such stall."""

    @property
    def stalls(self) -> _Stalls:
        """All such stalls, in order of time."""

    @property
    def tail(self) -> _Tail:
        """The samples above p99, in order of intended time; censored ones at the deadline."""

    @property
    def cycles(self) -> _Cycles:
        """Each cycle [from, to) by intended time, a censored sample at the deadline; empty without `cycles`."""

    def intervals(
        self, percentiles: Sequence[float], *, resamples: int = 1000, seed: int = 1, confidence: float = 0.95
    ) -> list[tuple[int, int] | None]:
        """Return an interval (low, high) for each percentile (0 to 100) of the update latency.

        Whole cycles are drawn with replacement, `resamples` times; equal seeds give equal intervals. None where the
        samples at or above the percentile come from fewer than 5 cycles, so always without `cycles`. ValueError for
        settings out of their range.
        """

    @property
    def hops(self) -> dict[str, SignedHistogram]:
        """scheduled_to_input, input_to_output (not for "transport"), output_to_received; signed.

        One value in each for each output that was the first to cover its newest event. Kafka stamps appends in whole
        ms, rounded down: half a ms is added, so that means are unbiased; they add up to the mean latency of the same
        outputs. Empty unless the topics keep LogAppendTime.
        """

    @property
    def seconds(self) -> _Seconds:
        """Each second of the measuring phase, by intended time; `backlog` is what waited at its end.

        Both `count` and `backlog` are samples: events, for patterns with windows (event, window) pairs. Where final
        results are asked for, a sample waits from window end + watermark delay on.
        """

    @property
    def offending(self) -> list[_Offence]:
        """The first offending records."""

@final
class TopicDiff:
    """Compares two topics that must hold the same results. Use it once.

    The records are JSON objects. `key` names the fields that identify a record; `kafka` is its Kafka key, and a name
    with dots is a field in another (`user.id`). `window` is the field with the time of the record's window, which
    identifies it too, in any unit that `LatencyConsumer` reads. All other fields must have equal values, except those
    in `ignore`; the order of fields and the spelling of numbers do not count. `digits` are the significant digits (1 to
    15) to which numbers are compared; None: exactly.

    Each record needs one equal record in the other topic, within `lag_s` by the time that Kafka keeps of both. With
    `last` only the last record of each identity counts. A record without a counterpart is a difference as soon as the
    other topic has been read `lag_s` beyond its time; when the counterpart comes after all, it counts as late. It
    compares what comes after `start()`, with `from_beginning` also what the topics hold, and with `once` what they
    hold until `start()`; only then may `lag_s` be None, for no limit.

    No record is kept in memory, only 64-bit hashes: `memory_mb` (MiB) bounds those of waiting records and of
    differences, at 256 bytes each, besides 32 MiB for duplicates and the Kafka client's own queues. `examples` is how
    many differences of each kind are shown. `state` is the file that the comparison is stored in each minute and at the
    end, and continued from.

    >>> from rtmbench import _core
    >>> with _core.MockBroker() as broker:
    ...     kafka = {"bootstrap.servers": broker.bootstrap_servers, "fetch.wait.max.ms": "1"}
    ...     for topic, partitions in (("a", 1), ("b", 3)):
    ...         broker.create_topic(topic, partitions=partitions)
    ...         schedule = _core.Schedule.constant(10_000)
    ...         sent = _core.Generator(kafka, topic, _core.Workload(1), schedule, count=50).run()
    ...     times = ["produced_at", "scheduled_at_us"]
    ...     diff = _core.TopicDiff(kafka, "a", "b", key=["event_id"], ignore=times, once=True, lag_s=None)
    ...     diff.start()
    ...     counts = diff.join(30).counts
    >>> counts.matched, counts.differences
    (50, 0)
    """

    def __new__(
        cls,
        config: Mapping[str, str],
        topic_a: str,
        topic_b: str,
        *,
        key: Sequence[str],
        window: str | None = None,
        ignore: Sequence[str] = (),
        digits: int | None = None,
        last: bool = False,
        lag_s: float | None = 30.0,
        from_beginning: bool = False,
        once: bool = False,
        memory_mb: int = 512,
        examples: int = 5,
        state: str | PathLike[str] | None = None,
    ) -> Self: ...
    def start(self) -> None:
        """Open both topics and start. KafkaError when one does not exist or no broker answers within 30 s.

        ValueError where `state` is of another comparison, or Kafka has deleted records that it goes on from.

        >>> TopicDiff(kafka, "topic", "missing", key=["event_id"]).start()
        Traceback (most recent call last):
        rtmbench._core.KafkaError: ...missing...
        """

    def start_async(self) -> Future[None]:
        """`start()` for asyncio. A cancellation stops the comparison.

        >>> diff = TopicDiff(kafka, "topic", "other", key=["event_id"], once=True)
        >>> async def main():
        ...     await diff.start_async()
        ...     return (await diff.join_async(30)).counts.read
        >>> asyncio.run(main())
        (0, 0)
        """

    def stop(self) -> None:
        """Ask for the end, from any thread.

        >>> diff = TopicDiff(kafka, "topic", "other", key=["event_id"])
        >>> diff.start()
        >>> diff.stop()
        >>> diff.join(30).counts.differences
        0
        """

    def join(self, timeout_s: float | None = None) -> DiffReport:
        """Wait for the end; return the report. With `once` the end comes by itself.

        TimeoutError after `timeout_s`; it then still runs. HarnessError where more records wait for a counterpart than
        the memory holds; KafkaError where the brokers fail; OSError where the state cannot be written.

        >>> sent = Generator(kafka, "topic", Workload(1), Schedule.constant(1000), count=3).run()
        >>> diff = TopicDiff(kafka, "topic", "other", key=["event_id"], once=True, lag_s=None, examples=1)
        >>> diff.start()
        >>> report = diff.join(30)
        >>> report.counts.missing
        (0, 3)
        >>> [(kind, partition, offset) for kind, (partition, offset, _), _, _, _ in report.examples]
        [('missing_in_b', 0, 0)]
        """

    def join_async(self, timeout_s: float | None = None) -> Future[DiffReport]:
        """`join()` for asyncio. A cancellation ends the waiting; the comparison goes on.

        >>> diff = TopicDiff(kafka, "topic", "other", key=["event_id"])
        >>> async def main():
        ...     await diff.start_async()
        ...     await diff.join_async(timeout_s=0.01)
        >>> asyncio.run(main())
        Traceback (most recent call last):
        TimeoutError: ...
        """

    def snapshot(self) -> DiffCounts:
        """Return the counts now.

        >>> diff = TopicDiff(kafka, "topic", "other", key=["event_id"])
        >>> diff.start()
        >>> diff.snapshot().matched
        0
        """

@final
class DiffCounts:
    """The counts of a comparison.

    A pair is of topic A and topic B, in this order. A count of differences falls when a counterpart comes after all.
    """

    @property
    def read(self) -> tuple[int, int]:
        """Records read of each topic."""

    @property
    def malformed(self) -> tuple[int, int]:
        """Of these, records that are not JSON objects with the fields of `key` and `window`."""

    @property
    def matched(self) -> int:
        """Pairs of equal records; with `last`, identities whose last records are equal."""

    @property
    def late(self) -> int:
        """Of these, pairs whose times are further apart than the lag."""

    @property
    def different(self) -> int:
        """Pairs of one identity with different values."""

    @property
    def missing(self) -> tuple[int, int]:
        """Records that topic A does not have, and that topic B does not have."""

    @property
    def duplicates(self) -> tuple[int, int]:
        """Records that a topic has once more, after both had them."""

    @property
    def undecided(self) -> int:
        """Records that are not judged, because their counterpart may lie before the start."""

    @property
    def differences(self) -> int:
        """Sum of late, different, missing and duplicates."""

    @property
    def waiting(self) -> int:
        """Records, or with `last` identities, that are not judged yet."""

    @property
    def reached_us(self) -> tuple[int, int]:
        """How far each topic has been read, µs since the Unix epoch; 0 before that is known."""

    @property
    def at_end(self) -> tuple[bool, bool]:
        """Whether each topic has been read to its end for now."""

@final
class DiffReport:
    """What was compared, and what differs."""

    @property
    def counts(self) -> DiffCounts:
        """The counts at the end."""

    @property
    def b_later(self) -> Histogram:
        """Time in B minus time in A, for the equal pairs in which it is not negative; µs, in steps of 1 ms."""

    @property
    def a_later(self) -> Histogram:
        """Time in A minus time in B, for the equal pairs in which it is positive; µs, in steps of 1 ms."""

    @property
    def examples(
        self,
    ) -> list[tuple[str, tuple[int, int, int] | None, tuple[int, int, int] | None, str | None, str | None]]:
        """The first differences of each kind, each as kind, place in A, place in B, record in A, record in B.

        Kinds are "different", "missing_in_a", "missing_in_b", "duplicate_in_a", "duplicate_in_b" and "late". A place is
        partition, offset and time (µs since the Unix epoch). A record is its first characters; None where Kafka has
        deleted it since.
        """

    @property
    def malformed_samples(self) -> tuple[list[str], list[str]]:
        """The first malformed records of each topic: where, why, and what they look like."""

    @property
    def created(self) -> tuple[int, int]:
        """Records of each topic whose time is the producer's (CreateTime)."""

    @property
    def appended(self) -> tuple[int, int]:
        """Records of each topic whose time is the broker's (LogAppendTime)."""

    @property
    def resumed(self) -> bool:
        """Whether it went on from a stored state."""

@final
class Relay:
    """Consumes one topic and produces its records into another: the floor of any engine. Use it once.

    It begins with the first offset and keeps the keys. At-least-once: a record that is not delivered ends it with an
    error.
    """

    def __new__(cls, config: Mapping[str, str], input_topic: str, output_topic: str) -> Self: ...
    def start(self) -> None:
        """Connect and start. KafkaError when a topic is missing or the brokers do not answer within 30 s."""

    def start_async(self) -> Future[None]:
        """`start()` for asyncio. A cancellation stops the relay."""

    def stop(self) -> None:
        """Ask for the end, from any thread; what was read is still written."""

    def join(self, timeout_s: float | None = None) -> RelaySnapshot:
        """Wait until the relay was stopped; return its last counters. KafkaError when it ended early.

        TimeoutError after `timeout_s`; it then still runs.
        """

    def join_async(self, timeout_s: float | None = None) -> Future[RelaySnapshot]:
        """`join()` for asyncio. A cancellation ends the waiting; the relay still runs."""

    def snapshot(self) -> RelaySnapshot:
        """Return the counters now."""

@final
class RelaySnapshot:
    """Counters of a relay."""

    @property
    def consumed(self) -> int:
        """Records read from the input."""

    @property
    def acked(self) -> int:
        """Records of the output that the broker confirmed."""

    @property
    def failed(self) -> int:
        """Records that were not delivered; the first one ends the relay."""

    @property
    def queue_full(self) -> int:
        """Records that had to wait because the producer's queue was full."""

@final
class MockBroker:
    """librdkafka's in-process mock of Kafka brokers, for tests of code that uses this package.

    It keeps no data on disk, knows few admin requests (create topics with its own method), and its latencies
    mean nothing. Use it with `"fetch.wait.max.ms": "1"`.
    """

    def __new__(cls, *, brokers: int = 1) -> Self: ...
    @property
    def bootstrap_servers(self) -> str:
        """host:port of the mock brokers, for `bootstrap.servers`."""

    def create_topic(self, name: str, *, partitions: int = 1) -> None:
        """Create a topic."""

    def close(self) -> None:
        """Stop the brokers. Called again it does nothing."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
