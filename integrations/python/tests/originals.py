"""The two classes that the compatible ones replace, as they were: plain dicts and a list, for one thread.

Where a thread can be stopped between a look and what is done about it, these are: so that the scenarios find what goes wrong.
"""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict

from tierstack import Change, PlanError, Tier


def stopped_here() -> None:
    """Lets other threads run, as the interpreter does now and then between any two instructions."""
    time.sleep(0.000_001)


class OriginalTiers:
    """Three dicts and a sum."""

    def __init__(self, hot_budget: int) -> None:
        self.hot_budget = hot_budget
        self.hot_bytes = 0
        self.tiers: dict[Tier, OrderedDict[str, str]] = {tier: OrderedDict() for tier in Tier}

    def store(self, key: str, value: str) -> None:
        weight = len(key) + len(value)
        for tier in self.tiers.values():
            if key in tier:
                del tier[key]
        while self.hot_bytes + weight > self.hot_budget and self.tiers[Tier.HOT]:
            self.evict_lru(Tier.HOT)
        stopped_here()
        self.tiers[Tier.HOT][key] = value
        self.hot_bytes = self.hot_bytes + weight

    def get(self, key: str) -> str | None:
        for tier in self.tiers.values():
            if key in tier:
                return tier[key]
            stopped_here()
        return None

    def promote(self, key: str) -> bool:
        for tier in (Tier.WARM, Tier.COLD):
            if key in self.tiers[tier]:
                value = self.tiers[tier].pop(key)
                stopped_here()
                self.store(key, value)
                return True
        return False

    def demote(self, key: str) -> bool:
        for tier, below in ((Tier.HOT, Tier.WARM), (Tier.WARM, Tier.COLD)):
            if key in self.tiers[tier]:
                value = self.tiers[tier].pop(key)
                stopped_here()
                self.tiers[below][key] = value
                if tier is Tier.HOT:
                    self.hot_bytes -= len(key) + len(value)
                return True
        return False

    def evict_lru(self, tier: Tier) -> str | None:
        if not self.tiers[tier]:
            return None
        key = next(iter(self.tiers[tier]))
        self.demote(key)
        return key

    def fragments(self) -> list[tuple[str, str, Tier]]:
        return [(key, value, tier) for tier, held in self.tiers.items() for key, value in list(held.items())]


class OriginalPlan:
    """A list of ids, and the changes of each."""

    def __init__(self) -> None:
        self.changeset_ids: list[str] = []
        self._changes: dict[str, list[Change]] = {}
        self._numbers = itertools.count(1)

    def start_changeset(self) -> str:
        started = f"changeset-{next(self._numbers)}"
        self._changes[started] = []
        stopped_here()
        self.changeset_ids.append(started)
        return started

    def record_change(self, entry: Change) -> str:
        if not self.changeset_ids:
            raise PlanError("No active changeset. Call start_changeset() first.")
        top = self.changeset_ids[-1]
        stopped_here()
        self._changes[top].append(entry)
        return top

    def close_changeset(self, changeset_id: str) -> None:
        self.changeset_ids.remove(changeset_id)

    def changes(self, changeset_id: str) -> list[Change]:
        return list(self._changes[changeset_id])
