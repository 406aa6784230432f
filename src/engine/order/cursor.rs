//! A walk up an order: see *Scanning* at the head of [`crate::engine::order`].

use crossbeam_epoch::Guard;

use super::Order;
use super::block::SPAN;
use super::page::Page;
use crate::engine::clock::Clock;

/// A walk up an order from the oldest entry, which searches the directory once a page.
pub struct Cursor<'o, 'g, N: Send + Sync + 'static> {
    order: &'o Order<N>,
    guard: &'g Guard,
    /// The page where the walk is; none at the end.
    page: Option<&'g Page<N>>,
    /// Where in it; what is below was passed, or was found empty.
    from: u64,
}

impl<'o, 'g, N: Send + Sync + 'static> Cursor<'o, 'g, N> {
    #[inline]
    pub(super) fn new(order: &'o Order<N>, from: u64, guard: &'g Guard) -> Self {
        let page = order.directory.first_from(from / SPAN, guard).map(|page| &**page);
        let is_within = page.is_some_and(|page| page.index() == from / SPAN);
        Self { order, guard, page, from: if is_within { from % SPAN } else { 0 } }
    }

    /// The first entry that was not passed, as it is now. It is a hint: the node's place word decides.
    #[inline]
    pub fn here(&mut self, clock: &Clock) -> Option<(u64, &'g N)> {
        loop {
            let page = self.page?;
            if let Some((offset, node)) = page.first_from(self.from, self.guard) {
                self.from = offset;
                return Some((page.index() * SPAN + offset, node));
            }
            self.go_on(page, clock);
        }
    }

    /// Goes on behind the entry of that tick, which is the one that it stands at.
    #[inline]
    pub fn pass(&mut self, tick: u64) {
        self.from = tick % SPAN + 1;
    }

    #[cold]
    #[inline(never)]
    fn go_on(&mut self, page: &Page<N>, clock: &Clock) {
        self.order.seal_if_done(page, clock, self.guard);
        self.page = self.order.directory.first_from(page.index() + 1, self.guard).map(|page| &**page);
        self.from = 0;
    }
}
