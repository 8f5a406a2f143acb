//! `cargo xtask cover`: line coverage per crate, into docs/reliability.md. Not part of `test`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::install;
use crate::page;
use crate::rust;
use crate::sh::{Failed, Outcome, output, program, run, succeeds};

/// The version that is installed where there is none.
const CARGO_LLVM_COV: &str = "0.9.1";

pub(crate) fn main(_arguments: &[String]) -> Outcome {
    let llvm = Llvm::find()?;
    let cargo_llvm_cov = cargo_llvm_cov()?;
    let report = rust::target()?.join("coverage.json");
    run(program(cargo_llvm_cov)
        .env("LLVM_COV", &llvm.cov)
        .env("LLVM_PROFDATA", &llvm.profdata)
        .args(["llvm-cov", "--workspace", "--exclude", "xtask", "--exclude", "tracekeep-bench"])
        // A process that a test kills leaves a profile that is cut off: it is left aside, whatever it would have counted.
        .args(["--failure-mode", "all"])
        .args(["--json", "--summary-only", "--output-path"])
        .arg(&report))?;
    let text = fs::read_to_string(&report).map_err(|error| Failed::new(format!("there is no report: {error}")))?;
    let table = table(&per_crate(&text)?);
    print!("\n{table}");
    page::write("coverage", &table)
}

/// The programs that read the profiles which this rustc's code writes.
struct Llvm {
    cov: PathBuf,
    profdata: PathBuf,
}

impl Llvm {
    /// Debian's packages of rustc's own LLVM or a newer one; an older one cannot read the profiles.
    fn find() -> Outcome<Self> {
        let version = output(program("rustc").arg("-vV"))?;
        let major = version.lines().find_map(|line| line.strip_prefix("LLVM version: "));
        let major = major.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        let major = major.ok_or_else(|| Failed::new("rustc does not say which LLVM it has"))?;
        let newer = major..major + 4;
        if let Some(found) = newer.clone().find_map(Self::installed) {
            return Ok(found);
        }
        let wanted = format!("llvm-{major}");
        if !install::is_root_on_debian() {
            return Err(Failed::new(format!(
                "needed is LLVM {major} or newer: llvm-cov-{major} and llvm-profdata-{major}"
            )));
        }
        install::apt_install(&[&wanted])?;
        newer.into_iter().find_map(Self::installed).ok_or_else(|| Failed::new(format!("{wanted} does not run")))
    }

    fn installed(major: u32) -> Option<Self> {
        let [cov, profdata] =
            ["llvm-cov", "llvm-profdata"].map(|name| PathBuf::from(format!("/usr/bin/{name}-{major}")));
        (cov.exists() && profdata.exists()).then_some(Self { cov, profdata })
    }
}

/// The one on the PATH, else one of our own under target/.
fn cargo_llvm_cov() -> Outcome<PathBuf> {
    if succeeds(program("cargo-llvm-cov").args(["llvm-cov", "--version"])) {
        return Ok("cargo-llvm-cov".into());
    }
    let tools = rust::target()?.join("tools");
    let path = tools.join("bin/cargo-llvm-cov");
    if !path.exists() {
        let mut cargo = crate::sh::cargo("install cargo-llvm-cov --locked --version");
        run(cargo.arg(CARGO_LLVM_COV).arg("--root").arg(&tools))?;
    }
    Ok(path)
}

/// Lines, and those that were run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lines {
    count: u64,
    covered: u64,
}

fn per_crate(report: &str) -> Outcome<BTreeMap<String, Lines>> {
    let unreadable = || Failed::new("the report has another shape than expected");
    let report: Value = serde_json::from_str(report).map_err(|_| unreadable())?;
    let mut crates: BTreeMap<String, Lines> = BTreeMap::new();
    for file in report["data"][0]["files"].as_array().ok_or_else(unreadable)? {
        let path = Path::new(file["filename"].as_str().ok_or_else(unreadable)?);
        let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        let name = parts.iter().rposition(|part| *part == "crates").and_then(|at| parts.get(at + 1));
        let Some(name) = name else { continue };
        let lines = &file["summary"]["lines"];
        let into = crates.entry((*name).to_owned()).or_default();
        into.count += lines["count"].as_u64().ok_or_else(unreadable)?;
        into.covered += lines["covered"].as_u64().ok_or_else(unreadable)?;
    }
    Ok(crates)
}

fn table(crates: &BTreeMap<String, Lines>) -> String {
    let rows = crates.iter().map(|(name, lines)| {
        // In tenths of a per cent, rounded down: 95.0 is never 94.96.
        let tenths = lines.covered * 1000 / lines.count.max(1);
        format!("| `{name}` | {} | {}.{} % |\n", lines.count, tenths / 10, tenths % 10)
    });
    format!("| crate | lines | covered |\n|---|---:|---:|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_added_up_by_crate() {
        let file = |path: &str, count, covered| {
            format!(r#"{{"filename":"{path}","summary":{{"lines":{{"count":{count},"covered":{covered}}}}}}}"#)
        };
        let files =
            [file("/x/crates/a/src/b.rs", 10, 9), file("/x/crates/a/src/c.rs", 990, 950), file("/y/z.rs", 1, 0)];
        let crates = per_crate(&format!(r#"{{"data":[{{"files":[{}]}}]}}"#, files.join(","))).unwrap();
        assert_eq!(crates, [("a".to_owned(), Lines { count: 1000, covered: 959 })].into());
        assert_eq!(table(&crates), "| crate | lines | covered |\n|---|---:|---:|\n| `a` | 1000 | 95.9 % |\n");
        assert!(per_crate("{}").is_err());
    }
}
