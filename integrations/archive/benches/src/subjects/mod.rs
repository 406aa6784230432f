//! What is measured: stores in memory, each with its own way to keep what overflows.

mod archived;
mod foyer;
mod memory;
mod write_through;

use std::error::Error;
use std::path::Path;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use tierstack::{Capacity, TierStore};
use tierstack_archive::{ObjectOptions, RedbArchive};

/// Cheap to clone, and known to all subjects and codecs.
pub type Value = Bytes;
/// What the stores of all subjects but foyer's are.
pub type Memory = TierStore<u64, Value>;

pub const VALUE_BYTES: usize = 1024;
/// What a fragment is: its value and its key.
pub const FRAGMENT_BYTES: u64 = VALUE_BYTES as u64 + 8;

/// Where a fragment was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    InMemory,
    OnDisk,
    /// Nowhere.
    Lost,
}

/// A store whose memory overflows to a disk.
pub trait Subject {
    /// Stores a fragment. Whether the caller is to [wait](Self::wait_for_room) before it stores more.
    fn store(&self, key: u64, value: Value) -> bool;

    /// Waits until there is room again.
    fn wait_for_room(&self) {}

    /// Looks a fragment up in memory, without any I/O. Whether it is there.
    fn get(&self, key: u64) -> bool;

    /// Looks a fragment up in memory, then on the disk, and puts it back into memory.
    fn restore(&self, key: u64) -> Found;

    /// Waits until all that has overflowed is as safe as the subject makes it.
    fn flush(&self);

    /// Where a fragment is. Changes nothing.
    fn place(&self, key: u64) -> Found;
}

type Opened = Result<Box<dyn Subject>, Box<dyn Error>>;

/// A way to make a subject, with a folder for its files.
pub struct Kind {
    pub name: &'static str,
    /// What `flush` makes sure of.
    pub safe: &'static str,
    /// Whether all that is stored goes to the disk, or only what overflows.
    pub writes_all: bool,
    pub open: fn(&Path, Sizes) -> Opened,
}

/// The names of those that others are compared with.
pub const MEMORY: &str = "memory alone";
pub const REDB: &str = "ArchivedStore, redb";
pub const FOLDER: &str = "ArchivedStore, folder";

/// All of them, in the order of the table.
pub const KINDS: [Kind; 7] = [
    Kind {
        name: MEMORY,
        safe: "nothing",
        writes_all: false,
        open: |_, sizes| Ok(Box::new(memory::Alone::new(sizes)?)),
    },
    Kind {
        name: REDB,
        safe: "fsync, each batch",
        writes_all: false,
        open: |folder, sizes| Ok(Box::new(archived::open(RedbArchive::open(folder.join("archive.redb"))?, sizes)?)),
    },
    Kind {
        name: FOLDER,
        safe: "fsync, each batch",
        writes_all: false,
        open: |folder, sizes| Ok(Box::new(archived::open(ObjectOptions::new().open_folder(folder)?, sizes)?)),
    },
    Kind {
        name: "foyer, as it is",
        safe: "handed to the system",
        writes_all: false,
        open: |folder, sizes| Ok(Box::new(foyer::Foyer::open(folder, sizes, None)?)),
    },
    Kind {
        name: "foyer, waited for each 4,096",
        safe: "handed to the system",
        writes_all: false,
        open: |folder, sizes| Ok(Box::new(foyer::Foyer::open(folder, sizes, Some(4096))?)),
    },
    Kind {
        name: "write-through, fsync each 4,096",
        safe: "fsync, each 4,096",
        writes_all: true,
        open: |folder, sizes| Ok(Box::new(write_through::WriteThrough::open(folder, sizes, 4096)?)),
    },
    Kind {
        name: "write-through, fsync each",
        safe: "fsync, each",
        writes_all: true,
        open: |folder, sizes| Ok(Box::new(write_through::WriteThrough::open(folder, sizes, 1)?)),
    },
];

/// How much is stored, and how much of it memory holds.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub stores: u64,
}

impl Sizes {
    /// A tenth of what is stored. Half of it is cold's, and hot and warm share the rest.
    pub fn memory_bytes(self) -> u64 {
        self.fragments() * VALUE_BYTES as u64
    }

    /// So many fragments does memory hold.
    pub fn fragments(self) -> u64 {
        (self.stores / 10).max(4)
    }

    pub fn cold_bytes(self) -> u64 {
        self.memory_bytes() / 2
    }

    /// The same store for all subjects, but for what becomes of cold's overflow.
    fn store(self, cold: Capacity) -> Result<Memory, tierstack::BuildError> {
        TierStore::builder(self.memory_bytes() / 4)
            .weigher(|_, value: &Value| value.len() as u64)
            .warm_capacity(Capacity::bytes(self.memory_bytes() / 4))
            .cold_capacity(cold)
            .build()
    }
}

/// Values that do not compress. Each begins with its key.
pub struct Values(Vec<u8>);

impl Values {
    pub fn new() -> Self {
        let mut random = vec![0; 1 << 20];
        SmallRng::seed_from_u64(1).fill_bytes(&mut random);
        Self(random)
    }

    pub fn of(&self, key: u64) -> Value {
        let mut value = Vec::with_capacity(VALUE_BYTES);
        value.extend_from_slice(&key.to_le_bytes());
        let from = usize::try_from(key % 1021).expect("it is small") * 1024;
        value.extend_from_slice(&self.0[from..from + VALUE_BYTES - 8]);
        value.into()
    }
}

/// Whether it is the value of this key. Reads it, as a caller would.
pub fn is_of(value: &[u8], key: u64) -> bool {
    value.len() == VALUE_BYTES && value[..8] == key.to_le_bytes()
}
