"""The compatible classes: what each call returns, scopes that cannot be mistaken for each other, and roles that see what their policy names."""

from __future__ import annotations

import copy
import enum
import pickle
from collections import UserString
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierstack import (
    Change,
    NotOpenError,
    OverBudgetError,
    PlanContext,
    Tier,
    TierStore,
)
from tierstack.compat import (
    EVERY_KEY,
    ROOT,
    ContextFragment,
    ContextTierService,
    PlanError,
    PlanExecutionContext,
    RolePolicy,
)
from tierstack.compat._names import prefix, scope_and_key
from together import together

TEXTS = st.text(alphabet="0123:a-é\n", max_size=8)


class TestService:
    def test_calls_return_what_the_table_says(self) -> None:
        service = ContextTierService(20)
        assert service.store("goal", "find the bug") is Tier.HOT  # 4 + 12 bytes
        assert service.store("huge", "x" * 20) is Tier.WARM
        assert service.store("note", "it is in main") is Tier.HOT
        assert (service.tier_of("goal"), service.tier_of("note"), service.tier_of("none")) == (Tier.WARM, Tier.HOT, None)
        assert (service.get("goal"), service.get("none"), service.get("none", 3)) == ("find the bug", None, 3)
        assert service.peek("note") == "it is in main"
        assert service.promote("goal") and not service.promote("goal") and not service.promote("none")
        assert service.tier_of("note") is Tier.WARM
        assert service.demote("goal") and service.demote("goal") and not service.demote("goal") and not service.demote("none")
        assert service.tier_of("goal") is Tier.COLD
        assert service.evict_lru() is None
        assert service.evict_lru(Tier.COLD) == ContextFragment(ROOT, "goal", "find the bug", None, 16)
        assert service.evict_lru(Tier.WARM) == ContextFragment(ROOT, "huge", "x" * 20, Tier.COLD, 24)
        assert (service.remove("note"), service.remove("note"), service.remove("note", 1)) == ("it is in main", None, 1)
        assert ("huge" in service, "note" in service, len(service), service.hot_bytes, service.hot_budget) == (True, False, 1, 0, 20)

    def test_an_empty_service_is_true(self) -> None:
        assert ContextTierService(20)

    def test_what_does_not_fit_into_hot_is_told(self) -> None:
        service = ContextTierService(10)
        service.store("heavy", "x" * 100)
        with pytest.raises(OverBudgetError) as raised:
            service.promote("heavy")
        assert (raised.value.key, raised.value.weight, raised.value.budget) == ("heavy", 105, 10)
        assert service.tier_of("heavy") is Tier.WARM

    def test_a_weight_is_that_of_the_store_and_the_scope_weighs_nothing(self) -> None:
        for key, value in [("k", "abc"), ("schlüssel", "größe"), ("b", b"12345"), ("v", memoryview(b"12345678").cast("I")), ("", "")]:
            store: TierStore[Any] = TierStore(1000)
            service = ContextTierService(1000)
            store.store(key, value)
            service.scoped("a long name of a scope").store(key, value)
            assert service.hot_bytes == store.hot_bytes

    def test_a_value_without_a_weight_needs_one(self) -> None:
        service = ContextTierService(1000)
        with pytest.raises(TypeError, match="weight="):
            service.store("number", 7)
        assert "number" not in service
        assert service.store("number", 7, weight=3) is Tier.HOT
        assert service.hot_bytes == 3

    def test_a_weigher_is_given_the_key_as_it_is(self) -> None:
        seen = []

        def weigh(key: str, value: int) -> int:
            seen.append((key, value))
            return 5

        service = ContextTierService(1000, weigher=weigh)
        service.scoped("plan").store("key", 7)
        assert (seen, service.hot_bytes) == ([("key", 7)], 5)

    def test_an_exception_of_the_weigher_changes_nothing(self) -> None:
        service = ContextTierService(1000, weigher=lambda key, value: 1 // value)
        service.store("key", 1)
        with pytest.raises(ZeroDivisionError):
            service.store("key", 0)
        assert service.peek("key") == 1

    @pytest.mark.parametrize("key", [None, 1, b"key", ["key"], UserString("key")])
    def test_a_key_that_is_no_text_is_refused(self, key: Any) -> None:
        service = ContextTierService(1000)
        view = service.view_for("role", RolePolicy({}))
        for call in (service.get, service.peek, service.promote, service.demote, service.remove, service.tier_of, view.get, view.peek):
            with pytest.raises(TypeError):
                call(key)
        with pytest.raises(TypeError):
            service.store(key, "value")
        with pytest.raises(TypeError):
            service.scoped(key)
        assert len(service) == 0

    def test_capacities_are_those_of_the_store(self) -> None:
        service = ContextTierService(2, warm_capacity=2, cold_capacity=2)
        for key in "abcd":
            service.store(key, "1")
        assert [(fragment.key, fragment.tier) for fragment in service.fragments()] == [("d", Tier.HOT), ("c", Tier.WARM), ("b", Tier.COLD)]
        assert service.metrics().overflowed == 1

    def test_copies_and_pickles(self) -> None:
        service = ContextTierService(100)
        service.scoped("plan").store("key", "value")
        for twin in (pickle.loads(pickle.dumps(service)), copy.deepcopy(service)):
            twin.store("other", "value")
            assert twin.scoped("plan").get("key") == "value" and "other" not in service


class TestScopes:
    def test_each_scope_has_its_own_fragments_under_one_budget(self) -> None:
        service = ContextTierService(8)
        one, two = service.scoped("one"), service.scoped("two")
        one.store("key", "1")
        two.store("key", "2")
        assert (one.get("key"), two.get("key"), service.get("key"), service.scoped("three").get("key")) == ("1", "2", None, None)
        service.store("key", "0")  # the third: the first must make room
        assert (one.tier_of("key"), two.tier_of("key")) == (Tier.WARM, Tier.HOT)
        assert one.remove("key") == "1" and two.get("key") == "2"
        assert service.scoped(ROOT).get("key") == "0"
        assert not one.promote("key") and two.demote("key")

    def test_fragments_are_listed_with_their_scopes(self) -> None:
        service = ContextTierService(100)
        service.store("a", "1")
        service.scoped("plan").store("a", "2")
        service.demote("a")
        root, plan = ContextFragment(ROOT, "a", "1", Tier.WARM, 2), ContextFragment("plan", "a", "2", Tier.HOT, 2)
        assert service.fragments() == [plan, root]
        assert (service.fragments(Tier.WARM), service.scoped("plan").fragments(), service.scoped("plan").fragments(Tier.COLD)) == ([root], [plan], [])

    def test_evicting_goes_by_use_whatever_the_scope(self) -> None:
        service = ContextTierService(100)
        service.scoped("1:").store("2:key", "value")
        service.store("key", "value")
        assert service.evict_lru() == ContextFragment("1:", "2:key", "value", Tier.WARM, 10)

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (("", "1:ab"), ("a", "b")),
            (("a", "b:c"), ("a:b", "c")),
            (("", "0:key"), ("0:", "key")),
            (("1", ":key"), ("", "1:1:key")),
            (("11:", "x"), ("1", "1:x")),
            (("a" * 11, "b"), ("a", "1:" + "a" * 10 + "b")),
        ],
    )
    def test_keys_with_separators_of_one_scope_are_not_those_of_another(self, first: tuple[str, str], second: tuple[str, str]) -> None:
        service = ContextTierService(1000)
        service.scoped(first[0]).store(first[1], "first")
        assert service.scoped(second[0]).get(second[1]) is None
        service.scoped(second[0]).store(second[1], "second")
        assert service.scoped(first[0]).get(first[1]) == "first"
        assert len(service) == 2

    @given(TEXTS, TEXTS)
    def test_scope_and_key_are_read_back(self, scope: str, key: str) -> None:
        assert scope_and_key(prefix(scope) + key) == (scope, key)

    @given(st.lists(st.tuples(TEXTS, TEXTS), max_size=20))
    def test_a_service_is_a_dict_of_scope_and_key(self, names: list[tuple[str, str]]) -> None:
        service, model = ContextTierService(10_000), {}
        for number, (scope, key) in enumerate(names):
            service.scoped(scope).store(key, str(number))
            model[scope, key] = str(number)
        assert {(fragment.scope, fragment.key): fragment.value for fragment in service.fragments()} == model

    def test_a_key_that_is_an_odd_str_is_taken_as_its_text(self) -> None:
        class Odd(str):
            def __radd__(self, other: str) -> str:
                return "5:plan-key"

            __format__ = __str__ = lambda self, *_: "5:plan-key"  # type: ignore[assignment]

        class Name(enum.StrEnum):
            KEY = "key"

        service = ContextTierService(1000)
        service.scoped("plan-").store("key", "secret")
        assert service.get(Odd("key")) is None and service.scoped(Odd("plan-")).get("key") == "secret"
        assert service.scoped("plan-").get(Name.KEY) == "secret"


class TestRoles:
    POLICY = RolePolicy({"reviewer": {"shared": EVERY_KEY, "plan-1": ["goal", "diff"]}, "idle": {}})

    def service(self) -> ContextTierService:
        service = ContextTierService(1000)
        for scope in (ROOT, "shared", "plan-1", "plan-2"):
            for key in ("goal", "diff", "secret"):
                service.scoped(scope).store(key, f"{scope}/{key}")
        return service

    def test_a_role_sees_what_its_policy_names_and_nothing_else(self) -> None:
        service = self.service()
        reviewer = service.view_for("reviewer", self.POLICY)
        seen = {(scope, key) for scope in (ROOT, "shared", "plan-1", "plan-2") for key in ("goal", "diff", "secret") if key in reviewer.scoped(scope)}
        assert seen == {("shared", "goal"), ("shared", "diff"), ("shared", "secret"), ("plan-1", "goal"), ("plan-1", "diff")}
        assert reviewer.scoped("plan-1").get("goal") == "plan-1/goal" and reviewer.scoped("plan-1").peek("diff") == "plan-1/diff"
        for role in ("idle", "unknown", "Reviewer", ""):
            view = service.view_for(role, self.POLICY).scoped("shared")
            assert view.get("goal") is None and view.fragments() == []

    def test_a_denied_read_looks_like_an_absent_key_and_is_counted(self) -> None:
        service = self.service()
        view = service.scoped("plan-1").view_for("reviewer", self.POLICY)
        for key in ("secret", "absent"):  # denied both, whether it is there or not
            assert (view.get(key), view.get(key, "no"), view.peek(key), view.tier_of(key), key in view) == (None, "no", None, None, False)
        assert view.denied_reads == 10
        service.scoped("plan-1").remove("diff")
        assert (view.get("diff"), view.get("diff", "no"), view.peek("diff"), view.tier_of("diff"), "diff" in view) == (None, "no", None, None, False)
        assert view.denied_reads == 10  # allowed, and absent
        assert service.view_for("other", self.POLICY).get("goal") is None
        assert (service.denied_reads("reviewer"), service.denied_reads("other"), service.denied_reads("none"), service.denied_reads()) == (10, 1, 0, 11)

    def test_a_denied_read_is_no_use_and_no_miss(self) -> None:
        service = self.service()
        before = service.metrics()
        service.view_for("nobody", self.POLICY).get("goal")
        assert service.metrics() == before
        assert (evicted := service.evict_lru()) is not None and (evicted.scope, evicted.key) == (ROOT, "goal")

    def test_an_allowed_read_is_a_use(self) -> None:
        service = self.service()
        service.view_for("all", RolePolicy({"all": {ROOT: EVERY_KEY}})).get("goal")
        assert (evicted := service.evict_lru()) is not None and (evicted.scope, evicted.key) == (ROOT, "diff")

    def test_peeking_is_no_use(self) -> None:
        service = self.service()
        view = service.view_for("all", RolePolicy({"all": {ROOT: EVERY_KEY}}))
        assert view.peek("goal") == "/goal" and view.tier_of("goal") is Tier.HOT and "goal" in view
        assert (evicted := service.evict_lru()) is not None and (evicted.scope, evicted.key) == (ROOT, "goal")

    def test_a_list_leaves_out_what_is_denied_and_does_not_count_it(self) -> None:
        service = self.service()
        view = service.scoped("plan-1").view_for("reviewer", self.POLICY)
        assert [(one.scope, one.key) for one in view.fragments()] == [("plan-1", "diff"), ("plan-1", "goal")]
        assert view.fragments(Tier.COLD) == [] and view.denied_reads == 0

    def test_a_view_reads_only(self) -> None:
        view = self.service().view_for("reviewer", self.POLICY)
        for name in ("store", "promote", "demote", "evict_lru", "remove"):
            assert not hasattr(view, name)

    @pytest.mark.parametrize("answer", [None, 1, "yes", object(), NotImplemented, [True]])
    def test_nothing_but_true_allows(self, answer: Any) -> None:
        class Odd:
            def allows(self, role: str, scope: str, key: str) -> Any:
                return answer

        view = self.service().view_for("reviewer", Odd())
        assert view.get("goal") is None and view.denied_reads == 1

    @pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
    def test_a_coroutine_does_not_allow(self) -> None:
        class Async:
            async def allows(self, role: str, scope: str, key: str) -> bool:
                return True

        assert self.service().view_for("reviewer", Async()).get("goal") is None  # type: ignore[arg-type]

    def test_an_exception_of_a_policy_reaches_the_reader(self) -> None:
        class Broken:
            def allows(self, role: str, scope: str, key: str) -> bool:
                raise LookupError(role, scope, key)

        with pytest.raises(LookupError, match="goal"):
            self.service().view_for("reviewer", Broken()).get("goal")

    def test_a_policy_is_asked_for_role_scope_and_key(self) -> None:
        asked = []

        class Asked:
            def allows(self, role: str, scope: str, key: str) -> bool:
                asked.append((role, scope, key))
                return True

        assert self.service().scoped("plan-2").view_for("reviewer", Asked()).get("goal") == "plan-2/goal"
        assert asked == [("reviewer", "plan-2", "goal")]

    def test_a_policy_keeps_what_it_was_given(self) -> None:
        keys = ["goal"]
        scopes = {"plan-1": keys}
        policy = RolePolicy({"reviewer": scopes})
        keys.append("secret")
        scopes["plan-2"] = ["goal"]
        assert not policy.allows("reviewer", "plan-1", "secret") and not policy.allows("reviewer", "plan-2", "goal")

    def test_a_text_in_the_place_of_keys_is_refused(self) -> None:
        with pytest.raises(TypeError, match="several"):
            RolePolicy({"reviewer": {"plan-1": "goal"}})

    def test_no_count_is_lost_among_threads(self) -> None:
        service = self.service()

        def body(number: int) -> None:
            view = service.view_for(f"role-{number % 2}", self.POLICY)
            for _ in range(500):
                assert view.get("goal") is None

        together(8, body)
        assert (service.denied_reads("role-0"), service.denied_reads("role-1"), service.denied_reads()) == (2000, 2000, 4000)


class TestPlan:
    def test_the_calls_of_the_original(self) -> None:
        context = PlanExecutionContext()
        started = context.start_changeset()
        assert isinstance(started, str) and context.changeset_ids == [started] and context.current_changeset == started
        change = Change.create("a.md")
        assert context.record_change(change) == started
        inner = context.start_changeset()
        assert context.record_change({"path": "b.md", "operation": "modify"}) == inner
        assert context.record_in(started, Change.delete("c.md")) == started
        assert context.changes(started) == [change, Change.delete("c.md")] and context.changes(inner) == [Change.modify("b.md")]
        context.close_changeset(inner)
        assert (context.current_changeset, context.changeset_ids) == (started, [started])
        context.abort_changeset(started)
        assert context.current_changeset is None and context.changeset_ids == []
        with pytest.raises(NotOpenError):
            context.close_changeset(inner)
        with pytest.raises(PlanError):
            context.record_in(inner, change)
        with pytest.raises(KeyError):
            context.changes("changeset-99")

    def test_the_list_of_ids_is_the_callers_own(self) -> None:
        context = PlanExecutionContext()
        context.start_changeset()
        context.changeset_ids.clear()
        assert context.changeset_ids == ["changeset-1"]

    def test_an_empty_stack_raises_the_error_of_the_original(self) -> None:
        context, change = PlanExecutionContext(), Change.create("a.md")
        for _ in range(2):
            with pytest.raises(PlanError) as raised:
                context.record_change(change)
            assert str(raised.value) == "No active changeset. Call start_changeset() first."
            assert raised.value.change == change and type(raised.value) is PlanError
            context.close_changeset(context.start_changeset())
        assert context.plan.snapshot().changes() == []

    def test_a_changeset_is_closed_after_its_block_and_aborted_by_an_exception(self) -> None:
        context = PlanExecutionContext()
        with context.changeset() as kept:
            context.record_change(Change.create("kept"))
        with pytest.raises(ZeroDivisionError), context.changeset():
            context.record_change(Change.create("aborted"))
            raise ZeroDivisionError
        assert [change.path for change in context.plan.snapshot().diff()] == ["kept"]
        assert (context.changeset_ids, context.changes(kept.id)) == ([], [Change.create("kept")])

    def test_entries_of_a_framework_are_converted_first(self) -> None:
        context = PlanExecutionContext(to_change=lambda entry: Change.modify(entry[0], recorder=entry[1]))
        context.start_changeset()
        context.record_change(("a.md", "me"))
        assert context.changes("changeset-1") == [Change.modify("a.md", recorder="me")]
        with pytest.raises(IndexError):
            context.record_change(())
        assert len(context.changes("changeset-1")) == 1

    @pytest.mark.parametrize("entry", [None, 3, "a.md", object()])
    def test_an_entry_that_is_none_is_refused(self, entry: Any) -> None:
        context = PlanExecutionContext()
        context.start_changeset()
        with pytest.raises(TypeError, match="to_change"):
            context.record_change(entry)
        assert context.changes("changeset-1") == []

    def test_an_exception_of_the_conversion_is_its_own(self) -> None:
        def convert(entry: str) -> Change:
            raise PlanError(entry)

        with pytest.raises(PlanError, match=r"^mine$"):
            PlanExecutionContext(to_change=convert).record_change("mine")

    def test_it_takes_a_plan(self) -> None:
        plan = PlanContext()
        handle = plan.start_changeset()
        assert PlanExecutionContext(plan).record_change(Change.create("a")) == handle.id
