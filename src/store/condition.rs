//! What a store may ask of the key's present fragment.
//!
//! It is asked of what a look-up found: of a live node, that the key is present with this very version, in the tier that the word names; or
//! that it is absent. A refusal is true at that read. A store that was let go on takes effect only while what it found is still so:
//!
//! - *Absent.* It inserts, which finds out that there is a live node of the key by now; then it looks again.
//! - *This version.* It replaces that very node, by a CAS of its exact word. A node has one version for good, and none of its words
//!   recurs: so the CAS succeeds only where the node still is the key's fragment. Where it has ended the store looks again.
//!
//! So the condition holds at the linearization point, and nothing has to be asked again there.

use crossbeam_epoch::Guard;

use super::core::Core;
use super::error::{Refusal, ReplaceIfRefusal, StoreIfAbsentRefusal};
use crate::engine::entries::Entries;
use crate::engine::index::Found;
use crate::store::version::Version;

/// A condition for a store to take effect.
pub trait Condition: Copy {
    /// Why it did not.
    type Refusal: From<Refusal>;

    /// Whether it holds of what a look-up has found.
    fn check<K, V>(self, core: &Core<K, V>, found: Option<Found<'_, K, V>>) -> Result<(), Self::Refusal>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static;
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Core<K, V> {
    /// Whether the condition holds. What is refused is an answer from what was found, so that it is reported.
    #[inline]
    pub(super) fn ask<C: Condition>(
        &self,
        condition: C,
        found: Option<Found<'_, K, V>>,
        guard: &Guard,
    ) -> Result<(), C::Refusal> {
        condition.check(self, found).inspect_err(|_| {
            if let Some((node, _)) = found {
                self.report(node, guard);
            }
        })
    }
}

/// None: `store`.
#[derive(Clone, Copy)]
pub struct Always;

impl Condition for Always {
    type Refusal = Refusal;

    #[inline]
    fn check<K, V>(self, _core: &Core<K, V>, _found: Option<Found<'_, K, V>>) -> Result<(), Refusal>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        Ok(())
    }
}

/// The key is absent.
#[derive(Clone, Copy)]
pub struct IfAbsent;

impl Condition for IfAbsent {
    type Refusal = StoreIfAbsentRefusal;

    fn check<K, V>(self, core: &Core<K, V>, found: Option<Found<'_, K, V>>) -> Result<(), StoreIfAbsentRefusal>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        match found.and_then(|(node, place)| core.fragment(node, place)) {
            None => Ok(()),
            Some(present) => Err(StoreIfAbsentRefusal::Present { tier: present.tier, version: present.version }),
        }
    }
}

/// The key's fragment has this version.
#[derive(Clone, Copy)]
pub struct IfIs(pub Version);

impl Condition for IfIs {
    type Refusal = ReplaceIfRefusal;

    fn check<K, V>(self, core: &Core<K, V>, found: Option<Found<'_, K, V>>) -> Result<(), ReplaceIfRefusal>
    where
        K: Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        match found.and_then(|(node, place)| core.fragment(node, place)) {
            None => Err(ReplaceIfRefusal::NotFound),
            Some(present) if present.version == self.0 => Ok(()),
            Some(present) => Err(ReplaceIfRefusal::Changed { tier: present.tier, version: present.version }),
        }
    }
}
