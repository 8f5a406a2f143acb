//! What must hold of redactions, given which of them were acknowledged. Pure, so that it can be shown to fail
//! ([`tamper`]).

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use tracekeep_core::hash::Hash;
use tracekeep_core::redaction::Redaction;
use zstd::dict::DecoderDictionary;
use zstd::stream::read::Decoder;

use super::Result;
use super::check::{Finding, Wrong};
use super::log::{Log, Seen};
use crate::sh;

/// What every secret begins with; sixteen hex digits follow.
pub(crate) const PREFIX: &str = "hush";
const SECRET_BYTES: usize = PREFIX.len() + 16;

/// What a compressed body begins with, and is made with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const DICTIONARY: &str = "crates/store-sqlite/src/dictionary/1.zstd-dictionary";

/// A step or a trace of which members are withheld, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) run: String,
    pub(crate) what: What,
    /// Where its entries stand: a step's, or a trace's record and its end.
    pub(crate) entries: Vec<(u64, Hash)>,
    /// In the order in which they are withheld.
    pub(crate) members: Vec<Member>,
    /// So many of them are withheld: it was acknowledged.
    pub(crate) acked: usize,
    /// So many of them may be: it was asked for.
    pub(crate) sent: usize,
    /// The last one was asked for, and nobody answered.
    pub(crate) unanswered: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Step(u64),
    Trace(String),
}

/// A member, and the word that stands in no other.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// As it is asked for.
    pub(crate) name: &'static str,
    pub(crate) secret: String,
}

impl Target {
    pub(crate) fn name(&self) -> String {
        match &self.what {
            What::Step(index) => format!("step {index} of {}", self.run),
            What::Trace(id) => format!("trace {id} of {}", self.run),
        }
    }
}

/// Every secret in the files of a directory: as text, and in compressed bodies that lie in one piece.
pub(crate) fn secrets(directory: &Path) -> Result<HashSet<String>> {
    let dictionary = std::fs::read(sh::root().join(DICTIONARY))?;
    let dictionary = DecoderDictionary::copy(&dictionary);
    let mut found = HashSet::new();
    for file in std::fs::read_dir(directory)? {
        let path = file?.path();
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(path)?;
        find(&bytes, &mut found);
        for at in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&MAGIC)) {
            // What is no frame, or is continued on another page, ends in an error: what came before it counts.
            let mut text = Vec::new();
            let mut frame = Decoder::with_prepared_dictionary(&bytes[at..], &dictionary)?.single_frame();
            drop(frame.read_to_end(&mut text));
            find(&text, &mut found);
        }
    }
    Ok(found)
}

fn find(bytes: &[u8], found: &mut HashSet<String>) {
    let is_secret = |window: &&[u8]| {
        window.starts_with(PREFIX.as_bytes()) && window[PREFIX.len()..].iter().all(u8::is_ascii_hexdigit)
    };
    let windows = bytes.windows(SECRET_BYTES).filter(is_secret);
    found.extend(windows.map(|window| String::from_utf8_lossy(window).into_owned()));
}

/// The redactions of a log that still have their content, by what they take the place of.
#[derive(Debug, Default)]
pub(crate) struct Redactions {
    pub(crate) holders: HashMap<u64, u64>,
    bodies: HashMap<u64, Redaction>,
}

/// Reads the redactions, and checks that each entry without content has one that says what is left of it.
fn redactions(log: &Log, findings: &mut Vec<Finding>) -> Redactions {
    let mut read = Redactions::default();
    let mut say = |wrong: Wrong, detail: String| findings.push(Finding::new(wrong, detail));
    for seen in log.entries.iter().filter(|seen| seen.leaf.kind == "redaction" && !is_erased(seen)) {
        let at = seen.log_index;
        let redaction = match Redaction::from_body(&seen.body) {
            Ok(redaction) => redaction,
            Err(error) => {
                say(Wrong::Changed, format!("the redaction at {at} cannot be read: {error}"));
                continue;
            }
        };
        for left in &redaction.kept.remainders {
            let of = usize::try_from(left.log_index).ok().and_then(|of| log.entries.get(of));
            if of.is_none_or(|of| of.leaf.commit != left.commitment().to_string()) {
                say(Wrong::Hash, format!("what {at} holds of {} has another commitment", left.log_index));
            }
        }
        for entry in redaction.entries() {
            if let Some(other) = read.holders.insert(entry, at) {
                say(Wrong::Doubled, format!("{entry} is held by the redactions at {other} and {at}"));
            }
        }
        read.bodies.insert(at, redaction);
    }
    for seen in &log.entries {
        let (at, held) = (seen.log_index, read.holders.contains_key(&seen.log_index));
        match (is_erased(seen), held) {
            (true, false) => say(Wrong::Torn, format!("{at} has no content, and no redaction says why")),
            (false, true) => say(Wrong::Torn, format!("a redaction holds what is left of {at}, which has its content")),
            _ => {}
        }
    }
    read
}

/// Checks targets against a log and the secrets in the ledger's files after a good stop; notes in each how far it is.
pub(crate) fn check(targets: &mut [Target], log: &Log, secrets: &HashSet<String>) -> (Redactions, Vec<Finding>) {
    let mut findings = Vec::new();
    let redactions = redactions(log, &mut findings);
    for target in targets {
        let withheld = withheld(target, log, &redactions, &mut findings);
        for (place, member) in target.members.iter().enumerate() {
            let (name, is_there) = (target.name(), secrets.contains(&member.secret));
            if place < withheld && is_there {
                findings.push(Finding::new(Wrong::Torn, format!("{} of {name} still stands in a file", member.name)));
            }
            // What is left of an entry is long: it may be continued on another page, in the midst of a secret.
            if withheld == 0 && !is_there {
                findings.push(Finding::new(Wrong::Lost, format!("{} of {name} stands in no file", member.name)));
            }
        }
        target.acked = withheld;
    }
    (redactions, findings)
}

/// How many members of a target are withheld.
fn withheld(target: &Target, log: &Log, redactions: &Redactions, findings: &mut Vec<Finding>) -> usize {
    let name = target.name();
    let mut say = |wrong: Wrong, detail: &str| findings.push(Finding::new(wrong, format!("{name}: {detail}")));
    let (mut erased, mut names, mut stays) = (0, HashSet::new(), String::new());
    for (log_index, leaf_hash) in &target.entries {
        let seen = usize::try_from(*log_index).ok().and_then(|at| log.entries.get(at));
        let Some(seen) = seen.filter(|seen| seen.leaf_hash == *leaf_hash) else {
            say(Wrong::Changed, &format!("{log_index} has another leaf"));
            continue;
        };
        if !is_erased(seen) {
            stays.push_str(&seen.body);
            continue;
        }
        erased += 1;
        let holder = redactions.holders.get(log_index).and_then(|at| redactions.bodies.get(at));
        if let Some(left) = holder.and_then(|redaction| redaction.remainder(*log_index)) {
            names.extend(left.withheld().map(str::to_owned));
            stays.push_str(left.stays().as_str());
        }
    }
    // The result of a tool call stands in its end.
    let is_withheld =
        |member: &Member| names.contains(member.name) || member.name == "trace_type/result" && names.contains("result");
    let withheld = target.members.iter().take_while(|member| is_withheld(member)).count();
    if target.members.iter().skip(withheld).any(is_withheld) || withheld > target.sent {
        say(Wrong::Changed, &format!("withheld is what nobody asked for: {names:?}"));
    }
    if withheld < target.acked {
        say(Wrong::Lost, &format!("{withheld} members are withheld, {} were acknowledged", target.acked));
    }
    if erased != if withheld == 0 { 0 } else { target.entries.len() } {
        say(Wrong::Torn, &format!("{erased} of its entries have no content, and {withheld} members are withheld"));
    }
    for (place, member) in target.members.iter().enumerate() {
        if stays.contains(&member.secret) == (place < withheld) {
            say(Wrong::Torn, &format!("{withheld} members are withheld, and {} is not so", member.name));
        }
    }
    withheld
}

fn is_erased(seen: &Seen) -> bool {
    seen.body == "null"
}

type Tampering = fn(&mut Vec<Target>, &mut Log, &mut HashSet<String>);

/// What is done to copies of what was found good, and what must be said of it. The first target is withheld in part, the
/// second is whole.
const TAMPERINGS: [(&str, Wrong, Tampering); 8] = [
    ("an acknowledged redaction is undone", Wrong::Lost, |targets, log, _| {
        let (at, _) = targets[0].entries[0];
        let holder = log.entries.iter_mut().find(|seen| seen.leaf.kind == "redaction" && holds(seen, at));
        holder.into_iter().for_each(|holder| holder.body = "null".to_owned());
    }),
    ("what was withheld has its content", Wrong::Torn, |targets, log, _| {
        let (at, _) = targets[0].entries[0];
        log.entries[at as usize].body = format!("{{\"params\":\"{}\"}}", targets[0].members[0].secret);
    }),
    ("what was withheld stands in a file", Wrong::Torn, |targets, _, secrets| {
        secrets.insert(targets[0].members[0].secret.clone());
    }),
    ("what was not withheld is in no file", Wrong::Lost, |targets, _, secrets| {
        secrets.remove(&targets[1].members[0].secret);
    }),
    ("what is left of an entry has another commitment", Wrong::Hash, |targets, log, _| {
        let (at, _) = targets[0].entries[0];
        log.entries[at as usize].leaf.commit = Hash::ZERO.to_string();
    }),
    ("an entry has another leaf", Wrong::Changed, |targets, _, _| {
        targets[0].entries[0].1 = Hash::ZERO;
    }),
    ("an entry lost its content to nothing", Wrong::Torn, |_, log, _| {
        if let Some(seen) = log.entries.iter_mut().find(|seen| !is_erased(seen)) {
            seen.body = "null".to_owned();
        }
    }),
    ("more is withheld than was asked for", Wrong::Changed, |targets, _, _| {
        (targets[0].acked, targets[0].sent) = (0, 0);
    }),
];

fn holds(seen: &Seen, log_index: u64) -> bool {
    let redaction = Redaction::from_body(&seen.body);
    redaction.is_ok_and(|redaction| redaction.entries().any(|entry| entry == log_index))
}

/// Tampers with copies of what was found good. Gives the number of ways; an error names one that was not found.
pub(crate) fn tamper(targets: &[Target], log: &Log, secrets: &HashSet<String>) -> Result<u64> {
    let in_part = |target: &&Target| target.acked > 0 && target.acked < target.members.len();
    let in_part = targets.iter().find(in_part).ok_or("no target is withheld in part")?;
    let whole = targets.iter().find(|target| target.acked == 0).ok_or("no target is whole")?;
    let good = [in_part.clone(), whole.clone()];
    if let Some(finding) = check(&mut good.clone(), log, secrets).1.into_iter().next() {
        return Err(format!("what is tampered with must be good first: {finding}").into());
    }
    for (what, wrong, tampering) in TAMPERINGS {
        let (mut targets, mut log, mut secrets) = (good.to_vec(), log.clone(), secrets.clone());
        tampering(&mut targets, &mut log, &mut secrets);
        if !check(&mut targets, &log, &secrets).1.iter().any(|finding| finding.wrong == wrong) {
            return Err(format!("the check did not see that {what}").into());
        }
    }
    Ok(TAMPERINGS.len() as u64)
}
