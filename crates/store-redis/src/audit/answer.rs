//! What the scripts of an audit answer.

use redis::Value;
use tracekeep_store::{Code, Error, Result};

/// What a script answered: a word, and the texts after it.
pub(crate) struct Answer {
    pub(crate) word: String,
    pub(crate) rest: Vec<String>,
}

/// An answer that no script gives, or a fact that no script kept.
pub(crate) fn strange() -> Error {
    Error::new(Code::Corrupt, "what Redis holds of the audit is something else")
}

impl Answer {
    pub(super) fn read(value: Value) -> Result<Self> {
        let Value::Array(items) = value else { return Err(strange()) };
        let text = |item: Value| match item {
            Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| strange()),
            Value::SimpleString(text) => Ok(text),
            Value::Int(number) => Ok(number.to_string()),
            Value::Double(number) => Ok(format!("{number:.0}")),
            _ => Err(strange()),
        };
        let mut items = items.into_iter().map(text);
        let word = items.next().ok_or_else(strange)??;
        Ok(Self { word, rest: items.collect::<Result<_>>()? })
    }
}
