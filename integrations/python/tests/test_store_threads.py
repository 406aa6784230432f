"""Many threads at one store: also run by pytest-run-parallel, each test by several threads at once."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tierstack import Capacity, ContendedError, Departure, OverBudgetError, Tier, TierStore
from together import together


def of_weight_one() -> TierStore[Any]:
    return TierStore(50, weigher=lambda key, value: 1)


def test_updates_of_one_key_are_counted() -> None:
    store: TierStore[int] = of_weight_one()
    store["count"] = 0
    together(4, lambda number: [store.update("count", lambda old: old + 1) for _ in range(500)])
    assert store["count"] == 2000


def test_replacements_by_version_are_counted() -> None:
    store: TierStore[int] = of_weight_one()
    store["count"] = 0

    def add(number: int) -> int:
        won = 0
        for _ in range(500):
            fragment = store.peek_fragment("count")
            assert fragment is not None
            won += store.replace_if("count", fragment.version, fragment.value + 1) is not None
        return won

    assert sum(together(4, add)) == store["count"]


def test_one_of_many_stores_an_absent_key() -> None:
    store: TierStore[int] = of_weight_one()
    def race(number: int) -> list[bool]:
        return [store.store_if_absent(str(turn), number) is not None for turn in range(300)]

    for turn, won in enumerate(zip(*together(4, race), strict=True)):
        assert sum(won) == 1 and won[store[str(turn)]]


def test_what_is_made_once_is_what_all_get() -> None:
    store: TierStore[object] = of_weight_one()
    def race(number: int) -> list[object]:
        return [store.get_or_store_with(str(turn), object) for turn in range(300)]

    for made in zip(*together(4, race), strict=True):
        assert len(set(map(id, made))) == 1


@pytest.mark.parametrize(
    "take",
    [lambda store: store.setdefault("key", "mine"), lambda store: store.get_or_store_with("key", lambda: "mine")],
    ids=["setdefault", "get_or_store_with"],
)
def test_what_another_stores_meanwhile_is_what_is_had(take: Callable[[TierStore[str]], str]) -> None:
    def weigher(key: str, value: str) -> int:
        if value == "mine":
            store["key"] = "another's"
        return 1

    store: TierStore[str] = TierStore(100, weigher=weigher)
    assert take(store) == "another's" == store["key"]


def test_each_fragment_is_taken_out_once() -> None:
    store: TierStore[int] = of_weight_one()
    keys = [str(number) for number in range(500)]
    store.update({key: 0 for key in keys})

    def take(number: int) -> list[str]:
        return [key for key in random.Random(number).sample(keys, len(keys)) if store.pop(key, None) is not None]

    taken = Counter(key for mine in together(4, take) for key in mine)
    assert taken == Counter(keys) and len(store) == 0


def test_the_budget_holds_and_nothing_is_lost() -> None:
    told: list[Departure[int]] = []
    store: TierStore[int] = TierStore(
        30,
        weigher=lambda key, value: value % 7,
        warm_capacity=Capacity(entries=20),
        cold_capacity=Capacity(entries=20),
        on_departure=told.append,
    )
    stored: list[list[int]] = [[] for _ in range(4)]

    def body(number: int) -> None:
        chance = random.Random(number)
        for turn in range(1000):
            key = str(chance.randrange(100))
            match chance.randrange(6):
                case 0 | 1:
                    value = number * 10_000 + turn
                    store[key] = value
                    stored[number].append(value)
                case 2:
                    try:
                        store.promote(key)
                    except (KeyError, OverBudgetError, ContendedError):
                        pass
                case 3:
                    store.evict_lru(chance.choice(list(Tier)))
                case 4:
                    store.get(key)
                case _:
                    snapshot = store.snapshot(Tier.HOT)
                    assert snapshot.bytes(Tier.HOT) <= 30
                    assert sum(item.weight for item in snapshot.tier(Tier.HOT)) <= 30
            assert store.hot_bytes <= 30

    together(4, body)
    left = [gone.value for gone in told]
    assert sorted(left + [item.value for item in store.snapshot().all()]) == sorted(sum(stored, []))


def test_snapshots_are_of_one_instant() -> None:
    """A fragment moves up and down all the time: each snapshot has it once. The detached ones, too."""
    store: TierStore[int] = of_weight_one()
    store.set_hot_budget(10_000)
    store.update({str(number): number for number in range(1200)})
    done = threading.Event()

    def body(number: int) -> int:
        if number:
            chance = random.Random(number)
            while not done.is_set():
                key = str(chance.randrange(1200))
                store.demote(key)
                store.promote_to(key, Tier.HOT)
            return 0
        try:
            for _ in range(30):
                snapshot = store.snapshot()
                assert sorted(snapshot.values()) == list(range(1200)) == sorted(map(int, snapshot))
                assert sum(len(snapshot.tier(tier)) for tier in Tier) == 1200
        finally:
            done.set()
        return 1

    together(3, body)


@pytest.mark.thread_unsafe(reason="looks at the clock")
def test_large_snapshots_let_others_have_the_interpreter() -> None:
    store: TierStore[int] = TierStore(1, weigher=lambda key, value: 1)
    store.update({str(number): number for number in range(50_000)})
    done = threading.Event()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0)

    thread = threading.Thread(target=tick)
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)  # else the interpreter goes from thread to thread anyway
    try:
        thread.start()
        ticks = 0
        store.snapshot()
        assert ticks > 0
    finally:
        done.set()
        sys.setswitchinterval(before)
        thread.join()


@pytest.mark.thread_unsafe(reason="starts processes")
@pytest.mark.parametrize(
    "at_exit",
    [
        "daemon",
        "callbacks",
        "atexit",
        "module",
        "cycle",
        "local",
    ],
)
def test_the_interpreter_ends(at_exit: str) -> None:
    """With stores in use, in daemon threads, in modules, in cycles: it ends without a crash."""
    program = textwrap.dedent("""
        import atexit, sys, threading, time
        from tierstack import TierStore

        class Value:
            def __init__(self, store): self.store = store
            def __del__(self):
                if self.store is not None:
                    self.store.get("key"); self.store.store("left", None)

        store = TierStore(2000, weigher=lambda key, value: 1)
        for number in range(1500):
            store[str(number)] = Value(store)

        def use():
            while True:
                store["key"] = Value(store)
                store.get("key")
                store.snapshot()

        match sys.argv[1]:
            case "daemon":
                for _ in range(4):
                    threading.Thread(target=use, daemon=True).start()
                time.sleep(0.3)
            case "callbacks":
                # Each daemon thread is nearly always in Python code that Rust has called: weigher, listener, function or destructor.
                sys.setswitchinterval(1e-5)
                busy = TierStore(
                    5, weigher=lambda key, value: sum(1 for _ in range(9)) - 8, on_departure=lambda gone: store.get("key")
                )
                def call(number):
                    while True:
                        busy["key"] = Value(store)
                        busy.update("key", lambda old: Value(store))
                        busy.replace_if("key", lambda old: True, Value(store))
                        busy.get_or_store_with(str(number), lambda: Value(store))
                        busy.pop(str(number))
                for number in range(4):
                    threading.Thread(target=call, args=(number,), daemon=True).start()
                time.sleep(0.3)
            case "atexit":
                atexit.register(lambda: [store.store(str(n), Value(store)) for n in range(1000)])
            case "module":
                sys.modules["kept"] = store
            case "cycle":
                store["self"] = store
                del store
            case "local":
                local = threading.local()
                def body():
                    local.store = TierStore(10, weigher=lambda key, value: 1)
                    local.store["x"] = Value(local.store)
                thread = threading.Thread(target=body); thread.start(); thread.join()
        print("ends")
    """)
    ended = subprocess.run([sys.executable, "-c", program, at_exit], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0 and ended.stdout == "ends\n", ended
    assert "panicked" not in ended.stderr, ended.stderr
