//! `boxcar::Vec`, which has no snapshots. Slots are filled in any order: of the first `count` some may still be empty,
//! and be filled later, while a change that has been recorded may lie beyond them.

use crate::log::{Entry, Id, Log, Payload, Seen};

fn seen<P: Payload>(index: usize, &Entry { changeset, payload }: &Entry<P>) -> Seen<P> {
    Seen { changeset, number: index as u64 + 1, payload }
}

/// The log and its count stand for a snapshot. It does less: holes are filled while it is kept, and it lives only as
/// long as the log is borrowed.
pub struct Boxcar<P>(boxcar::Vec<Entry<P>>);

pub struct Prefix<'l, P> {
    log: &'l boxcar::Vec<Entry<P>>,
    count: usize,
}

impl<P: Payload> Log<P> for Boxcar<P> {
    type Changeset<'l> = Id;
    type Snapshot<'l> = Prefix<'l, P>;

    fn name() -> String {
        "boxcar".into()
    }

    fn new() -> Self {
        Self(boxcar::Vec::new())
    }

    fn start(&self, id: Id) -> Id {
        id
    }

    #[inline]
    fn record(&self, &changeset: &Id, payload: P) -> u64 {
        self.0.push(Entry { changeset, payload }) as u64 + 1
    }

    #[inline]
    fn snapshot(&self) -> Prefix<'_, P> {
        Prefix { log: &self.0, count: self.0.count() }
    }

    fn read(snapshot: &Prefix<'_, P>) -> Vec<Seen<P>> {
        let slots = (0..snapshot.count).filter_map(|index| Some((index, snapshot.log.get(index)?)));
        slots.map(|(index, entry)| seen(index, entry)).collect()
    }
}

/// The changes before the first hole, copied, are a snapshot. Still not all that has been recorded, but nothing that
/// changes.
pub struct BoxcarCopy<P>(Boxcar<P>);

impl<P: Payload> Log<P> for BoxcarCopy<P> {
    type Changeset<'l> = Id;
    type Snapshot<'l> = Vec<Entry<P>>;

    fn name() -> String {
        "boxcar_copy".into()
    }

    fn new() -> Self {
        Self(Boxcar::new())
    }

    fn start(&self, id: Id) -> Id {
        id
    }

    #[inline]
    fn record(&self, changeset: &Id, payload: P) -> u64 {
        self.0.record(changeset, payload)
    }

    #[inline]
    fn snapshot(&self) -> Vec<Entry<P>> {
        let Boxcar(log) = &self.0;
        // Its iterator passes over holes.
        let before_holes = (0..).zip(log.iter()).take_while(|&(place, (index, _))| place == index);
        let mut copy = Vec::with_capacity(log.count());
        copy.extend(before_holes.map(|(_, (_, entry))| *entry));
        copy
    }

    fn read(snapshot: &Vec<Entry<P>>) -> Vec<Seen<P>> {
        (0..).zip(snapshot).map(|(index, entry)| seen(index, entry)).collect()
    }
}
