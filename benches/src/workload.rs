//! Keys, and the order in which they are used. Everything is derived from fixed seeds.

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// The length of every key. Equal lengths make equal weights, so that a store into a full tier demotes exactly one.
pub const KEY_BYTES: usize = 40;

/// How many different keys there are.
pub const MOST_KEYS: usize = 100_000_000;

/// The exponent of the Zipf distribution.
const SKEW: f64 = 0.99;

/// A source span, as an agent's context names its fragments.
pub fn key(i: usize) -> String {
    assert!(i < MOST_KEYS, "the numbers in a key have fixed widths");
    let key = format!("src/module_{:04}/file_{:04}.rs:{i:08}-{:02}", i / 10_000, i % 997, i % 89);
    assert_eq!(key.len(), KEY_BYTES);
    key
}

/// Keys of the numbers `from..from + n`, shuffled: neither the order of storing nor that of use is the order of keys.
pub fn keys(from: usize, n: usize) -> Vec<String> {
    let mut keys: Vec<String> = (from..from + n).map(key).collect();
    keys.shuffle(&mut StdRng::seed_from_u64(from as u64));
    keys
}

/// The Zipf distribution over `0..n`, by its cumulative weights.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: usize) -> Self {
        let weights = (1..).take(n).map(|rank: u32| f64::from(rank).powf(-SKEW));
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self(sums.collect())
    }

    fn sample(&self, rng: &mut impl Rng) -> usize {
        let total = *self.0.last().expect("a Zipf distribution has at least one rank");
        let at = rng.random_range(0.0..total);
        self.0.partition_point(|&sum| sum <= at)
    }
}

/// So many keys by the Zipf distribution. Every seed has draws of its own, and all agree on which keys are popular.
pub fn draw(keys: &[String], draws: usize, seed: u64) -> impl Iterator<Item = &str> {
    let mut popularity: Vec<&String> = keys.iter().collect();
    popularity.shuffle(&mut StdRng::seed_from_u64(0x005E_ED0F_4A2E));
    let (zipf, mut rng) = (Zipf::new(keys.len()), StdRng::seed_from_u64(seed));
    (0..draws).map(move |_| popularity[zipf.sample(&mut rng)].as_str())
}

/// One thread's look-ups, drawn beforehand and used over and over.
///
/// The keys' bytes lie in the order of use, so that reading them streams: the cache misses that are measured are the
/// subject's, not the harness's.
pub struct LookUps {
    text: String,
    at: usize,
}

impl LookUps {
    /// Four draws for each key, but no more than fit into 80 MB. Every thread has draws of its own, and all agree on
    /// which keys are popular.
    pub fn zipf(keys: &[String], thread: usize) -> Self {
        let draws = (4 * keys.len()).min(2_000_000);
        Self { text: draw(keys, draws, thread as u64).collect(), at: 0 }
    }

    /// Each of these, one after the other.
    pub fn each(keys: &[String]) -> Self {
        Self { text: keys.concat(), at: 0 }
    }

    /// That one key, again and again.
    pub fn one(key: &str) -> Self {
        Self { text: key.to_owned(), at: 0 }
    }

    /// Starts again from the first.
    pub fn rewind(&mut self) {
        self.at = 0;
    }

    /// The next key to look up.
    #[inline]
    pub fn next_key(&mut self) -> &str {
        let from = if self.at == self.text.len() { 0 } else { self.at };
        self.at = from + KEY_BYTES;
        &self.text[from..self.at]
    }
}

/// One thread's keys to store, round and round.
pub struct Cycle {
    keys: Vec<String>,
    at: usize,
}

impl Cycle {
    /// In the order given.
    pub fn new(keys: Vec<String>) -> Self {
        Self { keys, at: 0 }
    }

    /// All of them.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Starts again from the first.
    pub fn rewind(&mut self) {
        self.at = 0;
    }

    /// A key of its own, since every subject takes its keys by value: one allocation and 40 bytes copied.
    #[inline]
    pub fn next_key(&mut self) -> String {
        self.next_text().clone()
    }

    /// The next key, lent.
    #[inline]
    pub fn next_text(&mut self) -> &String {
        let from = if self.at == self.keys.len() { 0 } else { self.at };
        self.at = from + 1;
        &self.keys[from]
    }

    /// The key that was handed out last.
    #[inline]
    pub fn last_text(&self) -> &String {
        &self.keys[self.at - 1]
    }
}
