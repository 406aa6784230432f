"""Views of a store's or a snapshot's keys, values and items. Each iteration is over what stood there at one instant, and is no use."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterator
from typing import Any

__all__ = ["ItemsView", "KeysView", "ValuesView"]


class KeysView(collections.abc.KeysView[str]):
    """The keys."""

    __slots__ = ()


class ValuesView(collections.abc.ValuesView[Any]):
    """The values."""

    __slots__ = ()
    _mapping: Any

    def __contains__(self, value: object) -> bool:
        return any(other is value or other == value for other in self)

    def __iter__(self) -> Iterator[Any]:
        values: Iterator[Any] = self._mapping._values()
        return values


class ItemsView(collections.abc.ItemsView[str, Any]):
    """The keys and values."""

    __slots__ = ()
    _mapping: Any

    def __contains__(self, item: object) -> bool:
        match item:
            case (str(key), value):
                peek = getattr(self._mapping, "peek", self._mapping.get)
                missing = object()
                there = peek(key, missing)
                return there is not missing and (there is value or bool(there == value))
        return False

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        pairs: Iterator[tuple[str, Any]] = self._mapping._pairs()
        return pairs
