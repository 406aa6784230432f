"""Threads that start at one instant, that are stopped wherever it could matter, and whose failures reach the test."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def together(count: int, body: Callable[[int], T]) -> list[T]:
    """Runs `body(0)` to `body(count - 1)`, each in a thread of its own. What they return, in that order.

    In the compatible classes a thread is stopped before and after each call of something native, such as the store: so that others run
    between any two of them. Left to itself, the interpreter would do so once in milliseconds.
    """
    ready = threading.Barrier(count, timeout=60)

    def run(number: int) -> T:
        ready.wait()
        sys.setprofile(_stop_between_calls)
        try:
            return body(number)
        finally:
            sys.setprofile(None)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count), timeout=300))


def _stop_between_calls(frame: FrameType, event: str, _: Any) -> None:
    if event in ("c_call", "c_return") and frame.f_globals.get("__name__", "").startswith("tierstack.compat"):
        time.sleep(0.000_001)
