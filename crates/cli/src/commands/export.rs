//! `tracekeep export`.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

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
use crate::print::{data, json};

pub(crate) fn export(config: &Config, args: Export) -> Outcome {
    let signing = open::signing(config)?;
    let of = what(signing.ledger(), &args)?;
    let request = ExportRequest {
        kind: args.kind.unwrap_or(if matches!(of, ExportOf::Period(_)) {
            BundleKind::Period
        } else {
            BundleKind::Evidence
        }),
        by: Some(args.by.or_else(user).ok_or_else(unnamed)?),
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

/// A period as the command line states it: two times in RFC 3339, `FROM..TO`.
#[derive(Clone, Debug)]
pub(crate) struct Span(pub(crate) Period);

impl std::str::FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("..").ok_or("a period is FROM..TO")?;
        let time = |text: &str| text.parse().map_err(|_| "a time is RFC 3339 with at most nine digits");
        Ok(Self(Period { from: time(from)?, to: time(to)? }))
    }
}

/// The user has no name here: a bundle states who asked for it, so somebody has to say.
fn unnamed() -> Failure {
    Failure::Usage("it is not known who exports: say it with --by NAME".to_owned())
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
