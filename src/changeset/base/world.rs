//! The paths that changes touch, what is known of each, and the folders in which they are.
//!
//! Each path has a *slot*. The names in paths make a tree of *nodes*; the slots of a path and of the same with a `/` behind it are at one node, and in
//! each other's way. For each node it is counted how many slots *stand* beneath, which means that a file is known to be there; and those of its
//! children at or beneath which one stands are in a list. So a path costs as much as it has names, and finding a file beneath it no
//! more than the names down to that.

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

/// Finds them. O(names in the paths of all changes), expected.
pub fn bases<'a>(steps: impl Iterator<Item = Step<'a>>) -> Bases<'a> {
    let mut world = World::default();
    for step in steps {
        match step {
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

/// Indices into [`World::nodes`] and [`World::slots`].
type NodeId = usize;
type SlotId = usize;

/// When a touch that is in force was; 0 is before all.
type Time = u64;

/// A folder, or the last name of a path.
#[derive(Default)]
struct Node {
    /// None for that in which all outermost names are.
    parent: Option<NodeId>,
    slots: Vec<SlotId>,
    /// How many of its slots stand.
    standing: usize,
    /// How many slots beneath it stand.
    beneath: usize,
    /// The first of the children at or beneath which a slot stands.
    occupied: Option<NodeId>,
    /// The neighbours in the list of its parent.
    previous: Option<NodeId>,
    next: Option<NodeId>,
    /// The last touch in force of its slots, and of those beneath.
    last: (Time, Option<SlotId>),
    last_beneath: (Time, Option<SlotId>),
}

impl Node {
    fn is_occupied(&self) -> bool {
        self.standing + self.beneath > 0
    }
}

/// One more or one less.
fn count(number: &mut usize, more: bool) {
    *number = if more { *number + 1 } else { *number - 1 };
}

/// A path.
struct Slot<'a> {
    path: &'a str,
    node: NodeId,
    /// The last touch in force.
    settled: Option<Settled<'a>>,
    /// The touches since that were or will be aborted. Of the last ones some may have been.
    gone: Vec<Gone<'a>>,
    /// How many of those have not been aborted yet.
    alive: usize,
    /// What the first of those claims, unless the path was overruled.
    found: Option<State<'a>>,
    stands: bool,
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

#[derive(Default)]
struct World<'a> {
    nodes: Vec<Node>,
    children: HashMap<(NodeId, &'a str), NodeId>,
    slots: Vec<Slot<'a>>,
    now: Time,
    aborted: HashSet<ChangesetId>,
    /// What changesets touched that are gone, and when the slot was settled then.
    touched: HashMap<ChangesetId, Vec<(SlotId, Time)>>,
    bases: Bases<'a>,
}

impl<'a> World<'a> {
    /// A touch in force: checks it, and takes its word. Its digest, where it takes a file whose digest is known.
    fn touch(&mut self, record: Record<'a, Change>, touch: Touch<'a>, content: Option<State<'a>>) -> Option<State<'a>> {
        let slot = self.slot(touch.path);
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
        let (time, node) = (self.now, self.slots[slot].node);
        self.nodes[node].last = (time, Some(slot));
        let mut above = self.nodes[node].parent;
        while let Some(folder) = above {
            self.nodes[folder].last_beneath = (time, Some(slot));
            above = self.nodes[folder].parent;
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
        let slot = self.slot(touch.path);
        let contradicted = touch.claim.is_present() && self.overruled(slot).is_some();
        let Slot { settled, gone, alive, found, .. } = &mut self.slots[slot];
        if *alive == 0 {
            gone.clear();
            // What is in force comes first.
            *found = Some(touch.claim).filter(|_| !contradicted);
        }
        *alive += 1;
        gone.push(Gone { record, left: touch.result });
        let settled = settled.map_or(0, |settled| settled.time);
        self.touched.entry(record.changeset).or_default().push((slot, settled));
        self.look(slot);
    }

    fn abort(&mut self, changeset: ChangesetId) {
        self.aborted.insert(changeset);
        for (slot, time) in self.touched.remove(&changeset).unwrap_or_default() {
            // Not where a touch in force came after it.
            if self.slots[slot].settled.map_or(0, |settled| settled.time) == time {
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
        let Slot { node, settled, .. } = &self.slots[slot];
        let here = self.nodes[*node].last;
        let beneath = self.nodes[*node].last_beneath;
        let mut last = if here.1 == Some(slot) { beneath } else { here.max(beneath) };
        let mut above = self.nodes[*node].parent;
        while let Some(folder) = above {
            last = last.max(self.nodes[folder].last);
            above = self.nodes[folder].parent;
        }
        let (time, other) = last;
        other.filter(|_| time > settled.map_or(0, |settled| settled.time))
    }

    /// Notes whether a file stands at a path after what is gone has come or left.
    fn look(&mut self, slot: SlotId) {
        let stands = self.overruled(slot).is_none() && self.known(slot).is_some_and(State::is_present);
        self.stand(slot, stands);
    }

    /// Another slot that stands at the path's node, at a folder of it, or beneath it.
    fn in_the_way(&self, slot: SlotId) -> Option<SlotId> {
        let Slot { node, stands, .. } = self.slots[slot];
        if self.nodes[node].standing > usize::from(stands) {
            return self.standing(node, Some(slot));
        }
        let mut above = self.nodes[node].parent;
        while let Some(folder) = above {
            if self.nodes[folder].standing > 0 {
                return self.standing(folder, None);
            }
            above = self.nodes[folder].parent;
        }
        let mut child = self.nodes[node].occupied?;
        while self.nodes[child].standing == 0 {
            child = self.nodes[child].occupied?;
        }
        self.standing(child, None)
    }

    fn standing(&self, node: NodeId, but: Option<SlotId>) -> Option<SlotId> {
        self.nodes[node].slots.iter().copied().find(|slot| self.slots[*slot].stands && Some(*slot) != but)
    }

    /// Notes whether a file stands at a path.
    fn stand(&mut self, slot: SlotId, stands: bool) {
        let Slot { node, stands: stood, .. } = &mut self.slots[slot];
        if std::mem::replace(stood, stands) == stands {
            return;
        }
        let mut node = *node;
        let mut occupied = self.nodes[node].is_occupied();
        count(&mut self.nodes[node].standing, stands);
        // Up to the outermost: counted, and put into its parent's list or out of it.
        while let Some(parent) = self.nodes[node].parent {
            match (occupied, self.nodes[node].is_occupied()) {
                (false, true) => self.link(parent, node),
                (true, false) => self.unlink(parent, node),
                _ => {}
            }
            occupied = self.nodes[parent].is_occupied();
            count(&mut self.nodes[parent].beneath, stands);
            node = parent;
        }
    }

    fn link(&mut self, parent: NodeId, node: NodeId) {
        let next = self.nodes[parent].occupied.replace(node);
        (self.nodes[node].previous, self.nodes[node].next) = (None, next);
        if let Some(next) = next {
            self.nodes[next].previous = Some(node);
        }
    }

    fn unlink(&mut self, parent: NodeId, node: NodeId) {
        let (previous, next) = (self.nodes[node].previous.take(), self.nodes[node].next.take());
        match previous {
            Some(previous) => self.nodes[previous].next = next,
            None => self.nodes[parent].occupied = next,
        }
        if let Some(next) = next {
            self.nodes[next].previous = previous;
        }
    }

    /// The slot of a path.
    fn slot(&mut self, path: &'a str) -> SlotId {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut node = 0;
        for name in path::names(path) {
            let nodes = &mut self.nodes;
            node = *self.children.entry((node, name)).or_insert_with(|| {
                nodes.push(Node { parent: Some(node), ..Node::default() });
                nodes.len() - 1
            });
        }
        let slots = &self.slots;
        if let Some(slot) = self.nodes[node].slots.iter().find(|slot| slots[**slot].path == path) {
            return *slot;
        }
        let slot = Slot { path, node, settled: None, gone: Vec::new(), alive: 0, found: None, stands: false };
        self.slots.push(slot);
        self.nodes[node].slots.push(self.slots.len() - 1);
        self.slots.len() - 1
    }
}
