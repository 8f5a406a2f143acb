//! `cargo xtask crash`: the release binary under load, killed with SIGKILL at random moments, restarted, and checked.
//!
//! Authors (threads) write over HTTP: batches, single ops, traces under parents, ends, keys, seals, telemetry; at times
//! two of them send the very same request. Every receipt is kept here, outside the server. After each kill the server is
//! started again on the same ledger, the whole log is read, and it must hold what [`check`] says. Requests that got no
//! answer are sent again: each is then recorded, or a duplicate if it had been; earlier ones are sent again too, as they
//! were and with other content. The ledger lives on through the kills of a campaign and is changed for a new one now and
//! then, so that it stays readable in a moment.

mod author;
mod campaign;
mod check;
mod log;
mod proof;
mod random;
mod redaction;
mod request;
mod retention;
mod round;
mod server;
mod tamper;
mod withheld;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::page;
use crate::sh::{self, Failed, Outcome};
use campaign::{Campaign, Figures};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What was asked for.
struct Asked {
    kills: u64,
    seed: u64,
    write: bool,
    self_check: bool,
    binary: Option<PathBuf>,
    only: Option<Part>,
}

/// A part of a campaign that may be asked for by itself, with all of the kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Gc,
    Redaction,
}

impl Part {
    /// As the command line says it, and the page that has its table between markers.
    const fn name(self) -> &'static str {
        match self {
            Self::Gc => "gc",
            Self::Redaction => "redaction",
        }
    }
}

/// `[--kills N] [--seed S] [--binary PATH] [--only gc|redaction] [--self-check] [--write]`
pub(crate) fn main(arguments: &[String]) -> Outcome {
    let asked = asked(arguments)?;
    let block = asked.only.map_or("crash".to_owned(), |part| format!("crash-{}", part.name()));
    if asked.write {
        page::demand(&block)?;
    }
    let binary = match &asked.binary {
        Some(binary) => {
            std::fs::canonicalize(binary).map_err(|error| Failed::new(format!("{}: {error}", binary.display())))?
        }
        None => {
            sh::run(&mut sh::cargo("build --release --quiet -p tracekeep-cli"))?;
            target().join("release/tracekeep")
        }
    };
    println!("crash: {} kills, seed {}", asked.kills, asked.seed);
    let directory = tempfile::Builder::new().prefix("crash-").tempdir_in(target());
    let directory = directory.map_err(|error| Failed::new(format!("no directory for the ledgers: {error}")))?;
    let mut campaign = Campaign::new(binary, directory.path().to_owned(), asked.seed);
    if let Err(error) = campaign.run(asked.kills, asked.only, asked.self_check) {
        let kept = directory.keep();
        let detail = format!("{error}; seed {}, ledgers kept in {}", asked.seed, kept.display());
        return Err(Failed::new(detail));
    }
    let table = table(&campaign.figures, &asked);
    println!("{table}");
    if !campaign.findings.is_empty() {
        for finding in campaign.findings.iter().take(20) {
            println!("  {finding}");
        }
        let (found, kept) = (campaign.findings.len(), directory.keep());
        let detail = format!("{found} findings; seed {}, ledgers kept in {}", asked.seed, kept.display());
        return Err(Failed::new(detail));
    }
    if asked.write { page::write(&block, &table) } else { Ok(()) }
}

fn asked(arguments: &[String]) -> Outcome<Asked> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = clock.as_secs() * 1_000 + u64::from(clock.subsec_millis());
    let mut asked = Asked { kills: 20, seed, write: false, self_check: false, binary: None, only: None };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| Failed::new(format!("{argument} needs a value")));
        let number = |text: &String| text.parse().map_err(|_| Failed::new(format!("{argument} needs a number")));
        match argument.as_str() {
            "--kills" => asked.kills = number(value()?)?,
            "--seed" => asked.seed = number(value()?)?,
            "--binary" => asked.binary = Some(value()?.into()),
            "--only" => {
                let name = value()?;
                let part = [Part::Gc, Part::Redaction].into_iter().find(|part| part.name() == name);
                asked.only = Some(part.ok_or_else(|| Failed::new("--only needs gc or redaction"))?);
            }
            "--self-check" => asked.self_check = true,
            "--write" => asked.write = true,
            other => return Err(Failed::new(format!("crash does not know {other}"))),
        }
    }
    if asked.self_check && asked.only.is_some() {
        return Err(Failed::new("--self-check is of a whole campaign: leave it or --only out"));
    }
    Ok(asked)
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| sh::root().join("target"), PathBuf::from)
}

/// What was counted, and how often.
type Rows<'a> = &'a [(&'static str, u64)];

fn table(figures: &Figures, asked: &Asked) -> String {
    let date = sh::output(sh::program("date").args(["-u", "+%Y-%m-%d"])).unwrap_or_default();
    let commit = sh::output(sh::program("git").args(["rev-parse", "--short", "HEAD"])).unwrap_or_default();
    // Of what commit a binary is that was given, is not known.
    let binary =
        asked.binary.as_ref().map_or(format!("commit {}", commit.trim()), |_| "a binary that was given".to_owned());
    let (seconds, seed, kills) = (figures.elapsed.as_secs(), asked.seed, asked.kills);
    let only = asked.only.map_or(String::new(), |part| format!(" --only {}", part.name()));
    let mut out = format!(
        "`cargo xtask crash --kills {kills} --seed {seed}{only}` on {}, {binary}, {seconds} s.\n\n| what | count |\n|---|---|\n",
        date.trim()
    );
    let of_the_log = [
        ("SIGKILL of the release binary", figures.kills),
        ("of them while it was opening the ledger", figures.kills_opening),
        ("ledgers", figures.ledgers),
        ("entries in them at the end", figures.entries),
        ("entries that were acknowledged", figures.acked_entries),
        ("of them telemetry", figures.acked_spans),
        ("tamperings with copies, all found", figures.tamperings),
    ];
    let beside = [
        ("requests acknowledged", figures.acked_requests),
        ("requests in flight at a kill", figures.in_flight),
        ("of them recorded all the same (and then a duplicate when sent again)", figures.in_flight_recorded),
        ("acknowledged requests sent again after a restart: duplicate, same receipt", figures.resent),
        ("with other content: conflict", figures.contradicted),
        ("receipts' roots recomputed from the log's leaves after every restart", figures.roots),
        ("consistency proofs from a receipt's size to the head, verified", figures.consistency),
        ("inclusion proofs verified", figures.inclusion),
    ];
    let of_gc = [
        ("SIGKILL while old runs were erased", figures.kills_erasing),
        ("of them with some runs erased since the kill before, and others whole", figures.between),
    ];
    let redactions = &figures.redactions;
    let of_redactions = [
        ("SIGKILL while members were withheld, beside writers", redactions.kills),
        ("redactions acknowledged, each whole afterwards: commitment, leaf and the rest as before", redactions.acked),
        ("redactions in flight at a kill: whole or absent", redactions.in_flight),
        ("of them whole (and then a duplicate when sent again)", redactions.in_flight_recorded),
        ("members withheld, in no file of the ledger afterwards", redactions.gone),
        ("tamperings with copies of what redactions left, all found", redactions.tamperings),
    ];
    let of_all = [
        ("runs of fsck without findings", figures.fsck),
        ("**acknowledged, then lost**", figures.lost),
        ("**doubled**", figures.doubled),
        ("**anything else out of place**", figures.other),
    ];
    let parts: [(Option<Part>, Rows<'_>); 5] = [
        (None, &of_the_log),
        (Some(Part::Redaction), &beside),
        (Some(Part::Gc), &of_gc),
        (Some(Part::Redaction), &of_redactions),
        (asked.only, &of_all),
    ];
    for (what, count) in
        parts.into_iter().filter(|(part, _)| asked.only.is_none() || *part == asked.only).flat_map(|(_, rows)| rows)
    {
        out.push_str(&format!("| {what} | {count} |\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> String {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        main(&words).expect_err("nothing is killed").to_string()
    }

    #[test]
    fn what_a_part_cannot_do_is_told_before_the_first_kill() {
        assert!(said("--only gc --self-check --binary /nowhere").contains("--self-check"));
        assert!(said("--self-check --only redaction --binary /nowhere").contains("--self-check"));
        assert!(said("--only gc --binary /nowhere").contains("/nowhere"));
    }

    #[test]
    fn a_table_names_no_commit_of_a_binary_that_was_given() {
        let told = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            table(&Figures::default(), &asked(&words).expect("known words"))
        };
        assert!(told(&["--only", "redaction"]).contains(", commit "));
        let given = told(&["--only", "redaction", "--binary", "/nowhere"]);
        assert!(given.contains(", a binary that was given, ") && !given.contains("commit "), "{given}");
    }
}
