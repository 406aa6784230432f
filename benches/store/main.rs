//! Speed of the store's operations, beside the peers. `cargo bench --bench store [-- FILTER]`.
//!
//! Keys are strings of 40 bytes, values a `u64` handle, the hasher and the weigher are the same for all. Each row (an
//! operation, a number of fragments, a number of threads) measures all subjects one right after the other. Times are
//! those of all threads together: the wall time of a run divided by its operations.
//!
//! Every operation can be measured with 1k to 1M fragments and by 1 to 16 threads. That would take hours: without a
//! filter only the rows of each operation's `DEFAULT` are. A filter, a regular expression over names such as
//! `get_hit/quick_cache/10000/2t`, chooses among all rows.

mod bench;
mod operations;

use bench::Bench;
use operations::{BulkLoad, Churn, CycleKeys, GetHit, GetMiss, HotKey, Insert, Mixed, StoreDemote};

fn main() {
    let mut bench = Bench::new();
    bench.measure(&GetHit);
    bench.measure(&GetMiss);
    bench.measure(&HotKey);
    for mixed in Mixed::ALL {
        bench.measure(&mixed);
    }
    bench.measure(&StoreDemote);
    bench.measure(&Insert);
    for cycle in CycleKeys::ALL {
        bench.measure(&cycle);
    }
    bench.measure(&Churn);
    bench.measure(&BulkLoad);
    bench.finish();
}
