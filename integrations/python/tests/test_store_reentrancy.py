"""Python code that runs in the middle of things: destructors, comparisons, weighers and listeners that use the store."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tierstack import Capacity, Cause, Departure, TierStore

pytestmark = pytest.mark.thread_unsafe(reason="looks at when destructors run, and at sys.unraisablehook")


def store_of_one(**settings: Any) -> TierStore[Any]:
    return TierStore(100, weigher=lambda key, value: 1, **settings)


class Noisy:
    """Does something when it goes."""

    def __init__(self, at_end: Any) -> None:
        self.at_end = at_end

    def __del__(self) -> None:
        self.at_end()


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    caught: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda hooked: caught.append((hooked.exc_value, hooked.object)))
    yield caught
    caught.clear()


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.get("a"),
        lambda store: store.store("a", 1),
        lambda store: store.update("other", lambda old: old),
        lambda store: store.pop("other", None),
        lambda store: store.snapshot().all(),
        lambda store: list(store.items()),
        lambda store: store.evict_lru(0),
        lambda store: store.set_hot_budget(0),
        lambda store: store.clear(),
        lambda store: store.flush(),
        lambda store: gc.collect(),
        lambda store: store.copy(),
    ],
)
def test_a_destructor_may_use_the_store(use: Any) -> None:
    store = store_of_one()
    store["other"] = 2
    ran: list[int] = []

    def at_end() -> None:
        use(store)
        ran.append(1)

    store["a"] = Noisy(at_end)
    store["a"] = 3
    store.flush()
    assert ran == [1]
    store["a"] = Noisy(at_end)
    store.pop("a", None)
    store.flush()
    assert ran == [1, 1]


def test_a_destructor_runs_when_the_call_has_done_all_that_it_does() -> None:
    """Within an operation a flush would do nothing: the value that the destructor takes out would not be gone."""
    store = store_of_one()
    gone: list[bool] = []

    def at_end() -> None:
        value = Noisy(lambda: None)
        died = weakref.ref(value)
        store["b"] = value
        del value, store["b"]
        store.flush()
        gone.append(died() is None)

    for _ in range(3):
        store["a"] = Noisy(at_end)
        del store["a"]
        store.flush()
    assert gone == [True] * 3


def test_destructors_that_store_their_like_end() -> None:
    store = store_of_one()
    left = 5000

    def again() -> None:
        nonlocal left
        if left:
            left -= 1
            store["key"] = Noisy(again)

    store["key"] = Noisy(again)
    while left:
        store["key"] = None
        store.flush()
    assert left == 0


def test_a_long_chain_of_stores_goes_without_recursion() -> None:
    depth = 50_000
    first = store_of_one()
    store = first
    for _ in range(depth):
        following = store_of_one()
        store["next"] = following
        store = following
    died = weakref.ref(store)
    del store, following
    gc.collect()
    assert died() is not None
    del first
    gc.collect()
    assert died() is None


def test_a_long_chain_of_fragments_goes_without_recursion() -> None:
    store: TierStore[Any] = store_of_one()
    value: Any = None
    for _ in range(50_000):
        store["key"] = value
        value = store.peek_fragment("key")
    del store["key"]
    store.flush()
    del value
    store.flush()


def test_a_destructor_that_raises(unraisable: list[Any]) -> None:
    store = store_of_one()

    def fail() -> None:
        raise RuntimeError("by design")

    store["a"] = Noisy(fail)
    assert store.store("a", 2).replaced is not None
    store.flush()
    assert [str(error) for error, _ in unraisable] == ["by design"] and store["a"] == 2


def test_values_are_never_compared_hashed_or_asked() -> None:
    class Hostile:
        def fail(self, *args: Any) -> Any:
            raise AssertionError("nobody asked")

        __eq__ = __hash__ = __bool__ = __len__ = __repr__ = __getattr__ = fail

    store = store_of_one()
    hostile = Hostile()
    store["a"] = hostile
    assert store["a"] is hostile and store.pop("a") is hostile
    store.setdefault("a", hostile)
    store.replace_if("a", lambda old: old is hostile, hostile)
    store.update("a", lambda old: old)
    assert len(store.snapshot().all()) == 1
    with pytest.raises(AssertionError):
        repr(store.peek_fragment("a"))


def test_an_eq_of_values_may_use_the_store() -> None:
    store = store_of_one()

    class Uses:
        def __eq__(self, other: object) -> bool:
            store["a"] = Uses()
            return True

        __hash__ = object.__hash__

    store["a"] = Uses()
    one = store.peek_fragment("a")
    store["b"] = Uses()
    assert one == one
    assert ("a", Uses()) in store.items() and Uses() in store.values()
    assert one != 5 and one is not None


@pytest.mark.parametrize("error", [ValueError("by design"), KeyboardInterrupt()])
def test_a_weigher_that_raises_changes_nothing(error: BaseException) -> None:
    fails = False

    def weigher(key: str, value: Any) -> int:
        if fails:
            raise error
        return 1

    store: TierStore[Any] = TierStore(10, weigher=weigher)
    store["a"] = 1
    before = store.peek_fragment("a")
    fails = True
    for call in (
        lambda: store.store("a", 2),
        lambda: store.store_if_absent("b", 2),
        lambda: store.setdefault("b", 2),
        lambda: store.replace_if("a", lambda old: True, 2),
        lambda: store.update("a", lambda old: 2),
        lambda: store.get_or_store_with("b", lambda: 2),
        lambda: store.update({"a": 2}),
        lambda: store.__setitem__("a", 2),
    ):
        with pytest.raises(type(error)) as caught:
            call()
        assert caught.value is error
    assert store.peek_fragment("a") == before and len(store) == 1
    assert store.store("a", 2, weight=3).tier == 0, "a weight that is given is not weighed"


@pytest.mark.parametrize("weight", [-1, 2**70, 1.5, "1", None, True])
def test_a_weigher_that_returns_no_weight_changes_nothing(weight: Any) -> None:
    store: TierStore[Any] = TierStore(10, weigher=lambda key, value: weight)
    with pytest.raises((ValueError, TypeError), match="what the weigher returns"):
        store["a"] = 1
    assert len(store) == 0


def test_a_weigher_that_stores() -> None:
    def weigher(key: str, value: int) -> int:
        if value:
            store[f"{key}{value}"] = value - 1
        return 1

    store: TierStore[int] = TierStore(100, weigher=weigher)
    store["a"] = 3
    assert sorted(store) == ["a", "a3", "a32", "a321"]


def test_a_function_that_changes_the_fragment_runs_again() -> None:
    store = store_of_one()
    store["a"] = 0
    runs: list[int] = []

    def add(old: int) -> int:
        runs.append(old)
        if len(runs) < 4:
            store["a"] = old + 10
        return old + 1

    assert store.update("a", add).replaced == 30
    assert runs == [0, 10, 20, 30] and store["a"] == 31

    def remove(old: int) -> int:
        del store["a"]
        return old

    with pytest.raises(KeyError):
        store.update("a", remove)
    assert "a" not in store


def test_the_listener_is_told_once_in_order_and_may_use_the_store() -> None:
    told: list[tuple[str, Any, Cause, bool]] = []

    def listener(departure: Departure[Any]) -> None:
        told.append((departure.key, departure.value, departure.cause, departure.key in store))
        if departure.key == "a" and departure.value < 3:
            store["a"] = departure.value + 1  # replaces what has replaced it

    store = store_of_one(on_departure=listener)
    store["a"] = 0
    store["a"] = 1
    assert told == [("a", value, Cause.REPLACED, True) for value in (0, 1, 1, 2, 2, 3)] and store["a"] == 3


def test_a_listener_that_pushes_out_more_is_called_in_a_loop() -> None:
    depths: list[int] = []

    def listener(departure: Departure[int]) -> None:
        depths.append(len(__import__("inspect").stack(0)))
        if departure.value < 300:
            store[str(departure.value)] = departure.value + 1

    settings = {"warm_capacity": Capacity(entries=0), "cold_capacity": Capacity(entries=0), "on_departure": listener}
    store: TierStore[int] = TierStore(1, weigher=lambda key, value: 1, **settings)  # type: ignore[arg-type]
    store["first"] = 0
    store["second"] = 0
    assert len(depths) >= 300 and len(set(depths)) == 1


def test_a_listener_that_raises(unraisable: list[Any]) -> None:
    def listener(departure: Departure[Any]) -> None:
        raise ValueError(departure.key)

    store = store_of_one(on_departure=listener)
    store.update({"a": 1, "b": 2})
    store.clear()
    assert sorted(str(error) for error, _ in unraisable) == ["a", "b"]
    assert all(hooked is listener for _, hooked in unraisable)
    assert store.pop("a", None) is None


def test_the_causes_that_are_asked_for() -> None:
    told: list[Cause] = []
    store = store_of_one(on_departure=lambda gone: told.append(gone.cause), departure_causes=[Cause.REMOVED])
    store["a"] = 1
    store["a"] = 2
    del store["a"]
    assert told == [Cause.REMOVED]
    silent = store_of_one(on_departure=told.append, departure_causes=[])
    silent["a"] = 1
    del silent["a"]
    assert told == [Cause.REMOVED]


def test_a_listener_of_two_stores_that_use_each_other() -> None:
    told: list[tuple[str, str]] = []

    def of(name: str, other: dict[str, TierStore[int]]) -> Any:
        def listener(gone: Departure[int]) -> None:
            told.append((name, gone.key))
            if gone.value:
                other["store"]["key"] = gone.value - 1
                other["store"].pop("key", None)

        return listener

    one: dict[str, TierStore[int]] = {}
    two: dict[str, TierStore[int]] = {}
    one["store"] = store_of_one(on_departure=of("one", two))
    two["store"] = store_of_one(on_departure=of("two", one))
    one["store"]["key"] = 5
    del one["store"]["key"]
    assert told == [("one", "key"), ("two", "key")] * 3
