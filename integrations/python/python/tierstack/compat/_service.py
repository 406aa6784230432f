"""The context tier service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tierstack import Capacity, Metrics, Tier, TierStore

from ._names import ROOT, scope_and_key
from ._policy import Denials
from ._views import ContextFragment, ScopedView, listed


class ContextTierService(ScopedView):
    """Fragments in three tiers, for many threads at once.

    ``hot_budget`` bounds the sum of the weights in hot at every instant. A weight is the bytes of key and value, or what ``weigher(key, value)``
    says. A scope weighs nothing. ``warm_capacity`` and ``cold_capacity`` are as those of :class:`TierStore`.

    >>> service = ContextTierService(20)
    >>> service.store("goal", "find the bug")
    <Tier.HOT: 0>
    >>> service.store("note", "it is in main")  # the goal moves to warm
    <Tier.HOT: 0>
    >>> service.get("goal"), service.get("nothing")
    ('find the bug', None)
    >>> service.promote("goal"), service.evict_lru(Tier.HOT).key
    (True, 'goal')

    Other scopes have other fragments. A role sees what its policy names:

    >>> plan = service.scoped("plan-1")
    >>> plan.store("goal", "another")
    <Tier.HOT: 0>
    >>> service.get("goal"), plan.get("goal")
    ('find the bug', 'another')
    >>> view = plan.view_for("reviewer", RolePolicy({"reviewer": {"plan-1": ["diff"]}}))
    >>> view.get("goal"), view.denied_reads
    (None, 1)
    """

    __slots__ = ()

    def __init__(
        self,
        hot_budget: int,
        *,
        weigher: Callable[[str, Any], int] | None = None,
        warm_capacity: int | Capacity | None = None,
        cold_capacity: int | Capacity | None = None,
    ) -> None:
        tiers: TierStore[Any] = TierStore(hot_budget, warm_capacity=warm_capacity, cold_capacity=cold_capacity)
        super().__init__(tiers, ROOT, default_weight if weigher is None else weigher, Denials())

    @property
    def hot_budget(self) -> int:
        """The hot budget."""
        return self._tiers.hot_budget

    @property
    def hot_bytes(self) -> int:
        """The bytes of hot that are taken: at most the budget, at every instant."""
        return self._tiers.hot_bytes

    def evict_lru(self, tier: Tier = Tier.HOT) -> ContextFragment | None:
        """Moves the least recently used fragment of a tier, of whatever scope, one tier down, or from cold out.

        Returns it as it stands now, or None if the tier has none. Atomic.
        """
        evicted = self._tiers.evict_lru(tier)
        if evicted is None:
            return None
        return ContextFragment(*scope_and_key(evicted.key), evicted.value, evicted.to_tier, evicted.weight)

    def scoped(self, scope: str) -> ScopedView:
        """The fragments of a scope. :data:`ROOT` is that of the service itself."""
        return self._in(scope)

    def fragments(self, tier: Tier | None = None) -> list[ContextFragment]:
        """The fragments of all scopes as they stood at one instant, or those of one tier: the most recently used first, tier by tier."""
        return listed(self._tiers.snapshot(tier))

    def denied_reads(self, role: str | None = None) -> int:
        """How many reads were denied to a role, or to all roles."""
        return self._denials.of(role)

    def metrics(self) -> Metrics:
        """The counters of the store, of all scopes together."""
        return self._tiers.metrics()

    def __len__(self) -> int:
        return len(self._tiers)

    def __bool__(self) -> bool:
        """A service is true, also an empty one."""
        return True


def default_weight(key: str, value: Any) -> int:
    """What :class:`TierStore` weighs without a weigher: bytes of the key and of the value. The scope weighs nothing."""
    return _bytes(key) + _bytes(value)


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    try:
        return memoryview(value).nbytes
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"a value of type {kind} cannot be weighed: give a weight=, or the service a weigher") from None
