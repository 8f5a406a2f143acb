//! `tracekeep doctor`: what serve needs, looked over without changing anything.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, ToSocketAddrs};
use std::path::Path;
use std::time::Instant;

use tracekeep_core::json::Json;
use tracekeep_store::{LedgerStore, block_on};
use tracekeep_store_sqlite::{Options, SqliteLedger};

use super::file_of;
use crate::config::{Config, Mode};
use crate::exit::{Done, Failure, Outcome};
use crate::open;
use crate::print::{data, json, plain, table};

/// Syncs that are timed.
const SYNCS: u32 = 32;

struct Finding {
    what: &'static str,
    says: String,
    fine: bool,
}

pub(crate) fn doctor(config: &Config, listen: Option<&str>) -> Outcome {
    let path = file_of(config)?;
    let mut findings = vec![
        fine("version", format!("tracekeep {}, SQLite {}", env!("CARGO_PKG_VERSION"), SqliteLedger::sqlite_version())),
        ledger(path),
        writable(path),
        holder(path),
        sync(path),
        port(path, listen.unwrap_or(&config.listen)),
        mode(config.mode, listen.unwrap_or(&config.listen)),
        stores(config),
    ];
    let variables = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with("OTEL_"));
    // Headers often carry a key.
    let shown =
        variables.map(
            |(name, value)| if name.contains("HEADERS") { format!("{name}=(set)") } else { format!("{name}={value}") },
        );
    let shown: Vec<_> = shown.collect();
    findings.push(fine("OTEL_*", if shown.is_empty() { "none set here".to_owned() } else { shown.join(" ") }));
    for finding in &findings {
        if config.json {
            let members = [
                ("check", Json::from(finding.what)),
                ("fine", Json::from(finding.fine)),
                ("says", Json::from(finding.says.as_str())),
            ];
            json(&Json::object(members).map_err(|error| Failure::Other(error.to_string()))?)?;
        }
    }
    if !config.json {
        let mark = |fine| if fine { "ok" } else { "NO" }.to_owned();
        let rows: Vec<_> = findings.iter().map(|f| vec![mark(f.fine), f.what.to_owned(), plain(&f.says)]).collect();
        data(&table(&rows))?;
    }
    Ok(if findings.iter().all(|finding| finding.fine) { Done::Yes } else { Done::Findings })
}

const fn fine(what: &'static str, says: String) -> Finding {
    Finding { what, says, fine: true }
}

const fn wrong(what: &'static str, says: String) -> Finding {
    Finding { what, says, fine: false }
}

fn ledger(path: &Path) -> Finding {
    // An empty file is no ledger yet.
    if std::fs::metadata(path)
        .map_or_else(|error| error.kind() == ErrorKind::NotFound, |found| found.len() == 0 && found.is_file())
    {
        return fine("ledger", format!("{}: will be made by the first write", path.display()));
    }
    let options = Options { create: false, read_only: true, ..Options::default() };
    let opened = SqliteLedger::open(path, options)
        .and_then(|ledger| Ok((block_on(ledger.head())?, ledger.ledger(), ledger.text_bytes()?)));
    match opened {
        Ok((head, id, text)) => fine(
            "ledger",
            format!(
                "{}: {} entries, ledger {id}, format {}, {} bytes of which the text index takes {text}",
                path.display(),
                head.tree_size,
                SqliteLedger::format_version(),
                std::fs::metadata(path).map_or(0, |found| found.len()),
            ),
        ),
        Err(error) => wrong("ledger", format!("{}: {error} ({})", path.display(), error.code())),
    }
}

/// Whether serve could write to the ledger and its lock, where they are there. Beside them, `sync` writes.
///
/// Runs while this process has no connection to the file: closing a handle on it drops the process's SQLite locks.
fn writable(path: &Path) -> Finding {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    for path in [path, Path::new(&lock)] {
        match OpenOptions::new().write(true).open(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return wrong("writable", format!("{}: {error}", path.display()));
            }
            _ => {}
        }
    }
    fine("writable", "the ledger and its lock can be written".to_owned())
}

/// A lock that is held means that serve could not start here.
fn holder(path: &Path) -> Finding {
    match SqliteLedger::holder(path) {
        None => fine("holder", "nobody writes to it".to_owned()),
        Some(holder) => {
            let address = holder.address.map(|address| format!(" and serves {address}")).unwrap_or_default();
            wrong("holder", format!("process {} writes to it{address}", holder.pid))
        }
    }
}

fn sync(path: &Path) -> Finding {
    match timed_syncs(path) {
        Ok(micros) => fine("fsync", format!("{micros} µs median of {SYNCS} appends")),
        Err(error) => wrong("fsync", format!("cannot write beside the ledger: {error}")),
    }
}

fn timed_syncs(path: &Path) -> std::io::Result<u128> {
    let probe = path.with_extension(format!("doctor-{}", std::process::id()));
    let mut file = OpenOptions::new().create_new(true).append(true).open(&probe)?;
    let mut write = || -> std::io::Result<u128> {
        let began = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        Ok(began.elapsed().as_micros())
    };
    let took: std::io::Result<Vec<_>> = (0..SYNCS).map(|_| write()).collect();
    std::fs::remove_file(&probe)?;
    let mut took = took?;
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

/// What the mode refuses to serve.
fn mode(mode: Mode, listen: &str) -> Finding {
    let says = match mode {
        Mode::Local => return fine("mode", "local: every address is served".to_owned()),
        Mode::Test => "test",
        Mode::Prod => "prod",
    };
    // An address that cannot be resolved is the port's finding.
    let is_open = listen.to_socket_addrs().is_ok_and(|mut found| found.any(|address| !address.ip().is_loopback()));
    if is_open {
        return wrong("mode", format!("{says}: {listen} is not a loopback address, and there is no key"));
    }
    fine("mode", format!("{says}: a durable ledger on a loopback address"))
}

/// The gate, and what holds audits, as serve opens them.
fn stores(config: &Config) -> Finding {
    match open::examine(config) {
        Ok(says) => fine("stores", says),
        Err(failure) => wrong("stores", failure.to_string()),
    }
}

fn port(path: &Path, listen: &str) -> Finding {
    match TcpListener::bind(listen) {
        Ok(_) => fine("port", format!("{listen} is free")),
        Err(error) => {
            let serves =
                SqliteLedger::holder(path).and_then(|holder| holder.address).is_some_and(|address| address == listen);
            let whose = if serves { " (this ledger's server)" } else { "" };
            wrong("port", format!("{listen}: {error}{whose}"))
        }
    }
}
