"""The queries that a script starts: which one writes the output, and a fresh checkpoint for each.

PySpark's `DataStreamWriter` is wrapped, so that a script needs to know nothing of it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession
    from pyspark.sql.streaming import StreamingQuery

_OPTIONS = "_rtmbench_options"
_CHECKPOINT = "checkpointLocation"
_KAFKA = "kafka"


class QueryStarts:
    """Follows every start of a query in this process.

    `output_topic` is what the query to measure writes; None: the first query is that one. Each query gets a directory
    of its own below `checkpoints`, whatever the script names: a directory of the last trial would hold the offsets of a
    topic that is gone. A query that the script starts again, with the same name, sink, topic and checkpoint, keeps its
    directory. None: the script's.
    """

    def __init__(
        self,
        started: Callable[[StreamingQuery, SparkSession], None],
        *,
        output_topic: str | None = None,
        checkpoints: str | None = None,
    ) -> None:
        self._started = started
        self._output_topic = output_topic
        self._checkpoints = checkpoints
        self._directories = 0
        self._queries: list[tuple[StreamingQuery, dict[str, str], str]] = []

    def hook(self) -> None:
        """Report each start of a query that may write the output."""
        from pyspark.sql.streaming import DataStreamWriter  # noqa: PLC0415 - only here is PySpark at hand

        writer_class: Any = DataStreamWriter
        set_option: Callable[[Any, str, str], Any] = writer_class.option
        readers: dict[str, Callable[..., dict[str, str]]] = {
            "format": _format,
            "option": _option,
            "options": _options,
            "queryName": _query_name,
        }
        for name, read in readers.items():
            setattr(writer_class, name, _noting(getattr(writer_class, name), read))
        original: Callable[..., StreamingQuery] = writer_class.start

        @functools.wraps(original)
        def start(writer: Any, *arguments: Any, **options: Any) -> StreamingQuery:
            named = {**_noted(writer), **_start(*arguments, **options)}
            directory = self._directory(named)
            if directory is not None:
                options.pop(_CHECKPOINT, None)
                set_option(writer, _CHECKPOINT, directory)
            query = original(writer, *arguments, **options)
            if directory is not None:
                self._queries.append((query, named, directory))
            if self._writes_output(named):
                self._started(query, writer._spark)  # noqa: SLF001 - a query does not know its session
            return query

        writer_class.start = start

    def _directory(self, named: dict[str, str]) -> str | None:
        """Return the directory of the next query: that of the same query, where it has ended, else a new one."""
        if self._checkpoints is None:
            return None
        for index, (query, options, directory) in enumerate(self._queries):
            if options == named and not query.isActive:
                del self._queries[index]
                return directory
        self._directories += 1
        return f"{self._checkpoints.rstrip('/')}/query-{self._directories}"

    def _writes_output(self, options: dict[str, str]) -> bool:
        """Whether a query may write the output topic: it does not name another topic or kind of sink."""
        sink, topic = options.get("format", _KAFKA), options.get("topic", self._output_topic)
        return self._output_topic is None or (sink == _KAFKA and topic == self._output_topic)


def _noted(writer: Any) -> dict[str, str]:
    return vars(writer).setdefault(_OPTIONS, {})  # type: ignore[no-any-return]


def _noting(original: Callable[..., Any], read: Callable[..., dict[str, str]]) -> Callable[..., Any]:
    @functools.wraps(original)
    def method(writer: Any, *arguments: Any, **options: Any) -> Any:
        _noted(writer).update(read(*arguments, **options))
        return original(writer, *arguments, **options)

    return method


def _format(source: str) -> dict[str, str]:
    return {"format": source.lower()}


def _option(key: str, value: Any) -> dict[str, str]:
    return {key.lower(): str(value)}


def _options(**options: Any) -> dict[str, str]:
    return {key.lower(): str(value) for key, value in options.items()}


def _query_name(queryName: str) -> dict[str, str]:  # noqa: N803 - PySpark's name
    return {"queryname": queryName}


def _start(path: Any = None, format: str | None = None, *_: Any, **options: Any) -> dict[str, str]:  # noqa: A002, ARG001 - PySpark's names
    return {**({} if format is None else _format(format)), **_options(**options)}


__all__ = ["QueryStarts"]
