//! The formats that people use, of every kind.

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A format, which names fields or does not, gives lengths or does not, and is for people or is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    Json,
    Cbor,
    /// Structs are arrays.
    MessagePackCompact,
    /// Structs are maps.
    MessagePackNamed,
    /// As compact as that, and yet it says that it is for people.
    MessagePackReadable,
    Postcard,
    Bincode,
}

impl Format {
    pub const ALL: [Self; 7] = [
        Self::Json,
        Self::Cbor,
        Self::MessagePackCompact,
        Self::MessagePackNamed,
        Self::MessagePackReadable,
        Self::Postcard,
        Self::Bincode,
    ];

    pub fn write<T: Serialize>(self, value: &T) -> Result<Vec<u8>, String> {
        self.try_write(value).map_err(|error| error.to_string())
    }

    pub fn read<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, String> {
        self.try_read(bytes).map_err(|error| error.to_string())
    }

    fn try_write<T: Serialize>(self, value: &T) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut bytes = Vec::new();
        match self {
            Self::Json => serde_json::to_writer(&mut bytes, value)?,
            Self::Cbor => ciborium::into_writer(value, &mut bytes)?,
            Self::MessagePackCompact => rmp_serde::encode::write(&mut bytes, value)?,
            Self::MessagePackNamed => rmp_serde::encode::write_named(&mut bytes, value)?,
            Self::MessagePackReadable => {
                value.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_human_readable())?;
            }
            Self::Postcard => bytes = postcard::to_stdvec(value)?,
            Self::Bincode => bytes = bincode::serialize(value)?,
        }
        Ok(bytes)
    }

    fn try_read<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, Box<dyn Error>> {
        Ok(match self {
            Self::Json => serde_json::from_slice(bytes)?,
            Self::Cbor => ciborium::from_reader(bytes)?,
            Self::MessagePackCompact | Self::MessagePackNamed => rmp_serde::from_slice(bytes)?,
            Self::MessagePackReadable => {
                T::deserialize(&mut rmp_serde::Deserializer::new(bytes).with_human_readable())?
            }
            Self::Postcard => postcard::from_bytes(bytes)?,
            Self::Bincode => bincode::deserialize(bytes)?,
        })
    }
}
