//! The plain way: each fragment is put into redb before it is stored in memory. What overflows memory is on the disk already.

use std::cell::Cell;
use std::error::Error;
use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use tierstack::Capacity;

use super::{Found, Memory, Sizes, Subject, Value, is_of};

const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("fragments");

pub struct WriteThrough {
    memory: Memory,
    database: Database,
    /// One transaction in so many is durable, with all before it.
    fsync_each: u64,
    stores: Cell<u64>,
}

impl WriteThrough {
    pub fn open(folder: &Path, sizes: Sizes, fsync_each: u64) -> Result<Self, Box<dyn Error>> {
        let memory = sizes.store(Capacity::bytes(sizes.cold_bytes()))?;
        // As much for pages as the archive takes.
        let database = Database::builder().set_cache_size(64 << 20).create(folder.join("plain.redb"))?;
        Ok(Self { memory, database, fsync_each, stores: Cell::new(0) })
    }

    fn commit(&self, put: Option<(u64, &[u8])>, durability: Durability) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        let mut table = transaction.open_table(TABLE)?;
        if let Some((key, value)) = put {
            table.insert(key, value)?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }

    fn read(&self, key: u64) -> Result<Option<Value>, redb::Error> {
        let found = self.database.begin_read()?.open_table(TABLE)?.get(key)?;
        Ok(found.map(|found| Value::copy_from_slice(found.value())))
    }
}

impl Subject for WriteThrough {
    fn store(&self, key: u64, value: Value) -> bool {
        self.stores.set(self.stores.get() + 1);
        let is_durable = self.stores.get().is_multiple_of(self.fsync_each);
        let durability = if is_durable { Durability::Immediate } else { Durability::None };
        self.commit(Some((key, &value)), durability).expect("the disk is well");
        self.memory.store(key, value).expect("it is small");
        false
    }

    fn get(&self, key: u64) -> bool {
        self.memory.get(&key).is_some_and(|found| is_of(&found.value, key))
    }

    fn restore(&self, key: u64) -> Found {
        if self.get(key) {
            return Found::InMemory;
        }
        let Some(value) = self.read(key).expect("the disk is well") else { return Found::Lost };
        let is_whole = is_of(&value, key);
        self.memory.store_if_absent(key, value).expect("it is small");
        if is_whole { Found::OnDisk } else { Found::Lost }
    }

    fn flush(&self) {
        self.commit(None, Durability::Immediate).expect("the disk is well");
    }

    fn place(&self, key: u64) -> Found {
        if self.memory.contains(&key) {
            return Found::InMemory;
        }
        match self.read(key).expect("the disk is well") {
            Some(value) if is_of(&value, key) => Found::OnDisk,
            _ => Found::Lost,
        }
    }
}
