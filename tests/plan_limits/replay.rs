//! A plan from the audit trail of another is the same plan; and where a trail does not hold together, it is said where.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use proptest::prelude::*;
use tierstack::{ChangesetId, Event, EventKind, NotOpen, PlanContext, ReplayRefusal, Sequence};

use crate::common::tracked::Registry;
use crate::portrait::{Portrait, id, sequences, trail};
use crate::program::{config, program, run};

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_replayed_plan_is_the_same_and_goes_on_the_same(before in program(), after in program()) {
        let plan = PlanContext::new();
        run(&plan, &before);
        let copy = PlanContext::replay(trail(&plan.snapshot())).unwrap();
        prop_assert_eq!(Portrait::of_plan(&copy), Portrait::of_plan(&plan));
        // Neither knows of the other's savepoints: the program takes its own.
        run(&plan, &after);
        run(&copy, &after);
        prop_assert_eq!(Portrait::of_plan(&copy), Portrait::of_plan(&plan));
    }

    #[test]
    fn the_beginning_of_a_trail_gives_the_plan_as_it_was_then(program in program()) {
        let plan = PlanContext::new();
        let snapshots = run(&plan, &program);
        let trail = trail(&plan.snapshot());
        for snapshot in snapshots {
            let events = trail.iter().take(snapshot.audit().len()).cloned();
            prop_assert_eq!(Portrait::of_plan(&PlanContext::replay(events).unwrap()), Portrait::of(&snapshot));
        }
    }

    /// A trail with one event gone from its midst, or there twice, or two in each other's place, is never taken for whole.
    #[test]
    fn a_trail_that_was_tampered_with_is_refused_there(program in program(), at in any::<prop::sample::Index>(), how in 0..3) {
        let plan = PlanContext::new();
        run(&plan, &program);
        let whole = trail(&plan.snapshot());
        prop_assume!(whole.len() >= 2);
        let mut trail = whole.clone();
        let at = at.index(trail.len() - 1);
        match how {
            0 => drop(trail.remove(at)),
            1 => trail.insert(at, whole[at].clone()),
            _ => trail.swap(at, at + 1),
        }
        let first_wrong = trail.iter().zip(&whole).position(|(event, was)| event != was).unwrap();
        let error = PlanContext::replay(trail.clone()).unwrap_err();
        prop_assert_eq!(error.reason, ReplayRefusal::Sequence { expected: whole[first_wrong].sequence });
        prop_assert_eq!(&error.event, &trail[first_wrong]);
        let beginning = PlanContext::replay(whole[..first_wrong].to_vec()).unwrap();
        prop_assert_eq!(Portrait::of_plan(&error.plan), Portrait::of_plan(&beginning));
    }
}

#[test]
fn no_events_make_a_new_plan() {
    let plan: PlanContext<u32> = PlanContext::replay([]).unwrap();
    assert_eq!(Portrait::of_plan(&plan), Portrait::of_plan(&PlanContext::new()));
}

type Change = Arc<&'static str>;

/// A trail to write down: sequence numbers come by themselves.
struct Trail {
    at: Vec<Sequence>,
    events: Vec<Event<Change>>,
}

impl Trail {
    fn new() -> Self {
        Self { at: sequences(20), events: Vec::new() }
    }

    fn event(mut self, kind: EventKind<Change>) -> Self {
        self.events.push(Event { sequence: self.at[self.events.len() + 1], kind });
        self
    }

    fn start(self, number: u64) -> Self {
        self.event(EventKind::Started { changeset: id(number) })
    }

    fn record(self, number: u64) -> Self {
        self.event(EventKind::Recorded { changeset: id(number), change: Arc::new("a change") })
    }

    fn close(self, number: u64) -> Self {
        self.event(EventKind::Closed { changeset: id(number) })
    }

    fn abort(self, number: u64) -> Self {
        self.event(EventKind::Aborted { changeset: id(number) })
    }

    fn roll_back(self, to: usize) -> Self {
        let to = self.at[to];
        self.event(EventKind::RolledBack { to })
    }

    /// The last event has another number.
    fn but_at(mut self, number: usize) -> Self {
        self.events.last_mut().unwrap().sequence = self.at[number];
        self
    }

    fn accepted(self) -> PlanContext<Change> {
        let plan = PlanContext::replay(self.events.clone()).unwrap();
        assert_eq!(trail(&plan.snapshot()), self.events);
        plan
    }

    /// The last event is refused, for that reason, and handed back together with what the others make.
    #[track_caller]
    fn refused(mut self, reason: ReplayRefusal) {
        let more = Event { sequence: self.at[19], kind: EventKind::Started { changeset: id(9) } };
        let mut events = self.events.clone().into_iter().chain([more.clone()]);
        let error = PlanContext::replay(events.by_ref()).unwrap_err();
        assert_eq!(error.reason, reason);
        let last = self.events.pop().unwrap();
        assert_eq!(error.event, last);
        if let (EventKind::Recorded { change, .. }, EventKind::Recorded { change: same, .. }) =
            (&error.event.kind, &last.kind)
        {
            assert!(Arc::ptr_eq(change, same), "another change came back");
        }
        assert_eq!(Portrait::of_plan(&error.plan), Portrait::of_plan(&self.accepted()));
        assert!(events.eq([more]), "what comes after is left in the iterator");
    }
}

#[test]
fn an_event_that_is_not_the_next_is_refused() {
    let expected = |number: usize| ReplayRefusal::Sequence { expected: sequences(number)[number] };
    Trail::new().start(1).but_at(0).refused(expected(1));
    Trail::new().start(1).but_at(2).refused(expected(1));
    Trail::new().start(1).record(1).but_at(1).refused(expected(2));
    Trail::new().start(1).record(1).but_at(3).refused(expected(2));
    Trail::new().start(1).record(1).close(1).but_at(2).refused(expected(3));
    Trail::new().start(1).record(1).abort(1).but_at(4).refused(expected(3));
    Trail::new().start(1).record(1).roll_back(1).but_at(1).refused(expected(3));
}

#[test]
fn a_changeset_that_is_not_the_next_is_refused() {
    let expected = |number| ReplayRefusal::Started { expected: id(number) };
    Trail::new().start(2).refused(expected(1));
    Trail::new().start(u64::MAX).refused(expected(1));
    Trail::new().start(1).start(1).refused(expected(2));
    Trail::new().start(1).start(3).refused(expected(2));
    Trail::new().start(1).close(1).start(1).refused(expected(2));
    // Not even a roll-back frees an id.
    Trail::new().start(1).start(2).roll_back(1).start(2).refused(expected(3));
    Trail::new().start(1).start(2).roll_back(1).start(3).accepted();
}

#[test]
fn what_happens_to_a_changeset_that_is_not_open_is_refused() {
    type Happens = fn(Trail, u64) -> Trail;
    type Case = (fn() -> Trail, fn(ChangesetId) -> NotOpen);
    let cases: [Case; 5] = [
        (Trail::new, NotOpen::Unknown),
        (|| Trail::new().start(1).close(1), NotOpen::Closed),
        (|| Trail::new().start(1).abort(1), NotOpen::Aborted),
        (|| Trail::new().start(1).roll_back(0), NotOpen::RolledBack),
        (|| Trail::new().start(1).close(1).start(2).roll_back(2), NotOpen::Closed),
    ];
    for happens in [Trail::record, Trail::close, Trail::abort] as [Happens; 3] {
        for (before, reason) in &cases {
            happens(before(), 1).refused(ReplayRefusal::NotOpen(reason(id(1))));
        }
        happens(Trail::new().start(1), 2).refused(ReplayRefusal::NotOpen(NotOpen::Unknown(id(2))));
        happens(Trail::new().start(1), u64::MAX).refused(ReplayRefusal::NotOpen(NotOpen::Unknown(id(u64::MAX))));
        happens(Trail::new().start(1).start(2).close(2), 1).accepted();
        happens(Trail::new().start(1).close(1).roll_back(1), 1).accepted();
    }
}

#[test]
fn a_roll_back_to_what_is_not_in_force_is_refused() {
    // Not yet: to itself, or beyond.
    Trail::new().roll_back(1).refused(ReplayRefusal::Savepoint);
    Trail::new().start(1).roll_back(2).refused(ReplayRefusal::Savepoint);
    Trail::new().start(1).record(1).roll_back(19).refused(ReplayRefusal::Savepoint);
    // Not any more: rolled back.
    Trail::new().start(1).record(1).roll_back(1).roll_back(2).refused(ReplayRefusal::Savepoint);
    Trail::new().start(1).close(1).roll_back(0).record(1).refused(ReplayRefusal::NotOpen(NotOpen::RolledBack(id(1))));
    Trail::new().start(1).close(1).roll_back(0).start(2).roll_back(1).refused(ReplayRefusal::Savepoint);
    // In force: the very event before, the target again, the roll-back itself, the origin.
    let plan = Trail::new().start(1).record(1).roll_back(2).roll_back(2).record(1).roll_back(4).roll_back(1).accepted();
    assert_eq!(plan.snapshot().changes().len(), 0);
    assert_eq!(Trail::new().roll_back(0).start(1).roll_back(0).roll_back(3).accepted().current(), None);
}

#[test]
fn where_the_iterator_panics_nothing_is_left() {
    let registry = Registry::new();
    let plan = PlanContext::new();
    plan.start_changeset().record_all((0..9).map(|number| registry.tracked(number))).unwrap();
    let events = trail(&plan.snapshot());
    let panics = events.into_iter().map(|event| if event.sequence.number() == 6 { panic!("midway") } else { event });
    let outcome = catch_unwind(AssertUnwindSafe(|| PlanContext::replay(panics)));
    assert!(outcome.is_err());
    assert_eq!(registry.alive(), 9, "those of the plan that there was");
}

#[test]
fn a_plan_that_could_not_be_finished_can_be_gone_on_with() {
    let mut trail = Trail::new().start(1).record(1).close(1).events;
    trail[2].kind = EventKind::Closed { changeset: id(2) };
    let error = PlanContext::replay(trail).unwrap_err();
    let first = error.plan.handle(id(1)).unwrap();
    assert_eq!(first.record(Arc::new("more")).unwrap().sequence, error.event.sequence);
    first.close().unwrap();
    assert_eq!(error.plan.snapshot().changes().len(), 2);
}
