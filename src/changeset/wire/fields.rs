//! Structs of which some fields are left out where that does no harm.
//!
//! Formats that do not name the fields of a struct tell them apart by their places: to leave one out there is to move all that come after it.
//! A format that says that it is for people gets a *map* of the fields that are there, which names them whatever it does with structs.
//! All others get a struct with all of its fields.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};

/// A struct that is being written.
pub enum Fields<S: Serializer> {
    Present(S::SerializeMap),
    All(S::SerializeStruct),
}

impl<S: Serializer> Fields<S> {
    /// Of so many fields, of which so many are absent.
    pub fn new(serializer: S, name: &'static str, all: usize, absent: usize) -> Result<Self, S::Error> {
        Ok(if serializer.is_human_readable() {
            Self::Present(serializer.serialize_map(Some(all - absent))?)
        } else {
            Self::All(serializer.serialize_struct(name, all)?)
        })
    }

    /// The next field, which is always there.
    pub fn field(&mut self, name: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), S::Error> {
        match self {
            Self::Present(map) => map.serialize_entry(name, value),
            Self::All(fields) => fields.serialize_field(name, value),
        }
    }

    /// The next field, which is left out of a map where it is absent.
    pub fn unless(&mut self, absent: bool, name: &'static str, value: &impl Serialize) -> Result<(), S::Error> {
        if absent && matches!(self, Self::Present(_)) { Ok(()) } else { self.field(name, value) }
    }

    pub fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::Present(map) => map.end(),
            Self::All(fields) => fields.end(),
        }
    }
}
