//! Serde for what a reader gets: the same text as on the wire.
//!
//! In a format that people read a value is the JSON that it is, digit for digit; in any other a string that holds it. Its
//! own parser reads it back, so that nothing is lost on the way, whatever features another crate sets.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::{Json, parse_around};
use crate::model::{JsonObject, TraceType};
use crate::view::{Run, Step, Trace, TreeNode};
use crate::wire::{Field, Path};

/// Levels that a view puts around what was recorded.
const LEVELS_AROUND: u32 = 8;

fn write<T: Field, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = Vec::new();
    value.write(&mut text);
    let text = String::from_utf8(text).map_err(S::Error::custom)?;
    if serializer.is_human_readable() {
        RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
    } else {
        text.serialize(serializer)
    }
}

fn read<'de, T: Field, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text: String = if deserializer.is_human_readable() {
        Box::<RawValue>::deserialize(deserializer)?.get().to_owned()
    } else {
        String::deserialize(deserializer)?
    };
    let value = parse_around(text.as_bytes(), LEVELS_AROUND).map_err(D::Error::custom)?;
    T::read(value, &Path::ROOT).map_err(D::Error::custom)
}

macro_rules! serial {
    ($($type:ty),* $(,)?) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                write(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read(deserializer)
            }
        }
    )*};
}

serial!(Json, JsonObject, TraceType, Run, Step, Trace, TreeNode);
