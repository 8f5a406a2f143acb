//! What no compiler checks: the arrows between crates, words that hide failures, files that grew too long, paths of
//! machines, links in the docs.

use std::fs;
use std::path::Path;

use crate::arrows;
use crate::sh::{Failed, Outcome, output, program, root};

/// Lines past which a file surely holds a second thing, and past which one asks.
const LINES_MAX: usize = 800;
const LINES_ASK: usize = 600;

/// A tracked text file.
struct File {
    path: String,
    text: String,
}

pub(crate) fn check() -> Outcome {
    let files = files()?;
    let mut found = arrows::check()?;
    for file in &files {
        let lines = || file.text.lines().zip(1..);
        for (line, number) in lines() {
            let words = in_line(&file.path, line);
            found.extend(words.into_iter().map(|why| format!("{}:{number}: {why}", file.path)));
        }
        if file.path.starts_with("crates/") {
            let count = lines().count();
            if count > LINES_MAX {
                found.push(format!(
                    "{}: {count} lines; {LINES_MAX} are the most: what second thing lives there?",
                    file.path
                ));
            } else if count > LINES_ASK {
                println!("{}: {count} lines; past {LINES_ASK} ask what second thing lives there", file.path);
            }
        }
        if file.path.ends_with(".md") {
            found.extend(broken_links(file, |target| root().join(target).exists()));
        }
    }
    for complaint in &found {
        println!("{complaint}");
    }
    match found.len() {
        0 => {
            println!("{} files and the arrows between the crates are in order", files.len());
            Ok(())
        }
        1 => Err(Failed::new("one thing is out of order, see above")),
        count => Err(Failed::new(format!("{count} things are out of order, see above"))),
    }
}

/// Tracked files, and those that are new and not ignored, so that one hears of them before the commit.
fn files() -> Outcome<Vec<File>> {
    let list = output(program("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let paths = list.split_terminator('\0').filter(|path| root().join(path).is_file());
    // What is not UTF-8 is a picture.
    Ok(paths
        .filter_map(|path| Some(File { path: path.to_owned(), text: fs::read_to_string(root().join(path)).ok()? }))
        .collect())
}

/// What is wrong with a line, whatever stands around it.
fn in_line(path: &str, line: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    // Not written whole, or this file would complain about itself.
    let has = |words: [&str; 2]| line.contains(&words.concat());
    if path.ends_with(".rs") {
        if has(["#[ig", "nore"]) {
            found.push("a test that is left out is a green lie");
        }
        if has(["#[should", "_panic"]) {
            found.push("a test states what it expects; a panic alone says nothing");
        }
        if has(["#[al", "low("]) || has(["#![al", "low("]) {
            found.push("say why: #[expect(…, reason = \"…\")]");
        }
    }
    if path.starts_with("crates/") && path.contains("/tests/") && has(["sl", "eep("]) {
        found.push("a test waits for what it waits for, not for time to pass");
    }
    if path.ends_with("package-lock.json") && has(["\"res", "olved\""]) {
        found.push("the lock file names a registry's address: npm install --omit-lockfile-registry-resolved");
    }
    if names_a_machine(line) {
        found.push("a path of a machine");
    }
    found
}

/// Whether a folder of some developer's or builder's machine stands in the line.
fn names_a_machine(line: &str) -> bool {
    ["work", "farm", "root", "home", "Users"].iter().any(|folder| {
        let pattern = format!("/{folder}/");
        line.match_indices(&pattern).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + pattern.len()..].chars().next();
            // Not in the middle of another path or URL.
            !before.is_some_and(|character| character.is_alphanumeric() || "._-}*".contains(character))
                && after.is_some_and(|character| character.is_ascii_lowercase() || character == '.')
        })
    })
}

/// Links of a Markdown file to files that are not there.
fn broken_links(file: &File, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    let mut fenced = false;
    for (line, number) in file.text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for target in links(line) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains("://") || path.starts_with("mailto:");
            if !elsewhere && !exists(&folder.join(path)) {
                found.push(format!("{}:{number}: the link {target} leads nowhere", file.path));
            }
        }
    }
    found
}

/// The targets of `[text](target)` outside of code.
fn links(line: &str) -> Vec<&str> {
    let outside_code = line.split('`').step_by(2);
    outside_code.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split([')', ' ']).next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_machines_are_found_and_nothing_else() {
        for (folder, rest) in [("/wo", "rk/main"), (" \"/ro", "ot/.cargo"), ("=/ho", "me/me"), ("(/Us", "ers/me")] {
            assert!(names_a_machine(&[folder, rest].concat()), "{folder}{rest}");
        }
        for fine in ["https://a.example/home/x", "../work/x", "a/root/b", "/work/", "/home/$USER", "homework/x"] {
            assert!(!names_a_machine(fine), "{fine}");
        }
    }

    #[test]
    fn words_that_hide_failures_are_found() {
        let rust = "crates/core/tests/a.rs";
        for words in
            [["#[ig", "nore]"], ["#![al", "low(dead_code)]"], ["#[should", "_panic]"], ["thread::sl", "eep(x)"]]
        {
            assert_eq!(in_line(rust, &words.concat()).len(), 1, "{words:?}");
        }
        assert!(in_line(rust, "#[expect(dead_code, reason = \"…\")]").is_empty());
        assert_eq!(in_line("e2e/js/package-lock.json", &["\"res", "olved\": \"x\""].concat()).len(), 1);
    }

    #[test]
    fn links_to_missing_files_are_found() {
        let text = "[a](there.md#part) [b](../gone.md) ![c](img.png \"t\") [d](https://x.example) `[e](code)` [f](#here)\n```\n[g](fenced)\n```";
        let file = File { path: "docs/x.md".to_owned(), text: text.to_owned() };
        let found = broken_links(&file, |path| ["docs/there.md", "docs/img.png"].contains(&path.to_str().unwrap()));
        assert_eq!(found, ["docs/x.md:1: the link ../gone.md leads nowhere",]);
    }
}
