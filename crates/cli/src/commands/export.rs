//! `tracekeep export`.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use tracekeep_core::Timestamp;
use tracekeep_core::hash::sha256;
use tracekeep_core::id::{IncidentId, RunId};
use tracekeep_core::json::Json;
use tracekeep_core::model::{BundleKind, Period};
use tracekeep_store::{Code, Error, ErrorKind, ExportOf, ExportRequest, Exporter, LedgerStore, block_on};

use super::retention::user;
use crate::args::Export;
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};
use crate::open::{self, Signing};
use crate::output::Output;
use crate::print::{data, json, talk};

pub(crate) fn export(config: &Config, args: Export) -> Outcome {
    if args.kind == Some(BundleKind::Soc2) && args.period.is_none() && !args.force {
        let detail = "--kind soc2 needs --period FROM..TO, the period that is audited; with --force the bundle says that \
                      there is none";
        return Err(Failure::Usage(detail.to_owned()));
    }
    let signing = open::signing(config)?;
    let of = what(signing.ledger(), &args)?;
    let request = ExportRequest {
        kind: args.kind.unwrap_or(if matches!(of, ExportOf::Period(_)) {
            BundleKind::Period
        } else {
            BundleKind::Evidence
        }),
        by: named_by(args.by, args.force)?,
        at: args.at,
        since: args.since,
        only_steps: (!args.only_steps.is_empty()).then_some(args.only_steps),
        only_traces: (!args.only_traces.is_empty()).then_some(args.only_traces),
        redact: (!args.redact.is_empty()).then_some(args.redact),
        related: args.related,
        force: args.force,
        period: args.period.map(|period| period.0),
    };
    // Before anything is stated in the log: what cannot be put anywhere is not handed out. A server states it before it answers.
    let mut output = Output::open(&args.output, args.overwrite)?;
    let bar = Bar::new();
    let made: Result<_, Failure> = match &signing {
        Signing::Here { ledger, signer } => {
            let exporter = Exporter::new(Arc::clone(ledger), Arc::clone(signer));
            let progress = |doing: &str, count: u64| bar.show(doing, count);
            let made = exporter.export_to(&of, &request, &progress, |bundle| output.write(bundle));
            made.map(|made| (made.bundle, made.size))
        }
        Signing::There(ledger) => {
            bar.show("waiting for the server", 0);
            let made = ledger.export(&of, &request).map_err(Failure::from);
            made.and_then(|(bundle, size)| output.write(&bundle).map(|()| (bundle, size)))
        }
    };
    bar.clear();
    let (bundle, size) = made?;
    output.put()?;
    if request.related {
        talk("related runs are those of the same correlation id; of a run that was erased it is not known any more");
    }
    let digest = sha256(&[&bundle]).to_string();
    let (file, bytes) = (args.output.display().to_string(), bundle.len() as u64);
    if config.json {
        let told = Json::object([
            ("file", Json::from(file)),
            ("kind", Json::from(request.kind.as_str())),
            ("tree_size", Json::from(size)),
            ("bytes", Json::from(bytes)),
            ("sha256", Json::from(digest)),
        ]);
        json(&told.expect("invariant: plain members"))?;
    } else {
        data(&format!("{file}  {} at tree size {size}, {bytes} bytes, sha256 {digest}", request.kind))?;
    }
    Ok(Done::Yes)
}

/// What is to be exported: the incident or the run that is named as such, what alone has the id that is named, else a period.
fn what(ledger: &dyn LedgerStore, args: &Export) -> Result<ExportOf, Failure> {
    match (&args.target, &args.incident, &args.run) {
        (Some(target), _, _) => named(ledger, target),
        (None, Some(id), _) => Ok(ExportOf::Incident(id.clone())),
        (None, None, Some(id)) => Ok(ExportOf::Run(id.clone())),
        (None, None, None) => {
            let unnamed = || Failure::Usage("name an incident or a run, or --period FROM..TO".to_owned());
            Ok(ExportOf::Period(args.period.clone().ok_or_else(unnamed)?.0))
        }
    }
}

/// The incident or the run of an id. Whoever records chooses ids: where it is both, neither takes the other's place, erased
/// or not.
fn named(ledger: &dyn LedgerStore, target: &str) -> Result<ExportOf, Failure> {
    let run = RunId::new(target).map_err(|invalid| Failure::Usage(invalid.to_string()))?;
    let Ok(incident) = IncidentId::new(target) else { return Ok(ExportOf::Run(run)) };
    let is_incident = is_known(block_on(ledger.incident(&incident)))?;
    if is_incident && is_known(block_on(ledger.run(&run)))? {
        let detail = format!("a run and an incident have the id {target}: say --run {target} or --incident {target}");
        return Err(Error::new(Code::AmbiguousTarget, detail).into());
    }
    Ok(if is_incident { ExportOf::Incident(incident) } else { ExportOf::Run(run) })
}

fn is_known<T>(found: Result<Option<T>, Error>) -> Result<bool, Error> {
    match found {
        Err(error) if error.kind() == ErrorKind::Gone => Ok(true),
        found => Ok(found?.is_some()),
    }
}

/// A period as the command line states it, `FROM..TO`: two times in RFC 3339, the second excluded, or days in UTC, the
/// second included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Period);

/// Nanoseconds of a day in UTC.
const DAY: i64 = 86_400_000_000_000;

impl std::str::FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("..").ok_or("a period is FROM..TO")?;
        let day = |text: &str| format!("{text}T00:00:00Z").parse::<Timestamp>().ok();
        let time =
            |text: &str| text.parse().map_err(|_| "a time is RFC 3339 with at most nine digits, or a date 2026-11-30");
        let period = Period {
            from: day(from).map_or_else(|| time(from), Ok)?,
            to: day(to).map(|day| day.saturating_add(DAY)).map_or_else(|| time(to), Ok)?,
        };
        if period.from < period.to { Ok(Self(period)) } else { Err("a period ends after it begins") }
    }
}

/// Who exports, as they say or as the system names them. A user without a name there has to say it, or to force a bundle
/// that says that nobody is named.
fn named_by(by: Option<String>, force: bool) -> Result<Option<String>, Failure> {
    let by = by.or_else(user);
    if by.is_none() && !force {
        return Err(Failure::Usage("it is not known who exports: say it with --by NAME".to_owned()));
    }
    Ok(by)
}

/// What is being done, on stderr, where somebody watches it.
struct Bar {
    is_watched: bool,
}

impl Bar {
    fn new() -> Self {
        Self { is_watched: std::io::stderr().is_terminal() }
    }

    fn show(&self, doing: &str, count: u64) {
        if self.is_watched {
            let filled = usize::try_from(count / 1_000).unwrap_or(0).min(20);
            let _ = write!(std::io::stderr(), "\r\u{1b}[K[{:<20}] {doing}, {count} entries", "#".repeat(filled));
        }
    }

    fn clear(&self) {
        if self.is_watched {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, from: &str, to: &str) {
        let period = Period { from: from.parse().unwrap(), to: to.parse().unwrap() };
        assert_eq!(text.parse(), Ok(Span(period)), "{text}");
    }

    #[test]
    fn a_period_is_of_times_or_of_whole_days() {
        check("2026-11-01..2026-11-30", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check("2024-02-29..2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z");
        check("2026-11-01T02:00:00+02:00..2026-11-30T00:00:00Z", "2026-11-01T00:00:00Z", "2026-11-30T00:00:00Z");
        check("2026-11-01..2026-11-01T00:00:00.5Z", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00.5Z");
        for text in [
            "",
            "..",
            "2026-11-01",
            "2026-11-01..",
            "..2026-11-30",
            "2026-02-30..2026-03-01",
            "2026-11..2026-12",
            "2026-11-02..2026-11-01",
            "2026-11-01T00:00:00Z..2026-11-01T00:00:00Z",
            "2026-11-01...2026-11-30",
            "soon..2026-11-30",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
