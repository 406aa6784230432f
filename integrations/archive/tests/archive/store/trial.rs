//! An archive in memory that fails, waits and tells as a test says, and stores on it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tierstack::{Capacity, Tier, TierStore};
use tierstack_archive::{
    Archive, ArchiveError, ArchivedOptions, ArchivedStore, Codec, CodecError, Committed, Compacted, ErrorKind, Op,
    Record, Status, Typed,
};

/// Where a test can step in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    EncodeKey(u64),
    BeforeCommit,
    AfterCommit,
    BeforeGet,
    AfterGet,
}

type Hook = dyn Fn(Point) + Send + Sync;
type Known = BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)>;

#[derive(Default)]
pub struct Trial {
    state: Mutex<State>,
    hook: Mutex<Option<Arc<Hook>>>,
}

#[derive(Default)]
struct State {
    known: Known,
    durable: Known,
    horizon: u64,
    highest_tick: u64,
    commits: u64,
    flushes: u64,
    tries: u64,
    fails: Option<ErrorKind>,
    fails_flush: bool,
    fails_forget: bool,
    panics: bool,
    /// Keys whose steps are refused.
    corrupt: Vec<Vec<u8>>,
}

impl Trial {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub fn on(&self, hook: impl Fn(Point) + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    pub fn off(&self) {
        *self.hook.lock().unwrap() = None;
    }

    pub fn reach(&self, point: Point) {
        let hook = self.hook.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook(point);
        }
    }

    pub fn fail(&self, kind: Option<ErrorKind>) {
        self.state.lock().unwrap().fails = kind;
    }

    /// Commits are done, and what follows fails.
    pub fn fail_flush(&self, fails: bool) {
        self.state.lock().unwrap().fails_flush = fails;
    }

    pub fn fail_forget(&self, fails: bool) {
        self.state.lock().unwrap().fails_forget = fails;
    }

    pub fn panic(&self, panics: bool) {
        self.state.lock().unwrap().panics = panics;
    }

    pub fn corrupt(&self, key: Option<u64>) {
        self.state.lock().unwrap().corrupt = key.iter().map(|key| key.to_be_bytes().to_vec()).collect();
    }

    pub fn tries(&self) -> u64 {
        self.state.lock().unwrap().tries
    }

    pub fn commits(&self) -> u64 {
        self.state.lock().unwrap().commits
    }

    pub fn value(&self, key: u64) -> Option<u64> {
        let state = self.state.lock().unwrap();
        let value = state.known.get(&key.to_be_bytes()[..])?.1.as_ref()?;
        Some(u64::from_be_bytes(value[..].try_into().unwrap()))
    }

    /// What is there after a crash.
    pub fn crashed(&self) -> Arc<Self> {
        let state = self.state.lock().unwrap();
        let (known, durable, highest_tick) = (state.durable.clone(), state.durable.clone(), state.highest_tick);
        let state = State { known, durable, highest_tick, horizon: state.horizon, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), hook: Mutex::default() })
    }

    pub fn horizon(&self) -> u64 {
        self.state.lock().unwrap().horizon
    }

    fn ready(&self) -> Result<(), ArchiveError> {
        let mut state = self.state.lock().unwrap();
        state.tries += 1;
        if state.panics {
            drop(state);
            panic!("the trial archive panics");
        }
        state.fails.map_or(Ok(()), |kind| Err(ArchiveError::new(kind, "a trial")))
    }
}

impl Archive for Trial {
    fn commit(&self, batch: &[Op<'_>]) -> Result<Committed, ArchiveError> {
        self.reach(Point::BeforeCommit);
        self.ready()?;
        let mut state = self.state.lock().unwrap();
        for op in batch {
            if state.corrupt.iter().any(|key| key == op.key()) {
                return Err(ArchiveError::new(ErrorKind::Corrupt, "a corrupt record").of_key(op.key()));
            }
            if op.tick() < state.horizon {
                return Err(ArchiveError::new(ErrorKind::BelowHorizon, "a broken promise").of_key(op.key()));
            }
        }
        let mut committed = Committed::default();
        for op in batch {
            let value = if let Op::Put { value, .. } = op { Some(value.to_vec()) } else { None };
            state.highest_tick = state.highest_tick.max(op.tick());
            let known = state.known.get(op.key()).map(|(tick, value)| (*tick, value.is_none()));
            if known.is_some_and(|known| known >= (op.tick(), value.is_none())) {
                committed.stale += 1;
            } else {
                committed.applied += 1;
                state.known.insert(op.key().to_vec(), (op.tick(), value));
            }
        }
        state.commits += 1;
        drop(state);
        self.reach(Point::AfterCommit);
        Ok(committed)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Record>, ArchiveError> {
        self.reach(Point::BeforeGet);
        self.ready()?;
        let record = self.state.lock().unwrap().known.get(key).and_then(|(tick, value)| {
            let value = value.clone()?.into();
            Some(Record { key: key.to_vec().into(), tick: *tick, value })
        });
        self.reach(Point::AfterGet);
        Ok(record)
    }

    fn scan(&self, _: Option<&[u8]>, _: &mut dyn FnMut(Record) -> ControlFlow<()>) -> Result<(), ArchiveError> {
        unreachable!("nobody scans")
    }

    fn flush(&self) -> Result<(), ArchiveError> {
        self.ready()?;
        let mut state = self.state.lock().unwrap();
        if state.fails_flush {
            return Err(ArchiveError::new(ErrorKind::Unavailable, "a trial"));
        }
        state.durable = state.known.clone();
        state.flushes += 1;
        Ok(())
    }

    fn forget(&self, before: u64) -> Result<(), ArchiveError> {
        self.ready()?;
        let mut state = self.state.lock().unwrap();
        if state.fails_forget {
            return Err(ArchiveError::new(ErrorKind::Fenced, "a trial"));
        }
        state.horizon = state.horizon.max(before);
        Ok(())
    }

    fn compact(&self) -> Result<Compacted, ArchiveError> {
        Ok(Compacted::default())
    }

    fn status(&self) -> Result<Status, ArchiveError> {
        self.ready()?;
        let state = self.state.lock().unwrap();
        let mut status = Status::default();
        (status.highest_tick, status.horizon) = (state.highest_tick, state.horizon);
        Ok(status)
    }
}

/// Numbers, most significant byte first. It refuses two values: by an error, and by a panic.
pub struct Numbers(pub Option<Arc<Trial>>);

pub const REFUSED: u64 = u64::MAX - 13;
pub const PANICS: u64 = u64::MAX - 666;

impl Codec<u64> for Numbers {
    fn encode(&self, value: &u64, to: &mut Vec<u8>) -> Result<(), CodecError> {
        match (&self.0, *value) {
            (Some(trial), key) => trial.reach(Point::EncodeKey(key)),
            (None, REFUSED) => return Err("13 brings bad luck".into()),
            (None, PANICS) => panic!("the codec panics"),
            _ => {}
        }
        to.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        Ok(u64::from_be_bytes(bytes.try_into()?))
    }
}

pub type Store = ArchivedStore<u64, u64, Arc<Trial>, Numbers, Numbers>;

/// Each fragment weighs 1, and hot and warm keep this one each.
pub fn memory() -> tierstack::Builder<u64, u64> {
    TierStore::builder(1).weigher(|_: &u64, _: &u64| 1).warm_capacity(Capacity::entries(1))
}

/// As quick as it gets.
pub fn options(cold: u64) -> ArchivedOptions {
    ArchivedOptions::new(Capacity::entries(cold))
        .linger(Duration::ZERO)
        .poll(Duration::from_millis(1))
        .back_off(Duration::from_millis(1)..=Duration::from_millis(5))
}

pub fn typed(trial: &Arc<Trial>) -> Typed<Arc<Trial>, Numbers, Numbers> {
    Typed::new(trial.clone(), Numbers(Some(trial.clone())), Numbers(None))
}

pub fn store(trial: &Arc<Trial>, options: ArchivedOptions) -> Store {
    ArchivedStore::new(memory().build().unwrap(), typed(trial), options).unwrap()
}

/// Stores it, and moves it to cold, from where it leaves.
pub fn store_cold(store: &Store, key: u64, value: u64) {
    store.store(key, value).unwrap();
    store.memory().demote_to(&key, Tier::Cold);
}

pub const LIMIT: Duration = Duration::from_secs(20);

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "it does not come to pass: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn restored(store: &Store, key: u64) -> Option<u64> {
    store.get_or_restore(&key).unwrap().map(|restored| restored.fragment.value)
}
