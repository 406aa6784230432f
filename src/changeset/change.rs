//! What is recorded: one change of one file.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::id::Excerpt;

/// One change of one file, as its author reports it.
///
/// A plan takes changes of any type. This is the type that it can make a [`Diff`](crate::Diff) of. Nothing is checked against a file
/// system. Only the path and the operation have to be known. Digests, content, recorder and metadata are optional.
///
/// The methods that make a change give up the spare capacity of the texts and vectors that they are given, because a plan keeps its changes
/// as long as it lives. What is assigned to a field is kept as it is.
///
/// # Serialization
///
/// With the `serde` feature. What was written is read back equal, or there is an error.
///
/// - A format that is for people (JSON, YAML, TOML) gets a map of the fields that there are. What is absent or empty is left out.
/// - Every other format (CBOR, `MessagePack`, postcard, bincode) gets a struct of all seven fields, in the order below.
/// - Where fields are named, they are read in any order, and what is absent may be missing. Where they are not named, all seven must be there.
/// - Digests, and contents that are bytes, are texts of hexadecimal digits in every format.
///
/// ```json
/// {
///   "path": "b", "operation": {"rename": {"from": "a"}}, "before": "00ff", "after": "01ff",
///   "content": {"text": "hello"}, "recorder": "planner"
/// }
/// ```
///
/// # Examples
///
/// ```
/// use tierstack::{Change, Content, Digest, Operation};
///
/// let (old, new) = (Digest::from([0x00, 0xff]), Digest::from([0x01, 0xff]));
/// let change = Change::modify("src/main.rs", old, new).with_content("fn main() {}\n").by("planner");
/// assert_eq!((change.path.as_str(), &change.operation), ("src/main.rs", &Operation::Modify));
/// assert_eq!(change.content, Some(Content::from("fn main() {}\n")));
///
/// // Where no digest is known:
/// let change = Change::create("notes", None).with_metadata("why", "to keep what was found");
/// assert_eq!((change.after, change.metadata["why"].as_str()), (None, "to keep what was found"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The path of the file; after the change, where it was renamed. It is taken as it is: `a` and `./a` are two paths. What stands before
    /// a `/` is a folder: where a file is at `a/b`, none is at `a`. So `a/` is a folder, too.
    pub path: String,
    /// What was done.
    pub operation: Operation,
    /// The digest of the content before. It has no meaning where the file was created. `None`, or an empty one, if it is not known.
    pub before: Option<Digest>,
    /// The digest of the content after. It has no meaning where the file was deleted. `None`, or an empty one, if it is not known.
    pub after: Option<Digest>,
    /// The content after. A [`Diff`](crate::Diff) ignores that of a rename which does not change the content.
    pub content: Option<Content>,
    /// Who recorded it.
    pub recorder: Option<String>,
    /// Whatever else is to be kept with it.
    pub metadata: BTreeMap<String, String>,
}

/// What a [`Change`] did.
///
/// There will be no others: code that applies changes can match all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Operation {
    /// There was no file at the path, and now there is.
    Create,
    /// The file at the path has another content. It has the same if both digests are known and equal.
    Modify,
    /// There was a file at the path, and now there is none.
    Delete,
    /// The file stands at another path. Its content is the same, unless both digests are known and differ.
    Rename {
        /// The path at which it stood.
        #[cfg_attr(feature = "serde", serde(deserialize_with = "super::wire::text"))]
        from: String,
    },
}

impl Change {
    fn new(path: String, operation: Operation, before: Option<Digest>, after: Option<Digest>) -> Self {
        Self { path: exact(path), operation, before, after, content: None, recorder: None, metadata: BTreeMap::new() }
    }

    /// A file was created. The digest is a [`Digest`], or `None` where it is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, Digest};
    ///
    /// assert_eq!(Change::create("a", Digest::from([1])).after, Some(Digest::from([1])));
    /// assert_eq!(Change::create("a", None).after, None);
    /// ```
    #[must_use]
    pub fn create(path: impl Into<String>, after: impl Into<Option<Digest>>) -> Self {
        Self::new(path.into(), Operation::Create, None, after.into())
    }

    /// The content of a file was changed. Each digest is a [`Digest`], or `None` where it is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, Digest};
    ///
    /// let change = Change::modify("a", None, Digest::from([2]));
    /// assert_eq!((change.before, change.after), (None, Some(Digest::from([2]))));
    /// ```
    #[must_use]
    pub fn modify(
        path: impl Into<String>,
        before: impl Into<Option<Digest>>,
        after: impl Into<Option<Digest>>,
    ) -> Self {
        Self::new(path.into(), Operation::Modify, before.into(), after.into())
    }

    /// A file was deleted. The digest is a [`Digest`], or `None` where it is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, Digest};
    ///
    /// assert_eq!(Change::delete("a", Digest::from([1])).before, Some(Digest::from([1])));
    /// ```
    #[must_use]
    pub fn delete(path: impl Into<String>, before: impl Into<Option<Digest>>) -> Self {
        Self::new(path.into(), Operation::Delete, before.into(), None)
    }

    /// A file was renamed, and its content is the same. If it is not, say so by [`with_digests`](Self::with_digests).
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, Operation};
    ///
    /// let change = Change::rename("a", "b");
    /// assert_eq!((change.path.as_str(), &change.operation), ("b", &Operation::Rename { from: "a".into() }));
    /// ```
    #[must_use]
    pub fn rename(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self::new(to.into(), Operation::Rename { from: exact(from.into()) }, None, None)
    }

    /// With these digests. A rename with two that differ also changes the content.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, Digest};
    ///
    /// let change = Change::rename("a", "b").with_digests(Digest::from([1]), Digest::from([2])).with_content("new");
    /// assert_ne!(change.before, change.after);
    /// ```
    #[must_use]
    pub fn with_digests(self, before: impl Into<Option<Digest>>, after: impl Into<Option<Digest>>) -> Self {
        Self { before: before.into(), after: after.into(), ..self }
    }

    /// With the content after the change.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, Content};
    ///
    /// assert_eq!(Change::create("a", None).with_content("text").content, Some(Content::Text("text".into())));
    /// ```
    #[must_use]
    pub fn with_content(self, content: impl Into<Content>) -> Self {
        let content = match content.into() {
            Content::Text(text) => Content::from(text),
            Content::Bytes(bytes) => Content::from(bytes),
        };
        Self { content: Some(content), ..self }
    }

    /// With the name of who recorded it.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::Change;
    ///
    /// assert_eq!(Change::delete("a", None).by("planner").recorder.as_deref(), Some("planner"));
    /// ```
    #[must_use]
    pub fn by(self, recorder: impl Into<String>) -> Self {
        Self { recorder: Some(exact(recorder.into())), ..self }
    }

    /// With one more entry of metadata, or with another value for one that it has.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::Change;
    ///
    /// let change = Change::delete("a", None).with_metadata("why", "unused").with_metadata("step", "3");
    /// assert_eq!((change.metadata["why"].as_str(), change.metadata.len()), ("unused", 2));
    /// ```
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(exact(key.into()), exact(value.into()));
        self
    }

    /// The paths that it touches: its own, and the one that it was renamed from.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::Change;
    ///
    /// assert!(Change::rename("a", "b").paths().eq(["b", "a"]));
    /// assert!(Change::delete("a", None).paths().eq(["a"]));
    /// ```
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let from = match &self.operation {
            Operation::Rename { from } => Some(from.as_str()),
            Operation::Create | Operation::Modify | Operation::Delete => None,
        };
        core::iter::once(self.path.as_str()).chain(from)
    }

    /// The digests before and after that are known.
    pub(super) fn digests(&self) -> [Option<&Digest>; 2] {
        [&self.before, &self.after].map(|digest| digest.as_ref().filter(|digest| !digest.is_empty()))
    }
}

/// Whether both are known, and differ.
pub(super) fn differ(before: Option<&Digest>, after: Option<&Digest>) -> bool {
    before.zip(after).is_some_and(|(before, after)| before != after)
}

/// A digest of a content: bytes, by any algorithm. Two contents are taken to be the same if their digests are
/// equal. An empty digest says nothing, as if there were none: a content whose digest is empty is not known to be the same as any other.
///
/// Cloning is O(1). As text it is lower-case hexadecimal, two digits for each byte. Either case is read.
///
/// # Examples
///
/// ```
/// use tierstack::Digest;
///
/// let digest = Digest::from([0xc0, 0xff, 0xee]);
/// assert_eq!(digest.to_string(), "c0ffee");
/// assert_eq!("C0FFEE".parse(), Ok(digest.clone()));
/// assert_eq!(digest.as_bytes(), [0xc0, 0xff, 0xee]);
/// assert_eq!("coffee".parse::<Digest>().unwrap_err().text, "coffee".into());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<[u8]>);

impl Digest {
    /// The bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tierstack::Digest::from([1, 2]).as_bytes(), [1, 2]);
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it has no bytes, and so says nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use tierstack::{Change, Digest, PlanContext};
    ///
    /// let unknown = Digest::from([]);
    /// assert!(unknown.is_empty());
    /// let plan: PlanContext = PlanContext::new();
    /// plan.start_changeset().record(Change::modify("a", unknown.clone(), unknown).with_content("new"))?;
    /// assert_eq!(plan.snapshot().diff().changes()[0].content, Some(&"new".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<const N: usize> From<[u8; N]> for Digest {
    fn from(bytes: [u8; N]) -> Self {
        Self(Arc::new(bytes))
    }
}

impl From<&[u8]> for Digest {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Digest {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Display for Digest {
    /// A precision shortens it: `{:.8}` writes the first eight digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::write(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        hex::read(text).map(Self::from).ok_or_else(|| ParseDigestError { text: text.into() })
    }
}

/// A text is not a digest: two hexadecimal digits for each byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseDigestError {
    /// The text.
    pub text: Box<str>,
}

impl fmt::Display for ParseDigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a digest: two hexadecimal digits for each byte", Excerpt(&self.text))
    }
}

impl core::error::Error for ParseDigestError {}

/// The content of a file.
///
/// A text and bytes are never equal, not even if the bytes are the text's. What was recorded as text is kept and written as
/// text. Compare [`as_bytes`](Self::as_bytes) if only the bytes count.
///
/// # Examples
///
/// ```
/// use tierstack::Content;
///
/// let (text, bytes) = (Content::from("hi"), Content::from(vec![b'h', b'i']));
/// assert_eq!(text.as_bytes(), bytes.as_bytes());
/// assert_ne!(text, bytes);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Content {
    /// Text.
    Text(#[cfg_attr(feature = "serde", serde(deserialize_with = "super::wire::text"))] String),
    /// Bytes of any kind; hexadecimal where they are serialized.
    Bytes(#[cfg_attr(feature = "serde", serde(with = "super::wire::digits"))] Vec<u8>),
}

impl Content {
    /// The bytes; those of a text are UTF-8.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(tierstack::Content::from("hi").as_bytes(), b"hi");
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Content {
    /// Without the text's spare capacity.
    fn from(text: String) -> Self {
        Self::Text(exact(text))
    }
}

impl From<Vec<u8>> for Content {
    /// Without the vector's spare capacity.
    fn from(mut bytes: Vec<u8>) -> Self {
        bytes.shrink_to_fit();
        Self::Bytes(bytes)
    }
}

/// Without spare capacity: a plan would keep that for as long as the change.
pub(super) fn exact(mut text: String) -> String {
    text.shrink_to_fit();
    text
}

/// Bytes as hexadecimal digits.
pub(super) mod hex {
    /// In lower case.
    pub fn write(bytes: &[u8]) -> String {
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
    }

    /// `None` where it is not two digits for each byte.
    pub fn read(text: &str) -> Option<Vec<u8>> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        // With room for exactly as many: collected into an option they would be gathered in a vector that grows.
        let mut bytes = Vec::with_capacity(pairs.len());
        for [high, low] in pairs {
            bytes.push(digit(*high)? << 4 | digit(*low)?);
        }
        Some(bytes)
    }

    fn digit(character: u8) -> Option<u8> {
        u8::try_from(char::from(character).to_digit(16)?).ok()
    }
}

#[cfg(all(test, not(any(tierstack_loom, tierstack_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_written() {
        for bytes in [&[][..], &[0], &[0x0f, 0xf0], &[0xff; 32]] {
            let digest = Digest::from(bytes);
            assert_eq!(digest.to_string().parse(), Ok(digest));
        }
        for text in ["0", "000", "0g", "+1", " 0", "é", "0x00"] {
            assert_eq!(text.parse::<Digest>(), Err(ParseDigestError { text: text.into() }), "{text}");
        }
        let digest = Digest::from(vec![0xab, 0xcd]);
        assert_eq!(format!("{digest:?} {digest:.2} {digest:>6}|"), "abcd ab   abcd|");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn json_is_read_back_equal() {
        use serde_json::json;

        let (old, new) = (Digest::from([0, 255]), Digest::from([1, 255]));
        let cases = [
            (Change::create("a", None), json!({"path": "a", "operation": "create"})),
            (
                Change::modify("a", old.clone(), new.clone()).with_content("text").by("me").with_metadata("k", "v"),
                json!({
                    "path": "a", "operation": "modify", "before": "00ff", "after": "01ff",
                    "content": {"text": "text"}, "recorder": "me", "metadata": {"k": "v"},
                }),
            ),
            (Change::delete("a", old), json!({"path": "a", "operation": "delete", "before": "00ff"})),
            (
                Change::rename("a", "b").with_digests(None, new).with_content(vec![0, 16]),
                json!({
                    "path": "b", "operation": {"rename": {"from": "a"}}, "after": "01ff", "content": {"bytes": "0010"},
                }),
            ),
        ];
        for (change, written) in cases {
            assert_eq!(serde_json::to_value(&change).unwrap(), written);
            assert_eq!(serde_json::from_value::<Change>(written).unwrap(), change);
        }
        for bad in [json!("0"), json!("xy"), json!(7)] {
            assert!(serde_json::from_value::<Digest>(bad).is_err());
        }
    }
}
