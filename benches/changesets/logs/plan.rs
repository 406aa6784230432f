//! tierstack's plan: each thread records in a changeset of its own, or all in the one on top.

use tierstack::{ChangesetHandle, PlanContext, Record, Snapshot};

use crate::log::{Id, Log, Payload, Seen};

const OPEN: &str = "nobody closes the changeset";

fn read<P: Payload>(snapshot: &Snapshot<P>) -> Vec<Seen<P>> {
    let seen = |record: Record<'_, P>| Seen {
        changeset: record.changeset.number(),
        number: record.sequence.number(),
        payload: *record.change,
    };
    snapshot.changes().map(seen).collect()
}

/// Through the handle of a changeset. All threads' changesets are open at once.
pub struct ByHandle<P>(PlanContext<P>);

impl<P: Payload> Log<P> for ByHandle<P> {
    type Changeset<'l> = ChangesetHandle<P>;
    type Snapshot<'l> = Snapshot<P>;

    fn name() -> String {
        "handle".into()
    }

    fn new() -> Self {
        Self(PlanContext::new())
    }

    fn start(&self, _: Id) -> ChangesetHandle<P> {
        self.0.start_changeset()
    }

    #[inline]
    fn record(&self, changeset: &ChangesetHandle<P>, payload: P) -> u64 {
        changeset.record(payload).expect(OPEN).sequence.number()
    }

    #[inline]
    fn snapshot(&self) -> Snapshot<P> {
        self.0.snapshot()
    }

    fn read(snapshot: &Snapshot<P>) -> Vec<Seen<P>> {
        read(snapshot)
    }
}

/// Through the plan, into the one changeset on top.
pub struct ByPlan<P>(PlanContext<P>);

impl<P: Payload> Log<P> for ByPlan<P> {
    type Changeset<'l> = ();
    type Snapshot<'l> = Snapshot<P>;

    fn name() -> String {
        "plan".into()
    }

    fn new() -> Self {
        let plan = PlanContext::new();
        plan.start_changeset();
        Self(plan)
    }

    fn start(&self, _: Id) {}

    #[inline]
    fn record(&self, (): &(), payload: P) -> u64 {
        self.0.record_change(payload).expect(OPEN).sequence.number()
    }

    #[inline]
    fn snapshot(&self) -> Snapshot<P> {
        self.0.snapshot()
    }

    fn read(snapshot: &Snapshot<P>) -> Vec<Seen<P>> {
        read(snapshot)
    }
}
