//! Reading back what has left, and removing what may have left.

use core::borrow::Borrow;
use core::hash::{BuildHasher, Hash};

use tierstack::{Fragment, GetOrStored};

use super::Inner;
use super::error::RestoreError;
use super::health::add;

/// A fragment that [`get_or_restore`](super::ArchivedStore::get_or_restore) has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored<V> {
    /// The fragment, as it stands in memory now.
    pub fragment: Fragment<V>,
    /// Where it was found.
    pub source: Source,
}

/// Where a fragment was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// It stood in memory, in whichever tier.
    Memory,
    /// It was read from the archive, and stands in memory again.
    Archive,
}

/// What a look at memory and the removals under the gate has come to.
enum Looked<T> {
    Present,
    Removed,
    Absent(T),
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    pub fn get_or_restore<Q>(&self, key: &Q) -> Result<Option<Restored<V>>, RestoreError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(fragment) = self.memory.get(key) {
            return Ok(Some(Restored { fragment, source: Source::Memory }));
        }
        let owned = key.to_owned();
        loop {
            let view = self.memory.pin();
            let looked = {
                let mut stripe = self.gates.lock(&owned);
                // A second look: what has come back since the first one need not be read.
                if view.contains(key) {
                    Looked::Present
                } else if stripe.is_removed(&owned) {
                    Looked::Removed
                } else {
                    Looked::Absent(self.gates.enter(&mut stripe, &owned))
                }
            };
            drop(view);
            let ticket = match looked {
                Looked::Removed => return Ok(None),
                Looked::Absent(ticket) => ticket,
                Looked::Present => match self.memory.get(key) {
                    Some(fragment) => return Ok(Some(Restored { fragment, source: Source::Memory })),
                    None => continue,
                },
            };

            // Which archive is looked up after the restore is registered: see `reopen`.
            let backend = self.backend();
            let encoded = backend.encode_key(&owned)?;
            let record = backend.archive().get(&encoded)?;
            // It outlives the gate: if it is not needed, it is dropped behind it.
            let mut value = record.map(|record| backend.decode_value(&encoded, &record.value)).transpose()?;

            let view = self.memory.pin();
            let mut stripe = self.gates.lock(&owned);
            if !ticket.is_current(&stripe) {
                // It was removed, or something newer was archived: what was read may be old.
                drop(stripe);
                continue;
            }
            if value.is_none() {
                drop(stripe);
                return Ok(None);
            }
            // Under the gate: what takes the key away, or leaves for the archive, comes before or after.
            let stored = view.get_or_store_with(owned.clone(), || value.take().expect("it is there, and taken once"));
            if let Ok(GetOrStored::Stored { fragment, .. }) = &stored {
                stripe.set_unchanged(&owned, fragment.version, self.fragments());
            }
            drop(stripe);
            let stored = stored.map(GetOrStored::cloned);
            drop(view);
            drop(ticket);
            self.nudge();
            return match stored {
                Ok(GetOrStored::Found(fragment)) => Ok(Some(Restored { fragment, source: Source::Memory })),
                Ok(GetOrStored::Stored { fragment, .. }) => {
                    add(&self.state.restored, 1);
                    Ok(Some(Restored { fragment, source: Source::Archive }))
                }
                Err(error) => Err(RestoreError::Refused(error.reason)),
            };
        }
    }

    pub fn remove<Q>(&self, key: &Q) -> Option<Fragment<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let owned = key.to_owned();
        let view = self.memory.pin();
        let removed = {
            let mut stripe = self.gates.lock(&owned);
            self.gates.remove(&mut stripe, owned.clone());
            view.remove(key)
        };
        removed.map(Fragment::cloned)
    }
}
