//! Freeing at the caller's word.

use super::TierStore;
use crate::engine::reclaim;

impl<K, V, S> TierStore<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Frees what this thread has retired, as far as that can be done now. For idle moments, and for tests.
    ///
    /// What leaves the store waits until no thread can be reading it: see [reclamation](crate#reclamation). The work of
    /// freeing is done by later operations, of any store and any thread. So in a program that falls idle the last light values stay, up to
    /// some hundred for each thread, until somebody goes on. This call does that work at once.
    ///
    /// What it frees:
    ///
    /// - Everything that *this thread* has retired, of any store, if no thread stays pinned meanwhile, and if not too much waits.
    /// - Of what other threads have retired, what they have given to the collector. What they still keep goes when they call this,
    ///   when they end, or when they go on.
    /// - Nothing much while this thread holds a [`View`](crate::View), or any thread stays pinned: call it again later.
    ///
    /// [`Metrics::retired_bytes`](crate::Metrics::retired_bytes) says what is left. The drop of a store does the same for what the
    /// store has retired.
    ///
    /// # Linearization
    ///
    /// None: it changes nothing that an operation can see.
    ///
    /// # Progress
    ///
    /// Lock-free, but for the destructors that it runs. Bounded: eight rounds, each of which frees at most about 512 fragments. Within a
    /// destructor that the crate runs it does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tierstack::TierStore;
    ///
    /// let store: TierStore<u32, Arc<str>> = TierStore::new(1024)?;
    /// let value: Arc<str> = "light".into();
    /// store.store(1, Arc::clone(&value))?;
    /// drop(store.remove(&1));
    /// store.flush();
    /// assert_eq!(Arc::strong_count(&value), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&self) {
        reclaim::collect();
    }
}
