//! The figures of DESIGN §10, each measured beside a baseline in the same run: `cargo xtask bench`.
//!
//! docs/benchmarks.md says how, and keeps the tables.
#![expect(clippy::print_stdout, reason = "a program that prints its result")]

mod audits;
mod bundle;
mod compare;
mod cost;
mod data;
mod disk;
mod evidence;
mod export;
mod gate;
mod gc;
mod large;
mod machine;
mod measure;
mod plain;
mod proto;
mod random;
mod raw;
mod reads;
mod records;
mod redis_server;
mod report;
mod rows;
mod runs;
mod search;
mod server;
mod space;
mod start;
mod telemetry;
mod writers;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What was asked for.
pub(crate) struct Asked {
    /// Smaller loads.
    pub(crate) quick: bool,
    /// A million traces, too.
    pub(crate) full: bool,
    only: Vec<String>,
    write: Option<PathBuf>,
    /// The release binary.
    pub(crate) binary: PathBuf,
    /// Where ledgers are put: the disk that is measured.
    pub(crate) directory: PathBuf,
    /// Rounds of each pair.
    pub(crate) rounds: usize,
}

type Figure = fn(&Asked, &mut Report) -> Result<()>;

const FIGURES: [(&str, Figure); 17] = [
    ("serial", records::serial),
    ("group", records::group),
    ("otlp", telemetry::otlp),
    ("decode", telemetry::decode),
    ("reads", reads::reads),
    ("runs", runs::runs),
    ("compare", compare::compare),
    ("start", start::start),
    ("space", space::space),
    ("gc", gc::gc),
    ("cost", cost::cost),
    ("audits", audits::audits),
    ("gate", gate::gate),
    ("bundle", bundle::bundle),
    ("export", export::export),
    ("proofs", evidence::proofs),
    ("signing", evidence::signing),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let asked = asked()?;
    let scratch = tempfile::Builder::new().prefix("bench-").tempdir_in(&asked.directory)?;
    let asked = Asked { directory: scratch.path().to_owned(), ..asked };
    let mut report = Report::begin(machine::describe(&asked.directory));
    for (name, figure) in FIGURES {
        if asked.only.is_empty() || asked.only.iter().any(|only| only == name) {
            println!("bench: {name}");
            figure(&asked, &mut report)?;
        }
    }
    report.close(&asked.directory)?;
    println!("\n{}", report.text());
    match &asked.write {
        Some(page) => report.write(page),
        None => Ok(()),
    }
}

fn asked() -> Result<Asked> {
    let mut asked = Asked {
        quick: false,
        full: false,
        only: Vec::new(),
        write: None,
        binary: "target/release/tracekeep".into(),
        directory: "target".into(),
        rounds: 3,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--quick" => asked.quick = true,
            "--full" => asked.full = true,
            "--only" => asked.only.push(value()?),
            "--write" => asked.write = Some("docs/benchmarks.md".into()),
            "--binary" => asked.binary = value()?.into(),
            "--directory" => asked.directory = value()?.into(),
            "--rounds" => asked.rounds = value()?.parse()?,
            other => return Err(format!("bench does not know {other}").into()),
        }
    }
    asked.binary = std::fs::canonicalize(&asked.binary).map_err(|error| format!("the binary: {error}"))?;
    asked.directory = std::fs::canonicalize(&asked.directory)?;
    if let Some(wrong) = asked.only.iter().find(|only| FIGURES.iter().all(|(name, _)| name != only)) {
        let names: Vec<_> = FIGURES.iter().map(|(name, _)| *name).collect();
        return Err(format!("no figure is called {wrong}; there are {}", names.join(", ")).into());
    }
    Ok(asked)
}
