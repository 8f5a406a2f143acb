//! The commands.

mod audit;
mod baseline;
mod bundle;
mod demo;
mod diff;
mod doctor;
mod evidence;
mod export;
mod idem;
mod incidents;
mod log;
mod matches;
mod record;
mod replay;
mod retention;
mod runs;
mod serve;
mod traces;
mod tree;
mod verify;

pub(crate) use export::Span;
use tracekeep_store::PageRequest;

use crate::args::{Baseline, Cli, Command, Verify};
use crate::config::Config;
use crate::exit::{Done, Failure, Outcome};

/// Runs a command.
pub(crate) fn run(cli: Cli) -> Outcome {
    // Whoever verifies what they were given has no ledger, and maybe nothing else of Tracekeep.
    if let Command::Verify(args @ Verify { file: Some(path), .. }) = &cli.command {
        return bundle::verify(path, args, cli.common.json);
    }
    let redact = if let Command::Serve(args) = &cli.command { args.redact.as_deref() } else { None };
    let config = Config::load(&cli.common, redact)?;
    match cli.command {
        Command::Serve(args) => serve::serve(&config, &args),
        Command::Record { file } => record::record(&config, &file),
        Command::Runs(args) => runs::runs(&config, *args),
        Command::Show { run } => runs::show(&config, &run),
        Command::Tree(args) => tree::tree(&config, args),
        Command::Traces(args) => traces::traces(&config, args),
        Command::Diff(args) => diff::diff(&config, args),
        Command::Matches { run } => matches::matches(&config, &run),
        Command::Baseline(Baseline::Set { run, name, reason, by }) => baseline::set(&config, run, name, reason, by),
        Command::Baseline(Baseline::List { limit, cursor }) => baseline::list(&config, PageRequest { limit, cursor }),
        Command::Check(args) => baseline::check(&config, args),
        Command::Verify(args) => match args.run {
            Some(run) => verify::verify(&config, &run),
            None => Err(Failure::Usage("a file or a run is needed".to_owned())),
        },
        Command::Tail { from } => log::tail(&config, from),
        Command::Hold(args) => retention::hold(&config, args),
        Command::Redact(args) => retention::redact(&config, args),
        Command::Gc(args) => retention::gc(&config, args),
        Command::Complete(args) => record::complete(&config, args),
        Command::Fsck { rebuild, run } => log::fsck(&config, rebuild, run.as_ref()),
        Command::Audit { command } => audit::audit(&config, command),
        Command::Replay { command } => replay::replay(&config, command),
        Command::Export(args) => export::export(&config, *args),
        Command::Incidents { command } => incidents::incidents(&config, command),
        Command::Log { command } => evidence::log(&config, command),
        Command::Keys { command } => evidence::keys(&config, command),
        Command::Idem { command } => idem::idem(&config, command),
        Command::Explain { code } => explain(&code),
        Command::Doctor { listen } => doctor::doctor(&config, listen.as_deref()),
        Command::Demo => demo::demo(&config),
    }
}

/// What is known of a code: of an error, of what verifying says, or of both; or of the codes behind an HTTP status.
fn explain(code: &str) -> Outcome {
    let verifying = tracekeep_evidence::bundle::explained(code);
    let parts = match (tracekeep_server::error_page(code).map(str::trim_end), verifying) {
        (Some(page), Some(part)) => vec![page, "", "Where `tracekeep verify` says it:", "", part],
        (Some(page), None) => vec![page],
        (None, Some(part)) => vec![part],
        (None, None) => tracekeep_server::error_codes_of(code),
    };
    if parts.is_empty() {
        let code = crate::print::brief(code, 64);
        crate::print::talk(&format!("tracekeep: no error, and nothing that verify says, has the code {code}"));
        return Ok(Done::Findings);
    }
    if let (None, Some(_)) = (tracekeep_server::error_page(code), verifying) {
        crate::print::data(&format!("# {code}\n"))?;
    }
    crate::print::data(&parts.join("\n"))?;
    Ok(Done::Yes)
}

/// A ledger that a file holds: not a server's, not in memory.
fn file_of(config: &Config) -> Result<&std::path::Path, Failure> {
    if config.server.is_some() || config.is_volatile() {
        return Err(Failure::Usage("this command works on a ledger's file: use --ledger PATH".to_owned()));
    }
    Ok(&config.ledger)
}
