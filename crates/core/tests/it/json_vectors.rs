//! The official vectors of RFC 8785 and our own of the profile `tk-jcs-1`.

use std::fs;
use std::path::Path;

use tracekeep_core::json::{Value, canonical_json, parse};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/json");

fn read(path: &str) -> Vec<u8> {
    let path = Path::new(VECTORS).join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn check_official(name: &str) {
    let expected = String::from_utf8(read(&format!("rfc8785/output/{name}.json"))).unwrap();
    assert_eq!(canonical_json(&read(&format!("rfc8785/input/{name}.json"))).unwrap(), expected);
    assert_eq!(canonical_json(expected.as_bytes()).unwrap(), expected);
}

#[test]
fn official_vector_arrays() {
    check_official("arrays");
}

#[test]
fn official_vector_french() {
    check_official("french");
}

#[test]
fn official_vector_structures() {
    check_official("structures");
}

#[test]
fn official_vector_unicode() {
    check_official("unicode");
}

#[test]
fn official_vector_values() {
    check_official("values");
}

#[test]
fn official_vector_weird() {
    check_official("weird");
}

/// The cases are read with serde_json, so that a fault of our reader cannot hide itself.
#[test]
fn every_case_of_the_profile_is_as_its_vector_says() {
    let cases: serde_json::Value = serde_json::from_slice(&read("tk-jcs-1.json")).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in cases {
        let member = |name: &str| case.get(name).map(|value| value.as_str().unwrap().to_owned());
        let input = unhex(&member("input_hex").unwrap());
        let expected = match member("canonical") {
            Some(canonical) => Ok(canonical),
            None => Err((member("error").unwrap(), member("path").unwrap())),
        };
        let result = canonical_json(&input).map_err(|error| (error.kind().code().to_owned(), error.path().to_owned()));
        if result != expected {
            wrong.push(format!("{}: {result:?} instead of {expected:?}", member("name").unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_vector_file_reads_the_same_with_our_own_reader() {
    let text = read("tk-jcs-1.json");
    let ours = parse(&text).unwrap();
    let theirs: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    assert_eq!(ours.len(), theirs.len());
    for (our_case, their_case) in ours.iter().zip(theirs) {
        let our_case = our_case.as_object().unwrap();
        assert_eq!(our_case.len(), their_case.as_object().unwrap().len());
        for (name, value) in our_case.iter() {
            assert_eq!(value.as_str(), their_case[name].as_str());
            assert!(matches!(value, Value::String(_)));
        }
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2) && hex.is_ascii());
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
