"""Who may see what."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from tierstack import TierStore


class _EveryKey(enum.Enum):
    EVERY_KEY = "every key"

    def __repr__(self) -> str:
        return "EVERY_KEY"


EVERY_KEY: Final = _EveryKey.EVERY_KEY
"""In a :class:`RolePolicy`: all keys of the scope."""


class Policy(Protocol):
    """Says what a role may see."""

    def allows(self, role: str, scope: str, key: str) -> bool:
        """Whether ``role`` may see the fragment ``key`` of ``scope``. Nothing but ``True`` allows it.

        It is called on the reader's own thread, before the store is read. An exception reaches the reader.
        """


class RolePolicy:
    """A policy that names what each role sees. Everything else is denied: another role, another scope, another key.

    It keeps copies. A later change of the mapping changes nothing.

    >>> policy = RolePolicy({"reviewer": {"shared": EVERY_KEY, "plan-1": ["goal", "diff"]}})
    >>> policy.allows("reviewer", "plan-1", "goal"), policy.allows("reviewer", "plan-1", "secret")
    (True, False)
    >>> policy.allows("planner", "shared", "goal")
    False
    """

    __slots__ = ("_sees",)

    def __init__(self, sees: Mapping[str, Mapping[str, Iterable[str] | _EveryKey]]) -> None:
        self._sees = {role: {scope: _keys(keys) for scope, keys in scopes.items()} for role, scopes in sees.items()}

    def allows(self, role: str, scope: str, key: str) -> bool:
        """Whether the policy names it."""
        keys = self._sees.get(role, {}).get(scope, frozenset())
        return keys is EVERY_KEY or key in keys

    def __repr__(self) -> str:
        return f"RolePolicy({self._sees!r})"


def _keys(keys: Iterable[str] | _EveryKey) -> frozenset[str] | _EveryKey:
    if isinstance(keys, _EveryKey):
        return keys
    if isinstance(keys, str):
        raise TypeError(f"the keys are to be several, such as [{keys!r}], or EVERY_KEY")
    return frozenset(keys)


class Denials:
    """How many reads were denied, by role."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: TierStore[int] = TierStore(0)

    def count(self, role: str) -> None:
        self._counts.store_if_absent(role, 0, weight=0)
        self._counts.update(role, _next, weight=0)

    def of(self, role: str | None) -> int:
        return sum(self._counts.snapshot().values()) if role is None else self._counts.peek(role, 0)


def _next(count: int) -> int:
    return count + 1
