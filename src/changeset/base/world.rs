//! The paths that changes touch, what is known of each, and the folders in which they are.
//!
//! Each path has a *slot*. The slots make a tree: the parent of each is the nearest of its folders that has a slot, too. The tree is made first, from
//! all paths in the order in which a folder comes before what is beneath it. A slot *stands* where a file is known to be there. Each slot counts
//! those that stand beneath it, and lists those of its children that stand or have one that does beneath. So finding a file beneath a
//! path costs no more than the slots down to that.

use std::collections::{HashMap, HashSet};

use super::super::change::Change;
use super::super::event::Record;
use super::super::id::ChangesetId;
use super::super::path;
use super::{StaleBase, Staleness, State, Step, Touch, touches};

/// What is stale, and what was there before all.
#[derive(Default)]
pub struct Bases<'a> {
    /// In the order of the changes.
    pub stale: Vec<StaleBase<'a>>,
    /// What stood before all changes in force at paths of which the first of them claims otherwise, as a change says that is gone.
    pub initial: HashMap<&'a str, State<'a>>,
}

/// Finds them. For n changes O(n log n) comparisons of paths; and as much as each path has folders that are touched.
pub fn bases<'a>(steps: &[Step<'a>]) -> Bases<'a> {
    let changes = steps.iter().filter_map(|step| match step {
        Step::Change(record) | Step::Gone(record) => Some(record.change),
        Step::Aborted(_) => None,
    });
    let mut world = World::new(changes.flat_map(Change::paths));
    for step in steps {
        match *step {
            Step::Change(record) => {
                let (first, second) = touches(record.change);
                let content = world.touch(record, first, None);
                if let Some(second) = second {
                    world.touch(record, second, content);
                }
            }
            Step::Gone(record) => {
                let (first, second) = touches(record.change);
                for touch in [first].into_iter().chain(second) {
                    world.touch_in_vain(record, touch);
                }
            }
            Step::Aborted(changeset) => world.abort(changeset),
        }
    }
    world.bases.stale.shrink_to_fit();
    world.bases
}

/// An index into [`World::slots`].
type SlotId = usize;

/// When a touch that is in force was; 0 is before all.
type Time = u64;

/// A path.
#[derive(Default)]
struct Slot<'a> {
    path: &'a str,
    /// The nearest folder of it that has a slot.
    parent: Option<SlotId>,
    /// The last touch in force.
    settled: Option<Settled<'a>>,
    /// The touches since that were or will be aborted. Of the last ones some may have been.
    gone: Vec<Gone<'a>>,
    /// How many of those have not been aborted yet.
    alive: usize,
    /// What the first of those claims, unless the path was overruled.
    found: Option<State<'a>>,
    stands: bool,
    /// How many slots stand beneath it.
    beneath: usize,
    /// The last touch in force of a slot beneath it.
    last_beneath: (Time, Option<SlotId>),
    /// The first of its children that stand, or beneath which a slot stands.
    occupied: Option<SlotId>,
    /// The neighbours in the list of its parent.
    previous: Option<SlotId>,
    next: Option<SlotId>,
}

impl Slot<'_> {
    fn time(&self) -> Time {
        self.settled.map_or(0, |settled| settled.time)
    }

    fn is_occupied(&self) -> bool {
        self.stands || self.beneath > 0
    }
}

#[derive(Clone, Copy)]
struct Settled<'a> {
    record: Record<'a, Change>,
    state: State<'a>,
    time: Time,
}

#[derive(Clone, Copy)]
struct Gone<'a> {
    record: Record<'a, Change>,
    left: State<'a>,
}

struct World<'a> {
    /// Each folder before what is beneath it.
    slots: Vec<Slot<'a>>,
    by_path: HashMap<&'a str, SlotId>,
    now: Time,
    aborted: HashSet<ChangesetId>,
    /// What changesets touched that are gone, and when the slot was settled then.
    touched: HashMap<ChangesetId, Vec<(SlotId, Time)>>,
    bases: Bases<'a>,
}

impl<'a> World<'a> {
    fn new(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut by_path: HashMap<&str, SlotId> = paths.map(|path| (path, 0)).collect();
        let mut paths: Vec<&str> = by_path.keys().copied().collect();
        paths.sort_unstable_by(|path, other| path::compare(path, other));
        let mut slots: Vec<Slot<'a>> = Vec::with_capacity(paths.len());
        // The nearest of the slots before whose folder the path is in.
        let mut parent: Option<SlotId> = None;
        for (slot, path) in paths.into_iter().enumerate() {
            while let Some(folder) = parent.filter(|folder| !path::is_beneath(path, slots[*folder].path)) {
                parent = slots[folder].parent;
            }
            by_path.insert(path, slot);
            slots.push(Slot { path, parent, ..Slot::default() });
            parent = Some(slot);
        }
        let (aborted, touched, bases) = Default::default();
        Self { slots, by_path, now: 0, aborted, touched, bases }
    }

    /// A touch in force: checks it, and takes its word. What was known of the path.
    fn touch(&mut self, record: Record<'a, Change>, touch: Touch<'a>, content: Option<State<'a>>) -> Option<State<'a>> {
        let slot = self.by_path[touch.path];
        let undone = self.undone(slot);
        let overruled = self.overruled(slot);
        let known = self.known(slot);
        if let (None, Some(known)) = (self.slots[slot].settled, known)
            && known.is_present() != touch.claim.is_present()
        {
            self.bases.initial.entry(touch.path).or_insert(known);
        }
        let known = known.filter(|_| overruled.is_none());
        if let Some(stale) = self.check(record, touch, slot, known, undone, overruled) {
            self.bases.stale.push(stale);
        }
        // Of a file that is taken as it is the digest goes along, if the change does not say it.
        let here = if touch.claim.is_present() { known } else { content };
        let state = match (touch.result, here) {
            (State::Present(None), Some(here @ State::Present(_))) if touch.same => here,
            (state, _) => state,
        };
        self.settle(slot, record, state);
        known
    }

    fn check(
        &mut self,
        change: Record<'a, Change>,
        Touch { path, claim, .. }: Touch<'a>,
        slot: SlotId,
        known: Option<State<'a>>,
        undone: Option<Gone<'a>>,
        overruled: Option<SlotId>,
    ) -> Option<StaleBase<'a>> {
        let against = self.slots[slot].settled.map(|settled| settled.record);
        let kind = known.and_then(|known| known.contradicts(claim)).or_else(|| {
            // What it was built on has gone, and is not known to have been there before.
            let built_on =
                undone.is_some_and(|undone| matches!(claim, State::Present(Some(_))) && undone.left == claim);
            (built_on && known == Some(State::Present(None))).then_some(Staleness::OtherContent)
        });
        if let Some(kind) = kind {
            let undone = undone.map(|undone| undone.record);
            return Some(StaleBase { change, path, kind, other: path, against, undone });
        }
        let standing = self.in_the_way(slot);
        let other = standing.or(overruled.filter(|_| claim.is_present()))?;
        let undone = standing.and_then(|other| self.undone(other)).map(|undone| undone.record);
        let Slot { path: other, settled, .. } = &self.slots[other];
        let against = settled.map(|settled| settled.record);
        Some(StaleBase { change, path, kind: Staleness::Folder, other, against, undone })
    }

    /// Takes the word of a touch in force.
    fn settle(&mut self, slot: SlotId, record: Record<'a, Change>, state: State<'a>) {
        self.now += 1;
        let time = self.now;
        let mut above = self.slots[slot].parent;
        while let Some(folder) = above {
            self.slots[folder].last_beneath = (time, Some(slot));
            above = self.slots[folder].parent;
        }
        // What stands in its way is overruled.
        while let Some(other) = self.in_the_way(slot) {
            self.stand(other, false);
        }
        let Slot { settled, gone, alive, .. } = &mut self.slots[slot];
        *settled = Some(Settled { record, state, time });
        gone.clear();
        *alive = 0;
        self.stand(slot, state.is_present());
    }

    /// A touch of a changeset that will be aborted.
    fn touch_in_vain(&mut self, record: Record<'a, Change>, touch: Touch<'a>) {
        let slot = self.by_path[touch.path];
        let contradicted = touch.claim.is_present() && self.overruled(slot).is_some();
        let settled = self.slots[slot].time();
        let Slot { gone, alive, found, .. } = &mut self.slots[slot];
        if *alive == 0 {
            gone.clear();
            // What is in force comes first.
            *found = Some(touch.claim).filter(|_| !contradicted);
        }
        *alive += 1;
        gone.push(Gone { record, left: touch.result });
        self.touched.entry(record.changeset).or_default().push((slot, settled));
        self.look(slot);
    }

    fn abort(&mut self, changeset: ChangesetId) {
        self.aborted.insert(changeset);
        for (slot, time) in self.touched.remove(&changeset).unwrap_or_default() {
            // Not where a touch in force came after it.
            if self.slots[slot].time() == time {
                self.slots[slot].alive -= 1;
                self.look(slot);
            }
        }
    }

    /// The last touch of a path, where it is gone, but was there up to now.
    fn undone(&mut self, slot: SlotId) -> Option<Gone<'a>> {
        let Slot { gone, alive, .. } = &mut self.slots[slot];
        if *alive == 0 {
            return None;
        }
        while gone.last().is_some_and(|gone| self.aborted.contains(&gone.record.changeset)) {
            gone.pop();
        }
        gone.last().copied()
    }

    /// What is known of a path that is not overruled.
    fn known(&self, slot: SlotId) -> Option<State<'a>> {
        let Slot { settled, found, alive, .. } = &self.slots[slot];
        let found = found.filter(|_| *alive > 0);
        match (settled.map(|settled| settled.state), found) {
            (Some(State::Present(None)), Some(found @ State::Present(_))) => Some(found),
            (settled, found) => settled.or(found),
        }
    }

    /// The last touch in force of a folder of the path, or of what is beneath it, if that came after the last of the path itself.
    fn overruled(&self, slot: SlotId) -> Option<SlotId> {
        let mut last = self.slots[slot].last_beneath;
        let mut above = self.slots[slot].parent;
        while let Some(folder) = above {
            last = last.max((self.slots[folder].time(), Some(folder)));
            above = self.slots[folder].parent;
        }
        let (time, other) = last;
        other.filter(|_| time > self.slots[slot].time())
    }

    /// Notes whether a file stands at a path after what is gone has come or left.
    fn look(&mut self, slot: SlotId) {
        let stands = self.overruled(slot).is_none() && self.known(slot).is_some_and(State::is_present);
        self.stand(slot, stands);
    }

    /// A slot that stands at a folder of the path, or beneath it.
    fn in_the_way(&self, slot: SlotId) -> Option<SlotId> {
        let mut above = self.slots[slot].parent;
        while let Some(folder) = above {
            if self.slots[folder].stands {
                return above;
            }
            above = self.slots[folder].parent;
        }
        let mut child = self.slots[slot].occupied?;
        while !self.slots[child].stands {
            child = self.slots[child].occupied?;
        }
        Some(child)
    }

    /// Notes whether a file stands at a path.
    fn stand(&mut self, slot: SlotId, stands: bool) {
        let mut occupied = self.slots[slot].is_occupied();
        if std::mem::replace(&mut self.slots[slot].stands, stands) == stands {
            return;
        }
        let mut slot = slot;
        // Up to the outermost: put into its parent's list or out of it, and counted there.
        while let Some(parent) = self.slots[slot].parent {
            match (occupied, self.slots[slot].is_occupied()) {
                (false, true) => self.link(parent, slot),
                (true, false) => self.unlink(parent, slot),
                _ => {}
            }
            occupied = self.slots[parent].is_occupied();
            let beneath = &mut self.slots[parent].beneath;
            *beneath = if stands { *beneath + 1 } else { *beneath - 1 };
            slot = parent;
        }
    }

    fn link(&mut self, parent: SlotId, slot: SlotId) {
        let next = self.slots[parent].occupied.replace(slot);
        (self.slots[slot].previous, self.slots[slot].next) = (None, next);
        if let Some(next) = next {
            self.slots[next].previous = Some(slot);
        }
    }

    fn unlink(&mut self, parent: SlotId, slot: SlotId) {
        let (previous, next) = (self.slots[slot].previous.take(), self.slots[slot].next.take());
        match previous {
            Some(previous) => self.slots[previous].next = next,
            None => self.slots[parent].occupied = next,
        }
        if let Some(next) = next {
            self.slots[next].previous = previous;
        }
    }
}
