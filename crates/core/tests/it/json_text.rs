//! `Json`, `Object` and `Value`: what other modules build with.

use std::borrow::Cow;
use std::collections::HashSet;

use tracekeep_core::json::{Json, JsonErrorKind, Object, Value, parse, write_string};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

#[track_caller]
fn check(json: impl Into<Json>, text: &str) {
    let json = json.into();
    assert_eq!(json.as_str(), text);
    assert_eq!(Json::parse(text).unwrap(), json);
    assert_eq!(Json::from_canonical(text), json);
    assert_eq!(json.value().to_json(), json);
}

#[test]
fn json_is_equal_to_the_parse_of_its_own_text() {
    check(json(" { \"b\" : 1.0, \"a\" : [ -0, \"\\u0041\" ] } "), r#"{"a":[0,"A"],"b":1}"#);
    check(Json::null(), "null");
    check(Json::default(), "null");
    check(Json::empty_object(), "{}");
    check(Json::empty_array(), "[]");
    check("quote \" and \u{1}", r#""quote \" and \u0001""#);
    check(String::from("é"), "\"é\"");
    check(true, "true");
    check(false, "false");
    check(i64::MIN, "-9223372036854775808");
    check(u64::MAX, "18446744073709551615");
    check(Json::try_from(-0.0).unwrap(), "0");
    check(Json::try_from(1e21).unwrap(), "1e+21");
    check(Json::try_from(0.1).unwrap(), "0.1");
}

#[test]
fn doubles_that_are_not_finite_are_refused() {
    for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Json::try_from(x).unwrap_err().kind(), JsonErrorKind::NumberOutOfRange);
    }
}

#[test]
fn equal_documents_are_equal_values_and_hash_alike() {
    let all: HashSet<Json> = [r#"{"a":1,"b":2}"#, r#"{ "b":2e0, "a":1.0 }"#, r#"{"\u0061":1,"b":2}"#].map(json).into();
    assert_eq!(all.len(), 1);
    assert_ne!(json("9007199254740993"), json("9007199254740992"));
}

#[test]
fn debug_and_display_print_the_text() {
    let json = json(r#"{"a":"b"}"#);
    assert_eq!(format!("{json} {json:?}"), r#"{"a":"b"} {"a":"b"}"#);
}

#[test]
fn only_null_is_null() {
    assert!(Json::null().is_null());
    assert!(!Json::empty_object().is_null());
    assert!(!Json::from("null").is_null());
}

#[test]
fn an_object_is_composed_in_canonical_order() {
    let object = Json::object([("\u{e000}", 1u64.into()), ("😀", Json::null()), ("a", "x".into()), ("", true.into())]);
    check(object.unwrap(), "{\"\":true,\"a\":\"x\",\"😀\":null,\"\u{e000}\":1}");
    check(Json::array([Json::null(), json(r#"{"a":[]}"#), 7i64.into()]), r#"[null,{"a":[]},7]"#);
    check(Json::array([]), "[]");
}

#[test]
fn composing_refuses_a_duplicate_name() {
    let error = Json::object([("b/c", Json::null()), ("a", Json::null()), ("b/c", true.into())]).unwrap_err();
    assert_eq!((error.kind(), error.path()), (JsonErrorKind::DuplicateName, "/b~1c"));
}

#[test]
fn composing_refuses_to_go_beyond_the_depth_limit() {
    let nested = |depth: usize| json(&("[".repeat(depth) + &"]".repeat(depth)));
    let object = Json::object([("a", nested(127))]).unwrap();
    assert_eq!(object.depth(), 128);
    check(object, &format!("{{\"a\":{}{}}}", "[".repeat(127), "]".repeat(127)));
    let error = Json::object([("0", Json::null()), ("a", nested(128))]).unwrap_err();
    assert_eq!((error.kind(), error.path()), (JsonErrorKind::TooDeep, "/a"));
}

#[test]
fn an_array_beyond_the_depth_limit_is_readable_but_goes_nowhere() {
    let array = Json::array([json(&("[".repeat(128) + &"]".repeat(128)))]);
    assert_eq!(array.depth(), 129);
    assert_eq!(array.value().to_json(), array);
    assert_eq!(Json::parse(array.as_str()).unwrap_err().kind(), JsonErrorKind::TooDeep);
    assert_eq!(Json::object([("a", array)]).unwrap_err().kind(), JsonErrorKind::TooDeep);
}

#[test]
fn depth_counts_containers_and_not_brackets_in_strings() {
    for (text, depth) in [("1", 0), ("[]", 1), ("{}", 1), (r#"{"[[[":"]]\"[[\\","a":[{}]}"#, 3), ("[[],[[]],[]]", 3)] {
        assert_eq!(json(text).depth(), depth, "{text}");
    }
}

#[test]
fn members_are_found_by_name_whatever_the_order() {
    let names = ["zeta", "", "a", "aa", "é", "\u{e000}", "\u{ffff}", "😀", "\u{10ffff}", "\u{d7ff}", "B"];
    let members: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("\"{name}\":{n}")).collect();
    let text = format!("{{{}}}", members.join(","));
    let value = parse(text.as_bytes()).unwrap();
    let object = value.as_object().unwrap();
    for (n, name) in names.iter().enumerate() {
        assert_eq!(object.get(name).unwrap().to_json(), Json::from(n as u64), "{name}");
    }
    assert_eq!(object.get("b"), None);
    let sorted: Vec<&str> = object.iter().map(|(name, _)| name).collect();
    let mut expected = names.to_vec();
    expected.sort_by_key(|name| name.encode_utf16().collect::<Vec<_>>());
    assert_eq!(sorted, expected);
    assert_eq!(object.iter().len(), names.len());
}

#[test]
fn take_removes_the_member() {
    let Value::Object(mut object) = parse(br#"{"b":2,"a":1,"c":3}"#).unwrap() else { panic!("not an object") };
    assert_eq!(object.take("b").unwrap().to_json(), 2u64.into());
    assert_eq!(object.take("b"), None);
    assert_eq!(object.len(), 2);
    assert_eq!(Value::Object(object).to_json().as_str(), r#"{"a":1,"c":3}"#);
    assert!(Object::default().is_empty());
}

#[test]
fn an_object_from_members_is_sorted_and_refuses_a_duplicate() {
    let member = |name: &'static str| (Cow::Borrowed(name), Value::Null);
    let object = Object::from_members(vec![member("b"), member("a")]).unwrap();
    assert_eq!(object, *parse(br#"{"a":null,"b":null}"#).unwrap().as_object().unwrap());
    assert_eq!(object.clone().into_members(), [member("a"), member("b")]);
    assert_eq!(Object::from_members(vec![member("b"), member("a"), member("b")]), Err("b".to_owned()));
    assert_eq!(Object::from_members(vec![member("b"), member("b")]), Err("b".to_owned()));
}

#[test]
fn a_value_says_its_type_and_hands_out_only_that() {
    for (text, name) in [
        ("null", "null"),
        ("true", "boolean"),
        ("1", "number"),
        ("\"s\"", "string"),
        ("[1]", "array"),
        ("{}", "object"),
    ] {
        let value = parse(text.as_bytes()).unwrap();
        assert_eq!(value.type_name(), name);
        assert_eq!(value.as_str().is_some(), name == "string");
        assert_eq!(value.as_array().is_some(), name == "array");
        assert_eq!(value.as_object().is_some(), name == "object");
    }
}

#[test]
fn only_quote_backslash_and_controls_are_escaped() {
    for code in 0..=0xffff {
        let Some(char) = char::from_u32(code) else {
            continue;
        };
        let string = format!("12345{char}67");
        let mut out = Vec::new();
        write_string(&mut out, &string);
        let body = match char {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\t' => "\\t".to_owned(),
            '\n' => "\\n".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\r' => "\\r".to_owned(),
            '\0'..='\u{1f}' => format!("\\u{code:04x}"),
            _ => char.to_string(),
        };
        assert_eq!(String::from_utf8(out).unwrap(), format!("\"12345{body}67\""));
    }
}
