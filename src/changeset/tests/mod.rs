//! Tests from within: calls overtaken at each step, threads stopped there for good, and random schedules.

#[cfg(not(tierstack_shuttle))]
mod overtaken;
#[cfg(tierstack_shuttle)]
mod schedules;
#[cfg(not(tierstack_shuttle))]
mod stalled;
