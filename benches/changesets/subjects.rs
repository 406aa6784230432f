//! The logs, as a list: what is generic over them ends here.

use std::time::Duration;

use hdrhistogram::Histogram;
use imbl::Vector;
use rpds::StackSync;

use super::{
    job::Job,
    log::{Entry, Log, Payload},
    logs::{Boxcar, BoxcarCopy, ByHandle, ByPlan, Locked, Nothing, ParkingLot, Std},
};

/// Whose a log is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// tierstack's.
    Ours,
    Peer,
    /// No log at all.
    Harness,
}

/// A log by its name, and a job as that log does it.
pub struct Subject {
    pub name: String,
    pub kind: Kind,
    /// Records as another subject does, and is of interest only where there are snapshots.
    pub only_snapshots: bool,
    pub fill: fn(&Job) -> Duration,
    pub time: fn(&Job, &mut [Histogram<u64>]),
    pub check: fn(&Job),
}

impl Subject {
    fn of<P: Payload, L: Log<P>>(kind: Kind) -> Self {
        let (fill, time, check) = (Job::fill::<P, L>, Job::time::<P, L>, Job::check::<P, L>);
        Self { name: L::name(), kind, only_snapshots: false, fill, time, check }
    }
}

type ByParkingLot<S> = Locked<S, ParkingLot<S>>;
type ByStd<S> = Locked<S, Std<S>>;

/// Those of whom a job tells something, in the order in which they are measured and printed.
pub fn of_job<P: Payload>(job: &Job) -> Vec<Subject> {
    let mut subjects = all::<P>();
    subjects.retain(|subject| job.snapshot_every.is_some() || !subject.only_snapshots);
    subjects
}

fn all<P: Payload>() -> Vec<Subject> {
    vec![
        Subject::of::<P, ByHandle<P>>(Kind::Ours),
        Subject::of::<P, ByPlan<P>>(Kind::Ours),
        Subject::of::<P, ByParkingLot<Vec<Entry<P>>>>(Kind::Peer),
        Subject::of::<P, ByStd<Vec<Entry<P>>>>(Kind::Peer),
        Subject::of::<P, ByParkingLot<StackSync<Entry<P>>>>(Kind::Peer),
        Subject::of::<P, ByStd<StackSync<Entry<P>>>>(Kind::Peer),
        Subject::of::<P, ByParkingLot<Vector<Entry<P>>>>(Kind::Peer),
        Subject::of::<P, ByStd<Vector<Entry<P>>>>(Kind::Peer),
        Subject::of::<P, Boxcar<P>>(Kind::Peer),
        Subject { only_snapshots: true, ..Subject::of::<P, BoxcarCopy<P>>(Kind::Peer) },
        Subject::of::<P, Nothing>(Kind::Harness),
    ]
}
