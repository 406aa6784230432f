"""Two classes of a Python agent framework, with the names of their methods, over :class:`TierStore` and :class:`PlanContext`.

A framework changes an import:

>>> from tierstack.compat import ContextTierService, PlanError, PlanExecutionContext

:class:`ContextTierService` was three plain dicts, for one thread.

=======================  =======================================  =========================================================
call                     what was                                 what is
=======================  =======================================  =========================================================
``store(key, value)``    Puts a fragment into hot. Beside other   Puts it into hot, and returns the tier that it is in. Hot
                         threads, fragments are lost, and hot     never passes its budget, and no fragment is lost. What is
                         passes its budget.                       heavier than the budget goes to warm.
``get(key)``             The value, or None. A fragment that      The value, or None (or a default). A fragment that moves
                         moves meanwhile looks absent.            is never missed. Counts as a use.
``promote(key)``         One tier up.                             The same. True if it moved. False if it is absent, or is
                                                                  in hot already. An exception if it does not fit into hot.
``demote(key)``          One tier down.                           The same. True if it moved. False if it is absent, or is
                                                                  in cold already.
``evict_lru(tier)``      Moves the oldest fragment of a dict      Moves the least recently used one down, or out of cold,
                         down.                                    and returns it. None if there is none.
``remove(key)``          Deletes it from its dict.                The value, or None (or a default).
=======================  =======================================  =========================================================

:class:`PlanExecutionContext` was a list of changeset ids.

=======================  =======================================  =========================================================
call                     what was                                 what is
=======================  =======================================  =========================================================
``start_changeset()``    Makes a changeset, then appends its id.  One step. Returns the id, a ``str``.
``record_change(entry)`` Reads the last id, then records there.   One step: into the changeset that is on top at that
                         Another thread can start, or close, a    instant. Returns its id.
                         changeset in between.
``changeset_ids``        The list itself.                         A new list: the open changesets at one instant.
no changeset is open     :exc:`PlanError`                         The same, with the same text. It holds the change.
=======================  =======================================  =========================================================

*Threads.* There is no lock here. Each call is one call of the store or of the plan, and nothing else is shared that changes. The counters of
denied reads are values of a small store of their own, raised by its ``update``. That counts again where it has lost a race, so that no
count is lost, with the interpreter's lock or without it.
"""

from tierstack import PlanError

from ._names import ROOT
from ._plan import PlanExecutionContext, as_change
from ._policy import EVERY_KEY, Policy, RolePolicy
from ._service import ContextTierService
from ._views import ContextFragment, RoleView, ScopedView

__all__ = [
    "EVERY_KEY",
    "ROOT",
    "ContextFragment",
    "ContextTierService",
    "PlanError",
    "PlanExecutionContext",
    "Policy",
    "RolePolicy",
    "RoleView",
    "ScopedView",
    "as_change",
]
