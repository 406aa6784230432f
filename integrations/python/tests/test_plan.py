"""Plans: changesets, changes, snapshots, and what their changes come to."""

from __future__ import annotations

import copy
import gc
import hashlib
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierstack
from tierstack import (
    Change,
    Changeset,
    Event,
    EventKind,
    NotOpenError,
    Operation,
    PlanContext,
    PlanError,
    PlanSnapshot,
    SavepointError,
    Staleness,
    Status,
    TierstackError,
)
from together import together


def paths(plan: PlanContext) -> list[str]:
    return [change.path for change in plan.snapshot().diff()]


# Changes.

TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
DIGESTS = st.one_of(st.none(), st.binary(max_size=4))
CHANGES = st.builds(
    lambda operation, path, source, **rest: Change(
        path, operation, from_path=source if operation == "rename" else None, **rest
    ),
    st.sampled_from([*Operation, "create", "rename"]),
    TEXTS,
    TEXTS,
    before=DIGESTS,
    after=DIGESTS,
    content=st.one_of(st.none(), TEXTS, st.binary(max_size=5)),
    recorder=st.one_of(st.none(), TEXTS),
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=3),
)


@pytest.mark.thread_unsafe(reason="hypothesis is not")
@given(CHANGES)
def test_a_change_comes_back_from_whatever_it_was_written_to(change: Change) -> None:
    for again in (
        Change.from_dict(change.to_dict()),
        Change.from_dict(json.loads(json.dumps(change.to_dict()))),
        pickle.loads(pickle.dumps(change)),
        copy.copy(change),
        copy.deepcopy(change),
        eval(repr(change), vars(tierstack)),
    ):
        assert again == change and hash(again) == hash(change)
        for name in ("path", "operation", "from_path", "before", "after", "content", "recorder", "metadata"):
            assert getattr(again, name) == getattr(change, name)
    plan = PlanContext()
    plan.start_changeset().record(change)
    text = plan.snapshot().to_json()
    assert json.loads(text)["events"][1]["kind"]["recorded"]["change"] == change.to_dict()
    assert PlanSnapshot.from_json(text).to_json() == text
    (record,) = plan.snapshot().changes()
    assert record.change == change


def test_fields_of_changes() -> None:
    digest = hashlib.sha256(b"x")
    change = Change.modify("a", before=digest.digest(), after=digest.hexdigest(), content=b"x", recorder="me", metadata={"k": "v"})
    assert change.before == change.after == digest.digest() and change.operation is Operation.MODIFY
    assert change.content == b"x" and change.recorder == "me" and change.from_path is None
    change.metadata["k"] = "other"
    assert change.metadata == {"k": "v"}
    with pytest.raises(AttributeError):
        change.path = "b"  # type: ignore[misc]
    assert Change.rename("a", "b").from_path == "a" and Change.rename("a", "b").path == "b"
    match Change.delete("gone"):
        case Change(path, Operation.DELETE):
            assert path == "gone"
        case _:
            raise AssertionError


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Change("a", "move"), ValueError, '"move" is not an Operation'),
        (lambda: Change("a", "rename"), ValueError, "a rename needs a from_path"),
        (lambda: Change("a", "create", from_path="b"), ValueError, "from_path is for a rename"),
        (lambda: Change(5, "create"), TypeError, "path must be a str, not int"),
        (lambda: Change("a", 5), TypeError, "operation must be a str, not int"),
        (lambda: Change.create("\ud800"), ValueError, "surrogates not allowed"),
        (lambda: Change.create("a", after="xy"), ValueError, "after: .* is not a digest"),
        (lambda: Change.create("a", after=5), TypeError, "after must be bytes, or a str of hexadecimal digits"),
        (lambda: Change.create("a", content=5), TypeError, "content must be a str or bytes, not int"),
        (lambda: Change.create("a", metadata=5), TypeError, "metadata must be a mapping, not int"),
        (lambda: Change.create("a", metadata={"a": 1}), TypeError, "a value of metadata must be a str, not int"),
        (lambda: Change.create("a", metadata={1: "a"}), TypeError, "a key of metadata must be a str, not int"),
        (lambda: Change.create("a", recorder=b"me"), TypeError, "recorder must be a str, not bytes"),
        (lambda: Change.from_dict(5), TypeError, "data must be a mapping, not int"),
        (lambda: Change.from_dict({}), ValueError, "this is no change: missing field"),
        (lambda: Change.from_dict({"path": "a", "operation": "x"}), ValueError, "this is no change"),
        (lambda: Change.from_dict({"path": "a", "operation": {"rename": {}}}), ValueError, "this is no change"),
        (lambda: Change.from_dict({"path": object(), "operation": "create"}), ValueError, "this is no change"),
        (lambda: Change.from_dict({"path": "\ud800", "operation": "create"}), ValueError, "this is no change"),
        (lambda: PlanSnapshot.from_json("{}"), ValueError, "this is no snapshot of a plan"),
        (lambda: PlanSnapshot.from_json('{"format": 2}'), ValueError, "this is no snapshot of a plan"),
        (lambda: PlanSnapshot.from_json("[" * 10_000), ValueError, "this is no snapshot of a plan"),
        (lambda: PlanSnapshot.from_json(b"{}"), TypeError, "text must be a str, not bytes"),
    ],
)
def test_changes_and_texts_that_are_refused(make: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


# Changesets.


def test_a_change_goes_into_the_changeset_on_top() -> None:
    plan = PlanContext()
    below, top = plan.start_changeset(), plan.start_changeset()
    assert (below.id, top.id) == ("changeset-1", "changeset-2") and plan.active_ids() == [below.id, top.id]
    recorded = plan.record_change(Change.create("a"))
    assert (recorded.changeset, recorded.sequence) == (top.id, 3) and plan.current() == top.id
    assert below.record(Change.create("b")).changeset == plan.record_in(below, Change.create("c")).changeset == below.id
    assert plan.record_in("changeset-1", Change.create("d")).sequence == 6 == plan.sequence()
    assert top.close() == 7 and plan.current() == below.id
    assert plan.record_change(Change.create("e")).changeset == below.id
    assert paths(plan) == ["a", "b", "c", "d", "e"]
    assert plan.abort("changeset-1") == 9 and paths(plan) == ["a"] and plan.current() is None
    assert (top.status(), below.status(), plan.status("changeset-3"), plan.status("x")) == (Status.CLOSED, Status.ABORTED, None, None)


def test_several_at_once() -> None:
    plan = PlanContext()
    changeset = plan.start_changeset()
    all_of_them = [Change.create(str(number)) for number in range(5)]
    recorded = plan.record_all(iter(all_of_them))
    assert (recorded.changeset, recorded.last, recorded.count, list(recorded.sequences)) == (changeset.id, 6, 5, [2, 3, 4, 5, 6])
    assert changeset.record_all([]).count == 0 and list(plan.record_all_in(changeset, ()).sequences) == []
    changeset.close()
    for call in (lambda: changeset.record_all(all_of_them), lambda: plan.record_all_in(changeset.id, all_of_them)):
        with pytest.raises(NotOpenError, match="changeset-1 is closed") as caught:
            call()
        assert caught.value.changes == tuple(all_of_them) and caught.value.changes[0] is all_of_them[0]
        assert caught.value.status is Status.CLOSED and caught.value.changeset == changeset.id
    with pytest.raises(PlanError) as other:
        plan.record_all(all_of_them)
    assert other.value.changes == tuple(all_of_them) and other.value.change is None
    with pytest.raises(TypeError, match="changes must hold Change; one must be a Change, not int"):
        plan.record_all([Change.create("a"), 5])  # type: ignore[list-item]


def test_refusals_hold_what_was_refused() -> None:
    plan = PlanContext()
    change = Change.create("a")
    with pytest.raises(PlanError, match="no changeset is open") as caught:
        plan.record_change(change)
    assert caught.value.change is change and not isinstance(caught.value, NotOpenError)
    assert issubclass(PlanError, TierstackError) and plan.sequence() == 0
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.change == change and str(again) == str(caught.value) and type(again) is PlanError
    for name in ("changeset-1", "changeset-0", "changeset-01", "nonsense", "", "changeset-99999999999999999999999"):
        with pytest.raises(NotOpenError, match="the plan has no") as unknown:
            plan.record_in(name, change)
        assert unknown.value.change is change and unknown.value.status is None and unknown.value.changeset == name
        for end in (plan.close, plan.abort):
            with pytest.raises(NotOpenError):
                end(name)
        assert plan.status(name) is None and plan.handle(name) is None
    with pytest.raises(TypeError, match="changeset must be a str or a Changeset, not int"):
        plan.record_in(1, change)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="change must be a Change, not str"):
        plan.record_change("a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="of another plan"):
        plan.close(PlanContext().start_changeset())
    with pytest.raises(ValueError, match="surrogates"):
        plan.close("\ud800")


def test_a_with_block_closes_or_aborts() -> None:
    plan = PlanContext()
    with plan.changeset() as one:
        one.record(Change.create("a"))
    with pytest.raises(ZeroDivisionError), plan.changeset() as two:
        two.record(Change.create("b"))
        1 / 0
    with plan.changeset() as three:
        three.abort()
    with pytest.raises(KeyboardInterrupt), plan.start_changeset() as four:
        raise KeyboardInterrupt
    savepoint = plan.savepoint()
    with plan.changeset() as five:
        plan.roll_back_to(savepoint)
    assert [c.status() for c in (one, two, three, four, five)] == [
        Status.CLOSED, Status.ABORTED, Status.ABORTED, Status.ABORTED, Status.ROLLED_BACK,
    ]
    assert paths(plan) == ["a"]


def test_a_scope_is_entered_once() -> None:
    plan = PlanContext()
    scope = plan.changeset()
    assert plan.current() is None, "it starts when it is entered"
    with pytest.raises(RuntimeError, match="was not entered"):
        scope.__exit__(None, None, None)
    with scope:
        with pytest.raises(RuntimeError, match="can be entered once"):
            scope.__enter__()
    assert plan.snapshot().started == 1


def test_savepoints() -> None:
    plan = PlanContext()
    first = plan.start_changeset()
    first.record(Change.create("kept"))
    savepoint = plan.savepoint()
    assert savepoint.sequence == 2 and savepoint == plan.savepoint() and hash(savepoint) == hash(plan.savepoint())
    first.record(Change.create("undone"))
    first.close()
    second = plan.start_changeset()
    later = plan.savepoint()
    assert plan.roll_back_to(savepoint) == 6
    assert (first.status(), second.status(), paths(plan)) == (Status.OPEN, Status.ROLLED_BACK, ["kept"])
    with pytest.raises(SavepointError, match="that was rolled back") as caught:
        plan.roll_back_to(later)
    assert not caught.value.other_plan
    with pytest.raises(SavepointError, match="of another plan") as caught:
        PlanContext().roll_back_to(savepoint)
    assert caught.value.other_plan and isinstance(caught.value, PlanError)
    with pytest.raises(NotOpenError, match="is rolled back"):
        second.record(Change.create("x"))
    with pytest.raises(TypeError):
        plan.roll_back_to(2)  # type: ignore[arg-type]
    last = plan.snapshot().audit()[-1]
    assert (last.kind, last.to, last.changeset, last.change) == (EventKind.ROLLED_BACK, 2, None, None)


def test_handles() -> None:
    plan = PlanContext()
    changeset = plan.start_changeset()
    again = plan.handle(changeset.id)
    assert again == changeset and again is not None and hash(again) == hash(changeset) and again.plan is plan
    assert plan.start_changeset() != changeset and PlanContext().start_changeset() != changeset
    assert repr(changeset) == "<tierstack.Changeset 'changeset-1', open>"
    for one in (changeset, plan.snapshot(), plan.savepoint(), plan.changeset(), plan.snapshot().diff(), plan.record_change(Change.create("a"))):
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot pickle"):
                way(one)


# Snapshots.


def test_a_snapshot_does_not_change() -> None:
    plan = PlanContext()
    changeset = plan.start_changeset()
    changeset.record(Change.create("a"))
    snapshot = plan.snapshot()
    changeset.record(Change.create("b"))
    changeset.abort()
    assert [record.change.path for record in snapshot.changes()] == ["a"] and plan.snapshot().changes() == []
    assert [record.change.path for record in plan.snapshot().changes(changeset.id)] == ["a", "b"], "also of an aborted one"
    assert (snapshot.sequence, snapshot.current, snapshot.started) == (2, changeset.id, 1)
    assert snapshot.status(changeset.id) is Status.OPEN and snapshot.changeset_ids() == snapshot.active_ids() == [changeset.id]
    assert snapshot.audit() == [
        *plan.snapshot().audit()[:2]
    ] and [event.kind for event in plan.snapshot().audit()] == [
        EventKind.STARTED, EventKind.RECORDED, EventKind.RECORDED, EventKind.ABORTED,
    ]
    for call in (snapshot.changes, snapshot.diff):
        for name in ("changeset-2", "nonsense"):
            with pytest.raises(KeyError, match=name):
                call(name)
        with pytest.raises(TypeError):
            call(5)  # type: ignore[arg-type]
    assert snapshot.diff(changeset.id).changes == snapshot.diff().changes
    assert "RECORDED" in repr(snapshot.audit()) and isinstance(snapshot.audit()[0], Event)


def test_a_plan_goes_on_from_a_snapshot_and_from_a_pickle() -> None:
    plan = PlanContext()
    one, two = plan.start_changeset(), plan.start_changeset()
    one.record(Change.create("a", content="x"))
    two.close()
    before = plan.snapshot().to_json()
    for again in (PlanContext.restore(plan.snapshot()), PlanContext.restore(PlanSnapshot.from_json(before)),
                  pickle.loads(pickle.dumps(plan)), copy.copy(plan), copy.deepcopy(plan)):
        assert again.snapshot().to_json() == before and again != plan
        assert again.start_changeset().id == "changeset-3" and again.active_ids() == ["changeset-1", "changeset-3"]
        again.record_in("changeset-1", Change.delete("a"))
    assert plan.snapshot().to_json() == before


def test_what_changes_come_to() -> None:
    plan = PlanContext()
    changeset = plan.start_changeset()
    changeset.record(Change.create("draft", content="one"))
    changeset.record(Change.modify("draft", content="two", after="00"))
    changeset.record(Change.rename("draft", "final"))
    changeset.record(Change.delete("old", before="01"))
    changeset.record(Change.rename("a", "old"))
    diff = plan.snapshot().diff()
    assert [(c.path, c.operation, c.source, c.target) for c in diff] == [
        ("final", Operation.CREATE, None, "final"),
        ("old", Operation.DELETE, "old", None),
        ("old", Operation.RENAME, "a", "old"),
    ]
    final = diff.get("final")
    assert final is not None and (final.content, final.after, final.before, final.modifies) == ("two", b"\0", None, True)
    assert final.last.sequence == 4 and final.last.change == Change.rename("draft", "final")
    assert diff.get("old") == diff.changes[2] and diff.get("old").from_path == "a" and diff.get("x") is None  # type: ignore[union-attr]
    assert len(diff) == 3 and diff == plan.snapshot().diff() and diff != PlanContext().snapshot().diff()
    assert json.loads(diff.to_json())["changes"][0]["path"] == "final"
    assert repr(final) == "NetChange('final', Operation.CREATE)"


def test_conflicts() -> None:
    plan = PlanContext()
    one, two, three = (plan.start_changeset() for _ in range(3))
    one.record(Change.modify("src"))
    two.record(Change.modify("src/main.rs"))
    three.record(Change.rename("src/main.rs", "src/lib.rs"))
    conflicts = plan.snapshot().conflicts()
    assert [conflict.path for conflict in conflicts] == ["src", "src/main.rs"]
    assert conflicts == list(plan.snapshot().diff().conflicts)
    folder, file = conflicts
    assert [(side.changeset, side.is_beneath) for side in folder.sides] == [(one.id, False), (two.id, True), (three.id, True)]
    assert [(a.changeset, b.changeset) for a, b in folder.pairs()] == [(one.id, two.id), (one.id, three.id)]
    assert file.involves(two.id) and not file.involves(one.id) and not file.involves("nonsense")
    assert file.sides[0].first.change == Change.modify("src/main.rs") and file.sides[0].first.sequence == 5
    for ended in (one, two, three):
        ended.close()
    later = plan.start_changeset()
    later.record(Change.modify("src"))
    assert not any(conflict.involves(later.id) for conflict in plan.snapshot().conflicts()), "they were not open at the same time"


def test_stale_bases() -> None:
    plan = PlanContext()
    one, two = plan.start_changeset(), plan.start_changeset()
    one.record(Change.rename("draft", "final"))
    two.record(Change.modify("final"))
    assert plan.snapshot().stale_bases() == []
    one.abort()
    (stale,) = plan.snapshot().stale_bases()
    assert (stale.change.changeset, stale.kind, stale.path, stale.other) == (two.id, Staleness.MISSING, "final", "final")
    assert stale.undone is not None and stale.undone.changeset == one.id and stale.against is None
    assert plan.snapshot().diff().stale_bases == (stale,)
    two.record(Change.create("final/x"))
    assert plan.snapshot().stale_bases()[-1].kind is Staleness.FOLDER


# Threads.


def test_each_thread_records_into_its_own_changeset() -> None:
    plan = PlanContext()
    def strategy(number: int) -> Changeset:
        with plan.changeset() as changeset:
            for turn in range(300):
                assert changeset.record(Change.create(f"{number}/{turn}")).changeset == changeset.id
        return changeset

    for number, changeset in enumerate(together(4, strategy)):
        recorded = plan.snapshot().changes(changeset.id)
        assert [record.change.path for record in recorded] == [f"{number}/{turn}" for turn in range(300)]
    assert len(plan.snapshot().diff()) == 1200 and plan.active_ids() == []
    assert [event.sequence for event in plan.snapshot().audit()] == list(range(1, plan.sequence() + 1))


def test_batches_stay_together_beside_others() -> None:
    plan = PlanContext()
    plan.start_changeset()

    def strategy(number: int) -> None:
        for turn in range(100):
            batch = plan.record_all(Change.create(f"{number}/{turn}/{at}") for at in range(5))
            assert batch.count == 5

    together(4, strategy)
    recorded = [record.change.path.rsplit("/", 1) for record in plan.snapshot().changes()]
    for start in range(0, len(recorded), 5):
        assert [at for _, at in recorded[start : start + 5]] == list("01234")
        assert len({name for name, _ in recorded[start : start + 5]}) == 1


def test_long_work_beside_records() -> None:
    """Diffs and JSON of thousands are detached, while others record and collect."""
    plan = PlanContext()
    changeset = plan.start_changeset()
    changeset.record_all(Change.create(str(number), content="x" * 50) for number in range(2000))

    def body(number: int) -> None:
        for turn in range(5 if number else 1):
            if number % 2:
                assert len(plan.snapshot().diff()) >= 2000
                assert len(PlanSnapshot.from_json(plan.snapshot().to_json()).audit()) >= 2000
            else:
                for at in range(200):
                    plan.record_change(Change.create(f"{number}/{turn}/{at}"))
                gc.collect()

    together(3, body)
    assert len(plan.snapshot().diff()) == 2000 + 200 * 6
