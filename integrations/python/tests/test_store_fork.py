"""After a fork the child may use the store, also where other threads ran."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from tierstack import Change, PlanContext, TierStore

pytestmark = [
    pytest.mark.thread_unsafe(reason="forks"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


def in_child(body: Callable[[], object]) -> None:
    """Runs something in a forked child, and fails if it does."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            body()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def use(store: TierStore[Any]) -> None:
    for number in range(5000):
        store[str(number % 300)] = [number]
        assert store[str(number % 300)] == [number]
    store.update("0", lambda old: old + [1])
    assert len(store.snapshot()) == len(store) >= 300
    store.demote("1")
    store.promote("1")
    store.clear()
    store.flush()
    assert len(store) == 0


def store_of_one() -> TierStore[Any]:
    return TierStore(100, weigher=lambda key, value: 1)


def test_a_child_uses_the_store() -> None:
    store = store_of_one()
    store["key"] = "value"
    in_child(lambda: use(store))
    assert dict(store) == {"key": "value"}, "the parent's is another"
    use(store)


def test_a_child_of_a_process_with_busy_threads() -> None:
    store = store_of_one()
    store.update({str(number): number for number in range(2000)})
    done = threading.Event()

    def busy(number: int) -> None:
        while not done.is_set():
            store[str(number)] = object()
            store.get(str(number))
            store.evict_lru(0)
            if number == 0:
                store.snapshot()  # detached: the thread may be pinned while the process forks

    threads = [threading.Thread(target=busy, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            in_child(lambda: use(store))
            use(store_of_one())
    finally:
        done.set()
        for thread in threads:
            thread.join()


def target(store: TierStore[str], queue: Any) -> None:
    store["child"] = "of it"
    queue.put(sorted(store.items()))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method: str) -> None:
    """Forked, a child has the store as it was. Spawned, it has a copy by pickle."""
    context: Any = multiprocessing.get_context(method)
    store: TierStore[str] = TierStore(100)
    store["parent"] = "of it"
    queue = context.SimpleQueue()
    process = context.Process(target=target, args=(store, queue))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert queue.get() == [("child", "of it"), ("parent", "of it")] and list(store) == ["parent"]


def test_a_child_uses_the_plan() -> None:
    plan = PlanContext()
    plan.start_changeset()

    def body() -> None:
        for number in range(1000):
            plan.record_change(Change.create(str(number)))
        assert len(plan.snapshot().diff()) == 1000

    in_child(body)
    assert plan.sequence() == 1
