"""Memory: what has left the store goes, and threads that end leave nothing."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import pytest

from tierstack import Capacity, TierStore
from together import together

pytestmark = pytest.mark.thread_unsafe(reason="counts what is alive in the process")

MOST = 4_000
"""So many values may wait until nobody can be reading them: some hundred for each thread."""


class Counted:
    alive = 0
    most = 0
    lock = threading.Lock()

    def __init__(self) -> None:
        with Counted.lock:
            Counted.alive += 1
            Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        with Counted.lock:
            Counted.alive -= 1


@pytest.fixture(autouse=True)
def nothing_before() -> None:
    store_of_one().flush()
    gc.collect()
    Counted.alive = Counted.most = 0


def store_of_one(**settings: Any) -> TierStore[Any]:
    return TierStore(1000, weigher=lambda key, value: 1, **settings)


def left_alive(store: TierStore[Any], expected: int) -> int:
    """How many are alive after a flush, once the threads that have been joined are at their end: before 3.13 a join does not wait for that."""
    deadline = time.monotonic() + 30
    while True:
        store.flush()
        if Counted.alive == expected or time.monotonic() > deadline:
            return Counted.alive
        time.sleep(0.01)


def test_a_million_replacements_hold_a_bounded_number_of_values() -> None:
    store = store_of_one()
    keys = [str(number) for number in range(100)]
    for turn in range(10_000):
        for key in keys:
            store[key] = Counted()
    assert Counted.most <= MOST
    store.flush()
    assert Counted.alive == 100
    del store
    assert Counted.alive == 0


def test_replacements_by_threads_hold_a_bounded_number_of_values() -> None:
    store = store_of_one()

    def body(number: int) -> None:
        for turn in range(20_000):
            store[str((number, turn % 10))] = Counted()

    together(8, body)
    assert Counted.most <= 8 * MOST
    # A thread that has ended has given up what it had: this thread lets go of it.
    assert left_alive(store, 80) == len(store) == 80


def test_threads_that_end_leave_nothing() -> None:
    store = store_of_one()
    for _ in range(200):
        thread = threading.Thread(target=lambda: [store.store("key", Counted()) for _ in range(20)])
        thread.start()
        thread.join()
    assert left_alive(store, 1) == 1


@pytest.mark.parametrize("is_first", [False, True], ids=["drops later", "drops first"])
def test_what_the_end_of_a_thread_drops_goes(is_first: bool) -> None:
    """A thread collects now and then, by how often it has used a store. Some of these do so at their very end, when no Python code can run on them.

    What a thread makes first is what its end takes down last: so some of them drop a value before they use the store.
    """
    store = store_of_one()
    given: list[object] = []

    def body(uses: int) -> None:
        given.clear()
        for _ in range(uses):
            store["key"] = Counted()

    for uses in range(400):
        if is_first:
            given += [store.store("key", Counted()), store.store("key", Counted())]
        thread = threading.Thread(target=body, args=(uses,))
        thread.start()
        thread.join()
    assert left_alive(store, 1) == 1


def test_a_store_that_is_dropped_lets_go_at_once() -> None:
    store = store_of_one()
    for number in range(1000):
        store[str(number)] = Counted()
    store.flush()
    assert Counted.alive == 1000
    del store
    assert Counted.alive == 0


def test_a_store_that_a_thread_drops_at_its_end() -> None:
    local = threading.local()

    def body() -> None:
        local.store = store_of_one()
        local.store["key"] = Counted()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    gc.collect()
    assert left_alive(store_of_one(), 0) == 0


@pytest.mark.parametrize("take", ["remove", "pop", "__delitem__"])
def test_what_is_taken_out_goes_by_a_flush(take: str) -> None:
    store = store_of_one()
    value = Counted()
    died = weakref.ref(value)
    store["key"] = value
    taken = getattr(store, take)("key")
    del value, taken
    store.flush()
    assert died() is None


def test_what_a_capacity_pushes_out_goes() -> None:
    store = store_of_one(warm_capacity=Capacity(entries=10), cold_capacity=Capacity(entries=10))
    store.set_hot_budget(10)
    for number in range(100_000):
        store[str(number)] = Counted()
    assert Counted.most <= MOST
    store.flush()
    assert Counted.alive == len(store) == 30


def test_snapshots_hold_their_values_and_let_go_of_them() -> None:
    store = store_of_one()
    for number in range(100):
        store[str(number)] = Counted()
    snapshots = [store.snapshot() for _ in range(10)]
    store.clear()
    store.flush()
    assert Counted.alive == 100 and len(store) == 0
    assert all(len(snapshot) == 100 for snapshot in snapshots)
    snapshots.clear()
    assert Counted.alive == 0


def test_refused_values_go() -> None:
    store = store_of_one()
    store["key"] = None
    for _ in range(100):
        assert store.store_if_absent("key", Counted()) is None
        assert store.replace_if("key", lambda old: False, Counted()) is None
        assert store.setdefault("key", Counted()) is None
    assert Counted.alive == 0
