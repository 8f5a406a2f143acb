//! Attributes: their values, their order, and how they are looked up.

use std::borrow::Cow;

/// A value of an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum AnyValue<'a> {
    /// No value at all.
    #[default]
    Empty,
    String(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Array(Vec<AnyValue<'a>>),
    KeyValues(Vec<KeyValue<'a>>),
    Bytes(Vec<u8>),
}

impl AnyValue<'_> {
    /// The string, if it is one and not empty.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one that is not negative.
    pub(crate) fn as_count(&self) -> Option<u64> {
        match self {
            Self::Int(number) => u64::try_from(*number).ok(),
            // Some exporters have no integers. Up to 2^53 a double is exact.
            Self::Double(number) if (0.0..=9_007_199_254_740_992.0).contains(number) && number.fract() == 0.0 =>
            {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
                Some(*number as u64)
            }
            _ => None,
        }
    }
}

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct KeyValue<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) value: AnyValue<'a>,
}

/// Sorts attributes by the bytes of their keys, those inside values too. Repeated keys keep their order.
///
/// Values nest at most as deep as the decoders allow, which bounds the recursion.
pub(crate) fn sort(attributes: &mut [KeyValue<'_>]) {
    for attribute in attributes.iter_mut() {
        sort_inside(&mut attribute.value);
    }
    if !attributes.is_sorted_by(|a, b| a.key <= b.key) {
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
    }
}

fn sort_inside(value: &mut AnyValue<'_>) {
    match value {
        AnyValue::KeyValues(pairs) => sort(pairs),
        AnyValue::Array(items) => items.iter_mut().for_each(sort_inside),
        _ => {}
    }
}

/// Sorted attributes, to look things up in. Of a repeated key the first counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'s, 'a> {
    sorted: &'s [KeyValue<'a>],
    /// One bit for each key, so that most of what is not there is known without a search: most keys are not.
    present: u64,
}

fn bit(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().map_or(0, usize::from);
    1 << ((bytes.len() * 7 + byte(bytes.len() / 2) * 3 + byte(bytes.len().wrapping_sub(1))) & 63)
}

impl<'s, 'a> Attributes<'s, 'a> {
    /// Takes what [`sort`] has sorted.
    pub(crate) fn sorted(attributes: &'s [KeyValue<'a>]) -> Self {
        debug_assert!(attributes.is_sorted_by(|a, b| a.key <= b.key));
        Self { sorted: attributes, present: attributes.iter().fold(0, |bits, attribute| bits | bit(&attribute.key)) }
    }

    /// The value under `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&'s AnyValue<'a>> {
        if self.present & bit(key) == 0 {
            return None;
        }
        let at = self.sorted.partition_point(|attribute| &*attribute.key < key);
        self.sorted.get(at).filter(|attribute| attribute.key == key).map(|attribute| &attribute.value)
    }

    /// The first of `keys` whose value `read` can use.
    pub(crate) fn first<T>(&self, keys: &[&str], read: impl Fn(&'s AnyValue<'a>) -> Option<T>) -> Option<T> {
        keys.iter().find_map(|key| self.get(key).and_then(&read))
    }

    /// The first of `keys` that holds a string which is not empty.
    pub(crate) fn text(&self, keys: &[&str]) -> Option<&'s str> {
        self.first(keys, AnyValue::as_text)
    }

    /// The first of `keys` that holds a count.
    pub(crate) fn count(&self, keys: &[&str]) -> Option<u64> {
        self.first(keys, AnyValue::as_count)
    }

    /// The attributes whose keys begin with `prefix`.
    pub(crate) fn under(&self, prefix: &str) -> &'s [KeyValue<'a>] {
        let from = self.sorted.partition_point(|attribute| &*attribute.key < prefix);
        let rest = &self.sorted[from..];
        &rest[..rest.partition_point(|attribute| attribute.key.starts_with(prefix))]
    }

    /// How many different next parts follow `prefix` in the keys: the length of a list that was flattened to
    /// `prefix` + index + `.` + the rest.
    pub(crate) fn flattened_len(&self, prefix: &str) -> u64 {
        let mut last = None;
        let mut count = 0;
        for attribute in self.under(prefix) {
            let part = attribute.key[prefix.len()..].split('.').next();
            if part != last {
                count += 1;
                last = part;
            }
        }
        count
    }
}

/// `text` cut to `bytes_max`, at a character boundary.
pub(crate) fn cut(text: &str, bytes_max: u32) -> &str {
    let mut end = text.len().min(bytes_max as usize);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(keys: &[&'static str]) -> Vec<KeyValue<'static>> {
        let mut attributes: Vec<_> =
            (0..).zip(keys).map(|(place, key)| KeyValue { key: (*key).into(), value: AnyValue::Int(place) }).collect();
        sort(&mut attributes);
        attributes
    }

    #[test]
    fn look_ups_find_the_first_of_a_repeated_key_and_no_neighbour() {
        let all = attributes(&["b", "a", "b", "bb", "c"]);
        let all = Attributes::sorted(&all);
        assert_eq!(all.get("b"), Some(&AnyValue::Int(0)));
        assert_eq!(all.get("bb"), Some(&AnyValue::Int(3)));
        for absent in ["", "aa", "d"] {
            assert_eq!(all.get(absent), None, "{absent}");
        }
        assert_eq!(all.count(&["x", "c"]), Some(4));
    }

    #[test]
    fn flattened_lists_are_counted_by_index() {
        let all = attributes(&["d.0.id", "d.0.text", "d.1.id", "d.10.id", "d.2.id", "e.0", "d"]);
        let all = Attributes::sorted(&all);
        assert_eq!(all.flattened_len("d."), 4);
        assert_eq!(all.flattened_len("x."), 0);
        assert_eq!(all.under("d.1.").len(), 1);
    }

    #[test]
    fn counts_are_whole_and_not_negative() {
        for (value, count) in [
            (AnyValue::Int(7), Some(7)),
            (AnyValue::Int(-1), None),
            (AnyValue::Double(12.0), Some(12)),
            (AnyValue::Double(1.5), None),
            (AnyValue::Double(f64::NAN), None),
            (AnyValue::Double(-0.0), Some(0)),
            (AnyValue::Double(1e300), None),
            (AnyValue::String("7".into()), None),
        ] {
            assert_eq!(value.as_count(), count, "{value:?}");
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("", 0), "");
    }
}
