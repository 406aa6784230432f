"""Calls from many tasks of one loop, and from threads beside it. No call waits, so none of them needs an `await`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from tierstack import Change, PlanContext, Status, Tier, TierStore
from tierstack.compat import ContextTierService

T = TypeVar("T")


def run(body: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(body, 60))


async def together(*bodies: Coroutine[Any, Any, T]) -> list[T]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(body) for body in bodies]
    return [task.result() for task in tasks]


def test_many_tasks_share_a_store() -> None:
    store: TierStore[str] = TierStore(2_000)

    async def body(number: int) -> None:
        for turn in range(20):
            store.store(f"{number}", f"{number}, turn {turn}".ljust(99))
            await asyncio.sleep(0)
            assert (store.get(f"{number}") or "").startswith(f"{number}, turn {turn} ")
            assert store.hot_bytes <= 2_000

    async def main() -> None:
        await together(*(body(number) for number in range(100)))

    run(main())
    assert len(store) == 100 and store.len(Tier.HOT) <= 20
    assert store.metrics().stores == 2_000


def test_an_update_across_an_await_goes_by_version() -> None:
    store: TierStore[int] = TierStore(100, weigher=lambda key, value: 1)
    store["count"] = 0

    async def add() -> None:
        while True:
            read = store.get_fragment("count")
            assert read is not None
            await asyncio.sleep(0)  # others add meanwhile
            if store.replace_if("count", read.version, read.value + 1) is not None:
                return

    async def main() -> None:
        await together(*(add() for _ in range(50)))

    run(main())
    assert store["count"] == 50


def test_each_task_records_into_its_own_changeset() -> None:
    plan = PlanContext()

    async def strategy(number: int) -> str:
        with plan.changeset() as changeset:
            for turn in range(10):
                changeset.record(Change.create(f"{number}/{turn}"))
                await asyncio.sleep(0)
            return changeset.id

    async def main() -> list[str]:
        return await together(*(strategy(number) for number in range(50)))

    ids = run(main())
    snapshot = plan.snapshot()
    for number, changeset in enumerate(ids):
        assert snapshot.status(changeset) is Status.CLOSED
        assert [record.change.path for record in snapshot.changes(changeset)] == [f"{number}/{turn}" for turn in range(10)]
    assert plan.current() is None


def test_a_task_that_is_cancelled_aborts_its_changeset() -> None:
    plan = PlanContext()

    async def strategy(started: asyncio.Event) -> None:
        with plan.changeset() as changeset:
            changeset.record(Change.create("half"))
            started.set()
            await asyncio.sleep(60)

    async def main() -> None:
        started = asyncio.Event()
        task = asyncio.create_task(strategy(started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert plan.status("changeset-1") is Status.ABORTED and len(plan.snapshot().diff()) == 0


def test_threads_and_tasks_use_one_store_at_once() -> None:
    service = ContextTierService(1_000)

    def in_a_thread(number: int) -> None:
        for turn in range(300):
            service.store(f"thread-{number}", str(turn).ljust(88))
            service.evict_lru(Tier.HOT)

    async def in_a_task(number: int) -> None:
        for turn in range(300):
            service.store(f"task-{number}", str(turn).ljust(88))
            service.promote(f"thread-{number}")
            if turn % 20 == 0:
                await asyncio.sleep(0)

    async def main() -> None:
        threads = (asyncio.to_thread(in_a_thread, number) for number in range(4))
        await together(*threads, *(in_a_task(number) for number in range(4)))

    run(main())
    assert {(one.key, one.value.rstrip()) for one in service.fragments()} == {(f"{kind}-{n}", "299") for kind in ("task", "thread") for n in range(4)}


def test_the_loop_goes_on_beside_busy_threads() -> None:
    """A task that wakes up every few milliseconds is not held up by threads that are in the store all the time."""
    store: TierStore[str] = TierStore(10_000)

    def busy(number: int) -> int:
        turns, until = 0, time.monotonic() + 0.5
        while time.monotonic() < until:
            store.store(f"{number}-{turns % 50}", "x" * 90)
            turns += 1
        return turns

    async def main() -> int:
        threads = [asyncio.create_task(asyncio.to_thread(busy, number)) for number in range(4)]
        woken = 0
        while not all(thread.done() for thread in threads):
            await asyncio.sleep(0.002)
            store.get("0-0")
            woken += 1
        await asyncio.gather(*threads)
        return woken

    assert run(main()) >= 5
