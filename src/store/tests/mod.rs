//! Tests from within: threads stopped at each step of the protocols, schedules, interleavings that once failed, answers to what is half done, loads of many fragments, changes that depend on what is there, fragments that are kept, entries of moves that are lost, the end of the clock, values that go at once, fragments that are due, what leaves for an archive, snapshots beside threads that are stopped, and the sweep of a store at rest.

#[cfg(not(tierstack_shuttle))]
mod addresses;
#[cfg(tierstack_shuttle)]
mod aged_instants;
#[cfg(not(tierstack_shuttle))]
mod ages;
#[cfg(not(tierstack_shuttle))]
mod bounds;
#[cfg(not(tierstack_shuttle))]
mod bulk;
#[cfg(not(tierstack_shuttle))]
mod changes;
#[cfg(not(tierstack_shuttle))]
mod clock;
#[cfg(not(tierstack_shuttle))]
mod fills;
#[cfg(tierstack_shuttle)]
mod instants;
#[cfg(not(tierstack_shuttle))]
mod keeping;
#[cfg(not(tierstack_shuttle))]
mod leaving;
#[cfg(not(tierstack_shuttle))]
mod meanwhile;
#[cfg(not(tierstack_shuttle))]
mod regressions;
#[cfg(tierstack_shuttle)]
mod schedules;
#[cfg(not(tierstack_shuttle))]
mod snapshots;
#[cfg(not(tierstack_shuttle))]
mod stalled;
mod sweep;
#[cfg(not(tierstack_shuttle))]
mod values;
