//! Values as the JSON that they stand for: `{"a":[1,"x"]}` instead of their OTLP form.

use tracekeep_core::json::{Json, write_i64, write_string};

use crate::attributes::{AnyValue, KeyValue};
use crate::{base64, otel};

/// A value as plain JSON: no value is `null`, bytes are base64, doubles that are not finite are the strings of proto3
/// JSON, pairs are an object.
pub(crate) fn json(value: &AnyValue<'_>) -> Json {
    let mut out = Vec::new();
    write(&mut out, value);
    canonical(out)
}

/// Pairs as the text of a plain object. Of a repeated key the first counts, as in every look-up.
pub(crate) fn write_object<'s>(out: &mut Vec<u8>, pairs: impl IntoIterator<Item = (&'s str, &'s AnyValue<'s>)>) {
    let mut pairs: Vec<_> = pairs.into_iter().collect();
    // Canonical JSON sorts by UTF-16 code units.
    pairs.sort_by(|a, b| if a.0.is_ascii() { a.0.cmp(b.0) } else { a.0.encode_utf16().cmp(b.0.encode_utf16()) });
    pairs.dedup_by(|later, earlier| later.0 == earlier.0);
    out.push(b'{');
    for (place, (key, value)) in pairs.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write_string(out, key);
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

/// The pairs of attributes.
pub(crate) fn pairs<'s>(attributes: &'s [KeyValue<'s>]) -> impl Iterator<Item = (&'s str, &'s AnyValue<'s>)> {
    attributes.iter().map(|attribute| (&*attribute.key, &attribute.value))
}

/// Text that this crate's writers wrote in canonical form.
pub(crate) fn canonical(out: Vec<u8>) -> Json {
    Json::from_canonical(String::from_utf8(out).expect("invariant: the writers write UTF-8"))
}

fn write(out: &mut Vec<u8>, value: &AnyValue<'_>) {
    match value {
        AnyValue::Empty => out.extend_from_slice(b"null"),
        AnyValue::String(text) => write_string(out, text),
        AnyValue::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        AnyValue::Int(number) => write_i64(out, *number),
        AnyValue::Double(number) => otel::double(out, *number),
        AnyValue::Bytes(bytes) => {
            out.push(b'"');
            base64::encode(out, bytes);
            out.push(b'"');
        }
        AnyValue::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        AnyValue::KeyValues(list) => write_object(out, pairs(list)),
    }
}
