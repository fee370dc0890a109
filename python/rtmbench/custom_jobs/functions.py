"""Functions of the user's that are named on the command line: `FILE.py:FUNCTION`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtmbench.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


def load(reference: str, flag: str) -> Callable[..., Any]:
    """Import the file and return its function; `flag` names the setting in messages.

    Raises ConfigurationError if the file or the function does not exist, or if the import raises.
    """
    file, colon, name = reference.rpartition(":")
    if not colon or not file or not name.isidentifier():
        raise ConfigurationError(f"{flag} is {reference!r}; give FILE.py:FUNCTION.")
    path = Path(file).resolve()
    if not path.is_file():
        raise ConfigurationError(f"{flag} names {file}, which is not a file.")
    spec = importlib.util.spec_from_file_location(f"rtmbench_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{flag} names {file}, which is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    # The file can import the modules next to it, as in a run by itself.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigurationError(f"{flag}: {file} cannot be imported: {said(error)}.") from error
    finally:
        sys.path.remove(str(path.parent))
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        raise ConfigurationError(f"{flag}: {file} defines no function {name!r}.")
    return function


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function for a document: its file and name, without a path of the machine."""
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", type(function).__name__)
    return name if code is None else f"{Path(code.co_filename).name}:{name}"


def said(error: BaseException) -> str:
    """Return an exception in one line, with the line of the file that raised it."""
    place = ""
    if (traceback := error.__traceback__) is not None:
        while traceback.tb_next is not None:
            traceback = traceback.tb_next
        place = f" ({Path(traceback.tb_frame.f_code.co_filename).name}, line {traceback.tb_lineno})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{f': {text}' if text else ''}{place}"


__all__ = ["load", "name_of", "said"]
