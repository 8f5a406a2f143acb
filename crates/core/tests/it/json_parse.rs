//! The reader: what it refuses and where it says the fault is, and that hostile text costs it neither stack nor time.

use std::borrow::Cow;
use std::thread;

use tracekeep_core::json::{JsonErrorKind, Value, canonical_json, parse};

#[track_caller]
fn check_refused(text: &[u8], kind: JsonErrorKind, path: &str, offset: u64) {
    let error = parse(text).unwrap_err();
    assert_eq!((error.kind(), error.path(), error.offset()), (kind, path, offset), "{error}");
}

#[track_caller]
fn check_canonical(text: &str, canonical: &str) {
    assert_eq!(canonical_json(text.as_bytes()).unwrap(), canonical);
}

#[test]
fn the_error_says_kind_path_and_offset() {
    check_refused(br#"{"a":{"b/c":[1e999]}}"#, JsonErrorKind::NumberOutOfRange, "/a/b~1c/0", 13);
    check_refused(br#"{"a":{"b/c":[0,[{"~":tru}]]}}"#, JsonErrorKind::Malformed, "/a/b~1c/1/0/~0", 21);
    check_refused(br#"[1,{"x":"\ud800"}]"#, JsonErrorKind::LoneSurrogate, "/1/x", 9);
    check_refused(b"[1,2", JsonErrorKind::Malformed, "", 4);
    check_refused(b"[1,2,", JsonErrorKind::Malformed, "/2", 5);
    check_refused(b"", JsonErrorKind::Malformed, "", 0);
    check_refused(b"\xef\xbb\xbf1", JsonErrorKind::Malformed, "", 0);
    check_refused(b"{\"k\":[\"ab\xff\"]}", JsonErrorKind::InvalidUtf8, "/k/0", 9);
    check_refused(b"1 2", JsonErrorKind::Malformed, "", 2);
}

#[test]
fn paths_count_finished_siblings_and_leave_closed_containers() {
    check_refused(br#"[[1,2],{"a":[3],"b":4},[5,{"c":[]},[6,x]]]"#, JsonErrorKind::Malformed, "/2/2/1", 38);
    check_refused(br#"{"z":[1,2,3],"y":{"x":[{},{"w":[[],[-]]}]}}"#, JsonErrorKind::Malformed, "/y/x/1/w/1/0", 37);
    check_refused(br#"{"a":[{"b":1}],"c":{"d":1,"e":[2] "f":3}}"#, JsonErrorKind::Malformed, "/c", 34);
}

#[test]
fn a_duplicate_is_reported_at_its_second_name() {
    check_refused(br#"{"a":1,"a":2}"#, JsonErrorKind::DuplicateName, "/a", 7);
    check_refused(br#"[{"b":"a","x":{"a":0},"a":"a","\u0061":2}]"#, JsonErrorKind::DuplicateName, "/0/a", 30);
    check_refused(br#"{"k":[{},{"n":[],"m":1,"n" :{}}]}"#, JsonErrorKind::DuplicateName, "/k/1/n", 23);
    check_refused("{\"\u{e9}\":1,\"\\u00E9\":2}".as_bytes(), JsonErrorKind::DuplicateName, "/\u{e9}", 8);
}

#[test]
fn codes_are_stable() {
    let code = |text: &[u8]| parse(text).unwrap_err().kind().code();
    assert_eq!(code(b"{"), "malformed_json");
    assert_eq!(code(b"\"\xff\""), "invalid_utf8");
    assert_eq!(code(br#"{"a":1,"a":1}"#), "duplicate_name");
    assert_eq!(code(br#""\udfff""#), "lone_surrogate");
    assert_eq!(code(b"-1e400"), "number_out_of_range");
    assert_eq!(code("[".repeat(129).as_bytes()), "too_deep");
}

#[test]
fn the_message_is_short_and_holds_no_payload() {
    let error = parse(br#"{"token":"secret","n":1e999}"#).unwrap_err();
    assert_eq!(error.to_string(), "number out of range at byte 22, path /n");
    assert_eq!(parse(b"secret").unwrap_err().to_string(), "malformed json at byte 0");
    let error = parse(br#"{"a\n\u001b[31m":x}"#).unwrap_err();
    assert_eq!(error.to_string(), r"malformed json at byte 17, path /a\n\u{1b}[31m");
}

#[test]
fn a_long_path_is_cut_to_256_bytes_between_characters() {
    let name = "\u{20ac}".repeat(1000);
    let error = parse(format!("{{\"{name}\":[x]}}").as_bytes()).unwrap_err();
    assert_eq!(error.path(), format!("/{}", "\u{20ac}".repeat(85)));
    let error = parse(format!("{{\"{}\":{{\"a\":x}}}}", "~".repeat(127)).as_bytes()).unwrap_err();
    assert_eq!(error.path(), format!("/{}/", "~0".repeat(127)));
    let error = parse(format!("{{\"{}\":{{\"a\":x}}}}", "~".repeat(128)).as_bytes()).unwrap_err();
    assert_eq!(error.path(), format!("/{}", "~0".repeat(127)));
    let error = parse(format!("{{\"{}\":1,\"{}\":2}}", "n".repeat(900), "n".repeat(900)).as_bytes()).unwrap_err();
    assert_eq!(error.path().len(), 256);
    assert_eq!(error.offset(), 906);
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let text = r#"["plain, caf\u00e9", "plain, café 😀 and long enough for the fast path", {"name": 1}]"#;
    let value = parse(text.as_bytes()).unwrap();
    let items = value.as_array().unwrap();
    assert!(matches!(&items[0], Value::String(Cow::Owned(string)) if string == "plain, café"));
    assert!(matches!(&items[1], Value::String(Cow::Borrowed(_))));
    let Value::Object(object) = items[2].clone() else { panic!("not an object") };
    assert!(matches!(object.into_members()[0].0, Cow::Borrowed("name")));
}

#[test]
fn escapes_at_every_distance_are_read() {
    for length in 0..40 {
        let plain = "x".repeat(length);
        check_canonical(&format!(r#""{plain}\u0041{plain}\n{plain}\"""#), &format!(r#""{plain}A{plain}\n{plain}\"""#));
        for cut in [r"\", r"\u", r"\u004", r"\ud83d\", r"\ud83d\u", r"\ud83d\ude0"] {
            let error = parse(format!("\"{plain}{cut}").as_bytes()).unwrap_err();
            assert!(matches!(error.kind(), JsonErrorKind::Malformed | JsonErrorKind::LoneSurrogate), "{error}");
        }
    }
}

#[test]
fn every_control_character_is_refused_raw_at_every_distance() {
    for control in 0..0x20u8 {
        for length in [0, 1, 7, 8, 9, 30] {
            let mut text = vec![b'"'];
            text.resize(1 + length, b'x');
            text.extend_from_slice(&[control, b'y', b'"']);
            check_refused(&text, JsonErrorKind::Malformed, "", 1 + length as u64);
        }
    }
}

#[test]
fn every_cut_of_a_document_is_refused() {
    let text = r#"{"a":[1.5e-3,true,null,{"b":"\ud83d\ude00 \n€"}],"c":{"d":[],"e":{}},"f":false}"#;
    assert!(parse(text.as_bytes()).is_ok());
    for end in 0..text.len() {
        assert!(parse(&text.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn no_single_byte_makes_the_reader_panic() {
    let text = r#"{"a":[1.5e-3,true,null,{"b":"\ud83d\ude00 \n€"}],"c":{"d":[-0],"e":{}},"f":false}"#.as_bytes();
    for at in 0..text.len() {
        for byte in 0..=255 {
            let mut changed = text.to_vec();
            changed[at] = byte;
            if let Ok(canonical) = canonical_json(&changed) {
                assert_eq!(canonical_json(canonical.as_bytes()).unwrap(), canonical);
            }
        }
    }
}

#[test]
fn depth_128_is_read_and_129_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(canonical_json(nested(128).as_bytes()).unwrap(), nested(128));
        let error = parse(nested(129).as_bytes()).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (JsonErrorKind::TooDeep, 128 * open.len() as u64));
    }
    check_canonical(
        &format!("[{0},{0}]", "[".repeat(127) + &"]".repeat(127)),
        &format!("[{0},{0}]", "[".repeat(127) + &"]".repeat(127)),
    );
}

#[test]
fn a_million_open_brackets_are_refused_on_a_small_stack() {
    let on_small_stack = |text: String, expected: Option<JsonErrorKind>| {
        let run = move || assert_eq!(canonical_json(text.as_bytes()).err().map(|error| error.kind()), expected);
        thread::Builder::new().stack_size(256 * 1024).spawn(run).unwrap().join().unwrap();
    };
    on_small_stack("[".repeat(1_000_000), Some(JsonErrorKind::TooDeep));
    on_small_stack("{\"a\":".repeat(1_000_000), Some(JsonErrorKind::TooDeep));
    on_small_stack("[{\"a\":".repeat(500_000), Some(JsonErrorKind::TooDeep));
    on_small_stack("[".repeat(128) + &"]".repeat(128), None);
    on_small_stack("{\"a\":".repeat(128) + "{}" + &"}".repeat(128), Some(JsonErrorKind::TooDeep));
    on_small_stack("{\"a\":".repeat(127) + "{}" + &"}".repeat(127), None);
}

/// None of these ends within the test's patience if anything is quadratic.
#[test]
fn hostile_text_takes_no_quadratic_time() {
    let many: Vec<String> = (0..200_000).rev().map(|n| format!("\"name{n:06}\":{n}")).collect();
    let object = format!("{{{}}}", many.join(","));
    assert_eq!(parse(object.as_bytes()).unwrap().as_object().unwrap().len(), 200_000);
    let twice = format!("{{{},\"name150000\":0}}", many.join(","));
    check_refused(twice.as_bytes(), JsonErrorKind::DuplicateName, "/name150000", twice.len() as u64 - 15);
    assert!(parse(format!("[{}]", "[],".repeat(1_000_000) + "1").as_bytes()).is_ok());
    assert!(parse(format!("\"{}\"", "\\n".repeat(2_000_000)).as_bytes()).is_ok());
    assert!(parse(format!("{}1{}", " ".repeat(2_000_000), " ".repeat(2_000_000)).as_bytes()).is_ok());
    assert!(parse(format!("[{}", "\"\\ud83d\\ude00\",".repeat(200_000)).as_bytes()).is_err());
}
