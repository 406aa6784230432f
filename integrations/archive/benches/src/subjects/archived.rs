//! The store with an archive behind it.

use std::error::Error;
use std::time::Duration;

use tierstack::Capacity;
use tierstack_archive::{Archive, ArchivedOptions, ArchivedStore, Codec, CodecError, Plain, Source, Typed};

use super::{Found, Sizes, Subject, Value, is_of};

/// Numbers as eight bytes, the highest first.
pub struct BigEndian;

impl Codec<u64> for BigEndian {
    fn encode(&self, value: &u64, to: &mut Vec<u8>) -> Result<(), CodecError> {
        to.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, CodecError> {
        Ok(u64::from_be_bytes(bytes.try_into()?))
    }
}

const LONG: Duration = Duration::from_mins(10);

pub struct Archived<A>(ArchivedStore<u64, Value, A, BigEndian, Plain>);

pub fn open<A: Archive + 'static>(archive: A, sizes: Sizes) -> Result<Archived<A>, Box<dyn Error>> {
    let options = ArchivedOptions::new(Capacity::bytes(sizes.cold_bytes())).queue_bytes(sizes.memory_bytes() / 2);
    let archive = Typed::new(archive, BigEndian, Plain);
    Ok(Archived(ArchivedStore::new(sizes.store(Capacity::UNBOUNDED)?, archive, options)?))
}

impl<A: Archive + 'static> Subject for Archived<A> {
    fn store(&self, key: u64, value: Value) -> bool {
        self.0.store(key, value).expect("it is small").is_behind
    }

    fn wait_for_room(&self) {
        assert!(self.0.wait_for_room(LONG), "the archive has stopped: {:?}", self.0.health());
    }

    fn get(&self, key: u64) -> bool {
        self.0.get(&key).is_some_and(|found| is_of(&found.value, key))
    }

    fn restore(&self, key: u64) -> Found {
        match self.0.get_or_restore(&key).expect("the archive is well") {
            Some(found) if !is_of(&found.fragment.value, key) => Found::Lost,
            Some(found) if found.source == Source::Archive => Found::OnDisk,
            Some(_) => Found::InMemory,
            None => Found::Lost,
        }
    }

    fn flush(&self) {
        self.0.flush(LONG).expect("the archive is well");
    }

    fn place(&self, key: u64) -> Found {
        if self.0.memory().contains(&key) {
            return Found::InMemory;
        }
        match self.0.archive().get::<_, Value>(&key).expect("the archive is well") {
            Some((_, value)) if is_of(&value, key) => Found::OnDisk,
            _ => Found::Lost,
        }
    }
}
