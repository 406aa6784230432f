"""The views of a scope: one that reads and writes, and one for a role, that reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tierstack import ContendedError, OverBudgetError, Snapshot, StoreError, Tier, TierStore

from ._names import plain, prefix, scope_and_key
from ._policy import Denials, Policy


@dataclass(frozen=True, slots=True)
class ContextFragment:
    """A fragment, with the scope that it is in."""

    scope: str
    key: str
    value: Any
    tier: Tier | None
    """Where it stands. None if it has left."""
    weight: int
    """In bytes, unless the weigher counts something else."""


class ScopedView:
    """The fragments of one scope: :meth:`ContextTierService.scoped` makes it.

    A fragment of another scope is not there, even if it has the same key. All scopes share the tiers and the hot budget.
    """

    __slots__ = ("_denials", "_prefix", "_scope", "_tiers", "_weigher")

    def __init__(self, tiers: TierStore[Any], scope: str, weigher: Callable[[str, Any], int], denials: Denials) -> None:
        self._tiers, self._weigher, self._denials = tiers, weigher, denials
        self._scope, self._prefix = plain(scope), prefix(scope)

    @property
    def scope(self) -> str:
        """The scope."""
        return self._scope

    def store(self, key: str, value: Any, *, weight: int | None = None) -> Tier:
        """Stores a fragment in hot, or replaces the key's own, and demotes what must make room. Returns the tier that it is in: hot or warm. Atomic.

        Raises :exc:`TypeError` if the value cannot be weighed, and whatever the weigher raises. Nothing is changed then.
        """
        text = self._text(key)
        weight = self._weigher(key, value) if weight is None else weight
        try:
            return self._tiers.store(text, value, weight=weight).tier
        except StoreError as error:
            error.key = key
            raise

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default``. Counts as a use."""
        return self._tiers.get(self._text(key), default)

    def peek(self, key: str, default: Any = None) -> Any:
        """The value, or ``default``. Does not count as a use."""
        return self._tiers.peek(self._text(key), default)

    def tier_of(self, key: str) -> Tier | None:
        """The tier that a fragment stands in, or None."""
        return self._tiers.tier_of(self._text(key))

    def promote(self, key: str) -> bool:
        """Moves a fragment one tier up. Whether it moved: not if it is absent, or is in hot already. Atomic.

        Raises :exc:`OverBudgetError` if it does not fit into hot, and :exc:`ContendedError` if running calls hold the room.
        """
        try:
            moved = self._tiers.promote(self._text(key))
        except KeyError:
            return False
        except (OverBudgetError, ContendedError) as error:
            error.key = key  # without the scope
            raise
        return moved.from_tier is not moved.to_tier

    def demote(self, key: str) -> bool:
        """Moves a fragment one tier down. Whether it moved: not if it is absent, or is in cold already. Atomic."""
        try:
            moved = self._tiers.demote(self._text(key))
        except KeyError:
            return False
        return moved.from_tier is not moved.to_tier

    def remove(self, key: str, default: Any = None) -> Any:
        """Takes a fragment out. Its value, or ``default``. Atomic."""
        return self._tiers.pop(self._text(key), default)

    def fragments(self, tier: Tier | None = None) -> list[ContextFragment]:
        """The fragments of the scope as they stood at one instant, or those of one tier: the most recently used first, tier by tier."""
        return [fragment for fragment in listed(self._tiers.snapshot(tier)) if fragment.scope == self._scope]

    def view_for(self, role: str, policy: Policy) -> RoleView:
        """What a role sees of the scope. Its policy denies by default."""
        return RoleView(self, role, policy)

    def __contains__(self, key: str) -> bool:
        return self._text(key) in self._tiers

    def _text(self, key: str) -> str:
        return self._prefix + plain(key)

    def _in(self, scope: str) -> ScopedView:
        return ScopedView(self._tiers, scope, self._weigher, self._denials)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} scope={self._scope!r}>"


class RoleView:
    """What a role sees of a scope: it reads, and never writes.

    A denied read looks like one of an absent key, whether or not the key is there. It is counted, and it is no use of the fragment. It tells code
    what it may see. It does not lock up what other code of the same process can reach.
    """

    __slots__ = ("_policy", "_role", "_view")

    def __init__(self, view: ScopedView, role: str, policy: Policy) -> None:
        self._view, self._role, self._policy = view, plain(role), policy

    @property
    def role(self) -> str:
        """The role."""
        return self._role

    @property
    def scope(self) -> str:
        """The scope."""
        return self._view.scope

    @property
    def denied_reads(self) -> int:
        """How many reads were denied to the role, through all its views."""
        return self._view._denials.of(self._role)

    def scoped(self, scope: str) -> RoleView:
        """What the role sees of another scope, by the same policy."""
        return RoleView(self._view._in(scope), self._role, self._policy)

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or ``default`` if the key is absent or denied. Counts as a use, unless it is denied."""
        return self._view.get(key, default) if self._may_read(key) else default

    def peek(self, key: str, default: Any = None) -> Any:
        """The value, or ``default`` if the key is absent or denied. Does not count as a use."""
        return self._view.peek(key, default) if self._may_read(key) else default

    def tier_of(self, key: str) -> Tier | None:
        """The tier that a fragment stands in, or None if the key is absent or denied."""
        return self._view.tier_of(key) if self._may_read(key) else None

    def __contains__(self, key: str) -> bool:
        return self._may_read(key) and key in self._view

    def fragments(self, tier: Tier | None = None) -> list[ContextFragment]:
        """What the role sees of the scope, as it stood at one instant, or of one tier. What it does not see is left out, and not counted."""
        return [fragment for fragment in self._view.fragments(tier) if self._allows(fragment.scope, fragment.key)]

    def _may_read(self, key: str) -> bool:
        if self._allows(self._view.scope, plain(key)):
            return True
        self._view._denials.count(self._role)
        return False

    def _allows(self, scope: str, key: str) -> bool:
        # Not whatever is true: a coroutine is, for one, where somebody has written `async def allows`.
        return self._policy.allows(self._role, scope, key) is True

    def __repr__(self) -> str:
        return f"<RoleView role={self._role!r} scope={self.scope!r}>"


def listed(snapshot: Snapshot[Any]) -> list[ContextFragment]:
    return [ContextFragment(*scope_and_key(item.key), item.value, item.tier, item.weight) for item in snapshot.all()]
