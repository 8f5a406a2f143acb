//! `tracekeep verify FILE`, of a bundle, a checkpoint or a proof: no ledger, no server, no configuration.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use tracekeep_evidence::alone::{self, Brought, Shown, Standing, What};
use tracekeep_evidence::bundle::{self, BUNDLE_BYTES_MAX, Counts, Options, Outcome as Verified, Predicate, Verdict};
use tracekeep_evidence::{NOTE_BYTES_MAX, NoteKey};

use crate::args::Verify;
use crate::exit::{Done, Failure, Outcome};
use crate::print::{data, json, plain, table, talk};

/// Bytes that the zip around the members may add.
const FRAMING_BYTES_MAX: u64 = 1 << 20;

/// What may be verified, and what writes it.
const TAKEN: &str = "a bundle (export), a checkpoint (log checkpoint), a .tlog-proof (log proof INDEX), an entry with its \
                     proof as JSON (log proof --run), or what a witness is asked with (log witness-export)";

pub(crate) fn verify(path: &Path, args: &Verify, is_json: bool) -> Outcome {
    let keys = args.key.iter().map(|key| keys_of(key)).collect::<Result<Vec<_>, _>>()?.concat();
    let checkpoint = args.checkpoint.as_deref().map(|path| read(path, NOTE_BYTES_MAX as u64)).transpose()?;
    let bytes = read(path, BUNDLE_BYTES_MAX + FRAMING_BYTES_MAX)?;
    let brought = Brought { keys: &keys, old_checkpoint: checkpoint.as_deref(), leaf_hash: args.leaf };
    if let Some(standing) = alone::verify(&bytes, &brought) {
        return stands(&standing, is_json);
    }
    if args.leaf.is_some() {
        let detail = format!("{}: --leaf is for the proof of one entry, and this is none", path.display());
        return Err(Failure::Usage(detail));
    }
    let report = bundle::verify(&bytes, &keys, &Options { old_checkpoint: checkpoint.as_deref() });
    if is_json {
        json(&report.to_json())?;
    } else {
        data(&text(&report.verdicts, Verdict::does_not_prove))?;
        let told = report.claims.iter().flat_map(|claims| claimed(claims, report.shown.as_ref()));
        told.for_each(|line| talk(&line));
        point(&report.verdicts);
    }
    if report.is_unreadable() {
        talk(&format!("{} is none of what verify takes: {TAKEN}", path.display()));
    }
    Ok(if report.is_unreadable() { Done::Unreadable } else { done(report.outcome()) })
}

/// What stands by itself: a checkpoint, a proof.
fn stands(standing: &Standing, is_json: bool) -> Outcome {
    if is_json {
        json(&standing.to_json())?;
    } else {
        data(&text(&standing.verdicts, |verdict| standing.does_not_prove(verdict)))?;
        standing.shown.iter().for_each(|shown| talk(&said(shown, standing.outcome() == Verified::Pass)));
        point(&standing.verdicts);
    }
    Ok(done(standing.outcome()))
}

const fn done(outcome: Verified) -> Done {
    match outcome {
        Verified::Pass => Done::Yes,
        Verified::Fail => Done::Findings,
        Verified::Unconfirmed => Done::Unverifiable,
    }
}

/// The keys that an argument names: it is one, or a file of them.
pub(super) fn keys_of(argument: &str) -> Result<Vec<NoteKey>, Failure> {
    let as_key = argument.parse::<NoteKey>();
    if argument.contains('+') && !Path::new(argument).exists() {
        return Ok(vec![as_key.map_err(|error| Failure::Usage(format!("--key: {error}")))?]);
    }
    let text = read(Path::new(argument), NOTE_BYTES_MAX as u64)?;
    let text = String::from_utf8(text).map_err(|_| Failure::Usage(format!("{argument} is not UTF-8")))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Result<Vec<NoteKey>, _> = lines.map(str::parse).collect();
    match keys {
        Ok(keys) if !keys.is_empty() => Ok(keys),
        Ok(_) => Err(Failure::Usage(format!("{argument} has no key in it"))),
        Err(error) => Err(Failure::Usage(format!("{argument}: {error}"))),
    }
}

/// A whole file, of so many bytes at most.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let refuse = |detail: String| Failure::Usage(format!("{}: {detail}", path.display()));
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() as u64 > bytes_max {
        return Err(refuse(format!("has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn text(verdicts: &[Verdict], does_not_prove: impl Fn(&Verdict) -> &'static str) -> String {
    let mut rows = vec![["VERDICT", "", "REASON", "REMARKS"].map(str::to_owned).to_vec()];
    rows.extend(verdicts.iter().map(|verdict| {
        let remarks: Vec<_> = verdict.remarks.iter().map(|remark| remark.as_str()).collect();
        let place = verdict.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let reason = verdict.reason.map_or_else(String::new, |reason| format!("{reason}{place}"));
        vec![verdict.aspect.to_string(), verdict.outcome.to_string(), reason, remarks.join(" ")]
    }));
    let mut lines = vec![table(&rows), "What this does not prove:".to_owned()];
    lines.extend(verdicts.iter().map(|verdict| format!("  {}: {}", verdict.aspect, does_not_prove(verdict))));
    lines.join("\n")
}

/// Where the first reason is explained.
fn point(verdicts: &[Verdict]) {
    if let Some(reason) = verdicts.iter().find_map(|verdict| verdict.reason) {
        talk(&format!("what {reason} means and what to do: tracekeep explain {reason}"));
    }
}

/// What a checkpoint or a proof says, in one line of talk.
fn said(shown: &Shown, is_proven: bool) -> String {
    let Shown { what, origin, size, root, from, log_index, leaf_hash, leaf, body } = shown;
    let log = format!("the log {origin} of {size} entries under root {root}");
    let text = match (what, log_index, from) {
        (What::TlogProof | What::SignedProof, Some(log_index), _) => {
            let of = leaf.as_ref().map(|leaf| match leaf.run.as_str() {
                "" => format!(" ({} of no run, recorded at {})", leaf.kind, leaf.recorded_at),
                run => {
                    format!(" ({} of run {run}, its number {}, recorded at {})", leaf.kind, leaf.seq, leaf.recorded_at)
                }
            });
            let hash = leaf_hash.map_or_else(|| "that was not brought".to_owned(), |hash| hash.to_string());
            let bare = if body.is_some() || leaf.is_none() { "" } else { "; what it holds is not in this file" };
            format!("entry {log_index}{}, leaf hash {hash}, is in {log}{bare}", of.unwrap_or_default())
        }
        (What::Consistency, _, Some(from)) => format!("{log} extends that of {from} entries"),
        _ => format!("there is {log}"),
    };
    plain(&format!("{}: {text}", if is_proven { "proven" } else { "claimed" }))
}

/// Characters of a bundle's options that are shown.
const OPTIONS_SHOWN_MAX: usize = 2_000;

/// What the bundle says it is, what was asked for, and what it shows: each a line of talk.
fn claimed(claims: &Predicate, shown: Option<&Counts>) -> Vec<String> {
    let Predicate { kind, created_at, exported_by, tenant_id, options, .. } = claims;
    let of = [("incident", &claims.incident_id), ("run", &claims.run_id)];
    let of = of.map(|(what, id)| id.as_ref().map(|id| format!(", {what} {id}")).unwrap_or_default());
    let period = claims.period.map(|period| format!(", period {}..{}", period.from, period.to)).unwrap_or_default();
    let by = if exported_by.is_empty() { "nobody who is named" } else { exported_by };
    let forced = if claims.missing.is_empty() { "" } else { ", forced without " };
    let missing = claims.missing.join(", ");
    let of = of.concat();
    let mut lines = vec![
        format!("claims: {kind}{of} at {created_at}{period}, of tenant {tenant_id}, exported by {by}{forced}{missing}"),
        format!("asked for: {}", cut(plain(options.as_str()))),
    ];
    lines.extend(shown.map(counted));
    lines.iter().map(|line| plain(line)).collect()
}

fn cut(options: String) -> String {
    match options.char_indices().nth(OPTIONS_SHOWN_MAX) {
        Some((end, _)) => format!("{}… (cut: --json has all of it)", &options[..end]),
        None => options,
    }
}

fn counted(Counts { origin, size, entries, runs, totals, withheld }: &Counts) -> String {
    // Steps alone have such a member.
    let costs = withheld.iter().filter(|entry| entry.members.iter().any(|name| name == "cost_cents")).count();
    let costs = match costs {
        0 => String::new(),
        1 => ", 1 step withholds its cost".to_owned(),
        _ => format!(", {costs} steps withhold their cost"),
    };
    let withheld: usize = withheld.iter().map(|entry| entry.members.len()).sum();
    let erased: u64 = runs.iter().map(|run| run.erased).sum();
    format!(
        "shows: {entries} of {size} entries of {origin}: {} runs, {withheld} members withheld, {erased} entries erased; {} \
         steps, {} failed, {} cents{costs}",
        runs.len(),
        totals.steps,
        totals.failures,
        totals.cost_cents
    )
}
