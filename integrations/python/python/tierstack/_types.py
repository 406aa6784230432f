"""Plain Python types of the package: enumerations, capacities and counters."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Tier(enum.IntEnum):
    """Where a fragment stands. Tiers are ordered from the top down: ``Tier.HOT < Tier.WARM < Tier.COLD``."""

    HOT = 0
    """What goes into the next prompt. It is bounded by the hot budget."""
    WARM = 1
    """What overflows from hot."""
    COLD = 2
    """What overflows from warm. What overflows from cold leaves the store."""

    @property
    def above(self) -> Tier | None:
        """The tier one step up. ``None`` for hot."""
        return Tier(self - 1) if self > 0 else None

    @property
    def below(self) -> Tier | None:
        """The tier one step down. ``None`` for cold, below which a fragment leaves the store."""
        return Tier(self + 1) if self < 2 else None

    def __str__(self) -> str:
        return self.name.lower()


class Cause(enum.StrEnum):
    """Why a fragment has left the store: see :class:`Departure`."""

    OVERFLOWED = "overflowed"
    """A capacity has pushed it out of cold."""
    REMOVED = "removed"
    """A call has taken it out: ``remove``, ``pop``, ``del``, ``clear``, or ``evict_lru`` of cold."""
    REPLACED = "replaced"
    """Another fragment of its key has taken its place."""


class Operation(enum.StrEnum):
    """What a :class:`Change` does to a file."""

    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"
    RENAME = "rename"


class Status(enum.StrEnum):
    """What has become of a changeset."""

    OPEN = "open"
    """It takes changes."""
    CLOSED = "closed"
    """It takes no more changes, and those that it has are in force."""
    ABORTED = "aborted"
    """It takes no more changes, and those that it has are not in force."""
    ROLLED_BACK = "rolled_back"
    """A roll-back went back to before it was started."""


class EventKind(enum.StrEnum):
    """What happened in a plan: see :class:`Event`."""

    STARTED = "started"
    RECORDED = "recorded"
    CLOSED = "closed"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"


class Staleness(enum.StrEnum):
    """How a change contradicts what stood there: see :class:`StaleBase`."""

    MISSING = "missing"
    """No file stood there."""
    OCCUPIED = "occupied"
    """A file stood there already."""
    OTHER_CONTENT = "other_content"
    """The file had another content."""
    FOLDER = "folder"
    """A file stood in the place of a folder of the path, or a folder in the place of the path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What warm or cold may hold at most. ``None`` is no bound. An ``int`` in the place of a capacity is ``Capacity(bytes=...)``."""

    bytes: int | None = None
    """The sum of the weights."""
    entries: int | None = None
    """The number of fragments."""


@dataclass(frozen=True, slots=True)
class TierMetrics:
    """What a tier holds: part of :class:`Metrics`."""

    fragments: int
    """How many fragments."""
    bytes: int
    """The sum of their weights. For hot, what is taken: see :attr:`TierStore.hot_bytes`."""
    kept_fragments: int
    """How many of the fragments are kept."""
    kept_bytes: int
    """The sum of their weights."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """The counters of a store, by :meth:`TierStore.metrics`.

    They are exact at rest. While other threads' calls run, they are off by at most what those calls move. Counters only grow, but for
    ``retired_bytes`` and the tiers' own.
    """

    hits: int
    """Uses that found their key: ``get``, ``[]`` and ``get_fragment``."""
    misses: int
    """Uses that did not."""
    stores: int
    """Fragments that were stored."""
    replacements: int
    """Of those, how many replaced another."""
    promotions: int
    """Calls of ``promote`` and ``promote_to`` that changed the tier."""
    demotions: int
    """Calls of ``demote`` and ``demote_to`` that changed the tier."""
    evictions: int
    """Least recently used fragments moved down or out, whatever for. None of them is counted in ``demotions``."""
    removals: int
    """Fragments that were removed."""
    overflowed: int
    """Fragments that a capacity pushed out of cold."""
    contended: int
    """Calls that found the room that they needed held by calls in flight."""
    retired_bytes: int
    """Weights of fragments that have left the store, and whose values it has not let go of yet."""
    peak_hot_bytes: int
    """The most bytes of hot that were taken."""
    hot: TierMetrics
    warm: TierMetrics
    cold: TierMetrics

    def tier(self, tier: Tier) -> TierMetrics:
        """What ``tier`` holds."""
        return (self.hot, self.warm, self.cold)[Tier(tier)]


for _type in (Tier, Cause, Operation, Status, EventKind, Staleness, Capacity, TierMetrics, Metrics):
    _type.__module__ = "tierstack"
