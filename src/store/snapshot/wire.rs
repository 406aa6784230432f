//! Serialization of snapshots, by the feature `serde`.
//!
//! # The format
//!
//! A struct of two fields: the number of the format, and the fragments, from the most to the least recently used of all. Each fragment is a struct of its
//! key, value, weight, tier, whether it is kept, and how many nanoseconds there are until its deadline, if it has one. Where formats do not name fields, their order is this one, so that the number is read before any fragment:
//! a later format may add fields to them.
//!
//! Fragments are written one by one from where they are. So nothing is copied.
//!
//! # What is read
//!
//! An input may say anything. What is gathered grows as it comes, whatever length was promised; and what would be no snapshot is an error: another format, a key twice,
//! a weight that no store takes.

use core::fmt;
use core::hash::{BuildHasher, Hash};
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use super::deadlines::Deadlines;
use super::order::{ends, put_by_tier};
use super::{StoreSnapshot, table};
use crate::engine::budget::MAX_BYTES;
use crate::engine::index::spread;
use crate::format::Format;
use crate::store::fragment::Item;
use crate::store::version::{StoreNumber, Version};
use crate::tier::Tier;

/// The bytes that room is made for before they come: as serde does for vectors.
const TRUSTED: usize = 1 << 20;

/// The number of the format.
const FORMAT: u16 = 1;

#[derive(serde::Serialize)]
#[serde(bound(serialize = "K: Serialize, V: Serialize"))]
struct Written<'a, K, V, S> {
    format: Format<FORMAT>,
    fragments: Fragments<'a, K, V, S>,
}

struct Fragments<'a, K, V, S>(&'a StoreSnapshot<K, V, S>);

#[derive(serde::Serialize)]
struct WrittenFragment<'a, K, V> {
    key: &'a K,
    value: &'a V,
    weight: u64,
    tier: Tier,
    kept: bool,
    expires_in: Option<u64>,
}

impl<K: Serialize, V: Serialize, S> Serialize for Fragments<'_, K, V, S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.collect_seq(self.0.in_order().map(|(tier, item, expires_in)| {
            let Item { key, value, weight, kept, version: _ } = item;
            WrittenFragment { key, value, weight: *weight, tier, kept: *kept, expires_in }
        }))
    }
}

impl<K: Serialize, V: Serialize, S> Serialize for StoreSnapshot<K, V, S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        Written { format: Format, fragments: Fragments(self) }.serialize(serializer)
    }
}

#[derive(serde::Deserialize)]
#[serde(bound(deserialize = "K: Deserialize<'de>, V: Deserialize<'de>"))]
struct Read<K, V> {
    #[serde(rename = "format")]
    _format: Format<FORMAT>,
    fragments: Gathered<K, V>,
}

#[derive(serde::Deserialize)]
struct ReadFragment<K, V> {
    key: K,
    value: V,
    weight: u64,
    tier: Tier,
    kept: bool,
    expires_in: Option<u64>,
}

/// What has come, in its order.
struct Gathered<K, V> {
    items: Vec<Item<K, V>>,
    order: Vec<Tier>,
    deadlines: Deadlines,
}

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Gathered<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FragmentsVisitor(PhantomData))
    }
}

struct FragmentsVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for FragmentsVisitor<K, V> {
    type Value = Gathered<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence of fragments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fragments: A) -> Result<Self::Value, A::Error> {
        let most = TRUSTED / (size_of::<Item<K, V>>() + size_of::<Tier>());
        let expected = fragments.size_hint().unwrap_or(0).min(most);
        let mut gathered = Gathered {
            items: Vec::with_capacity(expected),
            order: Vec::with_capacity(expected),
            deadlines: Deadlines::default(),
        };
        // Versions of no store: none of a store is equal to them.
        let number = StoreNumber::next();
        while let Some(ReadFragment { key, value, weight, tier, kept, expires_in }) = fragments.next_element()? {
            if weight > MAX_BYTES {
                return Err(A::Error::invalid_value(Unexpected::Unsigned(weight), &"a weight that a store takes"));
            }
            if let Some(left) = expires_in {
                gathered.deadlines.push(gathered.items.len(), left);
            }
            let version = Version::new(number, gathered.items.len() as u64);
            gathered.items.push(Item { key, value, weight, kept, version });
            gathered.order.push(tier);
        }
        Ok(gathered)
    }
}

impl<'de, K, V, S> Deserialize<'de> for StoreSnapshot<K, V, S>
where
    K: Deserialize<'de> + Hash + Eq,
    V: Deserialize<'de>,
    S: BuildHasher + Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { fragments: Gathered { mut items, order, mut deadlines }, .. } = Read::deserialize(deserializer)?;
        let ends = ends(&order);
        let recencies = put_by_tier(&mut items, &mut deadlines, &order, &ends);
        let hasher = S::default();
        let numbers = table::of_distinct(&items, |key| spread(hasher.hash_one(key)));
        let numbers = numbers.ok_or_else(|| D::Error::custom("two fragments have the same key"))?;
        let mut snapshot = Self { items, ends, bytes: [0; 3], recencies, deadlines, numbers, hasher };
        snapshot.add_up();
        Ok(snapshot)
    }
}
