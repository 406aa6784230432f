//! What writing, reading and restoring a store needs beside the store. Counted by an allocator.
#![cfg(feature = "serde")]

#[path = "../plan_memory/counting.rs"]
mod counting;

use std::io::{Write, sink};
use std::sync::{Mutex, MutexGuard, PoisonError};

use counting::{Counting, kept, most};
use serde::de::DeserializeOwned;
use tierstack::{StoreSnapshot, Tier, TierStore};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

type Shown = StoreSnapshot<u32, Vec<u8>>;
type Store = TierStore<u32, Vec<u8>>;

/// Another test's thread that is pinned would keep what this one counts, or free it elsewhere.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const FRAGMENTS: u32 = if cfg!(debug_assertions) { 5_000 } else { 50_000 };
const BYTES: u64 = 1_000;

fn builder() -> tierstack::Builder<u32, Vec<u8>> {
    Store::builder(100 * BYTES).weigher(|_, value| value.len() as u64)
}

fn store() -> Store {
    let store = builder().build().unwrap();
    for key in 0..FRAGMENTS {
        store.store(key, vec![7; 1_000]).unwrap();
    }
    store
}

fn bytes(fragments: u32, each: isize) -> isize {
    isize::try_from(fragments).unwrap() * each
}

/// A file that is not there, and says how much it was given.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        sink().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn writing_streams() {
    let _alone = alone();
    let store = store();
    let view = store.pin();
    let mut snapshot = None;
    let taken = most(|| snapshot = Some(view.snapshot()));
    assert!(taken < bytes(FRAGMENTS, 400), "{taken} bytes for a snapshot that lends: no value is copied");
    let snapshot = snapshot.unwrap();
    let written = |write: &dyn Fn(&mut Counted)| {
        let mut file = Counted(0);
        let had = most(|| write(&mut file));
        assert!(file.0 > u64::from(FRAGMENTS) * BYTES, "only {} bytes were written", file.0);
        assert!(had < 64 << 10, "{had} bytes for {} fragments", snapshot.len());
    };
    written(&|file| serde_json::to_writer(file, &snapshot).unwrap());
    written(&|file| assert!(postcard::to_io(&snapshot, file).is_ok()));
    written(&|file| ciborium::into_writer(&snapshot, file).unwrap());
    written(&|file| rmp_serde::encode::write(file, &snapshot).unwrap());
    written(&|file| bincode::serialize_into(file, &snapshot).unwrap());
}

#[test]
fn what_is_read_and_restored_is_there_once() {
    let _alone = alone();
    let written = postcard::to_stdvec(&store().snapshot()).unwrap();
    let values = bytes(FRAGMENTS, 1_000);
    let mut snapshot: Option<Shown> = None;
    let had = most(|| snapshot = Some(postcard::from_bytes(&written).unwrap()));
    assert!(had < values + bytes(FRAGMENTS, 400), "{had} bytes to read values of {values}");
    let mut restored = None;
    let had = most(|| restored = Some(builder().restore(snapshot.take().unwrap()).unwrap()));
    // Nodes, index and orders; no values.
    assert!(had < bytes(FRAGMENTS, 400), "{had} bytes to restore values of {values}");
    assert_eq!(restored.unwrap().len(Tier::Hot), 100);
    let (read, had) = kept(|| postcard::from_bytes::<Shown>(&written).unwrap());
    assert!(had < values + bytes(FRAGMENTS, 200), "{had} bytes for {} values of {values}", read.len());
}

type Read<T> = fn(&[u8]) -> Option<T>;

/// In each format: how it is written, and how it is read.
fn formats<T: DeserializeOwned>(value: &impl serde::Serialize) -> [(Vec<u8>, Read<T>); 5] {
    let mut cbor = Vec::new();
    ciborium::into_writer(value, &mut cbor).unwrap();
    [
        (serde_json::to_vec(value).unwrap(), |bytes| serde_json::from_slice(bytes).ok()),
        (cbor, |bytes| ciborium::from_reader(bytes).ok()),
        (rmp_serde::to_vec(value).unwrap(), |bytes| rmp_serde::from_slice(bytes).ok()),
        (postcard::to_stdvec(value).unwrap(), |bytes| postcard::from_bytes(bytes).ok()),
        (bincode::serialize(value).unwrap(), |bytes| bincode::deserialize(bytes).ok()),
    ]
}

/// An input that promises more than it holds gets no room for that: neither for fragments, nor for what is made of them.
#[test]
fn no_room_is_made_for_what_is_only_promised() {
    const MOST: isize = 4 << 20;
    let _alone = alone();
    // As a format may begin a sequence that is long.
    let promises: [&[u8]; 6] = [
        &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // CBOR.
        &[0xdd, 0xff, 0xff, 0xff, 0xff],                         // MessagePack.
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], // Postcard,
        &[0xff, 0xff, 0xff, 0x7f],                               // shorter.
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00],       // Bincode,
        &[0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00],       // shorter.
    ];
    let store: TierStore<u32, u8> = TierStore::new(100).unwrap();
    for key in 0..4 {
        store.store(key, 1).unwrap();
    }
    for (bytes, read) in formats::<StoreSnapshot<u32, u8>>(&store.snapshot()) {
        assert!(read(&bytes).is_some());
        for promise in promises {
            for at in 0..bytes.len() {
                let mut lie = bytes[..at].to_vec();
                lie.extend(promise);
                for whole in [false, true] {
                    if whole {
                        lie.extend(bytes.get(lie.len()..).unwrap_or_default());
                    }
                    let had = most(|| drop(read(&lie)));
                    assert!(had < MOST, "{had} bytes for {} changed at {at}: {promise:x?}", bytes.len());
                }
            }
        }
    }
}

/// Fragments that take no room, as many as a length says, could be read for ever; but they have keys, of which no two are the same.
#[test]
fn a_million_fragments_of_nothing_are_refused_soon() {
    let _alone = alone();
    let mut written = postcard::to_stdvec(&(1_u16, 1_000_000_u32)).unwrap();
    written.extend([0, 0, 0].repeat(1_000_000));
    let had = most(|| {
        let read: Result<StoreSnapshot<(), ()>, _> = postcard::from_bytes(&written);
        assert!(read.is_err());
    });
    assert!(had < 200 << 20, "{had}");
}

/// The index of a restored store has room at once for what was shown, and shrinks as that leaves it.
#[test]
fn an_emptied_store_holds_no_more_where_it_was_restored() {
    const MANY: u32 = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
    let _alone = alone();
    let new = || TierStore::<u32, u32>::builder(8).weigher(|_, _| 8);
    let emptied = |store: &TierStore<u32, u32>| {
        for key in 0..MANY {
            store.remove(&key);
        }
        for key in 0..4000 {
            store.store(MANY + key % 64, 1).unwrap();
            store.remove(&(MANY + key % 64));
        }
        for _ in 0..400 {
            store.flush();
        }
    };
    let (store, stored) = kept(|| {
        let store = new().build().unwrap();
        (0..MANY).for_each(|key| assert!(store.store(key, key).is_ok()));
        emptied(&store);
        store
    });
    drop(store);
    let (store, restored) = kept(|| {
        let store = new().build().unwrap();
        (0..MANY).for_each(|key| assert!(store.store(key, key).is_ok()));
        let restored = new().restore(store.snapshot()).unwrap();
        emptied(&restored);
        restored
    });
    assert!(store.is_empty());
    assert!(restored < stored + (64 << 10), "{restored} bytes, and {stored} of a store that was filled");
}
