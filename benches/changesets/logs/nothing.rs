//! The harness alone: what each number includes that is not the log's.

use std::hint::black_box;

use crate::log::{Entry, Id, Log, Payload, Seen};

pub struct Nothing;

impl<P: Payload> Log<P> for Nothing {
    type Changeset<'l> = Id;
    type Snapshot<'l> = ();

    fn name() -> String {
        "harness".into()
    }

    fn new() -> Self {
        Self
    }

    fn start(&self, id: Id) -> Id {
        id
    }

    #[inline]
    fn record(&self, &changeset: &Id, payload: P) -> u64 {
        black_box(&Entry { changeset, payload });
        0
    }

    #[inline]
    fn snapshot(&self) {}

    fn read((): &()) -> Vec<Seen<P>> {
        Vec::new()
    }
}
