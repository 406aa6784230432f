//! Serialization, by the feature `serde`, of what does not derive it.
//!
//! What is read back is what was written, or there is an error, in every format: those that name fields or do not, give lengths or need them, are for
//! people or are not. So sequences say how long they are, and fields are left out only as [`fields`] does.
//!
//! An input may promise more than it holds. What is gathered grows as it comes: before that, serde makes room for 1 MiB of each vector at most, and
//! texts and bytes are the format's to read.

mod change;
mod fields;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::event::Event;
use super::id::{ChangesetId, Sequence};
use super::plan::PlanContext;
use super::snapshot::Snapshot;
use super::status::Status;
use crate::format::Format;
pub use change::{digits, text};
pub use fields::Fields;

/// The number of a snapshot's format.
const FORMAT: u16 = 1;

/// As a text, such as `"changeset-1"`.
impl Serialize for ChangesetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChangesetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Owned: not every format lends its texts.
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A snapshot as it is written: everything follows from the events; the changesets are there for readers that do not want to find out.
#[derive(serde::Serialize)]
#[serde(bound(serialize = "C: Serialize"))]
struct Written<'a, C> {
    format: Format<FORMAT>,
    changesets: Changesets<'a, C>,
    events: Events<'a, C>,
}

struct Changesets<'a, C>(&'a Snapshot<C>);

struct Events<'a, C>(&'a Snapshot<C>);

/// What became of a changeset, and the sequence numbers of the changes that it has.
#[derive(serde::Serialize, serde::Deserialize, PartialEq)]
struct Outcome {
    id: ChangesetId,
    status: Status,
    changes: Vec<Sequence>,
}

fn outcomes<C>(snapshot: &Snapshot<C>) -> impl Iterator<Item = Outcome> {
    snapshot.changesets().map(|changeset| Outcome {
        id: changeset.id(),
        status: changeset.status(),
        changes: changeset.changes().map(|record| record.sequence).collect(),
    })
}

impl<C> Serialize for Changesets<'_, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut changesets = serializer.serialize_seq(usize::try_from(self.0.started()).ok())?;
        for outcome in outcomes(self.0) {
            changesets.serialize_element(&outcome)?;
        }
        changesets.end()
    }
}

impl<C: Serialize> Serialize for Events<'_, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.audit())
    }
}

/// The number of the format; the audit trail, `events`, from which the snapshot can be read back; and `changesets`, what it comes to.
impl<C: Serialize> Serialize for Snapshot<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Written { format: Format, changesets: Changesets(self), events: Events(self) }.serialize(serializer)
    }
}

#[derive(serde::Deserialize)]
struct Read<C> {
    #[serde(rename = "format")]
    _format: Format<FORMAT>,
    changesets: Vec<Outcome>,
    events: Vec<Event<C>>,
}

/// [Replays](PlanContext::replay) the events; an error where they do not follow upon one another, or the changesets do not follow from them.
impl<'de, C: Deserialize<'de>> Deserialize<'de> for Snapshot<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Read { changesets, events, .. } = Read::deserialize(deserializer)?;
        let plan: PlanContext<C> = PlanContext::replay(events).map_err(D::Error::custom)?;
        let snapshot = plan.snapshot();
        if outcomes(&snapshot).eq(changesets) {
            Ok(snapshot)
        } else {
            Err(D::Error::custom("the changesets are not what the events come to"))
        }
    }
}
