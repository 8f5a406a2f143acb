//! What docs/ says twice is what the code and the vectors say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracekeep_core::InvalidCode;
use tracekeep_core::hash::sha256;
use tracekeep_core::json::JsonErrorKind;
use tracekeep_core::model::{
    Ack, ClearAudit, CompleteRun, DeclareKey, DescribeRun, EndTrace, EnsureRun, EraseRun, Expect, Hold, OpenIncident,
    Reconcile, RecordExport, RecordStep, RecordTrace, Redact, ReleaseHold, ResolveIncident, SealRun, SetBaseline,
    SetExpectationStatus, StartRun, TraceType, Violation,
};
use tracekeep_core::seal::{COMPUTED, Figures};
use tracekeep_core::wire::{Field, Fields, Member, Shape};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(Path::new(ROOT).join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    files.sort();
    files
}

/// Every value in every vector file, containers included.
fn vector_values() -> Vec<Value> {
    fn collect(value: &Value, out: &mut Vec<Value>) {
        out.push(value.clone());
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
            Value::Object(members) => members.values().for_each(|member| collect(member, out)),
            _ => {}
        }
    }
    let mut values = Vec::new();
    for file in files("vectors", "json") {
        collect(&serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap(), &mut values);
    }
    values
}

/// The blocks of a page that are fenced with this word.
fn blocks<'a>(page: &'a str, word: &str) -> Vec<&'a str> {
    let fence = format!("```{word}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[test]
fn every_worked_example_is_a_vector() {
    let values = vector_values();
    let mut count = 0;
    for file in files("docs/format", "md") {
        let page = fs::read_to_string(&file).unwrap();
        for block in blocks(&page, "vector") {
            count += 1;
            let is_text = values.iter().any(|value| value.as_str() == Some(block));
            let is_value = serde_json::from_str::<Value>(block).is_ok_and(|block| values.contains(&block));
            assert!(is_text || is_value, "{}: no vector is\n{block}", file.display());
        }
    }
    assert!(count >= 8, "{count} examples were found");
}

/// Whether a line names a file of the tree that has this SHA-256.
fn names_a_file_of(line: &str, hash: &str) -> bool {
    let names = line.split(|character: char| character.is_whitespace() || matches!(character, '|' | '`'));
    let mut files =
        names.filter(|name| name.contains('/')).filter_map(|name| fs::read(Path::new(ROOT).join(name)).ok());
    files.any(|file| sha256(&[&file]).to_string() == hash)
}

#[test]
fn every_hash_on_a_page_of_the_format_is_a_vectors_or_a_files() {
    let texts: String = vector_values().iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n");
    let mut count = 0;
    for file in files("docs/format", "md") {
        let page = fs::read_to_string(&file).unwrap();
        for line in page.lines() {
            for word in line.split(|character: char| !character.is_ascii_hexdigit()).filter(|word| word.len() == 64) {
                count += 1;
                let known = texts.contains(word) || names_a_file_of(line, word);
                assert!(known, "{}: {word} is in no vector, and of no file that its line names", file.display());
            }
        }
    }
    assert!(count > 20, "{count} hashes were found");
}

/// The rows of the tables under a heading, as trimmed cells; without their heads.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let page = format!("\n{page}");
    let section = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no heading {heading}"));
    let level = heading.split(' ').next().unwrap();
    let end = section.find(&format!("\n{level} ")).unwrap_or(section.len());
    let end = end.min(section.find("\n## ").unwrap_or(section.len()));
    let lines = section[..end].lines().filter(|line| line.starts_with('|'));
    let cells = lines.map(|line| {
        let line = line.replace("\\|", "\u{1}");
        line.trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect::<Vec<_>>()
    });
    let mut rows: Vec<_> = cells.collect();
    // A head is the row above a row of dashes.
    let rules: BTreeSet<_> = (0..rows.len()).filter(|at| rows[*at].iter().all(|cell| cell.starts_with("--"))).collect();
    let mut at = 0;
    rows.retain(|_| {
        at += 1;
        !rules.contains(&(at - 1)) && !rules.contains(&at)
    });
    rows
}

#[test]
fn every_limit_is_on_its_page_with_its_value() {
    let source = read("crates/core/src/limits.rs");
    let stated: BTreeMap<_, _> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split_once(": "))
        .filter_map(|(name, value)| Some((name, value.strip_prefix("u32 = ").or(value.strip_prefix("u64 = "))?)))
        .map(|(name, value)| (name.to_owned(), evaluate(value.trim_end_matches(';'))))
        .collect();
    assert_eq!(source.matches("pub const").count(), stated.len());
    let listed: BTreeMap<_, _> = rows(&read("docs/limits.md"), "# Limits")
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].replace(',', "").parse::<u64>().unwrap()))
        .collect();
    assert_eq!(listed, stated);
}

/// A number, or one shifted by another.
fn evaluate(value: &str) -> u64 {
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().unwrap();
    value.split_once("<<").map_or_else(|| number(value), |(value, bits)| number(value) << number(bits))
}

/// A page's table has these members, and says of each whether it must be sent.
#[track_caller]
fn check_members(heading: &str, members: &[Member]) {
    let page = read("docs/format/entry.md");
    let listed: Vec<_> = rows(&page, heading)
        .into_iter()
        .filter(|row| row.len() == 3)
        .map(|row| (row[0].clone(), row[2] == "required"))
        .collect();
    let known: Vec<_> = members.iter().map(|member| (member.name.to_owned(), member.required)).collect();
    assert_eq!(listed, known, "{heading}");
}

#[test]
fn the_tables_of_members_are_those_of_the_code() {
    check_members("### start_run", &StartRun::members());
    check_members("### ensure_run", &EnsureRun::members());
    check_members("### describe_run", &DescribeRun::members());
    check_members("### record_step", &RecordStep::members());
    check_members("### record_trace", &RecordTrace::members());
    check_members("### end_trace", &EndTrace::members());
    check_members("### complete_run", &CompleteRun::members());
    check_members("### seal_run", &SealRun::members());
    check_members("### erase_run", &EraseRun::members());
    check_members("### redact", &Redact::members());
    check_members("### hold", &Hold::members());
    check_members("### release_hold", &ReleaseHold::members());
    check_members("### expect", &Expect::members());
    check_members("### ack", &Ack::members());
    check_members("### set_expectation_status", &SetExpectationStatus::members());
    check_members("### clear_audit", &ClearAudit::members());
    check_members("### reconcile", &Reconcile::members());
    check_members("### set_baseline", &SetBaseline::members());
    check_members("### open_incident", &OpenIncident::members());
    check_members("### resolve_incident", &ResolveIncident::members());
    check_members("### record_export", &RecordExport::members());
    check_members("### declare_key", &DeclareKey::members());
}

#[test]
fn the_table_of_trace_types_is_that_of_the_code() {
    let listed: Vec<_> = rows(&read("docs/format/entry.md"), "### record_trace")
        .into_iter()
        .filter(|row| row.len() == 2)
        .map(|row| {
            let members = row[1].split('·').map(|member| member.split(':').next().unwrap().trim().to_owned());
            (row[0].clone(), members.collect::<Vec<_>>())
        })
        .collect();
    let Shape::OneOf(_, types) = <TraceType as Field>::shape() else { panic!("a trace type is one of several") };
    let known: Vec<_> = types
        .iter()
        .map(|(name, members)| {
            let names =
                members.iter().map(|member| format!("{}{}", member.name, if member.required { "" } else { "?" }));
            ((*name).to_owned(), names.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn the_figures_of_a_seal_and_of_a_violation_are_those_of_the_code() {
    let page = read("docs/format/determinism.md");
    let listed: Vec<_> = rows(&page, "## The seal").into_iter().map(|row| row[0].clone()).collect();
    let known: Vec<_> = Figures::members().iter().map(|member| member.name.to_owned()).collect();
    assert_eq!(listed, known);
    assert!(known.iter().all(|name| COMPUTED.contains(&name.as_str())));
    let entry = read("docs/format/entry.md");
    let row = rows(&entry, "### complete_run").into_iter().find(|row| row[0] == "violation").unwrap();
    assert!(Violation::members().iter().all(|member| row[1].contains(&format!("{}?", member.name))), "{row:?}");
}

/// The tags in the sources are those of the table, and each has a newline at its end.
#[test]
fn every_domain_tag_is_in_the_table_of_hashes() {
    let mut used = BTreeSet::new();
    for file in files("crates/core/src", "rs") {
        let text = fs::read_to_string(file).unwrap();
        for rest in text.split("b\"tracekeep/").skip(1) {
            let tag = rest.split('"').next().unwrap();
            used.insert(format!("tracekeep/{}", tag.strip_suffix("\\n").expect("a tag ends in a newline")));
        }
    }
    let rows = rows(&read("docs/format/README.md"), "## Hashes");
    let listed: BTreeSet<_> =
        rows.iter().filter_map(|row| Some(row[2].strip_prefix('`')?.trim_end_matches('`').to_owned())).collect();
    assert_eq!(used, listed);
    assert_eq!(used.len(), 9);
}

#[test]
fn the_codes_of_refused_json_are_in_their_table() {
    let listed: BTreeSet<_> = rows(&read("docs/format/canonical-json.md"), "## Reading")
        .into_iter()
        .map(|row| row[0].replace('`', ""))
        .collect();
    use JsonErrorKind::{DuplicateName, InvalidUtf8, LoneSurrogate, Malformed, NumberOutOfRange, TooDeep};
    let kinds = [DuplicateName, InvalidUtf8, LoneSurrogate, Malformed, NumberOutOfRange, TooDeep];
    assert_eq!(listed, kinds.map(|kind| kind.code().to_owned()).into());
}

#[test]
fn the_index_of_the_format_names_every_page_and_links_lead_somewhere() {
    let index = read("docs/format/README.md");
    for file in files("docs/format", "md") {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "the index lacks {name}");
    }
    for folder in ["docs/format", "docs/errors", "docs"] {
        for file in files(folder, "md") {
            for rest in fs::read_to_string(&file).unwrap().split("](").skip(1) {
                let target = rest.split([')', '#']).next().unwrap();
                let is_local = !target.starts_with("http") && !target.is_empty();
                assert!(!is_local || file.parent().unwrap().join(target).exists(), "{}: {target}", file.display());
            }
        }
    }
}

/// The pages of all other codes are tested where those are defined; their form is the same.
#[test]
fn every_code_of_refused_input_has_its_page_and_every_page_has_the_form() {
    for code in InvalidCode::ALL {
        assert!(Path::new(ROOT).join(format!("docs/errors/{}.md", code.as_str())).exists(), "{}", code.as_str());
    }
    for file in files("docs/errors", "md") {
        let (page, code) = (fs::read_to_string(&file).unwrap(), file.file_stem().unwrap().to_str().unwrap().to_owned());
        assert!(page.starts_with(&format!("# {code}\n\n**Status** ")), "{code}: begins with its name and status");
        let (cause, remedy) = (page.find("\n**Cause** "), page.find("\n**Remedy** "));
        assert!(cause.is_some() && cause < remedy, "{code}: says cause, then remedy");
        assert!((6..=20).contains(&page.lines().count()), "{code}: {} lines", page.lines().count());
        assert!(
            page.ends_with('\n') && page.lines().all(|line| line.chars().count() <= 120),
            "{code}: lines are short"
        );
    }
}
