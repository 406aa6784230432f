"""Garbage collection: what refers to its store is collected, and nothing that is in use is."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tierstack import Departure, Fragment, Snapshot, Tier, TierStore
from together import together

pytestmark = pytest.mark.thread_unsafe(reason="counts what the collector finds")


class Node:
    """Anything that can be in a cycle."""

    other: Any = None


def alive() -> int:
    """How many there are. Weak references do not say so: the collector ends those of garbage before it knows whether it can free it."""
    store_of_one().flush()
    gc.collect()
    return sum(isinstance(one, (TierStore, Snapshot, Node, Fragment, Departure)) for one in gc.get_objects())


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    before = alive()
    yield
    assert alive() == before and gc.garbage == []


def store_of_one(**settings: Any) -> TierStore[Any]:
    return TierStore(100, weigher=lambda key, value: 1, **settings)


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize("kept", [False, True])
def test_a_value_that_refers_to_its_store_is_collected(tier: Tier, kept: bool) -> None:
    store, node = store_of_one(), Node()
    node.other = store
    store["node"] = node
    store.demote_to("node", tier)
    if kept:
        store.keep("node")
    died = [weakref.ref(store), weakref.ref(node)]
    del store
    gc.collect()
    assert all(ref() is not None for ref in died), "it is in use"
    del node
    gc.collect()
    assert all(ref() is None for ref in died)


def test_a_store_that_is_used_keeps_its_values() -> None:
    store = store_of_one()
    for number in range(2000):
        node = Node()
        node.other = (store, node)
        store[str(number)] = node
    del node
    for _ in range(3):
        gc.collect()
        for number in range(2000):
            assert store.peek(str(number)).other[0] is store


def test_a_store_in_a_store_in_a_store() -> None:
    stores = [store_of_one() for _ in range(10)]
    for store, following in zip(stores, stores[1:] + stores[:1]):
        store["next"] = following
    died = [weakref.ref(store) for store in stores]
    del stores, store, following
    gc.collect()
    assert all(ref() is None for ref in died)


def test_a_cycle_that_the_store_alone_can_break() -> None:
    store = store_of_one()
    store["tuple"] = (store, (store,))
    store["self"] = store
    store.keep("self")
    store["fragment"] = store.peek_fragment("self")
    store["snapshot"] = store.snapshot()


@pytest.mark.parametrize("kind", ["weigher", "on_departure"])
def test_a_function_that_refers_to_its_store_is_collected(kind: str) -> None:
    class Owner(Node):
        def weigher(self, key: str, value: Any) -> int:
            return 1

        def on_departure(self, departure: Departure[Any]) -> None:
            pass

    owner = Owner()
    owner.other = TierStore(10, **{kind: getattr(owner, kind)})
    died = [weakref.ref(owner), weakref.ref(owner.other)]
    del owner
    gc.collect()
    assert all(ref() is None for ref in died)


@pytest.mark.parametrize(
    "answer",
    [
        lambda store: store.snapshot(),
        lambda store: store.peek_fragment("node"),
        lambda store: store.snapshot().all(),
        lambda store: store.store("node", None),
        lambda store: store.evict_lru(Tier.HOT),
        lambda store: store.remove("node"),
        lambda store: store.items(),
    ],
)
def test_an_answer_in_the_value_that_it_holds_is_collected(answer: Any) -> None:
    store, node = store_of_one(), Node()
    store["node"] = node
    node.other = answer(store)
    died = weakref.ref(node)
    store.clear()
    store.flush()
    del store, node
    gc.collect()
    # What has left the store may wait until later calls.
    store_of_one().flush()
    gc.collect()
    assert died() is None


def test_a_departure_in_its_value_is_collected() -> None:
    def keep(departure: Departure[Any]) -> None:
        departure.value.other = departure

    store, node = store_of_one(on_departure=keep), Node()
    store["node"] = node
    del store["node"]
    assert node.other.value is node
    died = weakref.ref(node)
    store.flush()
    del store, node
    gc.collect()
    assert died() is None


def test_the_collector_meets_each_reference_once() -> None:
    """Values that are in several tiers' keys, in snapshots, and that were replaced."""
    store, node = store_of_one(), Node()
    for number in range(300):
        store[str(number)] = node
        store.demote_to(str(number), Tier(number % 3))
        if number % 7 == 0:
            store.keep(str(number))
    snapshots = [store.snapshot() for _ in range(3)]
    assert gc.get_referents(store).count(node) == 300
    for snapshot in snapshots:
        assert gc.get_referents(snapshot).count(node) == 300
    for number in range(300):
        store[str(number)] = None
    assert gc.get_referents(store).count(node) == 0
    store.flush()
    assert gc.get_referents(store).count(node) == 0
    del snapshots, snapshot


def test_texts_and_numbers_are_not_walked() -> None:
    store = store_of_one()
    store.update({str(number): number for number in range(10)})
    assert not any(isinstance(referent, int) for referent in gc.get_referents(store)), "a store of atoms is passed by"
    store["list"] = []
    assert sum(isinstance(referent, int) for referent in gc.get_referents(store)) == 10


def test_the_collector_beside_threads_and_large_snapshots() -> None:
    """Detached snapshots of thousands, while others replace, move and collect. A reference that was met twice or given up twice would crash or lose a value."""
    store = store_of_one()
    store.set_hot_budget(500)
    keys = [str(number) for number in range(1500)]

    def fresh(key: str) -> Node:
        node = Node()
        node.other = [store, node, key]
        return node

    for key in keys:
        store[key] = fresh(key)
    done = threading.Event()

    def body(number: int) -> int:
        chance = random.Random(number)
        looked = 0
        if number == 0:
            for _ in range(20):
                gc.collect()
            done.set()
        while not done.is_set():
            if number == 1:
                snapshot: Snapshot[Any] = store.snapshot()
                assert len(snapshot) == len(keys)
                for item in snapshot.all():
                    assert item.value.other[2] == item.key
                looked += 1
                continue
            for key in chance.sample(keys, 50):
                match chance.randrange(4):
                    case 0:
                        store[key] = fresh(key)
                    case 1:
                        store.demote(key)
                    case 2:
                        store.promote(key)
                    case _:
                        assert store[key].other[2] == key
        return looked

    assert together(4, body)[1] > 0
    died = [weakref.ref(store.peek(key)) for key in keys]
    del store, fresh, body
    gc.collect()
    store_of_one().flush()
    gc.collect()
    assert sum(ref() is not None for ref in died) == 0


def test_what_a_cleared_store_answers() -> None:
    """A finalizer that runs after the collector has cleared the store finds an empty one, and no crash."""
    seen: list[Any] = []
    store = store_of_one(on_departure=lambda departure: seen.append(departure.key))

    class Late:
        def __init__(self) -> None:
            self.store = store

    late = Late()
    store["late"] = late
    weakref.finalize(late, seen.append, "finalized")
    ref = weakref.ref(store)
    del store, late
    gc.collect()
    store_of_one().flush()
    assert ref() is None and seen == ["finalized"], "the listener is not told of what the collector ends"
