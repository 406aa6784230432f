//! The room in a table: how many cells are spoken for, and how many nodes can still come out of it.
//!
//! # What is counted
//!
//! - `used`: cells that are not null or will be: filled by inserts, claimed by inserts, or *kept* for nodes that the table before can
//!   still send.
//! - `revived`: tombstones that became nodes again, and claims to make them so.
//! - `buried`: nodes that became tombstones.
//!
//! Whoever fills a null, or revives a tombstone, claims that first, and gives the claim back if the CAS is lost. A burial is counted after
//! its CAS. So at every instant
//!
//! 1. the nodes that are in the table or still come into it are at most `used + revived - buried`;
//! 2. the cells that are not null are at most `used`, and `used` is at most `limit`, thirteen sixteenths of the cells.
//!
//! By 2 there is always a null, and every probe ends.
//!
//! # From table to table
//!
//! 1. *Seal*. Before a table gets a next one its counts are sealed: nothing can be claimed in it any more. From then on
//!    `used + revived - buried` only falls, and by 1 it bounds what will ever be copied out of the table.
//! 2. *Keep*. That many cells of the next table are `used` from the start. A copy needs no claim then. The next table is chosen so large
//!    that they are about half of its limit at most: the other half takes inserts, during the move and after it.
//! 3. *Hand over*. When everything is moved, the root advances. Who advances it marks the old counts as handed over, and lowers the next
//!    table's `used` by what did not come: what was kept, less what the old counts say by then.
//! 4. *Late counts*. A thread may have stopped between a burial, or a lost CAS, and the count of it. When it goes on and
//!    finds the mark, it lowers the `used` of the next table, or, where that is handed over as well, of the one after that.
//!
//! So nothing that cannot come any more is counted on from table to table: with no operation in flight `used` is
//! exactly the number of cells that are not null, in the thousandth table as in the first. (Were it not so, steady churn would leave each table less room
//! than the last one had, until one insert moves them all.)
//!
//! # Orderings
//!
//! 1 and 2 follow from the modification orders of the counts alone. `Relaxed` does for claims and for the seal. The mark is set with
//! `Release`, and seen with `Acquire` by late counts, which go on to the next table.

use crate::sync::{AtomicU64, Ordering};

/// In `used` and `revived`: nothing is claimed any more.
const SEALED: u64 = 1 << 63;
/// In all counts: the next table has taken over what they say.
const HANDED_OVER: u64 = 1 << 62;
const COUNT: u64 = HANDED_OVER - 1;

/// The room in one table.
pub struct Room {
    used: AtomicU64,
    revived: AtomicU64,
    buried: AtomicU64,
    /// The most cells that are used.
    limit: u64,
    /// What `used` began with.
    kept: u64,
}

/// What a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// To fill a null.
    Fill,
    /// To revive a tombstone.
    Revival,
}

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Claimed {
    Granted,
    /// The table is full, or sealed.
    Refused,
}

/// When something was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Counted {
    InTime,
    /// The counts are handed over: the next table is to count it.
    Late,
}

/// The most cells of a table of that size that are used. A probe for an absent key then passes about fifteen cells, which is two
/// cache lines.
pub const fn limit_of(cells: usize) -> usize {
    let spare = cells / 16 * 3;
    cells - if spare > 1 { spare } else { 1 }
}

impl Room {
    /// The room in a table of so many cells, of which some are kept for what the table before sends.
    pub fn new(cells: usize, kept: u64) -> Self {
        Self {
            used: AtomicU64::new(kept),
            revived: AtomicU64::new(0),
            buried: AtomicU64::new(0),
            limit: limit_of(cells) as u64,
            kept,
        }
    }

    const fn of(&self, claim: Claim) -> &AtomicU64 {
        match claim {
            Claim::Fill => &self.used,
            Claim::Revival => &self.revived,
        }
    }

    pub fn claim(&self, claim: Claim) -> Claimed {
        // The marks are above every count.
        let (count, most) = match claim {
            Claim::Fill => (&self.used, self.limit),
            Claim::Revival => (&self.revived, HANDED_OVER),
        };
        // Relaxed: see the head of the module.
        let mut now = count.load(Ordering::Relaxed);
        while now < most {
            // Relaxed: as above.
            match count.compare_exchange_weak(now, now + 1, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Claimed::Granted,
                Err(changed) => now = changed,
            }
        }
        Claimed::Refused
    }

    /// Gives back a claim that was granted and not used.
    pub fn give_back(&self, claim: Claim) -> Counted {
        // Acquire: pairs with the mark in `hand_over`.
        when(self.of(claim).fetch_sub(1, Ordering::AcqRel))
    }

    /// Counts a node that became a tombstone.
    pub fn count_buried(&self) -> Counted {
        // Acquire: as in `give_back`.
        when(self.buried.fetch_add(1, Ordering::AcqRel))
    }

    /// Gives back cells that were kept for nodes that do not come.
    pub fn lower(&self, by: u64) -> Counted {
        // Acquire: as in `give_back`.
        when(self.used.fetch_sub(by, Ordering::AcqRel))
    }

    /// Whether so many cells can still be claimed.
    pub fn is_free(&self, cells: u64) -> bool {
        // Relaxed: a guess, which the next claim outdates. The marks are above every count.
        self.used.load(Ordering::Relaxed).saturating_add(cells) <= self.limit
    }

    /// Ends all claims.
    pub fn seal(&self) {
        // Relaxed: see the head of the module.
        self.used.fetch_or(SEALED, Ordering::Relaxed);
        self.revived.fetch_or(SEALED, Ordering::Relaxed);
    }

    /// The most cells that are not null or will be.
    #[cfg(any(test, tierstack_loom, tierstack_shuttle, fuzzing))]
    pub fn used(&self) -> u64 {
        // Relaxed: for tests.
        self.used.load(Ordering::Relaxed) & COUNT
    }

    /// The most nodes that are in the table or still come into it. Once it is sealed that only falls.
    pub fn nodes(&self) -> u64 {
        // Relaxed: see the head of the module. Each count bounds by itself.
        let buried = self.buried.load(Ordering::Relaxed) & COUNT;
        let used = self.used.load(Ordering::Relaxed) & COUNT;
        (used + (self.revived.load(Ordering::Relaxed) & COUNT)).saturating_sub(buried)
    }

    /// Whether so few nodes are left that they are at most half of what a table of a quarter of the size takes.
    pub fn is_sparse(&self) -> bool {
        self.nodes() * 8 <= self.limit
    }

    /// Marks the counts as handed over: once, by who has advanced the root. What the next table is to be lowered by: what was `kept` there
    /// for nodes that did not come.
    pub fn hand_over(&self, kept: u64) -> u64 {
        // Release: who finds the mark finds the next table.
        let [used, revived, buried] = [&self.used, &self.revived, &self.buried]
            .map(|count| count.fetch_or(HANDED_OVER, Ordering::AcqRel) & COUNT);
        (kept + buried).saturating_sub(used + revived)
    }

    /// What `used` began with.
    pub const fn kept(&self) -> u64 {
        self.kept
    }
}

const fn when(before: u64) -> Counted {
    if before & HANDED_OVER == 0 { Counted::InTime } else { Counted::Late }
}
