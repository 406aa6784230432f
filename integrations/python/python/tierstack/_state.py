"""How a pickled store comes back: empty at first, as its fragments may refer to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._tierstack import PlanContext, PlanSnapshot, TierStore
from ._types import Capacity, Cause


def restore(
    hot_budget: int,
    weigher: Callable[[str, Any], int] | None,
    warm: tuple[int | None, int | None],
    cold: tuple[int | None, int | None],
    on_departure: Callable[[Any], object] | None,
    causes: list[str] | None,
    recency_slack: int,
) -> TierStore[Any]:
    """A store with these settings. Its state is set afterwards."""
    return TierStore(
        hot_budget,
        weigher=weigher,
        warm_capacity=Capacity(bytes=warm[0], entries=warm[1]),
        cold_capacity=Capacity(bytes=cold[0], entries=cold[1]),
        on_departure=on_departure,
        departure_causes=None if causes is None else [Cause(cause) for cause in causes],
        recency_slack=recency_slack,
    )


def restore_plan(text: str) -> PlanContext:
    """A plan that goes on from a snapshot in JSON."""
    return PlanContext.restore(PlanSnapshot.from_json(text))
