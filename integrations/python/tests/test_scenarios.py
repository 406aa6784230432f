"""The scenarios of the two issues that the package answers, with eight threads: for the compatible classes, and for the originals.

The originals fail them, so the scenarios can fail.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from originals import OriginalPlan, OriginalTiers, stopped_here
from tierstack import Change, EventKind, Tier
from tierstack.compat import ContextTierService, PlanError, PlanExecutionContext
from together import together

THREADS = 8
BUDGET = 1_000
KEYS = 25
"""So many keys a thread, of 100 bytes each: 200 in all, of which ten fit into hot."""


class Tiers(Protocol):
    @property
    def hot_bytes(self) -> int: ...

    def store(self, key: str, value: str, /) -> object: ...
    def get(self, key: str, /) -> Any: ...
    def promote(self, key: str, /) -> bool: ...
    def demote(self, key: str, /) -> bool: ...
    def evict_lru(self, tier: Tier, /) -> object: ...


def fragment(key: str, turn: int) -> str:
    return f"{key}, turn {turn:03}".ljust(100 - len(key), ".")


def context_tiers(service: Tiers, listed: Callable[[], list[tuple[str, str, Tier]]], rounds: int) -> None:
    """Eight threads store, read, promote, demote and evict at once, each its own keys, among each other's.

    No fragment is lost, the budget is never passed, and the counts are right.
    """
    over: list[int] = []

    def look() -> None:
        if (taken := service.hot_bytes) > BUDGET or taken < 0:
            over.append(taken)

    def body(number: int) -> None:
        keys = [f"thread-{number}/{key:02}" for key in range(KEYS)]
        for turn in range(rounds):
            for key in keys:
                service.store(key, fragment(key, turn))
                look()
            for place, key in enumerate(keys):
                assert service.get(key) == fragment(key, turn), f"{key} is lost"
                if place % 3 == 0:
                    service.promote(key)
                elif place % 3 == 1:
                    service.demote(key)
                else:
                    service.evict_lru(Tier.HOT)
                    service.evict_lru(Tier.WARM)
                look()

    together(THREADS, body)
    assert not over, f"hot held {max(over)} bytes of {BUDGET}"
    held = listed()
    every = {f"thread-{number}/{key:02}" for number in range(THREADS) for key in range(KEYS)}
    twice = [key for key, count in Counter(key for key, _, _ in held).items() if count > 1]
    assert {key for key, _, _ in held} == every and not twice, "a fragment is lost, or is in two tiers"
    assert all(value == fragment(key, rounds - 1) for key, value, _ in held), "a fragment is an old one"
    in_hot = sum(len(key) + len(value) for key, value, tier in held if tier is Tier.HOT)
    assert in_hot == service.hot_bytes <= BUDGET, f"hot counts {service.hot_bytes} bytes, and holds {in_hot}"


class TestContextTierServiceUnderThreads:
    def test_no_fragment_is_lost_and_the_budget_is_never_passed(self) -> None:
        service = ContextTierService(BUDGET)
        rounds = 12
        context_tiers(service, lambda: [(one.key, one.value, Tier(one.tier)) for one in service.fragments() if one.tier is not None], rounds)
        counted = service.metrics()
        fragments = THREADS * KEYS
        assert (counted.stores, counted.replacements) == (fragments * rounds, fragments * (rounds - 1))
        assert (counted.hits, counted.misses, counted.removals, counted.overflowed) == (fragments * rounds, 0, 0, 0)
        assert counted.hot.fragments + counted.warm.fragments + counted.cold.fragments == len(service) == fragments
        assert counted.hot.bytes + counted.warm.bytes + counted.cold.bytes == 100 * fragments
        assert counted.peak_hot_bytes <= BUDGET

    def test_the_original_fails_it(self) -> None:
        fails_it(lambda: context_tiers(service := OriginalTiers(BUDGET), service.fragments, 3))

    def test_what_is_evicted_from_cold_is_handed_to_one_thread_each(self) -> None:
        service = ContextTierService(BUDGET)
        keys = [f"{number:03}" for number in range(400)]
        for key in keys:
            service.store(key, key)
            service.demote(key)
            service.demote(key)

        def body(number: int) -> list[str]:
            taken = []
            while (evicted := service.evict_lru(Tier.COLD)) is not None:
                assert evicted.tier is None and evicted.value == evicted.key
                taken.append(evicted.key)
            return taken

        assert sorted(key for taken in together(THREADS, body) for key in taken) == keys
        assert len(service) == 0

    def test_a_fragment_that_moves_is_never_missed(self) -> None:
        service = ContextTierService(BUDGET)
        service.store("moving", "here")
        done = threading.Event()

        def body(number: int) -> int:
            missed = 0
            if number == 0:
                for _ in range(600):
                    service.demote("moving")
                    service.promote("moving")
                done.set()
            while not done.is_set():
                missed += service.get("moving") != "here"
            return missed

        assert together(THREADS, body) == [0] * THREADS


class Plan(Protocol):
    @property
    def changeset_ids(self) -> list[str]: ...

    def start_changeset(self) -> str: ...
    def record_change(self, entry: Change, /) -> str: ...
    def close_changeset(self, changeset_id: str, /) -> None: ...
    def changes(self, changeset_id: str, /) -> list[Change]: ...


def start_and_record(context: Plan, rounds: int) -> dict[str, list[str]]:
    """Eight threads start changesets, record into whichever is on top, and close their own.

    Each change is in the changeset that the call named, once. None goes into a changeset that is closed. The paths, by changeset.
    """
    closed: dict[str, int] = {}  # how many changes each had when it had been closed

    def body(number: int) -> list[tuple[str, str]]:
        recorded = []
        for turn in range(rounds):
            mine = context.start_changeset()
            stopped_here()  # others start theirs, so that what is on top is not always one's own
            path = f"{number}/{turn}"
            already = set(closed)
            landed = context.record_change(Change.create(path))
            assert landed not in already, f"{path} went into {landed}, which was closed before"
            recorded.append((landed, path))
            context.close_changeset(mine)
            closed[mine] = len(context.changes(mine))
        return recorded

    def run(number: int) -> list[tuple[str, str]]:
        try:
            return body(number)
        except PlanError as error:  # its own changeset is open all the while
            raise AssertionError(f"no changeset was found: {error}") from error

    by_changeset: dict[str, list[str]] = {}
    for landed, path in (pair for pairs in together(THREADS, run) for pair in pairs):
        by_changeset.setdefault(landed, []).append(path)
    assert len(closed) == THREADS * rounds, "an id was given out twice"
    for changeset in closed:
        paths = [change.path for change in context.changes(changeset)]
        assert sorted(paths) == sorted(by_changeset.get(changeset, [])), f"{changeset} has other changes than were recorded there"
        assert len(paths) == closed[changeset], f"{changeset} took changes after it was closed"
    assert context.changeset_ids == []
    return by_changeset


class TestPlanExecutionContextUnderThreads:
    def test_start_and_record_never_associate_wrongly(self) -> None:
        context = PlanExecutionContext()
        by_changeset = start_and_record(context, rounds=60)
        assert max(map(len, by_changeset.values())) > 1, "no thread has met another's changeset"
        # Read again, one event after the other: each change is in the changeset that was on top when it was recorded.
        stack: list[str] = []
        seen = 0
        for number, event in enumerate(context.plan.snapshot().audit(), 1):
            assert event.sequence == number and event.changeset is not None
            if event.kind is EventKind.STARTED:
                stack.append(event.changeset)
            elif event.kind is EventKind.CLOSED:
                stack.remove(event.changeset)
            else:
                assert event.changeset == stack[-1], f"event {number} is in {event.changeset}, and {stack[-1]} was on top"
                seen += 1
        assert (stack, seen) == ([], THREADS * 60)

    def test_the_original_fails_it(self) -> None:
        fails_it(lambda: start_and_record(OriginalPlan(), rounds=20))

    def test_what_is_recorded_by_id_stays_with_its_thread(self) -> None:
        context = PlanExecutionContext()

        def body(number: int) -> str:
            mine = context.start_changeset()
            for turn in range(200):
                assert context.record_in(mine, Change.create(f"{number}/{turn}")) == mine
            return mine

        started = together(THREADS, body)
        assert sorted(context.changeset_ids) == sorted(started) == sorted(set(started))
        for number, mine in enumerate(started):
            assert [change.path for change in context.changes(mine)] == [f"{number}/{turn}" for turn in range(200)]

    def test_an_empty_stack_raises_whatever_others_do(self) -> None:
        context = PlanExecutionContext()

        def body(number: int) -> Counter[str]:
            outcomes: Counter[str] = Counter()
            for turn in range(200):
                if number % 2:
                    context.close_changeset(context.start_changeset())
                    continue
                try:
                    outcomes[context.record_change(Change.create(f"{number}/{turn}"))] += 1
                except PlanError as error:
                    assert str(error) == "No active changeset. Call start_changeset() first."
                    assert error.change == Change.create(f"{number}/{turn}")
                    outcomes["refused"] += 1
            return outcomes

        total = sum(together(THREADS, body), Counter[str]())
        refused = total.pop("refused", 0)
        assert refused + total.total() == THREADS // 2 * 200
        assert {changeset: len(context.changes(changeset)) for changeset in total} == dict(total)
        assert len(context.plan.snapshot().changes()) == total.total()


def fails_it(scenario: Callable[[], object]) -> None:
    """It fails within a few tries: there is an assertion that does not hold, or a dict or a list that another thread changed."""
    for _ in range(10):
        try:
            scenario()
        except (AssertionError, KeyError, ValueError, RuntimeError):
            return
    pytest.fail("the scenario does not find what is wrong with the original")
