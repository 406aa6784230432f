//! What progress callbacks are told.

use crate::changeset::{ChangesetId, Status};

/// What a callback of [`StrategyExecutor::on_progress`](super::StrategyExecutor::on_progress) is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The strategy's place among those of the run, from 0.
    pub index: usize,
    /// How many strategies the run has.
    pub of: usize,
    /// The strategy's name.
    pub name: &'a str,
    /// The strategy's changeset.
    pub changeset: ChangesetId,
    /// What has come to pass.
    pub step: Step,
}

/// A step of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// It is about to run. Not told of a strategy that is not run.
    Started,
    /// It said so: see [`StrategyContext::progress`](super::StrategyContext::progress).
    At {
        /// How much it has done.
        done: u64,
        /// Of how much, if it knows.
        total: Option<u64>,
    },
    /// It has ended, or was not run. Told once of each strategy.
    Finished {
        /// What has become of its changeset.
        status: Status,
    },
}

pub(super) type Callback<'a> = dyn Fn(&Progress<'_>) + Send + Sync + 'a;
