"""Views of a store's or a snapshot's keys, values and items. Each iteration is over what stood there at one instant, and is no use."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._tierstack import Item, Snapshot, TierStore

__all__ = ["ItemsView", "KeysView", "ValuesView"]


def _items(mapping: TierStore[Any] | Snapshot[Any]) -> list[Item[Any]]:
    snapshot = getattr(mapping, "snapshot", None)
    shown: Snapshot[Any] = mapping if snapshot is None else snapshot()  # type: ignore[assignment]
    return shown.all()


class KeysView(collections.abc.KeysView[str]):
    """The keys."""

    __slots__ = ()


class ValuesView(collections.abc.ValuesView[Any]):
    """The values."""

    __slots__ = ()
    _mapping: Any

    def __contains__(self, value: object) -> bool:
        return any(item.value is value or item.value == value for item in _items(self._mapping))

    def __iter__(self) -> Iterator[Any]:
        return iter([item.value for item in _items(self._mapping)])


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
        return iter([(item.key, item.value) for item in _items(self._mapping)])
