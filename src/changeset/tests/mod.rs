//! Tests from within: calls overtaken at each step, threads stopped there for good, and random schedules. And changes as texts, for tests.

#[cfg(not(tierstack_shuttle))]
mod overtaken;
#[cfg(tierstack_shuttle)]
mod schedules;
#[cfg(not(tierstack_shuttle))]
mod stalled;
#[cfg(not(tierstack_shuttle))]
pub mod text;
