"""Pipelines as modules, for notebooks."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from rtmbench.errors import RtmbenchError
from rtmbench.patterns.pipelines import locate

if TYPE_CHECKING:
    from types import ModuleType


def pipeline(pattern: str) -> ModuleType:
    """Import the Spark pipeline of a pattern, such as `"01"`; its `build(spark, io)` returns a stream writer.

    Raises `ConfigurationError` for an unknown pattern.
    """
    path = locate(pattern, "spark")
    name = f"rtmbench._pipelines.{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RtmbenchError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module
