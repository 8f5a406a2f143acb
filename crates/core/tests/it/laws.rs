//! Laws of the design that this crate holds by what its source does not contain.

use std::fs;
use std::path::{Path, PathBuf};

/// What would let the outside in. A name is looked for as a whole path or word.
const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "SystemTime",
    "Instant",
    "now(",
    "Zoned",
    "TimeZone",
    "RandomState",
    "HashMap",
    "HashSet",
    "rand",
    "getrandom",
    "env!",
    "include_str!",
    "include_bytes!",
    "println!",
    "eprintln!",
    "dbg!",
    "static mut",
    "thread_local!",
    "OnceLock",
    "LazyLock",
    "Mutex",
    "async",
    "unsafe",
    "extern",
];

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The paths that a grouped import stands for, one to a line: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn ungrouped(path: &str) -> Vec<String> {
    let Some((before, group)) = path.split_once('{') else { return vec![path.to_owned()] };
    let inside = group.rsplit_once('}').map_or(group, |(inside, _)| inside);
    let (mut items, mut depth) = (vec![String::new()], 0);
    for character in inside.chars() {
        depth += i32::from(character == '{') - i32::from(character == '}');
        match items.last_mut() {
            Some(item) if character != ',' || depth > 0 => item.push(character),
            _ => items.push(String::new()),
        }
    }
    items.iter().flat_map(|item| ungrouped(item.trim())).map(|rest| format!("{before}{rest}")).collect()
}

/// The source with every import whole on its line, the first of its lines; comments left out.
fn flat(code: &str) -> Vec<(usize, String)> {
    let mut lines = (1..).zip(code.lines().map(|line| line.split("//").next().unwrap_or_default()));
    let mut flat = Vec::new();
    while let Some((number, line)) = lines.next() {
        let mut line = line.to_owned();
        let import = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        if !import.starts_with("use ") {
            flat.push((number, line));
            continue;
        }
        while !line.contains(';') {
            let Some((_, more)) = lines.next() else { break };
            line.push_str(more);
        }
        flat.extend(ungrouped(line.trim().trim_end_matches(';')).into_iter().map(|path| (number, path)));
    }
    flat
}

/// The forbidden words in a source text, comments and tests left aside.
fn found(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    for (number, line) in flat(code) {
        for word in OUTSIDE {
            let boundary = |character: Option<char>| !character.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let is_there = line.match_indices(word).any(|(at, _)| {
                boundary(line[..at].chars().next_back()) && boundary(line[at + word.len()..].chars().next())
            });
            if is_there {
                found.push(format!("{number}: {word}"));
            }
        }
    }
    found
}

#[test]
fn law_1_core_does_no_io_and_reads_no_clock_and_no_randomness() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    assert!(files.len() > 20, "the sources were found");
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        wrong.extend(found(&text).into_iter().map(|what| format!("{}:{what}", file.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn law_1_holds_for_what_core_links() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<_> = dependencies.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    // jiff could read the clock and the time zones, which the scan looks for; the others only compute. serde and
    // serde_json carry text that our own parser reads.
    assert_eq!(
        names,
        ["jiff", "ryu-js", "serde", "serde_json", "sha2"],
        "a new dependency of core must be as pure as these"
    );
}

/// The scan itself is seen to fail.
#[test]
fn the_scan_finds_what_it_looks_for() {
    for (text, expected) in [
        ("use std::fs;", true),
        ("use std::{fs, env};", true),
        ("use std::{fmt, fs};", true),
        ("use std::{\n    fmt, // what is said\n    sync::{Arc, Mutex},\n};", true),
        ("use std::{borrow::Cow, collections::{BTreeMap, HashMap}};", true),
        ("pub use std::{fmt, io::{self, Read}};", true),
        ("use {crate::hash, std::fs};", true),
        ("use std::{fmt, sync::Arc};\nuse crate::{env, fs};", false),
        ("let now = std::time::SystemTime::now();", true),
        ("let x = rand::random();", true),
        ("let operand = 1; // rand std::fs", false),
        ("#[cfg(test)]\nmod tests {\n use std::fs;\n}", false),
        ("use std::collections::HashMap;", true),
    ] {
        assert_eq!(!found(text).is_empty(), expected, "{text}: {:?}", found(text));
    }
}
