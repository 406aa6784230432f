"""Threads that start at one instant, and whose failures reach the test."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def together(count: int, body: Callable[[int], T]) -> list[T]:
    """Runs `body(0)` to `body(count - 1)`, each in a thread of its own. What they return, in that order."""
    ready = threading.Barrier(count, timeout=60)

    def run(number: int) -> T:
        ready.wait()
        return body(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count), timeout=300))
