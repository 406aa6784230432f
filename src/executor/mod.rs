//! Strategies in parallel: each on rayon's pool, with a changeset of its own. Behind the feature `rayon`.
//!
//! A [`StrategyExecutor`] runs [strategies](Strategy) over one [`TierStore`](crate::TierStore) and one
//! [`PlanContext`](crate::PlanContext). A strategy that succeeds has its changeset closed. One that returns an error, or panics, has it
//! aborted: its changes leave the diff, and stay in the audit trail. A panic harms no other strategy, and is handed back.
//!
//! ```
//! use tierstack::executor::{Outcome, StrategyError, StrategyExecutor};
//! use tierstack::{Change, PlanContext, Status, TierStore};
//!
//! let (store, plan) = (TierStore::<&str, u32>::new(1024)?, PlanContext::new());
//! store.store("a.rs", 3)?;
//! store.store("b.rs", 7)?;
//!
//! let executor = StrategyExecutor::new(&store, &plan);
//! let run = executor.run(&[
//!     executor.strategy("lexical", |context| {
//!         context.promote("b.rs")?;
//!         context.record(Change::create("notes.md", None))?;
//!         Ok::<_, StrategyError>(Outcome::ranked(["b.rs", "a.rs"]))
//!     }),
//!     executor.strategy("broken", |context| {
//!         context.record(Change::delete("a.rs", None))?;
//!         panic!("no index")
//!     }),
//! ]);
//!
//! assert_eq!(run.reports()[0].status, Status::Closed);
//! assert_eq!(run.reports()[1].status, Status::Aborted);
//! assert_eq!(run.reports()[1].result.as_ref().unwrap_err().to_string(), "the strategy panicked: no index");
//! assert_eq!(run.snapshot().diff().len(), 1); // only what succeeded
//! assert_eq!(*run.fused()[0].item(), "b.rs");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it waits for
//!
//! [`run`](StrategyExecutor::run) returns when all strategies have ended. It waits for rayon's join, and for nothing else: the rest is
//! lock-free. So it takes as long as its slowest strategy. Nothing of a store is pinned meanwhile, but by strategies themselves. rayon itself
//! is not lock-free where its threads fall asleep and are woken.
//!
//! A thread that waits in a join takes up other work of its pool. So a strategy that joins (by `par_iter`, `join`, `scope`, or by running another executor) may
//! find another strategy run on its thread meanwhile, within its own frames:
//!
//! - Hold no [`View`](crate::View), [`StrategyView`] or lock across a join.
//! - Join neither within a listener nor within a destructor. What other strategies push out or drop on that thread waits until it has returned.
//! - Many strategies that join can lie on one stack. Where there are very many, give the pool a larger one.
//! - Strategies must not wait for each other: there may be one thread for all of them.
//!
//! # Cancelling
//!
//! Nobody can stop a strategy but itself. A [`CancellationToken`] and a deadline are asked before it starts, by the helpers of its
//! [`StrategyContext`], and where it asks [`is_cancelled`](StrategyContext::is_cancelled).
//!
//! | file | what |
//! |---|---|
//! | `strategy` | what a strategy is, and what it gives |
//! | `execute`, `attempt` | the executor; one strategy of a run |
//! | `context`, `view` | what a strategy is given, and its pinned view |
//! | `cancellation`, `counts`, `progress` | the token; what is counted; what callbacks are told |
//! | `report`, `failure`, `panic` | what came of a run; why a strategy failed |
//! | `fusion` | one ranking out of several |

mod attempt;
mod cancellation;
mod context;
mod counts;
mod execute;
mod failure;
mod fusion;
mod panic;
mod progress;
mod report;
mod strategy;
mod view;

pub use cancellation::{CancellationToken, Stopped};
pub use context::StrategyContext;
pub use counts::Counts;
pub use execute::StrategyExecutor;
pub use failure::{Failure, Interrupted, NotRecorded, StrategyError};
pub use fusion::{FUSION_K, Fused, Ranking, Vote, fuse};
pub use panic::Panic;
pub use progress::{Progress, Step};
pub use report::{Run, StrategyReport};
pub use strategy::{BoxedStrategy, Outcome, Strategy};
pub use view::StrategyView;
