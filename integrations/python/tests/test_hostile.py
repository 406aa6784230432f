"""Whatever is handed over, whichever method it is handed to: an exception of Python's or of the package's, and never a panic of Rust's."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tierstack
from tierstack import MAX_BYTES, Capacity, Cause, Change, PlanContext, Tier, TierStore

pytestmark = pytest.mark.thread_unsafe(reason="hypothesis is not")


class Liar:
    """Says of itself what is not so."""

    def __index__(self) -> int:
        return "one"  # type: ignore[return-value]

    def __len__(self) -> int:
        return -1

    def __iter__(self) -> Any:
        return 5

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self


class Raises:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]


ATOMS = st.one_of(
    st.sampled_from(["", "a", "b", "key", "changeset-1", "changeset-0", "\ud800", "\x00", "hot", "create", "é" * 100]),
    st.sampled_from([0, 1, -1, 3, 2**63, 2**64, 2**70, -(2**70), MAX_BYTES, MAX_BYTES + 1, True, False, 1.5, float("nan"), 1j]),
    st.sampled_from([None, b"", b"\xff", bytearray(3), memoryview(b"abc"), NotImplemented, ..., object, len, print]),
    st.sampled_from([*Tier, *Cause, Capacity(), Capacity(entries=-1), Capacity(bytes="x")]),  # type: ignore[arg-type]
    st.builds(object),
    st.builds(Liar),
    st.builds(Raises),
    st.builds(lambda: Change.create("a")),
    st.builds(lambda: PlanContext().savepoint()),
    st.builds(lambda: PlanContext().start_changeset()),
    st.builds(lambda: TierStore(1).store("a", "b", weight=1).version),
    st.just(lambda *args: None),
    st.just(lambda *args: 1),
    st.just(lambda *args: 1 / 0),
)
VALUES = st.recursive(
    ATOMS,
    lambda parts: st.one_of(
        st.lists(parts, max_size=3),
        st.lists(parts, max_size=5).map(tuple),
        st.dictionaries(st.sampled_from(["a", "path", "operation", 5, None]), parts, max_size=3),
        st.lists(parts, max_size=3).map(iter),
    ),
    max_leaves=6,
)


def subjects() -> list[Any]:
    """One of each class, and the classes."""
    store: TierStore[Any] = TierStore(10, weigher=lambda key, value: 1)
    store.update({"a": 1, "b": [2]})
    stored = store.store("a", 3)
    plan = PlanContext()
    changeset, other = plan.start_changeset(), plan.start_changeset()
    recorded = changeset.record(Change.create("a"))
    other.record(Change.rename("a", "b"))
    shown = plan.snapshot()
    diff = shown.diff()
    conflict = diff.conflicts[0]
    made = [
        store, store.snapshot(), stored, stored.version, store.get_fragment("a"), store.snapshot().all()[0],
        store.demote("a"), store.keep("a"), store.set_hot_budget(5), store.evict_lru(Tier.HOT),
        plan, changeset, plan.changeset(), recorded, plan.record_all([]), plan.savepoint(), shown, shown.audit()[1], shown.changes()[0],
        Change.create("a"), diff, diff.changes[0], conflict, conflict.sides[0], *diff.stale_bases,
    ]  # fmt: skip
    return made + list({type(one) for one in made})


METHODS = [
    (number, name)
    for number, subject in enumerate(subjects())
    for name in dir(subject)
    if callable(getattr(subject, name))
    # Python's own, that do nothing of ours, and what runs for as long as it is told to.
    and name not in ("__class__", "__subclasshook__", "__init_subclass__", "__getattribute__", "__dir__", "__sizeof__", "mro", "__subclasses__")
]


@settings(max_examples=400, deadline=None)
@given(
    method=st.sampled_from(METHODS),
    args=st.lists(VALUES, max_size=4),
    keywords=st.dictionaries(
        st.sampled_from(["weight", "default", "weigher", "hot_budget", "before", "content", "metadata", "tier", "key", "from_path", "warm_capacity", "departure_causes"]),
        VALUES,
        max_size=2,
    ),
)
def test_no_call_panics(method: tuple[int, str], args: list[Any], keywords: dict[str, Any]) -> None:
    number, name = method
    subject = subjects()[number]
    for given_keywords in (keywords, {}):
        try:
            getattr(subject, name)(*args, **given_keywords)
        except Exception:
            pass  # a panic is no `Exception`
    if isinstance(subject, TierStore):
        subject["usable"] = 1
        assert subject["usable"] == 1 and subject.hot_bytes <= max(subject.hot_budget, subject.metrics().hot.kept_bytes)


def test_a_panic_is_no_exception() -> None:
    """So the test above would see one."""
    assert not any(
        issubclass(kind, Exception) for kind in BaseException.__subclasses__() if kind.__name__ == "PanicException"
    )


@pytest.mark.parametrize("name", [name for name in tierstack.__all__ if inspect.isclass(getattr(tierstack, name))])
@settings(max_examples=30, deadline=None)
@given(args=st.lists(VALUES, max_size=3), keywords=st.dictionaries(st.sampled_from(["operation", "path", "hot_budget"]), VALUES, max_size=2))
def test_no_constructor_panics(name: str, args: list[Any], keywords: dict[str, Any]) -> None:
    try:
        getattr(tierstack, name)(*args, **keywords)
    except Exception:
        pass
