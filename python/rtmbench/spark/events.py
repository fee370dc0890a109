"""The input event: its schema, and how it is read from a Kafka record."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FIELDS = {
    "event_id": "string",
    "event_type": "string",
    "key": "string",
    "value": "bigint",
    "produced_at": "bigint",
    "scheduled_at_us": "bigint",
}
"""The fields of an event and their SQL types. `produced_at` is the event time in ms since the
epoch, `scheduled_at_us` the same instant in µs: when the event was meant to be sent."""

EVENT = ", ".join(f"{name} {sql_type}" for name, sql_type in FIELDS.items())
"""The schema of an event as DDL, for `from_json` and `DataFrameReader.schema`."""


def parse_events(records: DataFrame) -> DataFrame:
    """Read an event from the JSON `value` of each Kafka record; the result's columns are `FIELDS`.

    A record that is not an event fails the query: skipping it would make the output silently
    incomplete. The array of one is there for speed: a struct that is selected and then filtered by
    one of its fields is parsed again for each of them, whereas `inline` parses it once.
    """
    from pyspark.sql.functions import (  # noqa: PLC0415
        array,
        col,
        from_json,
        inline,
        lit,
        raise_error,
        when,
    )

    event = from_json(col("value").cast("string"), EVENT, {"mode": "FAILFAST"})
    parsed = records.select(inline(array(event)))
    # Even in FAILFAST mode a missing field is null, and so is the event of an empty record.
    complete = reduce(lambda left, right: left & right, (col(name).isNotNull() for name in FIELDS))
    complaint = "A record is not an event: JSON with " + ", ".join(FIELDS)
    return parsed.where(when(complete, lit(True)).otherwise(raise_error(lit(complaint))))
