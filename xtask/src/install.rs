//! What the tests need from the machine: installed on Debian as root, named anywhere else.

use std::path::Path;
use std::process::Command;

use crate::sh::{Failed, Outcome, output, program, run, succeeds};

/// Something that a test needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Python,
    /// Virtual environments with pip in them.
    PythonVenv,
    Node,
    Npm,
    Chromium,
    Curl,
    Redis,
    OpenSsl,
}

/// The oldest Node.js that the packages of e2e/js run on.
const NODE_MAJOR_MIN: u32 = 18;

impl Need {
    fn is_there(self) -> bool {
        match self {
            Self::Python => answers("python3", &["--version"]),
            Self::PythonVenv => answers("python3", &["-c", "import ensurepip, venv"]),
            Self::Node => answers("node", &["--version"]),
            Self::Npm => answers("npm", &["--version"]),
            Self::Chromium => chromium().is_some(),
            Self::Curl => answers("curl", &["--version"]),
            Self::Redis => answers("redis-server", &["--version"]),
            Self::OpenSsl => answers("openssl", &["version"]),
        }
    }

    const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["python3"],
            Self::PythonVenv => &["python3-venv"],
            Self::Node => &["nodejs"],
            Self::Npm => &["npm"],
            Self::Chromium => &["chromium"],
            Self::Curl => &["curl"],
            Self::Redis => &["redis-server"],
            Self::OpenSsl => &["openssl"],
        }
    }

    const fn how_to_get_it(self) -> &'static str {
        match self {
            Self::Python => "Python 3.9 or newer as python3",
            Self::PythonVenv => "Python's modules venv and ensurepip (a package of their own on some systems)",
            Self::Node => "Node.js 18.19 or newer as node",
            Self::Npm => "npm, which comes with Node.js",
            Self::Chromium => {
                "Chromium or Chrome as chromium, chromium-browser or google-chrome, or its path in CHROMIUM"
            }
            Self::Curl => "curl",
            Self::Redis => "Redis 6.2 or newer as redis-server",
            Self::OpenSsl => "OpenSSL 3 or newer as openssl",
        }
    }
}

/// Sees to it that everything needed is there, or says what is missing and how to get it.
pub(crate) fn ensure(needs: &[Need]) -> Outcome {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().flat_map(|need| need.packages()).copied().collect();
    if !is_root_on_debian() {
        let list: Vec<_> = missing.iter().map(|need| format!("\n  - {}", need.how_to_get_it())).collect();
        return Err(Failed::new(format!(
            "the tests need what is not installed here:{}\nOn Debian: apt-get install {}",
            list.concat(),
            packages.join(" ")
        )));
    }
    apt_install(&packages)?;
    match self::missing(needs).first() {
        None => Ok(()),
        Some(need) => Err(Failed::new(format!(
            "{} was installed and still does not run; needed: {}",
            need.packages().join(" "),
            need.how_to_get_it()
        ))),
    }
}

fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| !need.is_there()).collect()
}

/// Whether packages can be installed without asking anyone.
pub(crate) fn is_root_on_debian() -> bool {
    Path::new("/etc/debian_version").exists()
        && answers("apt-get", &["--version"])
        && output(program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

pub(crate) fn apt_install(packages: &[&str]) -> Outcome {
    let apt = || {
        let mut command = program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "Acquire::Retries=3", "-qq"]);
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

/// The browser.
pub(crate) fn chromium() -> Option<String> {
    let named = std::env::var("CHROMIUM").ok();
    let known = ["chromium", "chromium-browser", "google-chrome"].map(str::to_owned);
    named.into_iter().chain(known).find_map(|name| which(&name))
}

/// The path of a program.
fn which(name: &str) -> Option<String> {
    if name.contains('/') {
        return Path::new(name).exists().then(|| name.to_owned());
    }
    let folders = std::env::var_os("PATH")?;
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
    paths.find(|path| path.is_file()).map(|path| path.to_string_lossy().into_owned())
}

/// Refuses a Node.js that would fail later with words that nobody understands.
pub(crate) fn check_node() -> Outcome {
    let version = output(program("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= NODE_MAJOR_MIN) {
        return Ok(());
    }
    Err(Failed::new(format!("Node.js is {}, needed is {NODE_MAJOR_MIN}.19 or newer", version.trim())))
}

fn answers(name: &str, arguments: &[&str]) -> bool {
    succeeds(Command::new(name).args(arguments))
}
