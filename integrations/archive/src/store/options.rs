//! What an [`ArchivedStore`](super::ArchivedStore) is told.

use core::time::Duration;
use std::ops::RangeInclusive;

use tierstack::Capacity;

/// How an [`ArchivedStore`](super::ArchivedStore) moves fragments from cold to the archive.
///
/// | setting | default | why |
/// |---|---|---|
/// | [`cold`](Self::new) | none: it is asked for | only the caller knows how much memory there is |
/// | [`queue_bytes`](Self::queue_bytes) | 64 MiB | a second or so of a fast disk |
/// | [`batch_bytes`](Self::batch_bytes) | 4 MiB | one `fsync`, or one request, is spread over many fragments |
/// | [`batch_entries`](Self::batch_entries) | 4,096 | the same for small fragments |
/// | [`linger`](Self::linger) | 100 ms | a trickle does not become a commit for each fragment |
/// | [`poll`](Self::poll) | 10 ms | stores through [`memory`](super::ArchivedStore::memory) do not tell the writer |
/// | [`back_off`](Self::back_off) | 50 ms to 10 s | a server that is away for long is asked rarely |
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tierstack::Capacity;
/// use tierstack_archive::ArchivedOptions;
///
/// let options = ArchivedOptions::new(Capacity::bytes(256 << 20))
///     .queue_bytes(32 << 20)
///     .linger(Duration::from_millis(20));
/// assert_eq!(options.cold, Capacity::bytes(256 << 20));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct ArchivedOptions {
    /// How much cold is to keep. The writer archives what is above it, the least recently used first. Fragments that are [kept](tierstack::TierStore::keep) in cold, or are
    /// [set aside](super::Health::set_aside), come on top.
    pub cold: Capacity,
    /// By how many bytes cold may be above [`cold`](Self::cold) before the store [is behind](super::Written::is_behind).
    pub queue_bytes: u64,
    /// About how many bytes (weights) one commit takes. A fragment that weighs more is a batch of its own.
    pub batch_bytes: u64,
    /// How many fragments one commit takes at most. As many removals, and as many copies for a flush or a checkpoint, come on top.
    pub batch_entries: u64,
    /// How long a part of a batch waits for the rest. A flush does not wait.
    pub linger: Duration,
    /// How often the writer looks at cold by itself.
    pub poll: Duration,
    /// The pauses after failures: from the first to the longest.
    pub back_off: RangeInclusive<Duration>,
}

impl ArchivedOptions {
    /// The defaults, for a cold tier that keeps so much. [`Capacity::UNBOUNDED`] archives nothing but copies: see
    /// [`checkpoint`](super::ArchivedStore::checkpoint).
    ///
    /// The store's own [`cold_capacity`](tierstack::Builder::cold_capacity) is another bound. What it pushes out is not archived. Leave it
    /// unbounded, or set it well above `cold`: see [`ArchivedStore`](super::ArchivedStore#when-the-archive-is-slower).
    pub fn new(cold: Capacity) -> Self {
        Self {
            cold,
            queue_bytes: 64 << 20,
            batch_bytes: 4 << 20,
            batch_entries: 4096,
            linger: Duration::from_millis(100),
            poll: Duration::from_millis(10),
            back_off: Duration::from_millis(50)..=Duration::from_secs(10),
        }
    }

    /// Sets [`queue_bytes`](Self::queue_bytes).
    pub fn queue_bytes(mut self, bytes: u64) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Sets [`batch_bytes`](Self::batch_bytes).
    pub fn batch_bytes(mut self, bytes: u64) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Sets [`batch_entries`](Self::batch_entries). 0 counts as 1.
    pub fn batch_entries(mut self, entries: u64) -> Self {
        self.batch_entries = entries;
        self
    }

    /// Sets [`linger`](Self::linger).
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Sets [`poll`](Self::poll). Less than a millisecond counts as one.
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// Sets [`back_off`](Self::back_off). The pauses double from the first to the longest. Each is shortened by chance, to half of it at most.
    pub fn back_off(mut self, pauses: RangeInclusive<Duration>) -> Self {
        self.back_off = pauses;
        self
    }

    /// So many bytes above `cold` wake the writer at once.
    pub(super) fn full_batch(&self) -> u64 {
        self.batch_bytes.min(self.queue_bytes / 2).max(1)
    }
}
