"""The plan execution context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from tierstack import Change, Changeset, PlanContext, PlanError

NO_CHANGESET: Final = "No active changeset. Call start_changeset() first."


def as_change(entry: Any) -> Change:
    """A :class:`Change` as it is, or one of a mapping: see :meth:`Change.from_dict`. :exc:`TypeError` for anything else."""
    if isinstance(entry, Change):
        return entry
    if isinstance(entry, Mapping):
        return Change.from_dict(entry)
    kind = type(entry).__name__
    raise TypeError(f"an entry of type {kind} is no Change, nor a mapping: give the context a to_change=")


class PlanExecutionContext:
    """The changesets of a plan, for many threads at once.

    ``to_change`` makes a :class:`Change` of what a framework records; without one, an entry is a ``Change``, or a mapping of its fields. It runs before
    anything is recorded.

    >>> context = PlanExecutionContext()
    >>> context.record_change(Change.create("notes.md"))
    Traceback (most recent call last):
    tierstack.PlanError: No active changeset. Call start_changeset() first.
    >>> context.start_changeset()
    'changeset-1'
    >>> context.record_change(Change.create("notes.md"))
    'changeset-1'

    Threads that start changesets at once record by :meth:`record_in`: what is on top may be another thread's.

    >>> mine, other = context.start_changeset(), context.start_changeset()
    >>> context.record_in(mine, {"path": "plan.md", "operation": "create"})
    'changeset-2'
    >>> context.changeset_ids, [change.path for change in context.changes(mine)]
    (['changeset-1', 'changeset-2', 'changeset-3'], ['plan.md'])
    """

    __slots__ = ("_plan", "_to_change")

    def __init__(self, plan: PlanContext | None = None, *, to_change: Callable[[Any], Change] = as_change) -> None:
        self._plan = PlanContext() if plan is None else plan
        self._to_change = to_change

    @property
    def plan(self) -> PlanContext:
        """The plan: for savepoints, snapshots, diffs and conflicts."""
        return self._plan

    @property
    def changeset_ids(self) -> list[str]:
        """The ids of the open changesets at one instant, the one on top last. A list of the caller's own."""
        return self._plan.active_ids()

    @property
    def current_changeset(self) -> str | None:
        """The id of the changeset on top, or None. It may be another by the time that it is used."""
        return self._plan.current()

    def start_changeset(self) -> str:
        """Starts a changeset, which is on top then. Returns its id. Atomic."""
        return self._plan.start_changeset().id

    def changeset(self) -> AbstractContextManager[Changeset]:
        """Starts a changeset for a ``with`` block: it is closed at the end, and aborted if the block raises."""
        return self._plan.changeset()

    def record_change(self, entry: Any) -> str:
        """Records into the changeset that is on top. Returns its id. To find it and to record are one step.

        Raises :exc:`PlanError` if none is open. Its attribute ``change`` holds what was to be recorded.
        """
        change = self._to_change(entry)
        try:
            return self._plan.record_change(change).changeset
        except PlanError:
            raise PlanError(NO_CHANGESET, change=change) from None

    def record_in(self, changeset_id: str, entry: Any) -> str:
        """Records into a changeset, whatever is on top. Returns its id. Raises :exc:`NotOpenError`, which is a :exc:`PlanError`, if it is not open. Atomic."""
        return self._plan.record_in(changeset_id, self._to_change(entry)).changeset

    def close_changeset(self, changeset_id: str) -> None:
        """Closes a changeset, wherever it is in the stack. Raises :exc:`NotOpenError` if it is not open. Atomic."""
        self._plan.close(changeset_id)

    def abort_changeset(self, changeset_id: str) -> None:
        """Aborts a changeset: its changes are in force no more. Raises :exc:`NotOpenError` if it is not open. Atomic."""
        self._plan.abort(changeset_id)

    def changes(self, changeset_id: str) -> list[Change]:
        """What was recorded into a changeset, in order. Raises :exc:`KeyError` if none with that id was started."""
        return [record.change for record in self._plan.snapshot().changes(changeset_id)]
