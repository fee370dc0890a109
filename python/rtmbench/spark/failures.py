"""Why a query did not start or did not go on, in Spark's own words."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql.streaming import StreamingQuery

_REFUSALS = ("UNSUPPORTED_STREAMING", "STREAMING_OUTPUT_MODE")
_MAX_CAUSES = 16


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One failure of a query."""

    code: str
    """Spark's error condition, such as `STREAMING_REAL_TIME_MODE.SINK_NOT_SUPPORTED`, else the exception's class."""
    message: str
    trace: str = ""

    @property
    def refused(self) -> bool:
        """Whether Spark refused the query, as opposed to a query that failed."""
        return "REAL_TIME_MODE" in self.code or self.code.startswith(_REFUSALS)

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception from PySpark: from the JVM's exception behind it where there is one."""
        throwable = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
        if throwable is None:
            code = getattr(error, "getCondition", lambda: None)() or type(error).__name__
            return cls(code=code, message=str(error), trace="".join(traceback.format_exception(error)))
        return cls._of_throwable(throwable)

    @classmethod
    def of_query(cls, query: StreamingQuery) -> Failure:
        """Describe why a query has ended."""
        return cls._of_throwable(query._jsq.exception().get())  # noqa: SLF001 - PySpark's copy has lost the causes

    @classmethod
    def _of_throwable(cls, throwable: Any) -> Failure:
        chain = list(_causes(throwable))
        conditions = [(cause, condition) for cause in chain if (condition := _condition(cause))]
        # The outermost report only that the stream or a job failed; the innermost is the cause.
        cause, code = conditions[-1] if conditions else (chain[-1], chain[-1].getClass().getName())
        for candidate, condition in conditions:
            if cls(code=condition, message="").refused:
                cause, code = candidate, condition
                break
        root = chain[-1]
        message = _message(cause)
        if root is not cause and _message(root) not in message:
            message += f" Caused by: {root.getClass().getName()}: {_message(root)}"
        return cls(code=str(code), message=message, trace=_stack(throwable))


def _causes(throwable: Any) -> Iterator[Any]:
    for _ in range(_MAX_CAUSES):
        yield throwable
        throwable = throwable.getCause()
        if throwable is None:
            return


def _condition(throwable: Any) -> str | None:
    try:
        return throwable.getCondition() or None
    except Exception:  # noqa: BLE001 - py4j raises this for an exception that is not a SparkThrowable
        return None


def _message(throwable: Any) -> str:
    """Return an exception's message without the query's plan, which would show the Kafka options and their secrets."""
    return str(throwable.getMessage() or "(no message)").partition("\n=== Streaming Query ===")[0].strip()


def _stack(throwable: Any) -> str:
    lines: list[str] = []
    for depth, cause in enumerate(_causes(throwable)):
        lines.append(("Caused by: " if depth else "") + f"{cause.getClass().getName()}: {_message(cause)}")
        lines += [f"    at {frame.toString()}" for frame in list(cause.getStackTrace())[:8]]
    return "\n".join(lines)
