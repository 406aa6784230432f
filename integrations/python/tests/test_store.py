"""The store's methods, one at a time: what they answer, and what they refuse."""

from __future__ import annotations

import collections.abc
import copy
import dataclasses
import pickle
import weakref
from typing import Any

import pytest

import tierstack
from tierstack import (
    MAX_BYTES,
    BudgetError,
    Capacity,
    Cause,
    Metrics,
    OverBudgetError,
    Snapshot,
    StoreError,
    Tier,
    TierstackError,
    TierStore,
)


def of_weight_one(budget: int = 10, **settings: Any) -> TierStore[Any]:
    return TierStore(budget, weigher=lambda key, value: 1, **settings)


# Weighing.


@pytest.mark.parametrize(
    ("key", "value", "weight"),
    [
        ("", "", 0),
        ("key", "text", 7),
        ("é", "ß", 4),
        ("k", "żółw", 1 + len("żółw".encode())),
        ("k", "日本", 7),
        ("🦀", "🦀a", 9),
        ("k", "\ud800", 4),
        ("k", "\x00", 2),
        ("k", b"12345", 6),
        ("k", bytearray(7), 8),
        ("k", memoryview(b"123"), 4),
        ("k", memoryview(bytes(16)).cast("I"), 17),
    ],
)
def test_the_default_weigher_counts_bytes(key: str, value: Any, weight: int) -> None:
    store: TierStore[Any] = TierStore(1000)
    store[key] = value
    fragment = store.peek_fragment(key)
    assert fragment is not None and fragment.weight == weight == store.hot_bytes


def test_text_of_any_subclass_is_weighed_and_found_by_its_text() -> None:
    class Text(str):
        def __hash__(self) -> int:
            raise AssertionError

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        def __len__(self) -> int:
            raise AssertionError

    store: TierStore[str] = TierStore(10)
    store[Text("key")] = Text("value")
    assert store.hot_bytes == 8 and "key" in store


@pytest.mark.parametrize("value", [{}, 5, None, object(), 1.5, ["text"]])
def test_what_cannot_be_weighed_is_refused(value: Any) -> None:
    store: TierStore[Any] = TierStore(10)
    with pytest.raises(TypeError, match=r"cannot weigh a value of type .*: give weight=, or a weigher to the store"):
        store["key"] = value
    assert len(store) == 0 and store.metrics().stores == 0
    assert store.store("key", value, weight=5).tier == Tier.HOT


def test_a_buffer_that_raises_is_refused_with_its_exception() -> None:
    view = memoryview(b"123")
    view.release()
    with pytest.raises(ValueError, match="released"):
        TierStore(10)["key"] = view


# Refusals.


@pytest.mark.parametrize("key", ["\ud800", "a\udfff", "\udc80b"])
@pytest.mark.parametrize("name", ["get", "peek", "remove", "promote", "demote", "keep", "let_go", "__getitem__", "tier_of",
                                  "pop", "__delitem__", "__contains__", "get_fragment", "peek_fragment"])
def test_surrogates_in_keys_are_refused(name: str, key: str) -> None:
    store: TierStore[str] = TierStore(10)
    with pytest.raises(ValueError, match="surrogates not allowed"):
        getattr(store, name)(key)
    with pytest.raises(ValueError, match="surrogates not allowed"):
        store[key] = "value"


@pytest.mark.parametrize("key", [5, None, b"key", ("key",), 1.0])
@pytest.mark.parametrize("name", ["get", "peek", "remove", "promote", "__getitem__", "__contains__", "pop", "setdefault"])
def test_keys_that_are_no_text_are_refused(name: str, key: Any) -> None:
    store: TierStore[Any] = TierStore(10)
    with pytest.raises(TypeError, match="a key must be a str, not"):
        getattr(store, name)(key)
    with pytest.raises(TypeError, match="a key must be a str, not"):
        store.store(key, "value")


@pytest.mark.parametrize("weight", [-1, -(2**70), MAX_BYTES + 1, 2**64, 2**70])
def test_weights_out_of_range_are_refused(weight: int) -> None:
    store: TierStore[str] = TierStore(10)
    with pytest.raises(ValueError, match="^weight must not be"):
        store.store("key", "value", weight=weight)
    assert "key" not in store


@pytest.mark.parametrize("weight", [True, False, 1.0, "1", b"1", [], 1j])
def test_weights_that_are_no_numbers_are_refused(weight: Any) -> None:
    with pytest.raises(TypeError, match="^weight must be an int, not"):
        TierStore(10).store("key", "value", weight=weight)


def test_what_has_an_index_is_a_number() -> None:
    class Index:
        def __index__(self) -> int:
            return 4

    store: TierStore[str] = TierStore(Index())  # type: ignore[arg-type]
    assert store.hot_budget == 4
    assert store.store("key", "value", weight=Index()).tier == Tier.HOT  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [MAX_BYTES + 1, 2**64, 2**70])
def test_a_budget_that_is_too_large(budget: int) -> None:
    store: TierStore[str] = TierStore(MAX_BYTES)
    for call in (lambda: TierStore(budget), lambda: store.set_hot_budget(budget)):
        with pytest.raises(BudgetError, match="must not be above MAX_BYTES") as caught:
            call()
        assert caught.value.budget == budget
        assert isinstance(caught.value, ValueError) and isinstance(caught.value, TierstackError)
    assert store.hot_budget == MAX_BYTES


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"hot_budget": -1}, ValueError, "hot_budget must not be negative"),
        ({"hot_budget": 1.5}, TypeError, "hot_budget must be an int, not float"),
        ({"hot_budget": True}, TypeError, "hot_budget must be an int, not bool"),
        ({"hot_budget": None}, TypeError, "hot_budget must be an int, not NoneType"),
        ({"weigher": 5}, TypeError, "weigher must be callable or None, not int"),
        ({"on_departure": "f"}, TypeError, "on_departure must be callable or None, not str"),
        ({"warm_capacity": -1}, ValueError, "warm_capacity must not be negative"),
        ({"cold_capacity": "1"}, TypeError, "cold_capacity must be an int, a Capacity or None, not str"),
        ({"cold_capacity": True}, TypeError, "cold_capacity must be an int, not bool"),
        ({"cold_capacity": Capacity(entries=-1)}, ValueError, "cold_capacity.entries must not be negative"),
        ({"warm_capacity": Capacity(bytes=2**70)}, ValueError, "warm_capacity.bytes must not be above"),
        ({"recency_slack": -1}, ValueError, "recency_slack must not be negative"),
        ({"recency_slack": 2**70}, ValueError, "recency_slack must not be above"),
        ({"departure_causes": "removed"}, TypeError, "departure_causes must be an iterable of Cause, not a str"),
        ({"departure_causes": ["gone"]}, ValueError, '"gone" is not a Cause'),
        ({"departure_causes": [1]}, TypeError, "departure_causes must hold Cause, not int"),
        ({"other": 1}, TypeError, "other"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        TierStore(**{"hot_budget": 10, **settings})


@pytest.mark.parametrize(("tier", "error"), [(3, ValueError), (-1, ValueError), (2**70, ValueError), ("hot", TypeError), (True, TypeError), (None, TypeError), (1.0, TypeError)])
def test_tiers_that_are_none(tier: Any, error: type[Exception]) -> None:
    store = of_weight_one()
    store["key"] = 1
    for call in (store.evict_lru, store.len, store.bytes, store.iter, lambda tier: store.promote_to("key", tier)):
        with pytest.raises(error, match="^tier must be"):
            call(tier)


def test_what_does_not_fit_is_not_promoted() -> None:
    store: TierStore[str] = TierStore(10)
    store.store("large", "x", weight=11)
    with pytest.raises(OverBudgetError) as caught:
        store.promote("large")
    assert (caught.value.key, caught.value.weight, caught.value.budget, caught.value.kept_out) == ("large", 11, 10, False)
    store.store("kept", "x", weight=8)
    store.keep("kept")
    store.store("beside", "x", weight=3)
    with pytest.raises(OverBudgetError) as caught:
        store.promote("beside")
    assert (caught.value.weight, caught.value.budget, caught.value.kept_out) == (3, None, True)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.key == "beside" and again.kept_out
    assert not issubclass(OverBudgetError, StoreError)


@pytest.mark.parametrize("name", ["promote", "demote", "remove", "keep", "let_go", "pop", "__getitem__", "__delitem__"])
def test_an_absent_key_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError) as caught:
        getattr(of_weight_one(), name)("absent")
    assert caught.value.args == ("absent",)


# As a mapping.


def test_it_is_a_mutable_mapping() -> None:
    store = of_weight_one(5)
    assert isinstance(store, collections.abc.MutableMapping) and issubclass(TierStore, collections.abc.MutableMapping)
    assert isinstance(store.snapshot(), collections.abc.Mapping)
    assert not isinstance(store.snapshot(), collections.abc.MutableMapping)
    for name in collections.abc.MutableMapping.__abstractmethods__ | set(dir(collections.abc.MutableMapping)):
        assert hasattr(store, name) or name.startswith("_"), name
    store.update({"a": 1}, b=2)
    store.update([("c", 3), ("d", 4)])
    store.update(of_weight_one().__class__(1))
    store.update()
    assert dict(store) == {"d": 4, "c": 3, "b": 2, "a": 1} and {**store} == dict(store)
    assert sorted(store.keys()) == ["a", "b", "c", "d"] and sorted(store.values()) == [1, 2, 3, 4]
    assert ("a", 1) in store.items() and ("a", 2) not in store.items() and 4 in store.values() and "a" in store.keys()
    assert store.keys() & {"a", "x"} == {"a"} and len(store.items()) == 4
    match store:
        case {"a": one, **rest}:
            assert one == 1 and len(rest) == 3
        case _:
            raise AssertionError("a mapping is matched as one")
    assert store.setdefault("e") is None and store.setdefault("a", 7) == 1
    assert bool(store) and len(store) == 5
    store.clear()
    assert not store and len(store) == 0
    with pytest.raises(KeyError):
        store.popitem()


def test_reads_of_the_mapping_count_as_they_should() -> None:
    store = of_weight_one(2)
    store.update({"a": 1, "b": 2})
    store["a"]
    store.get("a")
    store.get("x")
    before = store.metrics()
    assert (before.hits, before.misses) == (2, 1)
    assert "a" in store and "x" not in store
    list(store), list(store.items()), list(store.values()), store.peek("b"), store.tier_of("b"), store.snapshot()["b"]
    assert store.metrics() == before
    store.get("b")
    store["c"] = 3
    assert store.tier_of("a") == Tier.WARM, "the least recently used"


@pytest.mark.parametrize("arguments", [(1,), ("a",), ([("a",)],), ([("a", 1, 2)],), ([1],), ("a", 1), (1, len), ("a", len, 3), (None,)])
def test_updates_that_are_refused(arguments: tuple[Any, ...]) -> None:
    store = of_weight_one()
    with pytest.raises((TypeError, ValueError)):
        store.update(*arguments)
    with pytest.raises(TypeError):
        store.update("a", len, other=1)
    assert len(store) == 0


def test_update_of_a_mapping_may_have_keys_of_any_name() -> None:
    store = of_weight_one()
    store.update(weight=5, self=6, key=7, function=8)
    assert dict(store) == {"weight": 5, "self": 6, "key": 7, "function": 8}
    store.update("weight", lambda old: old + 1, weight=3)
    assert store.get_fragment("weight").weight == 3 and store["weight"] == 6  # type: ignore[union-attr]


def test_pop_with_defaults() -> None:
    store = of_weight_one()
    assert store.pop("a", None) is None and store.pop("a", 5) == 5
    with pytest.raises(TypeError):
        store.pop("a", 1, 2)  # type: ignore[call-overload]


def test_iteration_is_over_one_instant() -> None:
    store = of_weight_one(100)
    store.update({str(number): number for number in range(10)})
    seen = []
    for key in store:
        seen.append(key)
        store.pop(str(9 - int(key)), None)
        store["new" + key] = 0
    assert len(seen) == 10


def test_what_a_none_is() -> None:
    store = of_weight_one()
    store["a"] = None
    assert "a" in store and store["a"] is None and store.get("a", 5) is None and store.peek("a", 5) is None
    assert store.setdefault("a", 5) is None and store.get_or_store_with("a", lambda: 5) is None
    stored = store.store("a", 1)
    assert stored.replaced is None and stored.has_replaced and not store.store("b", 1).has_replaced
    assert store.pop("b", 9) == 1


# Versions and conditions.


def test_versions() -> None:
    store = of_weight_one()
    one = store.store("a", 1).version
    assert store.promote("a") and store.get_fragment("a").version == one == store.snapshot().fragment("a").version  # type: ignore[union-attr]
    two = store.replace_if("a", one, 2)
    assert two is not None and two.replaced == 1 and two.version != one and hash(one) == hash(one)
    assert store.replace_if("a", one, 3) is None and store["a"] == 2
    assert store.replace_if("absent", one, 3) is None and len({one, two.version, one}) == 2
    with pytest.raises(ValueError, match="of another store"):
        of_weight_one().replace_if("a", one, 3)
    with pytest.raises(TypeError, match="condition must be a Version or callable, not int"):
        store.replace_if("a", 5, 3)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        pickle.dumps(one)


# Snapshots.


def test_a_snapshot_does_not_change() -> None:
    store = of_weight_one(2)
    store.update({"a": 1, "b": 2, "c": 3})
    snapshot = store.snapshot()
    store.clear()
    assert dict(snapshot) == {"c": 3, "b": 2, "a": 1} and list(snapshot) == ["c", "b", "a"]
    assert snapshot["a"] == 1 and snapshot.get("x") is None and snapshot.get("x", 5) == 5 and "a" in snapshot
    assert [item.key for item in snapshot.tier(Tier.HOT)] == ["c", "b"] and snapshot.len(Tier.WARM) == 1
    assert snapshot.bytes(Tier.HOT) == 2 and len(snapshot) == 3 and len(store.snapshot()) == 0
    fragment = snapshot.fragment("a")
    assert fragment is not None and (fragment.value, fragment.tier, fragment.kept) == (1, Tier.WARM, False)
    assert snapshot.fragment("x") is None
    assert list(snapshot.values()) == [3, 2, 1] and list(snapshot.items())[0] == ("c", 3) and "a" in snapshot.keys()
    with pytest.raises(KeyError):
        snapshot["x"]
    with pytest.raises(TypeError):
        snapshot[5]  # type: ignore[index]
    with pytest.raises(TypeError):
        snapshot["a"] = 1  # type: ignore[index]


# Copies.


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_handles_and_views_cannot_be_copied(way: Any) -> None:
    store = of_weight_one()
    stored = store.store("a", 1)
    for one in (store.snapshot(), stored, stored.version, store.get_fragment("a"), store.snapshot().all()[0], iter(store.iter(Tier.HOT)).__class__ and store.evict_lru(Tier.HOT)):
        with pytest.raises(TypeError, match="cannot pickle|cannot pickle or copy"):
            way(one)


def module_weigher(key: str, value: Any) -> int:
    return 2


def module_listener(departure: Any) -> None:
    pass


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_store_is_pickled_with_its_settings(protocol: int) -> None:
    store: TierStore[Any] = TierStore(
        9,
        weigher=module_weigher,
        warm_capacity=Capacity(entries=2),
        cold_capacity=50,
        on_departure=module_listener,
        departure_causes=[Cause.OVERFLOWED, Cause.REPLACED],
        recency_slack=3,
    )
    store.update({"a": 1, "b": {"x": 1}, "c": "text", "é": b"bytes"})
    store.set_hot_budget(5)
    store.keep("a")
    again = pickle.loads(pickle.dumps(store, protocol))
    assert again.__reduce__()[1] == store.__reduce__()[1] and again.hot_budget == 5
    shown = [(i.key, i.value, i.weight, i.tier, i.kept) for i in again.snapshot().all()]
    assert shown == [(i.key, i.value, i.weight, i.tier, i.kept) for i in store.snapshot().all()]
    assert again.metrics().stores == 0


def test_a_store_that_holds_itself_is_copied_with_itself() -> None:
    store = of_weight_one()
    store["self"] = store
    store["list"] = [store]
    again = copy.deepcopy(store)
    assert again is not store and again["self"] is again and again["list"][0] is again
    shallow = copy.copy(store)
    assert shallow["self"] is store
    plain: TierStore[Any] = TierStore(10)
    plain.store("self", plain, weight=1)
    read = pickle.loads(pickle.dumps(plain))
    assert read["self"] is read


@pytest.mark.parametrize(
    "state",
    [
        5,
        [5],
        [("a",)],
        [("a", 1, 1, 0, False), ("a", 2, 1, 0, False)],
        [("a", 1, -1, 0, False)],
        [("a", 1, 2**60, 0, False)],
        [("a", 1, 1, 7, False)],
        [("a", 1, 1, True, False)],
        [("a", 1, 1, 0, "no")],
        [("\ud800", 1, 1, 0, False)],
        [(5, 1, 1, 0, False)],
        [("a", 1, 11, 0, False)],
    ],
)
def test_a_state_that_does_not_hold_together_is_refused(state: Any) -> None:
    store: TierStore[Any] = TierStore(10)
    with pytest.raises((ValueError, TypeError)):
        store.__setstate__(state)
    assert len(store) == 0
    store["a"] = "usable"


def test_a_state_is_set_at_the_beginning_alone() -> None:
    store = of_weight_one()
    store["a"] = 1
    with pytest.raises(ValueError, match="in use already"):
        store.__setstate__([])
    assert store["a"] == 1


# What they are.


def test_types_say_what_they_are() -> None:
    store = of_weight_one(2)
    stored = store.store("a", "x")
    assert repr(store) == "<tierstack.TierStore of 1 hot (1 of 2 bytes), 0 warm and 0 cold fragments>"
    assert repr(store.snapshot()) == "<tierstack.Snapshot of 1 hot, 0 warm and 0 cold fragments>"
    assert repr(stored).startswith("Stored(tier=Tier.HOT, replaced=None, contended=False, kept_out=False, kept=False, version=")
    assert repr(store.get_fragment("a")).startswith("Fragment(value='x', tier=Tier.HOT, weight=1, kept=False, version=Version(")
    assert repr(store.snapshot().all()[0]).startswith("Item(key='a', value='x', tier=Tier.HOT")
    assert repr(store.demote("a")) == "Moved(from_tier=Tier.HOT, to_tier=Tier.WARM)"
    assert repr(store.keep("a")) == "Kept(tier=Tier.WARM, was_kept=False)"
    assert repr(store.set_hot_budget(1)) == "Enforced(demoted=0, kept_over=0)"
    store.let_go("a")
    assert repr(store.evict_lru(Tier.WARM)) == "Evicted(key='a', value='x', weight=1, from_tier=Tier.WARM, to_tier=Tier.COLD)"
    for name in tierstack.__all__:
        one = getattr(tierstack, name)
        if isinstance(one, type):
            assert one.__module__ == "tierstack" and one.__doc__, name
            for method, function in vars(one).items():
                assert method.startswith("_") or function.__doc__ or issubclass(one, (Exception, tuple, int, str)) or not callable(function), (name, method)


def test_answers_are_frozen_compared_and_matched() -> None:
    store = of_weight_one()
    store["a"] = [1]
    one, other = store.peek_fragment("a"), store.peek_fragment("a")
    assert one == other and one is not other and one != 5
    with pytest.raises(AttributeError):
        one.weight = 5  # type: ignore[misc, union-attr]
    with pytest.raises(TypeError):
        hash(one)
    match one:
        case tierstack.Fragment([1], Tier.HOT, 1, False):
            pass
        case _:
            raise AssertionError
    match store.demote("a"):
        case tierstack.Moved(Tier.HOT, Tier.WARM) as moved:
            assert hash(moved) == hash(moved) and moved == moved
        case _:
            raise AssertionError
    for kind in (tierstack.Fragment, tierstack.Item, tierstack.Stored, tierstack.Snapshot, tierstack.Version):
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            type("Sub", (kind,), {})
    assert TierStore[int].__origin__ is TierStore  # type: ignore[attr-defined]


def test_metrics_are_a_dataclass() -> None:
    store = of_weight_one(1)
    store.update({"a": 1, "b": 2})
    metrics = store.metrics()
    assert isinstance(metrics, Metrics) and dataclasses.is_dataclass(metrics)
    assert dataclasses.asdict(metrics)["warm"] == {"fragments": 1, "bytes": 1, "kept_fragments": 0, "kept_bytes": 0}
    assert metrics.tier(Tier.HOT) == metrics.hot and metrics.evictions == 1 and metrics.peak_hot_bytes == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        metrics.hits = 5  # type: ignore[misc]


def test_a_store_can_be_hashed_and_referred_to_weakly() -> None:
    store, other = of_weight_one(), of_weight_one()
    assert store == store and store != other and len({store, other}) == 2
    snapshot = store.snapshot()
    assert weakref.ref(store)() is store and weakref.ref(snapshot)() is snapshot and isinstance(snapshot, Snapshot)


def test_tiers_and_causes() -> None:
    assert Tier.HOT < Tier.WARM < Tier.COLD and Tier.HOT.above is None and Tier.HOT.below == Tier.WARM
    assert str(Tier.COLD) == "cold" and Tier.COLD.below is None and Tier(1) is Tier.WARM
    assert Cause("removed") is Cause.REMOVED and f"{Cause.REPLACED}" == "replaced"
