"""A custom oracle: a function that reads the input and the output and reports errors."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rtmbench import _core
from rtmbench.custom_jobs.functions import load, name_of, said
from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Check = Callable[[list["Record"], list["Record"]], Any]

MAX_RECORDS = 2_000_000
"""Of each topic; they are held in memory for the function, at some 400 bytes each."""
MAX_COMPLAINTS = 20


class Record(NamedTuple):
    """A Kafka record."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    append_ms: int | None
    """When the broker appended it, epoch ms; None where the topic keeps the producer's time."""

    def json(self) -> Any:
        """Return the value read as JSON; ValueError where it is none."""
        return json.loads(self.value or b"")


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """A function and its name."""

    name: str
    function: Check

    def complaints(
        self,
        config: Mapping[str, str],
        *,
        input_topic: str,
        output_topic: str,
        input_from: Sequence[int] = (),
        output_from: Sequence[int] = (),
    ) -> list[str]:
        """Read both topics from the offsets on, and return the errors that the function reports.

        The function gets two lists of `Record`, in order of partition and offset. An exception is an error, and so is
        each text that the function returns. None, True and an empty list mean that the output is correct.

        Raises HarnessError where a topic holds more than `MAX_RECORDS`, and KafkaError where it cannot be read.
        """
        inputs = _read(config, input_topic, input_from)
        outputs = _read(config, output_topic, output_from)
        try:
            result = self.function(inputs, outputs)
        except Exception as error:  # noqa: BLE001 - every exception of the function is a complaint
            return [said(error)]
        if result is None or result is True:
            return []
        if result is False:
            return ["it returned False"]
        try:
            complaints = [result] if isinstance(result, str) else list(itertools.islice(result, MAX_COMPLAINTS))
        except Exception as error:  # noqa: BLE001 - a generator runs only here
            return [f"it returned {type(result).__name__}, not a text or several texts: {said(error)}"]
        return [str(complaint) for complaint in complaints]


def oracle_of(check: str | Check) -> Oracle:
    """Make an oracle of a function or of `FILE.py:FUNCTION`.

    Raises ConfigurationError if the function does not exist.
    """
    function: Any = load(check, "--oracle") if isinstance(check, str) else check
    if not callable(function):
        raise ConfigurationError(f"The oracle is {function!r}, which cannot be called.")
    return Oracle(name=name_of(function), function=function)


def _read(config: Mapping[str, str], topic: str, from_offsets: Sequence[int]) -> list[Record]:
    try:
        records = _core.read_topic(config, topic, from_offsets=list(from_offsets), most=MAX_RECORDS)
    except ValueError as error:
        raise _core.HarnessError(f"the oracle could not run: {error}; lower --rate, --duration or --warmup") from error
    return [Record(*record) for record in records]


__all__ = ["MAX_RECORDS", "Oracle", "Record", "oracle_of"]
