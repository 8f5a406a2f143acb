//! What each flipped bit of a bundle comes to, as it is built and as another tool packs it: in vectors/bundles/flipped.json,
//! where the second verifier finds it.

use std::fs;
use std::ops::Range;

use serde_json::{Value, json};
use tracekeep_evidence::bundle::{Aspect, Options, Outcome, verify};

use super::forge::unzip;
use super::negative::{Case, cases, folder};

/// Bits from the first to the last of which each comes to the same: a reason, or nothing where the verdicts are as before.
type Run = (usize, usize, Value);

fn add(runs: &mut Vec<Run>, (first, last, reason): Run) {
    match runs.last_mut().filter(|(_, end, of)| *end + 1 == first && *of == reason) {
        Some(run) => run.1 = last,
        None => runs.push((first, last, reason)),
    }
}

/// Flips each of some bits by itself.
fn flipped(case: &Case, bits: Range<usize>) -> Vec<Run> {
    let (mut zip, mut runs) = (case.bundle.clone(), Vec::new());
    let check = |zip: &[u8]| verify(zip, &case.keys, &Options::default());
    let whole = check(&zip).to_json().to_string();
    for bit in bits {
        zip[bit / 8] ^= 1 << (bit % 8);
        let report = check(&zip);
        let found = report.verdict(Aspect::Integrity);
        let reason = match found.outcome {
            Outcome::Fail => json!(found.reason.unwrap().as_str()),
            // What passes has the same members: the bit was one of the zip's own.
            _ => {
                assert_eq!(report.to_json().to_string(), whole, "bit {bit}");
                assert_eq!(unzip(&zip), unzip(&case.bundle), "bit {bit}");
                Value::Null
            }
        };
        zip[bit / 8] ^= 1 << (bit % 8);
        add(&mut runs, (bit, bit, reason));
    }
    runs
}

#[test]
fn each_flipped_bit_is_refused_for_its_reason_or_changes_nothing() {
    let text = ["erased", "erased_repacked"].map(|name| {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        let bits = case.bundle.len() * 8;
        let mut runs = Vec::new();
        std::thread::scope(|scope| {
            let halves = [0..bits / 2, bits / 2..bits].map(|half| scope.spawn(|| flipped(&case, half)));
            halves.into_iter().flat_map(|half| half.join().unwrap()).for_each(|run| add(&mut runs, run));
        });
        let lines: Vec<_> = runs.iter().map(|(first, last, reason)| json!([first, last, reason]).to_string()).collect();
        format!("{}:[\n{}\n]", json!(name), lines.join(",\n"))
    });
    let text = format!("{{{}}}\n", text.join(",\n"));
    let path = folder().join("flipped.json");
    if std::env::var_os("TRACEKEEP_WRITE_VECTORS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), text, "flipped.json is out of date");
}
