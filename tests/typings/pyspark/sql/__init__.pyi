# PySpark belongs to the engines and is in no development environment. For pyright, what is used of it is Any.
from typing import Any, TypeAlias

DataFrame: TypeAlias = Any

class SparkSession:
    builder: Any
    def __getattr__(self, name: str) -> Any: ...
