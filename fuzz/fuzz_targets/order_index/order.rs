//! The order is a map from ticks to nodes: whatever is placed stands there until it is cleared.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use tierstack::internals::{Clock, Order};

/// Which of the ticks that there are.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Which(u8);

#[derive(Arbitrary, Debug)]
pub enum Step {
    /// Takes a tick, to be placed at some time.
    Take,
    /// Takes a tick and places it at once, as most are.
    TakeAndPlace,
    /// Lets ticks go by that nobody places.
    Skip(u8),
    /// Places a tick that was taken; or once more, as a helper does; or again after it was cleared, as a late helper does.
    Place(Which),
    Clear(Which),
    /// Looks for the first entry from a tick on.
    First(Which),
    Visit,
    /// Walks up past so many entries, and clears those of them that the flag says.
    Walk(u8, bool),
    /// Clears all, from the oldest on.
    Empty,
    /// Unpins and pins again.
    Repin,
}

struct Trial {
    order: Order<usize>,
    clock: Clock,
    /// By number. Each box is a node.
    #[allow(clippy::vec_box, reason = "nodes do not move")]
    nodes: Vec<Box<usize>>,
    ticks: Vec<u64>,
    /// The number of the node at each tick.
    model: BTreeMap<u64, usize>,
    guard: crossbeam_epoch::Guard,
}

impl Trial {
    fn take(&mut self) {
        let number = self.nodes.len();
        self.nodes.push(Box::new(number));
        self.ticks.push(self.clock.tick().expect("few are taken"));
    }

    fn which(&self, which: Which) -> Option<usize> {
        // Counted from the newest, as that is where most happens.
        let count = self.nodes.len();
        (count > 0).then(|| count - 1 - usize::from(which.0) % count)
    }

    fn place(&mut self, number: usize) {
        self.order.fill(self.ticks[number], &self.nodes[number], &self.clock, &self.guard);
        self.model.insert(self.ticks[number], number);
    }

    fn clear(&mut self, number: usize) {
        self.order.clear(self.ticks[number], &self.nodes[number], &self.clock, &self.guard);
        self.model.remove(&self.ticks[number]);
    }

    fn first_from(&self, tick: u64) {
        let found = self.order.first_from(tick, &self.clock, &self.guard).map(|(tick, node)| (tick, *node));
        let expected = self.model.range(tick..).next().map(|(tick, number)| (*tick, *number));
        assert_eq!(found, expected, "the first from {tick} on");
    }

    fn visit(&self) {
        let mut entries = Vec::new();
        self.order.visit(&self.guard, |tick, node| entries.push((tick, *node)));
        assert!(entries.iter().copied().eq(self.model.iter().map(|(tick, number)| (*tick, *number))), "{entries:?}");
    }

    fn walk(&mut self, entries: u8, clears: bool) {
        let mut cursor = self.order.cursor(&self.guard);
        let mut from = 0;
        for _ in 0..entries % 40 {
            let here = cursor.here(&self.clock).map(|(tick, node)| (tick, *node));
            let expected = self.model.range(from..).next().map(|(tick, number)| (*tick, *number));
            assert_eq!(here, expected, "in a walk, from {from} on");
            let Some((tick, number)) = here else { break };
            if clears {
                self.order.clear(tick, &self.nodes[number], &self.clock, &self.guard);
                self.model.remove(&tick);
            }
            cursor.pass(tick);
            from = tick + 1;
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Take => self.take(),
            Step::TakeAndPlace => {
                self.take();
                self.place(self.nodes.len() - 1);
            }
            Step::Skip(ticks) => {
                for _ in 0..ticks % 70 {
                    self.clock.tick();
                }
            }
            Step::Place(which) => {
                if let Some(number) = self.which(which) {
                    self.place(number);
                }
            }
            Step::Clear(which) => {
                if let Some(number) = self.which(which) {
                    self.clear(number);
                }
            }
            Step::First(which) => {
                if let Some(number) = self.which(which) {
                    self.first_from(self.ticks[number]);
                    self.first_from(self.ticks[number] + 1);
                }
            }
            Step::Visit => self.visit(),
            Step::Walk(entries, clears) => self.walk(entries, clears),
            Step::Empty => {
                while let Some(number) = self.model.first_key_value().map(|(_, number)| *number) {
                    self.first_from(0);
                    self.clear(number);
                }
            }
            Step::Repin => self.guard.repin(),
        }
        self.first_from(0);
    }
}

pub fn run<'s>(steps: impl Iterator<Item = &'s Step>) {
    let mut trial = Trial {
        order: Order::new(),
        clock: Clock::starting_at(1),
        nodes: Vec::new(),
        ticks: Vec::new(),
        model: BTreeMap::new(),
        guard: crossbeam_epoch::pin(),
    };
    for step in steps {
        trial.step(step);
    }
    trial.visit();
    trial.step(&Step::Empty);
    trial.visit();
}
