//! One thread runs at a time, and hands over where the input says so: at any step of the protocols.
//!
//! Who has the turn runs on for so many steps, then it goes to the thread that the schedule names next. At the schedule's end
//! each runs to its own end. Nobody waits for the others but here, so that whoever has the turn must come to its end
//! without them: within a number of steps, and the fuzzer's own time-out sees to what takes none.

use std::sync::{Condvar, Mutex, MutexGuard};

use arbitrary::Arbitrary;

/// More than all the operations of a thread take that runs alone.
const MOST_STEPS_ALONE: u32 = 20_000;

/// One turn.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Turn {
    to: u8,
    steps: u8,
}

pub struct Baton {
    state: Mutex<State>,
    /// One for each thread.
    turns: Vec<Condvar>,
}

struct State {
    /// Who runs.
    turn: usize,
    is_running: Vec<bool>,
    /// How many steps are left of the turn.
    left: u32,
    /// In reverse.
    schedule: Vec<Turn>,
    /// How many steps there were since somebody else ran.
    alone: u32,
    /// Nobody hands over at a step.
    is_frozen: bool,
}

impl Baton {
    pub fn new(threads: usize, mut schedule: Vec<Turn>) -> Self {
        schedule.reverse();
        let is_running = vec![true; threads];
        let state = State { turn: 0, is_running, left: 0, schedule, alone: 0, is_frozen: false };
        Self { state: Mutex::new(state), turns: (0..threads).map(|_| Condvar::new()).collect() }
    }

    /// Waits for one's first turn.
    pub fn begin(&self, me: usize) {
        self.wait(me, self.state.lock().unwrap());
    }

    /// Hands over, if the schedule says so, and waits for one's next turn.
    pub fn step(&self, me: usize) {
        let mut state = self.state.lock().unwrap();
        if state.is_frozen {
            return;
        }
        state.alone += 1;
        assert!(state.alone < MOST_STEPS_ALONE, "a thread that runs alone does not come to an end");
        if state.left > 0 {
            state.left -= 1;
            return;
        }
        let Some(Turn { to, steps }) = state.schedule.pop() else { return };
        state.left = u32::from(steps % 32);
        let to = usize::from(to) % self.turns.len();
        if state.is_running[to] && to != me {
            self.hand_over(&mut state, to);
            self.wait(me, state);
        }
    }

    /// Gives the turn away for good.
    pub fn end(&self, me: usize) {
        let mut state = self.state.lock().unwrap();
        state.is_running[me] = false;
        if let Some(next) = state.is_running.iter().position(|is_running| *is_running) {
            self.hand_over(&mut state, next);
        }
    }

    /// Does something that is one instant for all others.
    pub fn frozen<R>(&self, act: impl FnOnce() -> R) -> R {
        self.state.lock().unwrap().is_frozen = true;
        let result = act();
        self.state.lock().unwrap().is_frozen = false;
        result
    }

    fn hand_over(&self, state: &mut State, to: usize) {
        state.turn = to;
        state.alone = 0;
        self.turns[to].notify_one();
    }

    fn wait(&self, me: usize, mut state: MutexGuard<'_, State>) {
        while state.turn != me {
            state = self.turns[me].wait(state).unwrap();
        }
    }
}
