"""The native part of the package. Import its names from ``tierstack``."""

import builtins
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, MutableMapping, ValuesView
from types import GenericAlias, TracebackType
from typing import Any, Final, Generic, Literal, Self, TypeVar, final, overload

from ._types import Capacity, Cause, EventKind, Metrics, Operation, Staleness, Status, Tier

_V = TypeVar("_V")
_V_co = TypeVar("_V_co", covariant=True)
_D = TypeVar("_D")

__all__ = [
    "Change",
    "Changeset",
    "ChangesetScope",
    "Conflict",
    "Departure",
    "Diff",
    "Enforced",
    "Event",
    "Evicted",
    "Fragment",
    "Item",
    "Kept",
    "MAX_BYTES",
    "Moved",
    "NetChange",
    "PlanContext",
    "PlanSnapshot",
    "Record",
    "Recorded",
    "RecordedAll",
    "Savepoint",
    "Side",
    "Snapshot",
    "StaleBase",
    "Stored",
    "TierStore",
    "Version",
    "__version__",
]

__version__: Final[str]
MAX_BYTES: Final[int]
"""The largest hot budget, and the largest weight of a fragment: 2**40."""

@final
class Version:
    """Names what one ``store`` has stored, for as long as the process runs.

    A replacement has another version than what it replaced. Moves and uses leave the version as it is. No version comes back, and no two stores
    have an equal one. Versions can be compared for equality and hashed. They have no order, and cannot be pickled.
    """

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Fragment(Generic[_V_co]):
    """A fragment as it was read, or as it was handed back."""

    __match_args__: Final = ("value", "tier", "weight", "kept", "version")
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def value(self) -> _V_co:
        """The value."""
    @property
    def tier(self) -> Tier:
        """The tier that it stood in."""
    @property
    def weight(self) -> int:
        """Its weight."""
    @property
    def kept(self) -> bool:
        """Whether it was kept there."""
    @property
    def version(self) -> Version:
        """Names this value of the key: a replacement has another."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Item(Generic[_V_co]):
    """A fragment of a list, with its key."""

    __match_args__: Final = ("key", "value", "tier", "weight", "kept", "version")
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def key(self) -> str:
        """Its key."""
    @property
    def value(self) -> _V_co:
        """Its value."""
    @property
    def tier(self) -> Tier:
        """The tier that it stood in."""
    @property
    def weight(self) -> int:
        """Its weight."""
    @property
    def kept(self) -> bool:
        """Whether it was kept."""
    @property
    def version(self) -> Version:
        """Names this value of the key: a replacement has another."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Stored(Generic[_V_co]):
    """What a ``store`` did."""

    __match_args__: Final = ("tier", "replaced", "contended", "kept_out", "kept", "version")
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def tier(self) -> Tier:
        """The tier in which the fragment took effect: hot or warm."""
    @property
    def replaced(self) -> _V_co | None:
        """The value that it replaced. ``None`` if it replaced none, or replaced a ``None``: see ``has_replaced``."""
    @property
    def has_replaced(self) -> bool:
        """Whether it replaced a fragment."""
    @property
    def contended(self) -> bool:
        """Whether it went to warm only because calls in flight held the room that it needed."""
    @property
    def kept_out(self) -> bool:
        """Whether it went to warm because kept fragments held the room that it needed."""
    @property
    def kept(self) -> bool:
        """Whether it is kept, as what it replaced was."""
    @property
    def version(self) -> Version:
        """Names what was stored."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Evicted(Generic[_V_co]):
    """A fragment that an eviction moved down, or out."""

    __match_args__: Final = ("key", "value", "weight", "from_tier", "to_tier")
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def key(self) -> str:
        """Its key."""
    @property
    def value(self) -> _V_co:
        """Its value."""
    @property
    def weight(self) -> int:
        """Its weight."""
    @property
    def from_tier(self) -> Tier:
        """The tier that it stood in."""
    @property
    def to_tier(self) -> Tier | None:
        """The tier that it stands in now. ``None`` if it left the store."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Departure(Generic[_V_co]):
    """A fragment that has left the store: what ``on_departure`` is called with.

    By the time of the call another ``store`` may have put the key back. So do not delete, in the listener, what belongs to the *key*. Name
    such things after the ``version`` instead: no other fragment has the same.
    """

    __match_args__: Final = ("key", "value", "cause", "tier", "weight", "version")
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    @property
    def key(self) -> str:
        """Its key."""
    @property
    def value(self) -> _V_co:
        """Its value."""
    @property
    def cause(self) -> Cause:
        """Why it has left."""
    @property
    def tier(self) -> Tier:
        """The tier that it stood in."""
    @property
    def weight(self) -> int:
        """Its weight."""
    @property
    def version(self) -> Version:
        """Names this value of the key, as when it was stored."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Moved:
    """A move from one tier to another. Equal tiers mean that the fragment stayed."""

    __match_args__: Final = ("from_tier", "to_tier")
    @property
    def from_tier(self) -> Tier:
        """The tier that it stood in."""
    @property
    def to_tier(self) -> Tier:
        """The tier that it stands in now."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Kept:
    """A fragment that is kept now, or let go."""

    __match_args__: Final = ("tier", "was_kept")
    @property
    def tier(self) -> Tier:
        """The tier that it stands in."""
    @property
    def was_kept(self) -> bool:
        """Whether it was kept before."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Enforced:
    """What a change of the hot budget, or a look at it, came to."""

    __match_args__: Final = ("demoted", "kept_over")
    @property
    def demoted(self) -> int:
        """How many fragments were demoted."""
    @property
    def kept_over(self) -> int:
        """By how much the kept fragments alone are over the budget. Those stay."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class TierStore(MutableMapping[str, _V], Generic[_V]):
    """A store of fragments in three tiers, for many threads at once. It is a mutable mapping from ``str`` to any value.

    ``hot_budget`` bounds the sum of the weights in hot, at every instant. What does not fit moves down to warm and cold, least recently used
    first. Nothing leaves the store unless a call takes it out, a ``store`` replaces it, or a capacity pushes it out of cold.

    ``weigher(key, value)`` says what a fragment weighs. Without one, a fragment weighs the bytes of its key in UTF-8, and those of its value: a
    ``str`` in UTF-8, ``bytes``, or any buffer. Other values need a ``weight=``, or a weigher.

    ``warm_capacity`` and ``cold_capacity`` bound warm and cold: an ``int`` of bytes, or a :class:`Capacity`.

    ``on_departure(departure)`` is called for each fragment that leaves, after the call that made it leave has taken effect, and on the same thread. It may use the
    store. An exception that it raises goes to ``sys.unraisablehook``. ``departure_causes`` says of which causes it is told; of all by default.

    ``recency_slack`` lets a use leave a fragment where it is in the order if fewer than so many uses came between. 0 is exact LRU.

    Each method takes effect at one instant, unless it says otherwise. No Python code runs while a call is half-way: weighers and functions run before, listeners and
    destructors of values after. No call takes a lock. A value is a live reference. Whoever mutates it in place, mutates it for all.

    Keys that are not ``str`` raise :exc:`TypeError`. Keys with lone surrogates raise :exc:`UnicodeEncodeError`, which is a :exc:`ValueError`.
    Two stores are equal only if they are the same store.

    >>> store = TierStore(10)
    >>> store.store("a", "12345").tier
    <Tier.HOT: 0>
    >>> store.store("b", "123456").tier  # "a" moves to warm
    <Tier.HOT: 0>
    >>> store.tier_of("a"), store.hot_bytes
    (<Tier.WARM: 1>, 7)
    """

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def __new__(
        cls,
        hot_budget: int,
        *,
        weigher: Callable[[str, _V], int] | None = None,
        warm_capacity: int | Capacity | None = None,
        cold_capacity: int | Capacity | None = None,
        on_departure: Callable[[Departure[_V]], object] | None = None,
        departure_causes: Iterable[Cause | str] | None = None,
        recency_slack: int = 0,
    ) -> Self: ...

    # Storing.

    def store(self, key: str, value: _V, *, weight: int | None = None) -> Stored[_V]:
        """Stores a fragment in hot, and demotes what must make room. Replaces the key's fragment, if it has one. Counts as a use.

        What weighs more than the hot budget goes to warm. So does what found its room held by calls in flight, or by kept fragments.

        Raises :exc:`TypeError` if the value cannot be weighed, :exc:`ValueError` for a weight that is negative or above :data:`MAX_BYTES`, and whatever the weigher
        raises. Nothing is changed then.

        Atomic: nobody sees the key absent while its fragment is replaced. Each demotion is a step of its own, before it.
        """
    def store_if_absent(self, key: str, value: _V, *, weight: int | None = None) -> Stored[_V] | None:
        """Stores a fragment if its key has none. ``None`` if it has one, which is not used, and nothing is changed. Atomic. Raises as :meth:`store`."""
    @overload
    def replace_if(self, key: str, condition: Version, value: _V, *, weight: int | None = None) -> Stored[_V] | None: ...
    @overload
    def replace_if(
        self, key: str, condition: Callable[[_V], bool], value: _V, *, weight: int | None = None
    ) -> Stored[_V] | None:
        """Replaces the key's fragment if the condition holds of it. ``None`` if it does not, or if the key has no fragment; nothing is changed then.

        The condition is a :class:`Version` that was read, or a function of the value. Atomic: what is replaced is the very fragment of which the condition was true.
        The function may run several times, if others replace the fragment meanwhile. It runs outside of every step, so it may use the store.

        Raises as :meth:`store`, :exc:`ValueError` for a version of another store, and whatever the function raises.
        """
    @overload  # type: ignore[override]
    def update(self, key: str, function: Callable[[_V], _V], /, *, weight: int | None = None) -> Stored[_V]: ...
    @overload
    def update(self, other: Mapping[str, _V] | Iterable[tuple[str, _V]] = ..., /, **others: _V) -> None:
        """``update(key, function)`` replaces the key's fragment by what the function makes of its value.

        Atomic: what is replaced is the value that the function was given. Where another call replaces the fragment meanwhile, the function runs again. So it may run
        several times. It runs outside of every step, so it may use the store. Raises :exc:`KeyError` if the key is absent, as :meth:`store`, and
        whatever the function raises; nothing is changed then.

        ``update(mapping)``, ``update(pairs)`` and ``update(key=value)`` store each fragment for itself, as those of other mappings do. This is not atomic as a whole.
        """
    def get_or_store_with(self, key: str, make: Callable[[], _V], *, weight: int | None = None) -> _V:
        """The key's value, which this uses. If the key has none, stores what ``make()`` returns, and returns that.

        The first that stores wins: if another call stores the key while ``make`` runs, the other's value is returned. Raises as :meth:`store`, and
        whatever ``make`` raises; nothing is changed then.
        """
    def setdefault(self, key: str, default: _V = ..., *, weight: int | None = None) -> _V:
        """The key's value, which this uses. If the key has none, stores ``default``, and returns it. Atomic. Raises as :meth:`store`."""
    def __setitem__(self, key: str, value: _V, /) -> None:
        """As :meth:`store`."""

    # Reading.

    @overload
    def get(self, key: str, /, default: None = None) -> _V | None: ...
    @overload
    def get(self, key: str, /, default: _V) -> _V: ...
    @overload
    def get(self, key: str, /, default: _D) -> _V | _D:
        """The key's value, or ``default``. Counts as a use."""
    @overload
    def peek(self, key: str, default: None = None) -> _V | None: ...
    @overload
    def peek(self, key: str, default: _D) -> _V | _D:
        """The key's value, or ``default``. Does not count as a use."""
    def get_fragment(self, key: str) -> Fragment[_V] | None:
        """The key's fragment: its value, tier, weight and version, as they were at one instant. Counts as a use."""
    def peek_fragment(self, key: str) -> Fragment[_V] | None:
        """As :meth:`get_fragment`. Does not count as a use."""
    def tier_of(self, key: str) -> Tier | None:
        """The tier that the key's fragment stands in. ``None`` if it has none. Does not count as a use."""
    def __getitem__(self, key: str, /) -> _V:
        """The key's value. Counts as a use. Raises :exc:`KeyError` if the key is absent."""
    def __contains__(self, key: object, /) -> bool:
        """Whether the key has a fragment. Does not count as a use."""

    # Moving.

    def promote(self, key: str) -> Moved:
        """Moves a fragment one tier up, and demotes what must make room. Counts as a use.

        Raises :exc:`KeyError` if the key is absent, :exc:`OverBudgetError` if it does not fit into hot, and :exc:`ContendedError` if calls in flight hold the room. The
        fragment stays where it is then. Atomic. Each demotion is a step of its own, before it.
        """
    def promote_to(self, key: str, tier: Tier) -> Moved:
        """Moves a fragment up to ``tier``; never down. Else as :meth:`promote`."""
    def demote(self, key: str) -> Moved:
        """Moves a fragment one tier down. In cold it stays. Not a use. Raises :exc:`KeyError` if the key is absent. Atomic."""
    def demote_to(self, key: str, tier: Tier) -> Moved:
        """Moves a fragment down to ``tier``; never up. Else as :meth:`demote`."""
    def evict_lru(self, tier: Tier) -> Evicted[_V] | None:
        """Moves the least recently used fragment of a tier one tier down, or from cold out of the store. ``None`` if there is none that is not kept. Atomic."""
    def keep(self, key: str) -> Kept:
        """Keeps a fragment in its tier until it is let go: no overflow, eviction, capacity or lowered budget moves it. Counts as a use.

        A replacement stays kept. Raises :exc:`KeyError` if the key is absent. Atomic.
        """
    def let_go(self, key: str) -> Kept:
        """Lets a kept fragment go: it is evicted as any other from now on. Counts as a use. Raises :exc:`KeyError` if the key is absent. Atomic."""

    # Taking out.

    def remove(self, key: str) -> Fragment[_V]:
        """Takes a fragment out of the store. Raises :exc:`KeyError` if the key is absent. Atomic."""
    @overload
    def pop(self, key: str, /) -> _V: ...
    @overload
    def pop(self, key: str, /, default: _V) -> _V: ...
    @overload
    def pop(self, key: str, /, default: _D) -> _V | _D:
        """Takes a fragment out of the store, and returns its value. If the key is absent, returns ``default``, or raises :exc:`KeyError`. Atomic."""
    def popitem(self) -> tuple[str, _V]:
        """Takes out a least recently used fragment of the lowest tier that has any that are not kept. Raises :exc:`KeyError` if there is none.

        Atomic for the fragment that it takes. Beside other calls, the choice of the tier is a step of its own.
        """
    def clear(self) -> None:
        """Takes out the fragment of each key that had one when it was called. Not atomic as a whole."""
    def __delitem__(self, key: str, /) -> None:
        """Takes a fragment out of the store. Raises :exc:`KeyError` if the key is absent. Atomic."""

    # Looking around.

    @overload
    def snapshot(self) -> Snapshot[_V]: ...
    @overload
    def snapshot(self, tier: Tier | None) -> Snapshot[_V]:
        """The fragments of all tiers, or of one, as they stood at one instant. It never changes. Delays nobody. Not a use.

        Large snapshots are taken without the interpreter's lock.
        """
    def iter(self, tier: Tier) -> Iterator[Item[_V]]:
        """The fragments of a tier, from the most to the least recently used, each as it stood when it was read. Not a use.

        Beside other threads, what this yields need not have stood together: see :meth:`snapshot`.
        """
    def keys(self) -> KeysView[str]:
        """A view of the keys. Each iteration is over a snapshot."""
    def values(self) -> ValuesView[_V]:
        """A view of the values. Each iteration is over a snapshot. Not a use."""
    def items(self) -> ItemsView[str, _V]:
        """A view of the keys and values. Each iteration is over a snapshot. Not a use."""
    def __iter__(self) -> Iterator[str]:
        """The keys at one instant: hot's, then warm's, then cold's, each from the most to the least recently used."""
    def __len__(self) -> int:
        """How many fragments there are. Exact at rest. Off by at most what other calls in flight move."""
    def len(self, tier: Tier) -> int:
        """How many fragments stand in ``tier``. Exact at rest."""
    def bytes(self, tier: Tier) -> int:
        """The sum of the weights in ``tier``. Exact at rest. For hot, see :attr:`hot_bytes`."""
    @property
    def hot_bytes(self) -> int:
        """The bytes of hot that are taken: the sum of the weights, and what calls in flight have reserved. At most the hot budget at every instant."""
    @property
    def hot_budget(self) -> int:
        """The hot budget: see :meth:`set_hot_budget`."""
    def set_hot_budget(self, budget: int) -> Enforced:
        """Sets the hot budget, and demotes least recently used fragments until it holds. Kept fragments stay.

        Raises :exc:`BudgetError` above :data:`MAX_BYTES`; nothing changes then. Atomic for the budget. Each demotion is a step of its own.
        """
    def enforce_hot_budget(self) -> Enforced:
        """Demotes least recently used fragments until the hot budget holds. Every call does so on its own."""
    def metrics(self) -> Metrics:
        """The counters: a dataclass. Exact at rest."""
    def flush(self) -> None:
        """Lets go of values that have left the store, as far as that can be done now.

        The store holds up to some hundred of them for each thread until no call can be reading them, and later calls let go of them. This does
        it at once, for what this thread has taken out.
        """

    # Copies.

    def copy(self) -> Self:
        """A store with the same settings and the same fragments: tiers, recency and kept ones. The values are the same objects."""
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __setstate__(self, state: Iterable[tuple[str, _V, int, int, bool]], /) -> None: ...

@final
class Snapshot(Mapping[str, _V_co], Generic[_V_co]):
    """The fragments of a store, or of one of its tiers, as they stood at one instant. It never changes.

    It is a mapping from keys to values. It cannot be pickled: pickle the store, or ``dict(snapshot)``.
    """

    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def __getitem__(self, key: str, /) -> _V_co: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]:
        """The keys: hot's, then warm's, then cold's, each from the most to the least recently used."""
    def __len__(self) -> int: ...
    @overload
    def get(self, key: str, /, default: None = None) -> _V_co | None: ...
    @overload
    def get(self, key: str, /, default: _D) -> _V_co | _D:
        """The key's value, or ``default``."""
    def fragment(self, key: str) -> Fragment[_V_co] | None:
        """The key's fragment: its value, tier, weight and version."""
    def tier(self, tier: Tier) -> list[Item[_V_co]]:
        """The fragments of a tier, from the most to the least recently used."""
    def all(self) -> list[Item[_V_co]]:
        """All fragments: hot's, then warm's, then cold's, each from the most to the least recently used."""
    def len(self, tier: Tier) -> int:
        """How many fragments stood in ``tier``."""
    def bytes(self, tier: Tier) -> int:
        """The sum of the weights in ``tier``."""
    def keys(self) -> KeysView[str]: ...
    def values(self) -> ValuesView[_V_co]: ...
    def items(self) -> ItemsView[str, _V_co]: ...
    def __eq__(self, other: object, /) -> bool:
        """Whether it is the same snapshot."""
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

# Plans.

@final
class Change:
    """One change of one file. It never changes itself, and can be compared, copied and pickled.

    ``path`` is the path after the change; for a deletion, the path before. ``from_path`` is where a renamed file stood. ``before`` and ``after`` are
    digests of the content, as ``bytes`` or as hexadecimal digits; attributes are ``bytes``. ``content`` is what stands there after. ``recorder`` says whose
    change it is. ``metadata`` is anything else, as text.

    >>> change = Change.create("notes.md", content="hello", recorder="lexical")
    >>> Change.from_dict(change.to_dict()) == change
    True
    """

    __match_args__: Final = ("path", "operation")
    def __new__(
        cls,
        path: str,
        operation: Operation | Literal["create", "modify", "delete", "rename"],
        *,
        from_path: str | None = None,
        before: builtins.bytes | str | None = None,
        after: builtins.bytes | str | None = None,
        content: str | builtins.bytes | None = None,
        recorder: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Self:
        """Raises :exc:`ValueError` if ``from_path`` is there for another operation than a rename, or is missing for one."""
    @staticmethod
    def create(
        path: str,
        *,
        after: builtins.bytes | str | None = None,
        content: str | builtins.bytes | None = None,
        recorder: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Change:
        """The creation of a file."""
    @staticmethod
    def modify(
        path: str,
        *,
        before: builtins.bytes | str | None = None,
        after: builtins.bytes | str | None = None,
        content: str | builtins.bytes | None = None,
        recorder: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Change:
        """A modification of a file's content."""
    @staticmethod
    def delete(
        path: str,
        *,
        before: builtins.bytes | str | None = None,
        recorder: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Change:
        """The deletion of a file."""
    @staticmethod
    def rename(
        from_path: str,
        path: str,
        *,
        before: builtins.bytes | str | None = None,
        after: builtins.bytes | str | None = None,
        content: str | builtins.bytes | None = None,
        recorder: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Change:
        """A file that moves to another path. If ``before`` and ``after`` differ, its content changes as well."""
    @property
    def path(self) -> str: ...
    @property
    def operation(self) -> Operation: ...
    @property
    def from_path(self) -> str | None: ...
    @property
    def before(self) -> builtins.bytes | None: ...
    @property
    def after(self) -> builtins.bytes | None: ...
    @property
    def content(self) -> str | builtins.bytes | None: ...
    @property
    def recorder(self) -> str | None: ...
    @property
    def metadata(self) -> dict[str, str]:
        """A copy."""
    def to_dict(self) -> dict[str, Any]:
        """The change in the JSON of the Rust crate, as dictionaries, lists and texts. What is absent is left out."""
    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Change:
        """Reads what :meth:`to_dict` has written. Raises :exc:`ValueError` for anything else."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Change: ...
    def __deepcopy__(self, memo: dict[int, Any], /) -> Change: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Recorded:
    """Where a call recorded a change."""

    __match_args__: Final = ("changeset", "sequence")
    @property
    def changeset(self) -> str:
        """The changeset that it is in."""
    @property
    def sequence(self) -> int:
        """Its place in the plan's order."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class RecordedAll:
    """Where a call recorded several changes at once."""

    __match_args__: Final = ("changeset", "last", "count")
    @property
    def changeset(self) -> str:
        """The changeset that they are in."""
    @property
    def last(self) -> int:
        """The sequence number of the last. If there was none to record, that of the last event before."""
    @property
    def count(self) -> int:
        """How many they are."""
    @property
    def sequences(self) -> range:
        """Their sequence numbers, in their order."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Savepoint:
    """A place in a plan's history to go back to. It is of its plan alone, and cannot be pickled."""

    @property
    def sequence(self) -> int:
        """The sequence number of the last event before it."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Changeset:
    """A handle to a changeset of a plan, to record into from any thread. It cannot be pickled.

    As a context manager it closes the changeset at the end of the block, and aborts it if the block raises. If that has been done already, or the changeset was
    rolled back, it does nothing.
    """

    @property
    def id(self) -> str:
        """Its id, such as ``"changeset-1"``."""
    @property
    def plan(self) -> PlanContext:
        """Its plan."""
    def record(self, change: Change) -> Recorded:
        """Records a change. Raises :exc:`NotOpenError`, which holds the change, if the changeset is closed, aborted or rolled back. Atomic."""
    def record_all(self, changes: Iterable[Change]) -> RecordedAll:
        """Records changes, one right after the other, all or none. Raises as :meth:`record`; the exception holds all. Atomic."""
    def close(self) -> int:
        """Closes the changeset: see :meth:`PlanContext.close`."""
    def abort(self) -> int:
        """Aborts the changeset: see :meth:`PlanContext.abort`."""
    def status(self) -> Status:
        """What has become of it."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...
    def __eq__(self, other: object, /) -> bool:
        """Whether it is of the same changeset of the same plan."""
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class ChangesetScope:
    """What :meth:`PlanContext.changeset` returns: a context manager that can be entered once."""

    def __enter__(self) -> Changeset: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@final
class PlanContext:
    """A plan's changes, recorded into changesets by many threads at once.

    The open changesets form a stack. The one that was started last is on top: it takes what is recorded without naming a changeset. Strategies that run in parallel
    each record through a :class:`Changeset` of their own. Each method takes effect at one instant. No call takes a lock.

    >>> plan = PlanContext()
    >>> with plan.changeset() as changeset:
    ...     recorded = changeset.record(Change.create("notes.md"))
    >>> [change.path for change in plan.snapshot().diff()]
    ['notes.md']
    """

    def __new__(cls) -> Self: ...
    @staticmethod
    def restore(snapshot: PlanSnapshot) -> PlanContext:
        """A new plan that goes on from a snapshot: the same open changesets, and ids and sequence numbers from where they were."""
    def start_changeset(self) -> Changeset:
        """Starts a changeset. It is on top until another is started, or it is closed, aborted or rolled back. Atomic."""
    def changeset(self) -> ChangesetScope:
        """A context manager that starts a changeset. It closes it at the end of the block, and aborts it if the block raises.

        If the block has closed or aborted it, or it was rolled back, the end of the block does nothing.
        """
    def handle(self, changeset: str) -> Changeset | None:
        """A handle to a changeset that was started, whatever has become of it. ``None`` if there is none with that id."""
    def record_change(self, change: Change) -> Recorded:
        """Records a change into the changeset on top. To find that changeset and to record are one step. Atomic.

        Raises :exc:`PlanError`, which holds the change, if no changeset is open.
        """
    def record_in(self, changeset: str | Changeset, change: Change) -> Recorded:
        """Records a change into a changeset. Raises :exc:`NotOpenError`, which holds the change, if that is not open. Atomic."""
    def record_all(self, changes: Iterable[Change]) -> RecordedAll:
        """Records changes into the changeset on top, one right after the other, all or none. Atomic. Raises as :meth:`record_change`; the exception holds all."""
    def record_all_in(self, changeset: str | Changeset, changes: Iterable[Change]) -> RecordedAll:
        """Records changes into a changeset, one right after the other, all or none. Atomic. Raises as :meth:`record_in`; the exception holds all."""
    def close(self, changeset: str | Changeset) -> int:
        """Closes a changeset, wherever it is in the stack. It takes no more changes, and those that it has stay. Returns the event's sequence number.

        Raises :exc:`NotOpenError` if it is not open. Atomic.
        """
    def abort(self, changeset: str | Changeset) -> int:
        """Aborts a changeset, wherever it is in the stack. It takes no more changes, and those that it has leave the diff. The audit trail keeps them.

        Returns the event's sequence number. Raises :exc:`NotOpenError` if it is not open. Atomic.
        """
    def savepoint(self) -> Savepoint:
        """A place to roll back to: the plan as it is now."""
    def roll_back_to(self, savepoint: Savepoint) -> int:
        """Undoes all that has happened since a savepoint, whichever thread did it. Returns the event's sequence number.

        Changesets that were closed or aborted since are open again. Those that were started since are rolled back for good. The audit trail keeps all. Raises
        :exc:`SavepointError` if the savepoint is of another plan, or of a part of this one that was rolled back. Atomic.
        """
    def current(self) -> str | None:
        """The id of the changeset on top. It may be another by the time that this has returned."""
    def active_ids(self) -> list[str]:
        """The ids of the open changesets, from the bottom of the stack to the top, at one instant. O(n) for n changesets."""
    def status(self, changeset: str) -> Status | None:
        """What has become of a changeset. ``None`` if none with that id was started."""
    def sequence(self) -> int:
        """The sequence number of the last event. 0 before all events."""
    def snapshot(self) -> PlanSnapshot:
        """The whole plan as it is now. O(1)."""
    def __copy__(self) -> PlanContext:
        """Another plan that goes on from here."""
    def __deepcopy__(self, memo: dict[int, Any], /) -> PlanContext: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __eq__(self, other: object, /) -> bool:
        """Whether it is the same plan."""
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class PlanSnapshot:
    """A plan as it was at one instant. It never changes. It cannot be pickled: see :meth:`to_json`, or pickle the plan."""

    @property
    def sequence(self) -> int:
        """The sequence number of the last event before it."""
    @property
    def current(self) -> str | None:
        """The id of the changeset that was on top."""
    @property
    def started(self) -> int:
        """How many changesets had been started, whatever has become of them."""
    def changeset_ids(self) -> list[str]:
        """The ids of all changesets that had been started, in order."""
    def active_ids(self) -> list[str]:
        """The ids of those that were open, from the bottom of the stack to the top."""
    def status(self, changeset: str) -> Status | None:
        """What had become of a changeset. ``None`` if none with that id had been started."""
    def changes(self, changeset: str | None = None) -> list[Record]:
        """The changes in force, in the plan's order. Or those of one changeset, also if it was aborted. Raises :exc:`KeyError` for an unknown one."""
    def audit(self) -> list[Event]:
        """Everything that had happened, in order. What was aborted or rolled back is there, too."""
    def diff(self, changeset: str | None = None) -> Diff:
        """What the changes in force come to, or those of one changeset. O(n log n). Raises :exc:`KeyError` for an unknown changeset."""
    def conflicts(self) -> list[Conflict]:
        """Where changesets that were open at the same time touched the same path, or one a path and another a path beneath it. O(n log n)."""
    def stale_bases(self) -> list[StaleBase]:
        """The changes that were made of something else than what stood there, as the changes before them say. O(n log n)."""
    def to_json(self) -> str:
        """The whole snapshot in the JSON of the Rust crate."""
    @staticmethod
    def from_json(text: str) -> PlanSnapshot:
        """Reads what :meth:`to_json` has written. Raises :exc:`ValueError` for what does not hold together."""

@final
class Record:
    """A change in a snapshot, and where it stands."""

    __match_args__: Final = ("sequence", "changeset", "change")
    @property
    def sequence(self) -> int: ...
    @property
    def changeset(self) -> str: ...
    @property
    def change(self) -> Change: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Event:
    """Something that happened in a plan. What does not apply to its kind is ``None``."""

    __match_args__: Final = ("sequence", "kind", "changeset", "change", "to")
    @property
    def sequence(self) -> int:
        """Its place in the plan's order."""
    @property
    def kind(self) -> EventKind:
        """What happened."""
    @property
    def changeset(self) -> str | None:
        """The changeset that was started, recorded into, closed or aborted."""
    @property
    def change(self) -> Change | None:
        """What was recorded."""
    @property
    def to(self) -> int | None:
        """For a roll-back: everything after this sequence number was undone."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Diff:
    """What many changes come to, and what of them does not fit together.

    To apply it, first take away all sources, then put all targets. Look at ``conflicts`` and ``stale_bases`` before that.
    """

    @property
    def changes(self) -> tuple[NetChange, ...]:
        """The net changes, sorted by path."""
    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The paths that parallel changesets touched, sorted by path."""
    @property
    def stale_bases(self) -> tuple[StaleBase, ...]:
        """The changes that were made of something else than what stood there, in their order."""
    def get(self, path: str) -> NetChange | None:
        """The net change that puts a file at ``path``, or that deletes the one there."""
    def to_json(self) -> str:
        """The diff in the JSON of the Rust crate."""
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[NetChange]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class NetChange:
    """What has become of one file: an entry of a :class:`Diff`."""

    __match_args__: Final = ("path", "operation")
    @property
    def path(self) -> str:
        """The path of the file after; the path before, if it was deleted."""
    @property
    def operation(self) -> Operation:
        """What is to be done."""
    @property
    def from_path(self) -> str | None:
        """For a rename, the path at which the file stood before all changes."""
    @property
    def before(self) -> builtins.bytes | None:
        """The digest of its content before all changes, if one is known."""
    @property
    def after(self) -> builtins.bytes | None:
        """The digest of its content after all changes, if one is known."""
    @property
    def content(self) -> str | builtins.bytes | None:
        """What the last change of its content left there. ``None`` if it was recorded without, or if the content is the same."""
    @property
    def last(self) -> Record:
        """The last record that had a part in it."""
    @property
    def modifies(self) -> bool:
        """Whether the content at the path is another than the one that was taken from the source."""
    @property
    def source(self) -> str | None:
        """The path of the file that it takes away. ``None`` for a creation."""
    @property
    def target(self) -> str | None:
        """The path at which it puts a file. ``None`` for a deletion."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Conflict:
    """A path that parallel changesets touched."""

    __match_args__: Final = ("path", "sides")
    @property
    def path(self) -> str: ...
    @property
    def sides(self) -> tuple[Side, ...]:
        """The changesets that touched it, in the order in which they started."""
    def involves(self, changeset: str) -> bool:
        """Whether a changeset is one of the sides."""
    def pairs(self) -> list[tuple[Side, Side]]:
        """The sides that were parallel to each other, of which at least one touched the path itself. O(n log n) in the plan, and the number of pairs."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Side:
    """A changeset in a :class:`Conflict`."""

    __match_args__: Final = ("changeset", "first", "last", "is_beneath")
    @property
    def changeset(self) -> str: ...
    @property
    def first(self) -> Record:
        """Its first record that touched the path, or a path beneath it."""
    @property
    def last(self) -> Record:
        """Its last."""
    @property
    def is_beneath(self) -> bool:
        """Whether it touched only paths beneath the path."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class StaleBase:
    """A change that was made of something else than what stood there."""

    __match_args__: Final = ("change", "path", "kind", "other")
    @property
    def change(self) -> Record:
        """The change."""
    @property
    def path(self) -> str:
        """Which of its paths it is about."""
    @property
    def kind(self) -> Staleness:
        """How it does not fit."""
    @property
    def other(self) -> str:
        """The path that it contradicts: the same, or a folder of it, or one beneath it."""
    @property
    def against(self) -> Record | None:
        """The change in force that it contradicts."""
    @property
    def undone(self) -> Record | None:
        """The change of an aborted changeset that it was built on."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
