"""The constrained types of the document's fields. msgspec checks them on reading, and the schema states them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Ordinal: TypeAlias = Annotated[int, Meta(ge=1)]
Amount: TypeAlias = Annotated[float, Meta(ge=0)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Factor: TypeAlias = Annotated[float, Meta(ge=1)]
Bounds: TypeAlias = Annotated[list[Positive], Meta(min_length=2, max_length=2)]
Timestamp: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$",
        extra_json_schema={"format": "date-time"},
    ),
]
RunId: TypeAlias = Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$")]
Text: TypeAlias = Annotated[str, Meta(min_length=1)]
PercentileName: TypeAlias = Literal["p50", "p90", "p95", "p99", "p99_9", "max"]
FigureName: TypeAlias = Literal["p50_us", "p95_us", "p99_us", "p99_9_us", "max_us"]
ComparisonVerdict: TypeAlias = Literal["faster", "slower", "no difference shown", "worse", "better", "no verdict"]
TargetVerdict: TypeAlias = Literal["met", "missed", "inconclusive"]
WarmUpEnd: TypeAlias = Literal["boundaries", "bound", "time"]
Scalar: TypeAlias = bool | int | float | str
"""The value of one setting."""
