"""SIGINT and SIGTERM end a run in one way: an exception in the main thread, after which everything is cleaned up."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType


class Terminated(BaseException):
    """SIGTERM arrived; a sibling of `KeyboardInterrupt`."""


def install() -> None:
    """Turn SIGINT into `KeyboardInterrupt` and SIGTERM into `Terminated`.

    Both are set explicitly: a shell that starts a program with `&` leaves SIGINT ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)


@contextmanager
def shielded() -> Generator[None, None, None]:
    """Let a clean-up finish: further SIGINT and SIGTERM are ignored inside.

    The children outlive nothing by this: a SIGKILL still ends them through their lifeline. Outside of the main
    thread, where Python delivers no signal, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated
