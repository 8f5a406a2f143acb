//! The machine that was measured.

use std::path::Path;
use std::process::Command;

/// What stands above the tables.
pub(crate) fn describe(directory: &Path) -> String {
    let cpu = first("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory_kib: u64 = first("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or_default();
    let directory = directory.display().to_string();
    let parts = [
        format!("{cpu}, {cores} cores, {} GiB", memory_kib >> 20),
        format!(
            "{} on {}",
            said("df", &["--output=fstype", &directory], 1),
            said("df", &["--output=source", &directory], 1)
        ),
        format!("Linux {}", said("uname", &["-r"], 0)),
        said("rustc", &["--version"], 0),
        format!("SQLite {}", rusqlite::version()),
        format!("commit {}", said("git", &["rev-parse", "--short", "HEAD"], 0)),
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"], 0),
        format!("load average at the start {}", load()),
    ];
    format!("{}.\n", parts.join("; "))
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn first(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str], line: usize) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().nth(line).unwrap_or("unknown").trim().to_owned()
}
