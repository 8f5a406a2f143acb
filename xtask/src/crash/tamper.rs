//! Shows that the checks detect: each tampering is done to a copy of a campaign that was found good, and must be found.

use std::fs;
use std::path::Path;

use tracekeep_core::hash::Hash;

use super::Result;
use super::check::{Expected, Wrong, check};
use super::log::Log;
use super::random::Random;
use super::request::{Claim, Door, Request};
use super::server::Setup;

type Tampering = fn(&mut Expected, &mut Log);

/// What is done to the harness's own record or to the log as read, and what must be said of it.
const TAMPERINGS: [(&str, Wrong, Tampering); 12] = [
    ("an acknowledged entry is missing at the log's end", Wrong::Lost, |_, log| {
        log.entries.pop();
    }),
    ("an acknowledged entry is missing from the middle", Wrong::Lost, |_, log| {
        log.entries.remove(log.entries.len() / 2);
    }),
    ("a span was acknowledged that is not there", Wrong::Lost, |expected, _| {
        expected.unplaced.push(Claim { identity: "trace r s".to_owned(), nonce: String::new() });
    }),
    ("an entry stands there twice", Wrong::Doubled, |_, log| {
        let again = log.entries[log.entries.len() / 2].clone();
        log.entries.push(again);
    }),
    ("an entry was acknowledged with another leaf hash", Wrong::Changed, |expected, _| {
        if let Some(acked) = expected.placed.values_mut().next_back() {
            acked.leaf_hash = Hash::from_bytes([7; 32]);
        }
    }),
    ("an entry has another body", Wrong::Changed, |_, log| {
        let last = log.entries.len() - 1;
        log.entries[last].body.clear();
    }),
    ("an entry moved by one", Wrong::Changed, |expected, _| {
        if let Some((log_index, acked)) = expected.placed.pop_last() {
            expected.placed.insert(log_index - 1, acked);
        }
    }),
    ("a leaf was changed", Wrong::Hash, |_, log| {
        let middle = log.entries.len() / 2;
        log.entries[middle].leaf.kind.push('x');
    }),
    ("a receipt stated another root", Wrong::Hash, |expected, _| {
        if let Some(root) = expected.roots.values_mut().next() {
            *root = Hash::from_bytes([7; 32]);
        }
    }),
    ("a seq is left out", Wrong::Order, |_, log| {
        let middle = log.entries.len() / 2;
        log.entries[middle].leaf.seq += 1;
    }),
    ("the clock goes back", Wrong::Order, |_, log| {
        let last = log.entries.len() - 1;
        log.entries[last].recorded_at = tracekeep_core::Timestamp::from_nanos(0);
    }),
    ("half of a request is there", Wrong::Torn, |expected, log| {
        let there = Claim { identity: log.entries[0].identity.clone(), nonce: String::new() };
        let missing = Claim { identity: "trace r s".to_owned(), nonce: String::new() };
        let request = Request {
            door: Door::Batch,
            path: String::new(),
            key: None,
            body: String::new(),
            claims: vec![there, missing],
        };
        expected.unanswered.push(request);
    }),
];

/// Tampers with copies of what was found good. Gives the number of ways; an error names one that was not found.
pub(crate) fn run(expected: &Expected, log: &Log, setup: &Setup, random: &mut Random) -> Result<u64> {
    if let Some(finding) = check(expected, log).into_iter().next() {
        return Err(format!("what is tampered with must be good first: {finding}").into());
    }
    // What is tampered with must be there: the last entry acknowledged, and every place known.
    let (mut expected, mut log) = (expected.clone(), log.clone());
    let last_acked = expected.placed.keys().next_back().copied().ok_or("nothing was acknowledged")?;
    log.entries.truncate(usize::try_from(last_acked)? + 1);
    log.size = log.entries.len() as u64;
    expected.roots.retain(|size, _| *size <= log.size);
    let mut found = 0;
    for (what, wrong, tampering) in TAMPERINGS {
        let (mut expected, mut log) = (expected.clone(), log.clone());
        tampering(&mut expected, &mut log);
        if !check(&expected, &log).iter().any(|finding| finding.wrong == wrong) {
            return Err(format!("the check did not see that {what}").into());
        }
        found += 1;
    }
    Ok(found + flip_bytes(&log, setup, random)?)
}

/// Flips single bytes in copies of the ledger's file: fsck must see each.
fn flip_bytes(log: &Log, setup: &Setup, random: &mut Random) -> Result<u64> {
    let good = fs::read(&setup.ledger)?;
    let directory = setup.ledger.parent().ok_or("the ledger has a directory")?.join("tampered");
    fs::create_dir_all(&directory)?;
    let copy = Setup { binary: setup.binary.clone(), ledger: directory.join("ledger.db") };
    let traces: Vec<_> = log.entries.iter().filter(|seen| seen.identity.starts_with("trace ")).collect();
    let (mut found, mut tries) = (0, 0);
    while found < 4 {
        tries += 1;
        let seen = random.pick(&traces).ok_or("no trace was recorded")?;
        let id = seen.identity.rsplit(' ').next().unwrap_or_default();
        // In turn: inside the recorded body, where the id is quoted, and inside an index row, where it is not.
        let in_body = found % 2 == 0;
        let place = good.windows(id.len() + 2).position(|window| {
            let (quoted, inside) = (window[0] == b'"', &window[1..=id.len()] == id.as_bytes());
            inside && quoted == in_body && (window[id.len() + 1] == b'"') == in_body
        });
        let Some(place) = place else {
            if tries > 1_000 {
                return Err("no place to tamper with was found in the ledger's file".into());
            }
            continue;
        };
        let mut bytes = good.clone();
        bytes[place + id.len()] ^= 1;
        for beside in ["-wal", "-shm", ".lock"] {
            let beside = copy.ledger.with_file_name(format!("ledger.db{beside}"));
            if beside.exists() {
                fs::remove_file(beside)?;
            }
        }
        fs::write(&copy.ledger, bytes)?;
        if copy.fsck().is_ok() {
            let part = if in_body { "a body" } else { "an index row" };
            return Err(format!("fsck did not see a flipped byte at {place}, in {part} of {}", seen.identity).into());
        }
        found += 1;
    }
    Ok(found)
}

/// Whether a file is there and not empty: what a stopped ledger leaves none of.
pub(crate) fn has_wal(ledger: &Path) -> bool {
    let name = format!("{}-wal", ledger.file_name().unwrap_or_default().to_string_lossy());
    fs::metadata(ledger.with_file_name(name)).is_ok_and(|found| found.len() > 0)
}
