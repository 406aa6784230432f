"""The specification of the store, written as plainly as it can be: one dictionary, and a clock that counts uses.

It is the specification of the Rust crate's own property tests, in Python. It knows nothing of what it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tierstack import Cause, Tier


@dataclass
class Entry:
    value: object
    weight: int
    tier: Tier
    last_use: int
    kept: bool = False


class Model:
    def __init__(self, budget: int, warm_entries: int | None = None, cold_entries: int | None = None) -> None:
        self.budget = budget
        self.most = {Tier.HOT: None, Tier.WARM: warm_entries, Tier.COLD: cold_entries}
        self.fragments: dict[str, Entry] = {}
        self.now = 0
        self.left: list[tuple[str, object, Cause]] = []

    # The operations.

    def store(self, key: str, value: object, weight: int) -> tuple[Tier, object, bool]:
        """The tier, what it replaced, and whether kept ones have kept it out."""
        old = self.fragments.pop(key, None)
        if old is not None:
            self.left.append((key, old.value, Cause.REPLACED))
        kept = old is not None and old.kept
        fits_anyway = old is not None and kept and old.tier == Tier.HOT and weight <= old.weight
        kept_out = weight <= self.budget and not fits_anyway and self.kept_hot() + weight > self.budget
        tier = Tier.WARM if weight > self.budget or kept_out else Tier.HOT
        if tier == Tier.HOT:
            self.make_room(weight)
        self.fragments[key] = Entry(value, weight, tier, 0, kept)
        self.touch(key)
        self.enforce_capacities()
        return tier, None if old is None else old.value, kept_out

    def get(self, key: str) -> object:
        self.touch(key)
        return self.fragments[key].value

    def promote_to(self, key: str, tier: Tier) -> tuple[Tier, Tier]:
        entry = self.fragments[key]
        source, target = entry.tier, min(entry.tier, tier)
        if target == Tier.HOT != source:
            if entry.weight > self.budget:
                raise OverBudget(kept_out=False)
            if self.kept_hot() + entry.weight > self.budget:
                raise OverBudget(kept_out=True)
            self.make_room(entry.weight)
        entry.tier = target
        self.touch(key)
        self.enforce_capacities()
        return source, target

    def demote_to(self, key: str, tier: Tier) -> tuple[Tier, Tier]:
        entry = self.fragments[key]
        source = entry.tier
        entry.tier = max(source, tier)
        target = entry.tier
        self.enforce_capacities()
        return source, target

    def evict_lru(self, tier: Tier) -> tuple[str, object] | None:
        oldest = self.oldest(tier)
        if oldest is None:
            return None
        value = self.fragments[oldest].value
        if tier == Tier.COLD:
            self.left.append((oldest, value, Cause.REMOVED))
        self.push_down(oldest)
        self.enforce_capacities()
        return oldest, value

    def remove(self, key: str) -> object:
        entry = self.fragments.pop(key)
        self.left.append((key, entry.value, Cause.REMOVED))
        return entry.value

    def popitem(self) -> tuple[str, object]:
        for tier in (Tier.COLD, Tier.WARM, Tier.HOT):
            oldest = self.oldest(tier)
            if oldest is not None:
                return oldest, self.remove(oldest)
        raise KeyError

    def keep(self, key: str, kept: bool) -> bool:
        entry = self.fragments[key]
        was_kept = entry.kept
        if was_kept != kept:
            entry.kept = kept
            self.touch(key)
            self.make_room(0)
            self.enforce_capacities()
        return was_kept

    def set_hot_budget(self, budget: int) -> tuple[int, int]:
        self.budget = budget
        demoted = self.make_room(0)
        self.enforce_capacities()
        return demoted, max(0, self.kept_hot() - budget)

    def items(self) -> list[tuple[Tier, str, object, int, bool]]:
        """Each tier from the most to the least recently used."""
        shown: Callable[[tuple[str, Entry]], tuple[Tier, int]] = lambda item: (item[1].tier, -item[1].last_use)
        return [(e.tier, key, e.value, e.weight, e.kept) for key, e in sorted(self.fragments.items(), key=shown)]

    # The steps.

    def touch(self, key: str) -> None:
        self.now += 1
        self.fragments[key].last_use = self.now

    def bytes(self, tier: Tier) -> int:
        return sum(entry.weight for entry in self.fragments.values() if entry.tier == tier)

    def kept_hot(self) -> int:
        return sum(entry.weight for entry in self.fragments.values() if entry.tier == Tier.HOT and entry.kept)

    def oldest(self, tier: Tier) -> str | None:
        among = [(e.last_use, key) for key, e in self.fragments.items() if e.tier == tier and not e.kept]
        return min(among)[1] if among else None

    def push_down(self, key: str) -> None:
        below = self.fragments[key].tier.below
        if below is None:
            del self.fragments[key]
        else:
            self.fragments[key].tier = below

    def make_room(self, weight: int) -> int:
        evicted = 0
        while self.bytes(Tier.HOT) + weight > self.budget and (oldest := self.oldest(Tier.HOT)) is not None:
            self.push_down(oldest)
            evicted += 1
        return evicted

    def enforce_capacities(self) -> None:
        for tier in (Tier.WARM, Tier.COLD):
            most = self.most[tier]
            while most is not None and sum(e.tier == tier for e in self.fragments.values()) > most:
                oldest = self.oldest(tier)
                if oldest is None:
                    break
                if tier == Tier.COLD:
                    self.left.append((oldest, self.fragments[oldest].value, Cause.OVERFLOWED))
                self.push_down(oldest)


class OverBudget(Exception):
    def __init__(self, *, kept_out: bool) -> None:
        super().__init__(kept_out)
        self.kept_out = kept_out
