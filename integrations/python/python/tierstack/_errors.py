"""The package's exceptions. Each holds what was handed back.

An attribute that does not apply to a reason is ``None``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._tierstack import Change
    from ._types import Status


class TierstackError(Exception):
    """All exceptions of this package that are not one of Python's own."""


class _FragmentError(TierstackError):
    """What was refused: a key, and its value if the call had one."""

    key: str | None
    value: Any

    def __init__(self, message: str, *, key: str | None = None, value: Any = None) -> None:
        super().__init__(message)
        self.key = key
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), str(self), self.__dict__.copy())


class StoreError(_FragmentError):
    """A fragment was not stored, for a reason that lies in the store: its clock has no ticks left. It does not come to pass in practice."""


class ContendedError(_FragmentError):
    """Calls in flight held the room in hot that the fragment needed. Nothing has changed. Trying again later can succeed."""

    weight: int

    def __init__(self, message: str, *, key: str | None = None, value: Any = None, weight: int = 0) -> None:
        super().__init__(message, key=key, value=value)
        self.weight = weight


class OverBudgetError(_FragmentError):
    """The fragment does not fit into hot, whatever is demoted. Nothing has changed.

    Either it weighs more than the hot budget, or kept fragments hold the room (``kept_out``).
    """

    weight: int
    budget: int | None
    kept_out: bool

    def __init__(
        self,
        message: str,
        *,
        key: str | None = None,
        value: Any = None,
        weight: int = 0,
        budget: int | None = None,
        kept_out: bool = False,
    ) -> None:
        super().__init__(message, key=key, value=value)
        self.weight = weight
        self.budget = budget
        self.kept_out = kept_out


class BudgetError(TierstackError, ValueError):
    """A hot budget is above :data:`MAX_BYTES`. The store keeps the one that it had."""

    budget: int

    def __init__(self, message: str, *, budget: int = 0) -> None:
        super().__init__(message)
        self.budget = budget

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), str(self), self.__dict__.copy())


class PlanError(TierstackError):
    """A plan refused a call, and is as it was. No changeset is open, or see the subclasses.

    ``change`` is what ``record_change`` or ``record_in`` refused. ``changes`` is what ``record_all`` refused.
    """

    change: Change | None
    changes: tuple[Change, ...] | None

    def __init__(
        self, message: str, *, change: Change | None = None, changes: tuple[Change, ...] | None = None
    ) -> None:
        super().__init__(message)
        self.change = change
        self.changes = changes

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), str(self), self.__dict__.copy())


class NotOpenError(PlanError):
    """The changeset takes no changes, and cannot be closed or aborted.

    ``status`` is what has become of it; ``None`` if the plan has started no such changeset.
    """

    changeset: str | None
    status: Status | None

    def __init__(
        self,
        message: str,
        *,
        change: Change | None = None,
        changes: tuple[Change, ...] | None = None,
        changeset: str | None = None,
        status: Status | None = None,
    ) -> None:
        super().__init__(message, change=change, changes=changes)
        self.changeset = changeset
        self.status = status


class SavepointError(PlanError):
    """The savepoint is of another plan (``other_plan``), or of a part of this one that was rolled back."""

    other_plan: bool

    def __init__(self, message: str, *, other_plan: bool = False) -> None:
        super().__init__(message)
        self.other_plan = other_plan


def _restore(kind: type[TierstackError], message: str, state: dict[str, Any]) -> TierstackError:
    error = kind(message)
    error.__dict__.update(state)
    return error


for _error in (
    TierstackError,
    StoreError,
    ContendedError,
    OverBudgetError,
    BudgetError,
    PlanError,
    NotOpenError,
    SavepointError,
):
    _error.__module__ = "tierstack"
