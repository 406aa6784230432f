//! foyer's hybrid cache: an LRU in memory, over blocks in files.
//!
//! It is a cache. A fragment that overflows is queued for a task that writes blocks. Where the queue is longer than 16 MiB, the fragment is dropped. It asks
//! the disk for no `fsync`. Its index of the disk is in memory, and is read from the files when it is opened.

use std::cell::Cell;
use std::error::Error;
use std::path::Path;

use foyer::{
    BlockEngineConfig, Cache, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder, Load, LruConfig,
};
use foyer::{HybridCacheProperties, Source};
use tokio::runtime::Runtime;

use super::{Found, Sizes, Subject, Value, is_of};

/// Its default.
const BLOCK_BYTES: usize = 16 << 20;
/// What a small entry takes on the disk: its entries are aligned.
const PAGE: usize = 4096;

pub struct Foyer {
    cache: HybridCache<u64, Value>,
    runtime: Runtime,
    /// After so many stores the caller is to wait until all are written.
    wait_each: Option<u64>,
    stores: Cell<u64>,
}

impl Foyer {
    pub fn open(folder: &Path, sizes: Sizes, wait_each: Option<u64>) -> Result<Self, Box<dyn Error>> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // With room for all, so that it overwrites none.
        let capacity = usize::try_from(sizes.stores)? * PAGE * 3 / 2 + 16 * BLOCK_BYTES;
        let device = FsDeviceBuilder::new(folder).with_capacity(capacity).build()?;
        let cache = HybridCacheBuilder::new()
            .with_flush_on_close(false)
            .memory(usize::try_from(sizes.memory_bytes())?)
            .with_eviction_config(LruConfig::default())
            .with_weighter(|_, value: &Value| value.len())
            .storage()
            .with_engine_config(BlockEngineConfig::new(device).with_block_size(BLOCK_BYTES))
            .build();
        Ok(Self { cache: runtime.block_on(cache)?, runtime, wait_each, stores: Cell::new(0) })
    }

    fn memory(&self) -> &Cache<u64, Value, foyer::DefaultHasher, HybridCacheProperties> {
        self.cache.memory()
    }
}

impl Drop for Foyer {
    fn drop(&mut self) {
        // It is to be deleted anyway.
        let _ = self.runtime.block_on(self.cache.close());
    }
}

impl Subject for Foyer {
    fn store(&self, key: u64, value: Value) -> bool {
        self.cache.insert(key, value);
        self.stores.set(self.stores.get() + 1);
        self.wait_each.is_some_and(|each| self.stores.get().is_multiple_of(each))
    }

    fn wait_for_room(&self) {
        self.runtime.block_on(self.cache.storage().wait());
    }

    fn get(&self, key: u64) -> bool {
        self.memory().get(&key).is_some_and(|found| is_of(found.value(), key))
    }

    fn restore(&self, key: u64) -> Found {
        match self.runtime.block_on(self.cache.get(&key)).expect("the disk is well") {
            Some(found) if !is_of(found.value(), key) => Found::Lost,
            Some(found) if found.source() == Source::Disk => Found::OnDisk,
            Some(_) => Found::InMemory,
            None => Found::Lost,
        }
    }

    fn flush(&self) {
        self.runtime.block_on(self.cache.storage().wait());
    }

    fn place(&self, key: u64) -> Found {
        if self.memory().contains(&key) {
            return Found::InMemory;
        }
        match self.runtime.block_on(self.cache.storage().load(&key)).expect("the disk is well") {
            Load::Entry { value, .. } if is_of(&value, key) => Found::OnDisk,
            Load::Piece { piece, .. } if is_of(piece.value(), key) => Found::OnDisk,
            _ => Found::Lost,
        }
    }
}
