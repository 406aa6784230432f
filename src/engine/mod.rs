//! The engine: what the store's protocols are made of. Each atomic has its owner here, and nothing here knows of callers' operations.
//!
//! | file | what |
//! |---|---|
//! | `clock`, `budget`, `census` | ticks; hot's bytes; what each tier holds, and the claims on its capacity |
//! | `place` | the word that says where a fragment is, and its transitions |
//! | `node`; `claim` | a fragment in memory, and the end of it; who may take its value |
//! | `index/` | from keys to nodes: an open table that moves to another as it fills |
//! | `order/` | from ticks to nodes, one for each tier: recency |
//! | `age` | when a fragment was last used by the time, until when it lives, and how it expires |
//! | `entries` | what an entry of an order says to whoever meets it |
//! | `reports/` | what a snapshot in progress is told by everybody else |
//! | `reclaim/` | retirement in batches, memory used again, and who has the collector run |
//! | `stats` | counts that no protocol depends on |

pub mod age;
pub mod budget;
pub mod census;
pub mod claim;
pub mod clock;
pub mod entries;
pub mod index;
pub mod node;
pub mod order;
pub mod place;
pub mod reclaim;
pub mod reports;
pub mod stats;
