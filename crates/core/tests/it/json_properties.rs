//! Properties over random documents, with serde_json_canonicalizer as the other opinion.

use proptest::prelude::*;
use tracekeep_core::json::{Json, Object, Value, canonical_json, parse};

const SAFE_INTEGER_MAX: i64 = (1 << 53) - 1;

/// Strings in which all that is special in JSON, UTF-8 and UTF-16 is likely.
fn string() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        6 => proptest::char::range('a', 'e'),
        2 => proptest::char::range('\0', '\u{7f}'),
        1 => proptest::char::range('\u{d7f0}', '\u{e010}'),
        1 => proptest::char::range('\u{fff0}', '\u{10010}'),
        1 => any::<char>(),
    ];
    proptest::collection::vec(char, 0..20).prop_map(String::from_iter)
}

/// Documents on which RFC 8785 and the profile agree: integers within 2^53, all finite doubles.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let double = any::<f64>().prop_filter("finite", |x| x.is_finite());
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-SAFE_INTEGER_MAX..=SAFE_INTEGER_MAX).prop_map(Into::into),
        (-1000i64..1000).prop_map(Into::into),
        double.prop_map(Into::into),
        (-1000i32..1000, -30i32..30).prop_map(|(x, e)| (f64::from(x) * 10f64.powi(e)).into()),
        string().prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            proptest::collection::vec((string(), inner), 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes a document as another program might: spaces, escapes, members in reverse.
fn untidy(document: &serde_json::Value, out: &mut String) {
    match document {
        serde_json::Value::Object(members) => {
            out.push_str("{ ");
            for (place, (name, value)) in members.iter().rev().enumerate() {
                out.push_str(if place > 0 { "\n,\t" } else { "" });
                untidy_string(name, out);
                out.push_str(" : ");
                untidy(value, out);
            }
            out.push_str(" }");
        }
        serde_json::Value::Array(items) => {
            out.push_str("[\r\n");
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place > 0 { " , " } else { "" });
                untidy(item, out);
            }
            out.push_str(" ]");
        }
        serde_json::Value::String(string) => untidy_string(string, out),
        serde_json::Value::Number(number) if number.is_f64() => {
            out.push_str(&format!("{:E}", number.as_f64().unwrap()));
        }
        other => out.push_str(&other.to_string()),
    }
}

fn untidy_string(string: &str, out: &mut String) {
    out.push('"');
    for unit in string.encode_utf16() {
        out.push_str(&format!("\\u{unit:04X}"));
    }
    out.push('"');
}

/// Compares the trees, not only the texts.
fn is_same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
        (Value::String(a), serde_json::Value::String(b)) => a == b,
        (Value::Number(a), serde_json::Value::Number(b)) => {
            Some(a.as_f64()) == b.as_f64() && b.as_i64().is_none_or(|b| a.as_i64() == Some(b))
        }
        (Value::Array(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(a), serde_json::Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| is_same(value, other)))
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn agrees_with_serde_json_canonicalizer(document in document()) {
        let expected = serde_json_canonicalizer::to_string(&document).unwrap();
        let mut text = String::new();
        untidy(&document, &mut text);
        prop_assert_eq!(canonical_json(text.as_bytes()).unwrap(), expected.as_str());
        prop_assert_eq!(canonical_json(document.to_string().as_bytes()).unwrap(), expected.as_str());
        prop_assert!(is_same(&parse(text.as_bytes()).unwrap(), &document));
    }

    #[test]
    fn canonicalising_is_idempotent(document in document()) {
        let canonical = canonical_json(document.to_string().as_bytes()).unwrap();
        prop_assert_eq!(canonical_json(canonical.as_bytes()).unwrap(), canonical.as_str());
        let json = Json::parse(&canonical).unwrap();
        prop_assert_eq!(json.value().to_json(), Json::from_canonical(canonical));
    }

    #[test]
    fn canonicalising_any_number_token_is_idempotent(token in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?") {
        let Ok(canonical) = canonical_json(token.as_bytes()) else {
            prop_assert!(token.parse::<f64>().unwrap().is_infinite());
            return Ok(());
        };
        prop_assert_eq!(canonical_json(canonical.as_bytes()).unwrap(), canonical.as_str());
        prop_assert_eq!(canonical.parse::<f64>().unwrap(), token.parse::<f64>().unwrap());
        if !token.contains(['.', 'e', 'E']) && token != "-0" {
            prop_assert_eq!(canonical, token);
        }
    }

    #[test]
    fn names_are_ordered_by_utf_16_code_units(names in proptest::collection::hash_set(string(), 0..12)) {
        let members = names.iter().map(|name| (name.as_str().into(), Value::Null)).collect();
        let object = Object::from_members(members).unwrap();
        let mut expected: Vec<&str> = names.iter().map(String::as_str).collect();
        expected.sort_by_key(|name| name.encode_utf16().collect::<Vec<_>>());
        prop_assert!(object.iter().map(|(name, _)| name).eq(expected));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_agree_with_serde_json_on_acceptance(
        text in proptest::collection::vec(proptest::sample::select(b"{}[]\",:\\u0d8 1-.eE+tfn\x00\xc3\xa9".as_slice()), 0..24)
    ) {
        // serde_json keeps the last of two members; in everything else an acceptance of one is an acceptance of both.
        let theirs = serde_json::from_slice::<serde_json::Value>(&text);
        match parse(&text) {
            Ok(value) => prop_assert!(is_same(&value, &theirs.unwrap())),
            Err(error) => prop_assert!(theirs.is_err() || error.kind().code() == "duplicate_name", "{}", error),
        }
    }
}
