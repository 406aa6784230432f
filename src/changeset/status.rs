//! What has become of each changeset of a plan: a persistent map, of which each version of the plan has its own.
//!
//! Ids are given out densely, so that the map is a radix trie over them: leaves of 64 changesets, branches of eight. A change
//! copies the path to its leaf and shares all else. Each branch knows which children have an open changeset in them, so that the
//! largest open one is found by descending once. What the trie has no bit for, of ids that were given out, is rolled back:
//! a roll-back takes the older trie and keeps the number of ids, in O(1).
//!
//! Nothing here is shared while it is changed. There are at most 20 levels, and recursion is no deeper.

use std::sync::Arc;

use super::id::ChangesetId;

/// What has become of a changeset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Status {
    /// It takes changes.
    Open,
    /// It takes no more changes. Those that it has are in the diff.
    Closed,
    /// It takes no more changes. Those that it has are not in the diff.
    Aborted,
    /// A roll-back went back to before it was started. That is for good.
    RolledBack,
}

const LEAF_BITS: u32 = 6;
const BRANCH_BITS: u32 = 3;
const CHILDREN: usize = 1 << BRANCH_BITS;

#[derive(Clone)]
enum Node {
    Leaf(Leaf),
    Branch(Branch),
}

/// A bit of one of these for each changeset that is not rolled back.
#[derive(Clone, Copy, Default)]
struct Leaf {
    open: u64,
    closed: u64,
    aborted: u64,
}

#[derive(Clone, Default)]
struct Branch {
    /// A bit for each child with an open changeset.
    open: u8,
    children: [Option<Arc<Node>>; CHILDREN],
}

/// The statuses of a plan's changesets.
#[derive(Clone, Default)]
pub struct Statuses {
    /// How many have been started, of all.
    started: u64,
    /// Levels of branches over the leaves.
    levels: u32,
    root: Option<Arc<Node>>,
}

impl Statuses {
    /// How many changesets the plan has ever started.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// `None` where no such changeset was started.
    #[inline]
    pub fn get(&self, id: ChangesetId) -> Option<Status> {
        let index = id.index();
        if index >= self.started {
            return None;
        }
        Some(self.leaf(index).map_or(Status::RolledBack, |leaf| leaf.get(index)))
    }

    /// The leaf for the changeset.
    #[inline]
    fn leaf(&self, index: u64) -> Option<&Leaf> {
        if !fits(index, self.levels) {
            return None;
        }
        let (mut node, mut level) = (self.root.as_deref()?, self.levels);
        loop {
            match node {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Branch(branch) => node = branch.children[child(index, level)].as_deref()?,
            }
            level -= 1;
        }
    }

    /// The largest open one.
    pub fn top(&self) -> Option<ChangesetId> {
        let (mut node, mut level, mut index) = (self.root.as_deref()?, self.levels, 0);
        loop {
            match node {
                Node::Leaf(leaf) => {
                    return Some(ChangesetId::from_index(index | u64::from(leaf.open.checked_ilog2()?)));
                }
                Node::Branch(branch) => {
                    let child = branch.open.checked_ilog2()?;
                    index |= u64::from(child) << shift(level);
                    node = branch.children[child as usize].as_deref()?;
                }
            }
            level -= 1;
        }
    }

    /// With one more, which is open.
    pub fn start(&self) -> (Self, ChangesetId) {
        let id = ChangesetId::from_index(self.started);
        (Self { started: self.started + 1, ..self.clone() }.with(id, Status::Open), id)
    }

    /// With another status for a changeset that was started.
    pub fn with(mut self, id: ChangesetId, status: Status) -> Self {
        let index = id.index();
        while !fits(index, self.levels) {
            self.levels += 1;
            self.root = self.root.take().map(|root| {
                let mut branch = Branch { open: u8::from(root.has_open()), ..Branch::default() };
                branch.children[0] = Some(root);
                Arc::new(Node::Branch(branch))
            });
        }
        self.root = Some(with(self.root.as_deref(), self.levels, index, status));
        self
    }

    /// As they were `then`, but with the ids that were given out since: they are rolled back.
    pub fn rolled_back_to(&self, then: &Self) -> Self {
        Self { started: self.started, ..then.clone() }
    }
}

/// The node with a status changed; as many calls deep as there are levels.
fn with(node: Option<&Node>, level: u32, index: u64, status: Status) -> Arc<Node> {
    Arc::new(if level == 0 {
        let leaf = if let Some(Node::Leaf(leaf)) = node { *leaf } else { Leaf::default() };
        Node::Leaf(leaf.with(index, status))
    } else {
        let mut branch = if let Some(Node::Branch(branch)) = node { branch.clone() } else { Branch::default() };
        let at = child(index, level);
        let changed = with(branch.children[at].as_deref(), level - 1, index, status);
        branch.open = branch.open & !(1 << at) | u8::from(changed.has_open()) << at;
        branch.children[at] = Some(changed);
        Node::Branch(branch)
    })
}

impl Node {
    fn has_open(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.open != 0,
            Self::Branch(branch) => branch.open != 0,
        }
    }
}

impl Leaf {
    fn get(self, index: u64) -> Status {
        let bit = bit(index);
        if self.open & bit != 0 {
            Status::Open
        } else if self.closed & bit != 0 {
            Status::Closed
        } else if self.aborted & bit != 0 {
            Status::Aborted
        } else {
            Status::RolledBack
        }
    }

    fn with(mut self, index: u64, status: Status) -> Self {
        let bit = bit(index);
        for (word, this) in
            [(&mut self.open, Status::Open), (&mut self.closed, Status::Closed), (&mut self.aborted, Status::Aborted)]
        {
            *word = if status == this { *word | bit } else { *word & !bit };
        }
        self
    }
}

fn bit(index: u64) -> u64 {
    1 << (index % (1 << LEAF_BITS))
}

/// How far the bits of an index that choose a branch's child at this level are to be shifted.
fn shift(level: u32) -> u32 {
    LEAF_BITS + (level - 1) * BRANCH_BITS
}

#[allow(clippy::cast_possible_truncation, reason = "only the lowest bits are asked for")]
fn child(index: u64, level: u32) -> usize {
    (index >> shift(level)) as usize % CHILDREN
}

/// Whether a trie of so many levels has a place for the index.
#[inline]
fn fits(index: u64, levels: u32) -> bool {
    index.checked_shr(LEAF_BITS + levels * BRANCH_BITS).unwrap_or(0) == 0
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Enough for every `u64`.
    const LEVELS: u32 = (u64::BITS - LEAF_BITS).div_ceil(BRANCH_BITS);

    fn id(index: u64) -> ChangesetId {
        ChangesetId::from_index(index)
    }

    /// Plain: a status for each, and the largest open one looked for from the end.
    fn check(statuses: &Statuses, plain: &[Status]) {
        assert_eq!(statuses.started(), plain.len() as u64);
        for (index, status) in (0..).zip(plain) {
            assert_eq!(statuses.get(id(index)), Some(*status), "{index}");
        }
        assert_eq!(statuses.get(id(plain.len() as u64)), None);
        let top = plain.iter().rposition(|status| *status == Status::Open);
        assert_eq!(statuses.top(), top.map(|index| id(index as u64)));
    }

    #[test]
    fn the_last_id_has_a_place() {
        let last = u64::MAX - 1;
        let statuses = Statuses { started: u64::MAX, ..Statuses::default() };
        let open = statuses.clone().with(id(last), Status::Open);
        assert_eq!(open.levels, LEVELS);
        assert_eq!((open.get(id(last)), open.get(id(0))), (Some(Status::Open), Some(Status::RolledBack)));
        assert_eq!((open.top(), statuses.top()), (Some(id(last)), None));
        assert_eq!(open.with(id(last), Status::Closed).top(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_trie_is_a_list(ops in prop::collection::vec((0..12, any::<prop::sample::Index>()), 1..2_000)) {
            let mut versions = vec![(Statuses::default(), Vec::new())];
            for (op, at) in ops {
                let (statuses, plain) = versions.last().cloned().unwrap_or_default();
                let next = match op {
                    0..7 => {
                        let (next, id) = statuses.start();
                        assert_eq!(id.index(), plain.len() as u64);
                        (next, [plain, vec![Status::Open]].concat())
                    }
                    7..11 if !plain.is_empty() => {
                        let index = at.index(plain.len());
                        let status = if op % 2 == 0 { Status::Aborted } else { Status::Closed };
                        let mut next = plain;
                        next[index] = status;
                        (statuses.with(id(index as u64), status), next)
                    }
                    11 => {
                        let then: &(Statuses, Vec<Status>) = at.get(&versions);
                        let mut next = then.1.clone();
                        next.resize(plain.len(), Status::RolledBack);
                        (statuses.rolled_back_to(&then.0), next)
                    }
                    _ => continue,
                };
                versions.push(next);
            }
            // All of them: none has changed since.
            for (statuses, plain) in versions.iter().rev().step_by(37) {
                check(statuses, plain);
            }
        }
    }
}
