//! Changes, digests and contents.

use core::fmt;
use std::collections::BTreeMap;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use super::super::change::{Change, Content, Digest, Operation, ParseDigestError, exact, hex};
use super::fields::Fields;

const FIELDS: &[&str] = &["path", "operation", "before", "after", "content", "recorder", "metadata"];

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { path, operation, before, after, content, recorder, metadata } = self;
        let absent = [before.is_none(), after.is_none(), content.is_none(), recorder.is_none(), metadata.is_empty()];
        let how_many = absent.into_iter().filter(|absent| *absent).count();
        let mut fields = Fields::new(serializer, "Change", FIELDS.len(), how_many)?;
        fields.field("path", path)?;
        fields.field("operation", operation)?;
        fields.unless(absent[0], "before", before)?;
        fields.unless(absent[1], "after", after)?;
        fields.unless(absent[2], "content", content)?;
        fields.unless(absent[3], "recorder", recorder)?;
        fields.unless(absent[4], "metadata", metadata)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            // Written as a map; a struct is read, too.
            deserializer.deserialize_any(ChangeVisitor)
        } else {
            deserializer.deserialize_struct("Change", FIELDS, ChangeVisitor)
        }
    }
}

struct ChangeVisitor;

/// A change whose fields are named: what is absent may be left out.
#[derive(serde::Deserialize)]
struct Named {
    path: String,
    operation: Operation,
    #[serde(default)]
    before: Option<Digest>,
    #[serde(default)]
    after: Option<Digest>,
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    recorder: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl<'de> Visitor<'de> for ChangeVisitor {
    type Value = Change;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Change, A::Error> {
        let Named { path, operation, before, after, content, recorder, metadata } =
            Named::deserialize(MapAccessDeserializer::new(map))?;
        Ok(change((path, operation, before, after, content, recorder, metadata)))
    }

    /// All of its fields, by their places: which are there could not be told if some were not.
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Change, A::Error> {
        Deserialize::deserialize(SeqAccessDeserializer::new(seq)).map(change)
    }
}

type Parts =
    (String, Operation, Option<Digest>, Option<Digest>, Option<Content>, Option<String>, BTreeMap<String, String>);

fn change((path, operation, before, after, content, recorder, metadata): Parts) -> Change {
    let metadata = metadata.into_iter().map(|(key, value)| (exact(key), exact(value))).collect();
    Change { path: exact(path), operation, before, after, content, recorder: recorder.map(exact), metadata }
}

/// A text without spare capacity: what a format reads piece by piece has some.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(exact)
}

/// Bytes as hexadecimal digits, in every format.
pub mod digits {
    use super::{Deserializer, HexVisitor, Serializer, hex};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::write(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_str(HexVisitor)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        digits::serialize(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        digits::deserialize(deserializer).map(Self::from)
    }
}

struct HexVisitor;

impl Visitor<'_> for HexVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hexadecimal digits")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        hex::read(text).ok_or_else(|| E::custom(ParseDigestError { text: text.into() }))
    }

    /// From a format that does not tell texts from bytes.
    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        let text = str::from_utf8(bytes).map_err(|_| E::invalid_value(Unexpected::Bytes(bytes), &self))?;
        self.visit_str(text)
    }
}
