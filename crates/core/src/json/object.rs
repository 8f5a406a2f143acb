//! Objects: members in canonical order, names unique.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::Value;

/// A JSON object whose members are kept in canonical order (names by UTF-16 code units) and whose names are unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Object<'a> {
    /// Takes members in any order; a duplicated name is handed back as the error. Time O(n log n).
    pub fn from_members(mut members: Vec<(Cow<'a, str>, Value<'a>)>) -> Result<Self, String> {
        if !members.is_sorted_by(|a, b| name_order(&a.0, &b.0).is_lt()) {
            members.sort_unstable_by(|a, b| name_order(&a.0, &b.0));
            if let Some(pair) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                return Err(pair[0].0.to_string());
            }
        }
        Ok(Self { members })
    }

    /// The members in canonical order.
    #[must_use]
    pub fn into_members(self) -> Vec<(Cow<'a, str>, Value<'a>)> {
        self.members
    }

    /// The value under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.place(name).map(|place| &self.members[place].1)
    }

    /// Removes the member `name` and hands out its value. Time O(n) in the number of members.
    pub fn take(&mut self, name: &str) -> Option<Value<'a>> {
        self.place(name).map(|place| self.members.remove(place).1)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in canonical order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value<'a>)> + ExactSizeIterator {
        self.members.iter().map(|(name, value)| (&**name, value))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.members.binary_search_by(|(other, _)| name_order(other, name)).ok()
    }
}

/// Orders names by their UTF-16 code units (RFC 8785 section 3.2.3), without leaving UTF-8.
///
/// UTF-8 bytes order by code point. UTF-16 differs in one thing: characters beyond U+FFFF (first byte F0 to F4) are
/// surrogates D800 to DFFF there and so come before U+E000 to U+FFFF (first byte EE and EF).
pub(super) fn name_order(a: &str, b: &str) -> Ordering {
    let rank = |byte: u8| {
        if byte & 0xfe == 0xee { byte | 0x10 } else { byte }
    };
    for (x, y) in a.bytes().zip(b.bytes()) {
        if x != y {
            return rank(x).cmp(&rank(y));
        }
    }
    a.len().cmp(&b.len())
}
