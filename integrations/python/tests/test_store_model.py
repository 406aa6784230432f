"""The store beside its specification: hypothesis makes up what is done, and both must answer alike."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from model import Model, OverBudget
from tierstack import Capacity, Departure, Moved, OverBudgetError, Tier, TierStore, Version

KEYS = st.sampled_from(["a", "b", "c", "d", "é", "🦀", ""])
VALUES = st.one_of(st.integers(0, 9), st.text(max_size=2), st.none(), st.lists(st.integers(), max_size=1))
WEIGHTS = st.integers(0, 12)
TIERS = st.sampled_from(list(Tier))


class Comparison(RuleBasedStateMachine):
    @initialize(
        budget=st.integers(0, 20),
        warm=st.one_of(st.none(), st.integers(0, 4)),
        cold=st.one_of(st.none(), st.integers(0, 4)),
    )
    def start(self, budget: int, warm: int | None, cold: int | None) -> None:
        self.departures: list[Departure[Any]] = []
        self.model = Model(budget, warm, cold)
        self.store: TierStore[Any] = TierStore(
            budget,
            warm_capacity=Capacity(entries=warm),
            cold_capacity=Capacity(entries=cold),
            on_departure=self.departures.append,
        )
        self.versions: list[Version] = []

    @rule(key=KEYS, value=VALUES, weight=WEIGHTS)
    def store_one(self, key: str, value: object, weight: int) -> None:
        was_there = key in self.store
        stored = self.store.store(key, value, weight=weight)
        assert (stored.tier, stored.replaced, stored.kept_out) == self.model.store(key, value, weight)
        assert stored.has_replaced == was_there and not stored.contended
        assert stored.version not in self.versions
        self.versions.append(stored.version)

    @rule(key=KEYS, value=VALUES, weight=WEIGHTS)
    def store_if_absent(self, key: str, value: object, weight: int) -> None:
        stored = self.store.store_if_absent(key, value, weight=weight)
        if key in self.model.fragments:
            assert stored is None
        else:
            assert stored is not None and (stored.tier, None, stored.kept_out) == self.model.store(key, value, weight)

    @rule(key=KEYS, value=VALUES, weight=WEIGHTS)
    def setdefault(self, key: str, value: object, weight: int) -> None:
        given = self.store.setdefault(key, value, weight=weight)
        if key in self.model.fragments:
            assert given is self.model.get(key)
        else:
            self.model.store(key, value, weight)
            assert given is value

    @rule(key=KEYS, value=VALUES, weight=WEIGHTS)
    def get_or_store_with(self, key: str, value: object, weight: int) -> None:
        given = self.store.get_or_store_with(key, lambda: value, weight=weight)
        if key in self.model.fragments:
            assert given is self.model.get(key)
        else:
            self.model.store(key, value, weight)
            assert given is value

    @rule(key=KEYS, value=VALUES, weight=WEIGHTS, holds=st.booleans())
    def replace_if(self, key: str, value: object, weight: int, holds: bool) -> None:
        asked: list[object] = []

        def condition(old: object) -> bool:
            asked.append(old)
            return holds

        stored = self.store.replace_if(key, condition, value, weight=weight)
        there = self.model.fragments.get(key)
        assert asked == ([] if there is None else [there.value])
        if there is None or not holds:
            assert stored is None
        else:
            assert stored is not None and (stored.tier, stored.replaced, stored.kept_out) == self.model.store(
                key, value, weight
            )

    @rule(key=KEYS, value=VALUES, weight=WEIGHTS)
    def replace_version(self, key: str, value: object, weight: int) -> None:
        there = self.store.peek_fragment(key)
        if there is None:
            return
        stored = self.store.replace_if(key, there.version, value, weight=weight)
        assert stored is not None and stored.replaced is there.value
        self.model.store(key, value, weight)
        assert self.store.replace_if(key, there.version, value, weight=weight) is None

    @rule(key=KEYS, weight=WEIGHTS)
    def update(self, key: str, weight: int) -> None:
        if key in self.model.fragments:
            made = [self.model.fragments[key].value]
            self.store.update(key, lambda old: made if old is made[0] else None, weight=weight)
            self.model.store(key, made, weight)
        else:
            with pytest.raises(KeyError):
                self.store.update(key, lambda old: old, weight=weight)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        if key in self.model.fragments:
            assert self.store[key] is self.model.get(key)
            assert self.store.get(key, "default") is self.model.get(key)
        else:
            with pytest.raises(KeyError):
                self.store[key]
            assert self.store.get(key) is None and self.store.get(key, 5) == 5

    @rule(key=KEYS)
    def look(self, key: str) -> None:
        there = self.model.fragments.get(key)
        assert (key in self.store) == (there is not None)
        assert self.store.tier_of(key) == (None if there is None else there.tier)
        shown = self.store.peek_fragment(key)
        if there is None:
            assert shown is None and self.store.peek(key, 7) == 7
        else:
            assert shown is not None and shown.value is there.value is self.store.peek(key)
            assert (shown.tier, shown.weight, shown.kept) == (there.tier, there.weight, there.kept)

    @rule(key=KEYS, tier=TIERS)
    def promote(self, key: str, tier: Tier) -> None:
        if key not in self.model.fragments:
            with pytest.raises(KeyError):
                self.store.promote_to(key, tier)
            return
        try:
            source, target = self.model.promote_to(key, tier)
        except OverBudget as refused:
            with pytest.raises(OverBudgetError) as caught:
                self.store.promote_to(key, tier)
            assert caught.value.kept_out == refused.kept_out and caught.value.key == key
            assert caught.value.weight == self.model.fragments[key].weight
        else:
            moved = self.store.promote_to(key, tier)
            assert (moved.from_tier, moved.to_tier) == (source, target)

    @rule(key=KEYS, tier=TIERS)
    def demote(self, key: str, tier: Tier) -> None:
        if key in self.model.fragments:
            moved: Moved = self.store.demote_to(key, tier)
            assert (moved.from_tier, moved.to_tier) == self.model.demote_to(key, tier)
        else:
            with pytest.raises(KeyError):
                self.store.demote_to(key, tier)

    @rule(tier=TIERS)
    def evict(self, tier: Tier) -> None:
        evicted = self.store.evict_lru(tier)
        expected = self.model.evict_lru(tier)
        assert (None if evicted is None else (evicted.key, evicted.value)) == expected

    @rule(key=KEYS, kept=st.booleans())
    def keep(self, key: str, kept: bool) -> None:
        change = self.store.keep if kept else self.store.let_go
        if key in self.model.fragments:
            assert change(key).was_kept == self.model.keep(key, kept)
        else:
            with pytest.raises(KeyError):
                change(key)

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        if key in self.model.fragments:
            value = self.model.fragments[key].value
            assert self.store.pop(key) is value
            self.model.remove(key)
        else:
            with pytest.raises(KeyError):
                del self.store[key]
            assert self.store.pop(key, 3) == 3

    @rule()
    def popitem(self) -> None:
        try:
            expected = self.model.popitem()
        except KeyError:
            with pytest.raises(KeyError):
                self.store.popitem()
        else:
            assert self.store.popitem() == expected

    @rule(budget=st.integers(0, 20))
    def set_hot_budget(self, budget: int) -> None:
        enforced = self.store.set_hot_budget(budget)
        assert (enforced.demoted, enforced.kept_over) == self.model.set_hot_budget(budget)

    @rule(way=st.sampled_from([copy.copy, copy.deepcopy, TierStore.copy]))
    def copy(self, way: Any) -> None:
        """Goes on with the copy: from now on it answers as the store would have."""
        self.departures_of_before = self.departures
        before = self.store
        self.store = way(before)
        assert self.store is not before and self.store.hot_budget == before.hot_budget
        # The listener of a deep copy is a copy, too.
        if way is copy.deepcopy:
            for _, key, _, _, _ in self.model.items():
                self.model.fragments[key].value = self.store.peek(key)
            self.departures = self.store.__reduce__()[1][4].__self__

    @invariant()
    def the_same_fragments_stand_in_the_same_order(self) -> None:
        expected = self.model.items()
        for shown in (self.store.snapshot().all(), [item for tier in Tier for item in self.store.iter(tier)]):
            assert [(i.tier, i.key, i.value, i.weight, i.kept) for i in shown] == expected
        assert list(self.store) == [key for _, key, _, _, _ in expected]
        assert list(self.store.items()) == [(key, value) for _, key, value, _, _ in expected]
        assert len(self.store) == len(expected)
        assert self.store.hot_bytes == self.model.bytes(Tier.HOT)
        for tier in Tier:
            assert self.store.bytes(tier) == self.model.bytes(tier)
            assert [item.key for item in self.store.snapshot(tier).tier(tier)] == [e[1] for e in expected if e[0] == tier]

    @invariant()
    def what_has_left_was_told_once(self) -> None:
        assert [(gone.key, gone.value, gone.cause) for gone in self.departures] == self.model.left


Comparison.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestComparison = Comparison.TestCase
TestComparison.pytestmark = [pytest.mark.thread_unsafe(reason="hypothesis is not")]


def test_a_pickled_store_goes_on_as_the_store_would() -> None:
    store: TierStore[str] = TierStore(10, warm_capacity=Capacity(entries=2), cold_capacity=3, recency_slack=0)
    for key in "abcdef":
        store.store(key, key, weight=3)
    store.demote_to("f", Tier.COLD)  # younger than all that stands above it
    store.keep("e")
    again = pickle.loads(pickle.dumps(store))
    for one in (store, again):
        assert [(item.key, item.kept) for item in one.snapshot().all()] == [(i.key, i.kept) for i in store.snapshot().all()]
    for one in (store, again):
        one.store("g", "g", weight=10)
    assert [item.key for item in again.snapshot().all()] == [item.key for item in store.snapshot().all()]
