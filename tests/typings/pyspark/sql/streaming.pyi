# See __init__.pyi.
from typing import Any, TypeAlias

DataStreamWriter: TypeAlias = Any
StreamingQuery: TypeAlias = Any
