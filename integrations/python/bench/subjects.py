"""What is measured: the store, and three others with the same two calls and a prompt.

Each holds the same keys and values under the same budget in bytes. The two caches have no lower tiers: where the store and the
locked tiers demote a fragment, they drop it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import cachebox
import cachetools

from tierstack import Tier, TierStore


class Subject(Protocol):
    """What a workload calls."""

    @property
    def get(self) -> Callable[[str], str | None]:
        """Returns the value or None. Counts as a use."""

    @property
    def store(self) -> Callable[[str, str], object]:
        """Adds or replaces."""

    @property
    def prompt(self) -> Callable[[], str]:
        """All that is within the budget, at one instant, as one text."""


def weigh(key: str, value: str) -> int:
    """Bytes of the key and of the value. All that is measured is ASCII, so that a character is a byte."""
    return len(key) + len(value)


class Tierstack:
    """The store with its own weigher."""

    def __init__(self, budget: int) -> None:
        tiers: TierStore[str] = TierStore(budget)
        self._tiers = tiers
        self.get = tiers.get
        self.store = tiers.store

    def prompt(self) -> str:
        return "\n".join(self._tiers.snapshot(Tier.HOT).values())


class LockedTiers:
    """A context tier service of plain dicts with `threading.RLock` around everything: the mend that was proposed for it.

    An `OrderedDict` for each tier, the least recently used first.
    """

    def __init__(self, budget: int) -> None:
        self._lock = threading.RLock()
        self._budget = budget
        self._hot_bytes = 0
        self._hot: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._warm: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._cold: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def get(self, key: str) -> str | None:
        with self._lock:
            for tier in (self._hot, self._warm, self._cold):
                fragment = tier.get(key)
                if fragment is not None:
                    tier.move_to_end(key)
                    return fragment[0]
            return None

    def store(self, key: str, value: str) -> None:
        weight = weigh(key, value)
        with self._lock:
            old = self._hot.pop(key, None)
            if old is not None:
                self._hot_bytes -= old[1]
            elif self._warm.pop(key, None) is None:
                self._cold.pop(key, None)
            if weight > self._budget:
                self._warm[key] = (value, weight)
                return
            while self._hot_bytes + weight > self._budget:
                self.evict_lru()
            self._hot[key] = (value, weight)
            self._hot_bytes += weight

    def evict_lru(self) -> str | None:
        """Moves the least recently used hot fragment to warm."""
        with self._lock:
            if not self._hot:
                return None
            key, fragment = self._hot.popitem(last=False)
            self._hot_bytes -= fragment[1]
            self._warm[key] = fragment
            return key

    def prompt(self) -> str:
        with self._lock:
            values = [value for value, _ in reversed(self._hot.values())]
        return "\n".join(values)


class Cachebox:
    """`cachebox.LRUCache`, which locks inside."""

    def __init__(self, budget: int) -> None:
        cache = self._cache = cachebox.LRUCache[str, str](budget, getsizeof=weigh)
        self.get: Callable[[str], str | None] = cache.get
        self.store: Callable[[str, str], object] = cache.insert

    def prompt(self) -> str:
        return "\n".join([value for _, value in self._cache.items()])


class Cachetools:
    """`cachetools.LRUCache` behind a lock. It weighs a value without its key, so that a value is held with its weight."""

    def __init__(self, budget: int) -> None:
        self._lock = threading.Lock()
        self._cache: cachetools.LRUCache[str, tuple[str, int]] = cachetools.LRUCache(budget, getsizeof=lambda held: held[1])

    def get(self, key: str) -> str | None:
        with self._lock:
            held = self._cache.get(key)
        return None if held is None else held[0]

    def store(self, key: str, value: str) -> None:
        weight = weigh(key, value)
        with self._lock:
            self._cache[key] = (value, weight)

    def prompt(self) -> str:
        with self._lock:
            held = list(self._cache.values())
        return "\n".join([value for value, _ in held])


SUBJECTS: dict[str, Callable[[int], Subject]] = {
    "tierstack": Tierstack,
    "OrderedDict + RLock": LockedTiers,
    "cachebox": Cachebox,
    "cachetools + Lock": Cachetools,
}
"""Each by the name that it has in the table. The store comes first, what the goals compare it with second."""
