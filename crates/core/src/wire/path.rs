//! Where a value stands in what was sent.

use std::fmt::Write as _;

use crate::invalid::{Invalid, InvalidCode};
use crate::json::Value;

/// Where a value stands in what was sent: a list on the stack, written out only for a refusal.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The whole of what was sent.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// The member `name` of the place.
    #[must_use]
    pub const fn name(&'a self, name: &'a str) -> Path<'a> {
        Path { parent: Some(self), step: Step::Name(name) }
    }

    pub(crate) const fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    fn pointer(&self) -> String {
        let mut out = self.parent.map_or_else(String::new, Path::pointer);
        match self.step {
            Step::Root => {}
            Step::Index(index) => {
                let _ = write!(out, "/{index}");
            }
            Step::Name(name) => {
                let end = name.char_indices().map(|(at, _)| at).nth(64).unwrap_or(name.len());
                let _ = write!(out, "/{}", name[..end].replace('~', "~0").replace('/', "~1"));
            }
        }
        out
    }

    /// A refusal at this place.
    pub fn refuse(&self, code: InvalidCode, detail: impl Into<String>) -> Invalid {
        Invalid::new(code, self.pointer(), detail)
    }

    /// The refusal of a value of another type.
    #[must_use]
    pub fn wrong_type(&self, wanted: &str, value: &Value<'_>) -> Invalid {
        self.refuse(InvalidCode::InvalidMember, format!("must be {wanted}, is {}", value.type_name()))
    }

    /// The same refusal, placed here.
    #[must_use]
    pub fn place(&self, error: &Invalid) -> Invalid {
        error.clone().under(&self.pointer())
    }
}
