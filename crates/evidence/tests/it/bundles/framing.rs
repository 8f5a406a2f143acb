//! What each flipped bit of a zip's framing comes to: in vectors/bundles/framing.json, where the second verifier finds it.

use std::fs;

use serde_json::{Value, json};
use tracekeep_evidence::bundle::{Aspect, Options, Outcome, verify};

use super::negative::{cases, folder};

/// The bytes of a zip as it is written here that are no member's.
fn framing(zip: &[u8]) -> Vec<usize> {
    let long = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut bytes) = (0, Vec::new());
    while zip[at..].starts_with(b"PK\x03\x04") {
        let data = at + 30 + (long(at + 26) & 0xffff);
        bytes.extend(at..data);
        at = data + long(at + 18);
    }
    bytes.extend(at..zip.len());
    bytes
}

#[test]
fn each_flipped_bit_of_the_framing_is_refused_for_its_reason_or_changes_nothing() {
    let case = cases().into_iter().find(|case| case.name == "erased").unwrap();
    let (mut zip, keys) = (case.bundle, case.keys);
    let whole = verify(&zip, &keys, &Options::default()).to_json().to_string();
    let mut runs: Vec<(usize, usize, Value)> = Vec::new();
    for bit in framing(&zip).into_iter().flat_map(|byte| byte * 8..byte * 8 + 8) {
        zip[bit / 8] ^= 1 << (bit % 8);
        let report = verify(&zip, &keys, &Options::default());
        zip[bit / 8] ^= 1 << (bit % 8);
        let found = report.verdict(Aspect::Integrity);
        let reason = match found.outcome {
            Outcome::Fail => json!(found.reason.unwrap().as_str()),
            _ => {
                assert_eq!(report.to_json().to_string(), whole, "bit {bit}");
                Value::Null
            }
        };
        match runs.last_mut().filter(|(_, last, of)| *last + 1 == bit && *of == reason) {
            Some(run) => run.1 = bit,
            None => runs.push((bit, bit, reason)),
        }
    }
    let lines: Vec<_> = runs.iter().map(|(first, last, reason)| json!([first, last, reason]).to_string()).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    let path = folder().join("framing.json");
    if std::env::var_os("TRACEKEEP_WRITE_VECTORS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), text, "framing.json is out of date");
}
