//! `cargo xtask test`: every step, in order, until one fails.

use std::time::{Duration, Instant};

use crate::sh::{Failed, Outcome};
use crate::{crash, e2e, rust, tidy, vectors};

/// Kills of the small dose; 500 and more are for `cargo xtask crash --kills N` by hand.
const KILLS: &str = "20";

type Step = (&'static str, fn() -> Outcome);

const STEPS: &[Step] = &[
    ("tidy", tidy::check),
    ("fmt", rust::fmt),
    ("clippy", rust::clippy),
    ("test", rust::test),
    ("doc", rust::doc),
    ("vectors", vectors::check),
    ("release", rust::release),
    ("crash", || crash::main(&["--kills".to_owned(), KILLS.to_owned()])),
    ("e2e", e2e::test),
];

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let (only, skip) = asked(arguments)?;
    let mut passed: Vec<(&str, Duration)> = Vec::new();
    let mut skipped = Vec::new();
    for (name, step) in STEPS {
        if skip.contains(name) || !only.is_empty() && !only.contains(name) {
            skipped.push(*name);
            continue;
        }
        println!("\n=== {name}");
        let began = Instant::now();
        if let Err(failed) = step() {
            println!("\n{} passed, 1 failed: {name}, after {}", passed.len(), seconds(began.elapsed()));
            return Err(Failed::new(format!("{name}: {failed}")));
        }
        println!("=== {name}: passed in {}", seconds(began.elapsed()));
        passed.push((name, began.elapsed()));
    }
    println!();
    for (name, took) in &passed {
        println!("{name:<8} {:>10}", seconds(*took));
    }
    if !skipped.is_empty() {
        println!("\nSKIPPED, since it was asked for: {}. This is not a full test.", skipped.join(", "));
    }
    println!("\n{} passed, 0 failed", passed.len());
    Ok(())
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// The steps to run alone, and those to leave out.
fn asked(arguments: &[String]) -> Outcome<(Vec<&str>, Vec<&str>)> {
    let (mut only, mut skip) = (Vec::new(), Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let into = match word.as_str() {
            "--only" => &mut only,
            "--skip" => &mut skip,
            _ => return Err(usage(&format!("unknown argument {word}"))),
        };
        let step = words.next().ok_or_else(|| usage(&format!("{word} needs the name of a step")))?;
        if !STEPS.iter().any(|(name, _)| name == step) {
            return Err(usage(&format!("there is no step {step}")));
        }
        into.push(step.as_str());
    }
    Ok((only, skip))
}

fn usage(why: &str) -> Failed {
    let names: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
    Failed::new(format!("{why}; the steps are {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn skipping_is_asked_for_by_the_name_of_a_step() {
        assert_eq!(asked(&words("--skip crash --skip e2e")).unwrap(), (vec![], vec!["crash", "e2e"]));
        assert_eq!(asked(&words("--only fmt")).unwrap(), (vec!["fmt"], vec![]));
        for wrong in ["--skip", "--skip slow", "fmt", "--only"] {
            assert!(asked(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
