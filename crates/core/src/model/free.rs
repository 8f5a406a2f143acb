//! Free JSON inside the record.

use std::fmt;

use crate::invalid::{Invalid, InvalidCode};
use crate::json::Json;

/// Free JSON that is an object: metadata, or the attributes of a span. Empty by default.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JsonObject(Json);

impl JsonObject {
    /// Checks that `json` is an object.
    ///
    /// # Errors
    /// `invalid_member` where it is not.
    pub fn new(json: Json) -> Result<Self, Invalid> {
        // Canonical text says by its first byte what it is: nothing needs to be read, however large or deep.
        if json.as_str().starts_with('{') {
            return Ok(Self(json));
        }
        Err(Invalid::new(InvalidCode::InvalidMember, "", "must be an object"))
    }

    pub(crate) const fn trusted(json: Json) -> Self {
        Self(json)
    }

    /// The object.
    #[must_use]
    pub const fn json(&self) -> &Json {
        &self.0
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for JsonObject {
    fn default() -> Self {
        Self(Json::empty_object())
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl TryFrom<Json> for JsonObject {
    type Error = Invalid;
    fn try_from(json: Json) -> Result<Self, Invalid> {
        Self::new(json)
    }
}

impl From<JsonObject> for Json {
    fn from(object: JsonObject) -> Self {
        object.0
    }
}
