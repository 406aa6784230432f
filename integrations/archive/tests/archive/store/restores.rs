//! Restores whose keys and values do more than keys and values should.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;

use tierstack::{Capacity, Tier, TierStore};
use tierstack_archive::{ArchivedStore, Codec, CodecError, Source, Typed};

use super::paused::Stop;
use super::trial::{LIMIT, Numbers, PANICS, Point, Trial, options, until};

/// A key that cannot be hashed while a panic goes on.
#[derive(Clone, PartialEq, Eq)]
struct Shy(u64);

impl Hash for Shy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!thread::panicking(), "one panic in another ends the process");
        self.0.hash(state);
    }
}

/// Numbers, of which one panics when it is read.
struct ShyCodec;

impl Codec<Shy> for ShyCodec {
    fn encode(&self, key: &Shy, to: &mut Vec<u8>) -> Result<(), CodecError> {
        Numbers(None).encode(&key.0, to)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Shy, CodecError> {
        Numbers(None).decode(bytes).map(Shy)
    }
}

struct Unreadable;

impl Codec<u64> for Unreadable {
    fn encode(&self, value: &u64, to: &mut Vec<u8>) -> Result<(), CodecError> {
        to.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        let value = Numbers(None).decode(bytes)?;
        assert_ne!(value, PANICS, "the codec panics");
        Ok(value)
    }
}

#[test]
fn a_restore_that_panics_does_not_hash_its_key() {
    let memory = TierStore::<Shy, u64>::builder(1).weigher(|_, _| 1).warm_capacity(Capacity::entries(1));
    let archive = Typed::new(Trial::new(), ShyCodec, Unreadable);
    let store = ArchivedStore::new(memory.build().unwrap(), archive, options(0)).unwrap();
    for (key, value) in [(1, PANICS), (2, 20)] {
        store.store(Shy(key), value).unwrap();
        store.memory().demote_to(&Shy(key), Tier::Cold);
    }
    store.flush(LIMIT).unwrap();
    until("both leave", || store.memory().len(Tier::Cold) == 0);
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| store.get_or_restore(&Shy(1)).is_ok())).is_err());
    }
    assert_eq!(store.get_or_restore(&Shy(2)).unwrap().unwrap().fragment.value, 20);
    // No restore of it is registered any more.
    store.remove(&Shy(1));
    assert!(store.get_or_restore(&Shy(1)).unwrap().is_none());
}

type Kept = ArchivedStore<u64, Busy, Arc<Trial>, Numbers, BusyCodec>;
type Place = Arc<OnceLock<Weak<Kept>>>;

/// A value that uses the store when it is dropped, if it was read from the archive.
struct Busy(u64, Option<Place>);

impl Clone for Busy {
    fn clone(&self) -> Self {
        Self(self.0, None)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(store) = self.1.as_ref().and_then(|place| place.get()).and_then(Weak::upgrade) {
            store.remove(&self.0);
        }
    }
}

struct BusyCodec(Place);

impl Codec<Busy> for BusyCodec {
    fn encode(&self, value: &Busy, to: &mut Vec<u8>) -> Result<(), CodecError> {
        Numbers(None).encode(&value.0, to)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Busy, CodecError> {
        Ok(Busy(Numbers(None).decode(bytes)?, Some(self.0.clone())))
    }
}

#[test]
fn a_value_that_is_not_needed_is_dropped_behind_the_gate() {
    let (trial, place) = (Trial::new(), Place::default());
    let memory = TierStore::builder(1).weigher(|_: &u64, _: &Busy| 1).warm_capacity(Capacity::entries(1));
    let archive = Typed::new(trial.clone(), Numbers(None), BusyCodec(place.clone()));
    let store = Arc::new(Kept::new(memory.build().unwrap(), archive, options(0)).unwrap());
    place.set(Arc::downgrade(&store)).ok().unwrap();
    store.store(1, Busy(1, None)).unwrap();
    store.memory().demote_to(&1, Tier::Cold);
    store.flush(LIMIT).unwrap();
    until("it leaves", || store.get(&1).is_none());
    let stop = Stop::at(&trial, Point::AfterGet);
    let (restoring, (tell, told)) = (store.clone(), channel());
    thread::spawn(move || tell.send(restoring.get_or_restore(&1).unwrap().map(|found| found.source)));
    stop.wait();
    // Another one is there when it comes back, so it drops what it has read; that one removes the key.
    store.store(1, Busy(2, None)).unwrap();
    stop.go();
    assert_eq!(told.recv_timeout(LIMIT).expect("it does not lock up"), Some(Source::Memory));
    until("it is removed", || store.get(&1).is_none());
}
