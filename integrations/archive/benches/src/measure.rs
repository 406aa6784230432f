//! What is measured of each subject.

use std::error::Error;
use std::hint;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::disk;
use crate::subjects::{FRAGMENT_BYTES, Found, Kind, Sizes, Subject, Values};
use crate::times::{Core, Times};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub sizes: Sizes,
    /// No subject stores for longer than this, nor restores, nor is timed in all of its rounds.
    pub longest: Duration,
    pub restores: u64,
    pub rounds: u64,
}

/// What storing as fast as it can has come to, and restoring after that.
pub struct Sustained {
    /// Stores a second, until all that overflowed was safe.
    pub stores: f64,
    pub stored: u64,
    /// Fragments that were neither in memory nor on the disk in the end.
    pub lost: u64,
    /// Restores a second, if there was anything to restore.
    pub restores: Option<f64>,
    /// Bytes that were written to the disk for each byte that is there.
    pub written: Option<f64>,
    /// Bytes that the files take for each byte that is there.
    pub taken: Option<f64>,
}

/// Stores fresh keys as fast as the subject takes them, waits until all is safe, and restores some.
pub fn sustained(kind: &Kind, plan: &Plan, values: &Values, folder: &Path) -> Result<Sustained, Box<dyn Error>> {
    let subject = (kind.open)(folder, plan.sizes)?;
    let (before, begun) = (disk::written(), Instant::now());
    let mut stored = 0;
    while stored < plan.sizes.stores && begun.elapsed() < plan.longest {
        if subject.store(stored, values.of(stored)) {
            subject.wait_for_room();
        }
        stored += 1;
    }
    subject.flush();
    let took = begun.elapsed();
    let written = disk::written().zip(before).map(|(after, before)| after - before);
    let taken = disk::taken(folder)?;

    let places: Vec<_> = (0..stored).map(|key| subject.place(key)).collect();
    let count = |place| places.iter().filter(|found| **found == place).count() as u64;
    let lost = count(Found::Lost);
    // What is written before it is stored is on the disk, whether it is in memory or not.
    let kept = if kind.writes_all { stored - lost } else { count(Found::OnDisk) };
    let of_each = |bytes: u64| (kept > 0 && bytes > 0).then(|| ratio(bytes, kept * FRAGMENT_BYTES));
    Ok(Sustained {
        stores: per_second(stored, took),
        stored,
        lost,
        restores: restores(&*subject, stored, plan),
        written: written.and_then(of_each),
        taken: of_each(taken),
    })
}

/// Of random keys. What was not in memory counts.
fn restores(subject: &dyn Subject, stored: u64, plan: &Plan) -> Option<f64> {
    let (mut random, begun) = (SmallRng::seed_from_u64(2), Instant::now());
    let mut restored = 0;
    for _ in 0..plan.restores {
        restored += u64::from(subject.restore(random.random_range(0..stored)) == Found::OnDisk);
        if begun.elapsed() > plan.longest {
            break;
        }
    }
    (restored > 0).then(|| per_second(restored, begun.elapsed()))
}

/// Times of the store's own operations, while what overflows is written behind.
pub struct Latency {
    pub get: Times,
    pub store: Times,
    /// Stores after which the subject said that it was behind.
    pub behind: u64,
    /// Look-ups of what should have been in memory, and was not.
    pub missed: u64,
}

impl Latency {
    pub fn new() -> Self {
        Self { get: Times::new(), store: Times::new(), behind: 0, missed: 0 }
    }

    /// One round more: memory is filled until it overflows; then a store of a fresh key and a look-up of a key in memory, at each beat. What is
    /// late skips beats. So an operation is timed in whichever state the subject's writer happens to be.
    pub fn round(
        &mut self,
        kind: &Kind,
        plan: &Plan,
        beat: Duration,
        values: &Values,
        folder: &Path,
    ) -> Result<(), Box<dyn Error>> {
        let subject = (kind.open)(folder, plan.sizes)?;
        let (fragments, pairs) = (plan.sizes.fragments(), plan.sizes.stores / plan.rounds);
        let (longest, begun) = (plan.longest / u32::try_from(plan.rounds)?, Instant::now());
        let mut next = 0;
        while next < fragments * 5 / 4 && begun.elapsed() < longest {
            if subject.store(next, values.of(next)) {
                subject.wait_for_room();
            }
            next += 1;
        }
        let (mut random, core) = (SmallRng::seed_from_u64(next), Core::of_this_thread());
        let (begun, mut at) = (Instant::now(), Instant::now());
        for key in next..next + pairs {
            let value = values.of(key);
            at = wait_until(at + beat);
            let is_behind = self.store.time(&core, || subject.store(key, value));
            // Among the newest quarter of memory, so that it is there: for sure in an exact LRU, and but for a few in one that is split.
            let known = key - random.random_range(0..(fragments / 4).min(key + 1));
            self.missed += u64::from(!self.get.time(&core, || subject.get(known)));
            if is_behind {
                self.behind += 1;
                subject.wait_for_room();
            }
            if begun.elapsed() > longest {
                break;
            }
        }
        Ok(())
    }
}

/// Spins, so that the thread keeps its core. The instant that it has waited for, or the present one if that is later by then.
fn wait_until(instant: Instant) -> Instant {
    let begun = Instant::now();
    if begun >= instant {
        return begun;
    }
    while Instant::now() < instant {
        hint::spin_loop();
    }
    instant
}

pub fn per_second(count: u64, took: Duration) -> f64 {
    ratio(count, 1) / took.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[allow(clippy::cast_precision_loss, reason = "counts and bytes are far below 2^52")]
pub fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}
