//! `tracekeep verify BUNDLE.zip`: no ledger, no server, no configuration.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use tracekeep_evidence::bundle::{self, BUNDLE_BYTES_MAX, Counts, Options, Outcome as Verdict, Predicate, Report};
use tracekeep_evidence::{NOTE_BYTES_MAX, NoteKey};

use crate::exit::{Done, Failure, Outcome};
use crate::print::{data, json, plain, table, talk};

/// Bytes that the zip around the members may add.
const FRAMING_BYTES_MAX: u64 = 1 << 20;

pub(crate) fn verify(path: &Path, keys: &[String], checkpoint: Option<&Path>, is_json: bool) -> Outcome {
    let keys = keys.iter().map(|key| keys_of(key)).collect::<Result<Vec<_>, _>>()?.concat();
    let checkpoint = checkpoint.map(|path| read(path, NOTE_BYTES_MAX as u64)).transpose()?;
    let bytes = read(path, BUNDLE_BYTES_MAX + FRAMING_BYTES_MAX)?;
    let report = bundle::verify(&bytes, &keys, &Options { old_checkpoint: checkpoint.as_deref() });
    if is_json {
        json(&report.to_json())?;
    } else {
        data(&text(&report))?;
        report.claims.iter().for_each(|claims| talk(&claimed(claims, report.shown.as_ref())));
    }
    Ok(match report.outcome() {
        _ if report.is_unreadable() => Done::Unreadable,
        Verdict::Pass => Done::Yes,
        Verdict::Fail => Done::Findings,
        Verdict::Unconfirmed => Done::Unverifiable,
    })
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

fn text(report: &Report) -> String {
    let mut rows = vec![["VERDICT", "", "REASON", "REMARKS"].map(str::to_owned).to_vec()];
    rows.extend(report.verdicts.iter().map(|verdict| {
        let remarks: Vec<_> = verdict.remarks.iter().map(|remark| remark.as_str()).collect();
        let place = verdict.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let reason = verdict.reason.map_or_else(String::new, |reason| format!("{reason}{place}"));
        vec![verdict.aspect.to_string(), verdict.outcome.to_string(), reason, remarks.join(" ")]
    }));
    let mut lines = vec![table(&rows), "What this does not prove:".to_owned()];
    lines.extend(report.verdicts.iter().map(|verdict| format!("  {}: {}", verdict.aspect, verdict.does_not_prove())));
    lines.join("\n")
}

/// What the bundle says it is and what it shows, in one line of talk.
fn claimed(claims: &Predicate, shown: Option<&Counts>) -> String {
    let Predicate { kind, created_at, exported_by, .. } = claims;
    let of = [("incident", &claims.incident_id), ("run", &claims.run_id)];
    let of = of.map(|(what, id)| id.as_ref().map(|id| format!(", {what} {id}")).unwrap_or_default());
    let mut line = format!("claims: {kind}{} at {created_at}, exported by {exported_by}", of.concat());
    if !claims.missing.is_empty() {
        line += &format!(", forced without {}", claims.missing.join(", "));
    }
    if let Some(Counts { origin, size, entries, runs, totals, withheld }) = shown {
        let withheld: usize = withheld.iter().map(|entry| entry.members.len()).sum();
        let erased: u64 = runs.iter().map(|run| run.erased).sum();
        line += &format!(
            "; shows {entries} of {size} entries of {origin}: {} runs, {withheld} members withheld, {erased} entries erased; \
             {} steps, {} failed, {} cents",
            runs.len(),
            totals.steps,
            totals.failures,
            totals.cost_cents
        );
    }
    plain(&line)
}
