//! The number of a format, which is written before anything that it is the format of: so that a later version of this crate may write more.

use serde::de::{Deserialize, Deserializer, Error, Unexpected};
use serde::ser::{Serialize, Serializer};

/// The number. No other is read.
pub struct Format<const NUMBER: u16>;

impl<const NUMBER: u16> Serialize for Format<NUMBER> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(NUMBER)
    }
}

impl<'de, const NUMBER: u16> Deserialize<'de> for Format<NUMBER> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(deserializer)?;
        if number == NUMBER {
            Ok(Self)
        } else {
            let expected = format!("{NUMBER}, the format of this version");
            Err(D::Error::invalid_value(Unexpected::Unsigned(number.into()), &&*expected))
        }
    }
}
