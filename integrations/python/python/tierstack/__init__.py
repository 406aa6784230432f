"""A lock-free three-tier fragment store with a strict hot-tier budget, and changesets to record into in parallel.

:class:`TierStore` keeps the context of a running plan in three tiers. Hot goes into the next prompt and has a strict budget. Warm and
cold take what does not fit. Many threads use one store at once, and no call takes a lock.

:class:`PlanContext` records what strategies changed, in changesets, and tells what the changes come to and where they conflict.

>>> from tierstack import Tier, TierStore
>>> store = TierStore(hot_budget=20)
>>> store["goal"] = "find the bug"
>>> store["note"] = "it is in main"  # does not fit beside it: "goal" moves to warm
>>> store.tier_of("goal"), store["goal"]
(<Tier.WARM: 1>, 'find the bug')
"""

from collections.abc import Mapping, MutableMapping

from ._errors import (
    BudgetError,
    ContendedError,
    NotOpenError,
    OverBudgetError,
    PlanError,
    SavepointError,
    StoreError,
    TierstackError,
)
from ._tierstack import (
    MAX_BYTES,
    Change,
    Changeset,
    Conflict,
    Departure,
    Diff,
    Enforced,
    Event,
    Evicted,
    Fragment,
    Item,
    Kept,
    Moved,
    NetChange,
    PlanContext,
    PlanSnapshot,
    Record,
    Recorded,
    RecordedAll,
    Savepoint,
    Side,
    Snapshot,
    StaleBase,
    Stored,
    TierStore,
    Version,
    __version__,
)
from ._types import Capacity, Cause, EventKind, Metrics, Operation, Staleness, Status, Tier, TierMetrics

MutableMapping.register(TierStore)
Mapping.register(Snapshot)
del Mapping, MutableMapping

__all__ = [
    "MAX_BYTES",
    "BudgetError",
    "Capacity",
    "Cause",
    "Change",
    "Changeset",
    "Conflict",
    "ContendedError",
    "Departure",
    "Diff",
    "Enforced",
    "Event",
    "EventKind",
    "Evicted",
    "Fragment",
    "Item",
    "Kept",
    "Metrics",
    "Moved",
    "NetChange",
    "NotOpenError",
    "Operation",
    "OverBudgetError",
    "PlanContext",
    "PlanError",
    "PlanSnapshot",
    "Record",
    "Recorded",
    "RecordedAll",
    "Savepoint",
    "SavepointError",
    "Side",
    "Snapshot",
    "StaleBase",
    "Staleness",
    "Status",
    "StoreError",
    "Stored",
    "Tier",
    "TierMetrics",
    "TierStore",
    "TierstackError",
    "Version",
    "__version__",
]
