//! The command line.

mod evidence;
mod incidents;
mod retention;

pub(crate) use incidents::{EXPORT_HELP, Export, IncidentList, IncidentOpen, Incidents};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tracekeep_core::amount::{Cost, DurationMs};
use tracekeep_core::hash::Hash;
use tracekeep_core::id::{AckId, BaselineName, ExpectationId, Key, RunId, TraceId};
use tracekeep_core::model::{AckStatus, FinalStatus, RunStatus, TraceStatus};
use tracekeep_store::gate::{Fingerprint, Token};

use tracekeep_store::RunSort;

pub(crate) use self::evidence::{Keys, Log};
use crate::when::When;

use retention::{GC_HELP, HOLD_HELP, REDACT_HELP};
pub(crate) use retention::{Gc, Hold, Redact};

/// The system of record for AI-agent runs: what an agent did and why, exactly once, in a log that nobody can quietly
/// change.
#[derive(Debug, Parser)]
#[command(
    name = "tracekeep",
    version,
    after_help = "Exit codes: 0 done, 1 findings or not found, 2 usage, 3 could not answer."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The ledger's file [default: ./tracekeep.db] [env: TRACEKEEP_LEDGER]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) ledger: Option<PathBuf>,
    /// Work through a running server instead of a file [env: TRACEKEEP_SERVER]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Write JSON, one value a line, in a stable form; an error is one line on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API, OTLP and the page on one port
    Serve(Serve),
    /// Record ops from JSON lines: each an op, or {"ops": […], "key": …}
    Record {
        /// The file; - is stdin
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Find runs, newest first, or count them
    #[command(after_help = RUNS_HELP)]
    Runs(Box<Runs>),
    /// Show a run with its steps
    Show { run: RunId },
    /// Show a run's reasoning as a tree
    Tree(Tree),
    /// Find traces of a run, oldest first, or count them
    #[command(after_help = TRACES_HELP)]
    Traces(Traces),
    /// Compare two runs: whether they did the same, and where they part
    #[command(after_help = DIFF_HELP)]
    Diff(Diff),
    /// List the runs of the same plan and seed by how they came out, and the steps at which they differ
    #[command(
        after_help = "Exit codes: 0 all came out the same, 1 they did not, 2 usage, 3 nothing to compare: there is no such \
                      run, it was erased, it has no plan, or none of its plan and seed is sealed."
    )]
    Matches { run: RunId },
    /// Name runs that others are held to
    #[command(subcommand)]
    Baseline(Baseline),
    /// Compare a run with a baseline: one line in CI
    #[command(after_help = CHECK_HELP)]
    Check(Check),
    /// Verify a bundle, a checkpoint or a proof with nothing but a public key, or recompute a run from the log
    #[command(after_help = VERIFY_HELP)]
    Verify(Verify),
    /// Follow the log
    Tail {
        /// Start from this log index instead of the head
        #[arg(long, value_name = "LOG_INDEX")]
        from: Option<u64>,
    },
    /// Complete, fail or abort a run: seals it
    Complete(Complete),
    /// Hold a run, or every run with a tag: nothing held is erased
    #[command(after_help = HOLD_HELP)]
    Hold(Hold),
    /// Withhold members of a step or a trace: the rest stays readable and proven
    #[command(after_help = REDACT_HELP)]
    Redact(Redact),
    /// Erase the runs that ended long enough ago, or one run
    #[command(after_help = GC_HELP)]
    Gc(Gc),
    /// Check the log against its indices; on a server, those of one run
    #[command(after_help = "With --json: a finding a line, then {\"findings\": COUNT, \"root\": …, \"tree_size\": …}.")]
    Fsck {
        /// Rebuild the indices from the log
        #[arg(long)]
        rebuild: bool,
        /// The indices of this run alone
        #[arg(long)]
        run: Option<RunId>,
    },
    /// Declare what must happen in a run, acknowledge what did, and see what is missing
    #[command(after_help = AUDIT_HELP)]
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Replay a run's steps: from the record, or done again once in a session
    Replay {
        #[command(subcommand)]
        command: Replay,
    },
    /// Export an incident or a run as a bundle that proves itself
    #[command(after_help = EXPORT_HELP)]
    Export(Box<Export>),
    /// Say what went wrong, hold its run, and say how it ended
    Incidents {
        #[command(subcommand)]
        command: Incidents,
    },
    /// Print what the log signs: checkpoints, proofs of entries, steps, traces and runs
    #[command(after_help = evidence::LOG_HELP)]
    Log {
        #[command(subcommand)]
        command: Log,
    },
    /// Show or replace the key that signs the log
    #[command(after_help = evidence::KEYS_HELP)]
    Keys {
        #[command(subcommand)]
        command: Keys,
    },
    /// Ask the gate whether to do something that is to happen once, and tell it how it ended
    Idem {
        #[command(subcommand)]
        command: Idem,
    },
    /// Say what an error code, or a reason or remark of verify, means and what to do about it
    Explain { code: String },
    /// Look over what serve needs
    Doctor {
        /// The address that serve would listen on [default: 127.0.0.1:4318]
        #[arg(long, value_name = "ADDR", env = "TRACEKEEP_LISTEN")]
        listen: Option<String>,
    },
    /// Record a believable agent run to look at
    Demo,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen; port 0 picks one and prints it [default: 127.0.0.1:4318]
    #[arg(long, value_name = "ADDR", env = "TRACEKEEP_LISTEN")]
    pub(crate) listen: Option<String>,
    /// Take secrets out before they are recorded: off, default, or a file of rules [default: default]
    /// [env: TRACEKEEP_REDACT]
    #[arg(long, value_name = "RULES")]
    pub(crate) redact: Option<String>,
    /// Tell verdicts to look into to this https:// address, signed with TRACEKEEP_WEBHOOK_SECRET
    /// [env: TRACEKEEP_WEBHOOK_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) webhook: Option<String>,
    /// Let that address be a private one, or http:// on loopback [env: TRACEKEEP_WEBHOOK_ALLOW_PRIVATE=on]
    #[arg(long)]
    pub(crate) webhook_allow_private: bool,
}

/// What stands below the options of `runs`.
const RUNS_HELP: &str = "\
A time is RFC 3339, or an age: 90s, 10m, 2h, 30d, 4w. A run started when its start says it did; costs and durations are \
those of sealed runs. One attribute, with any range of times, is found at once; several are looked for among the runs of \
the rarest.

With --json: a run a line, then {\"next_cursor\": …} if there are more; of --count one line.";

#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Only those that stand so: running, completed, failed or aborted
    #[arg(long)]
    pub(crate) status: Option<RunStatus>,
    /// Only those of this agent
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// Only those with this correlation id
    #[arg(long)]
    pub(crate) correlation: Option<String>,
    /// Only those that are part of this run
    #[arg(long)]
    pub(crate) parent: Option<String>,
    /// Only those with this tag
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// Only those that started at this time or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<When>,
    /// Only those that started before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<When>,
    /// The same, of an age: those that started longer ago
    #[arg(long, value_name = "AGE", allow_hyphen_values = true, conflicts_with = "until")]
    pub(crate) older_than: Option<When>,
    /// Only those whose plan has this hash
    #[arg(long, value_name = "HASH")]
    pub(crate) plan_hash: Option<Hash>,
    /// Only those with this seed
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) seed: Option<i64>,
    /// Only those that were sealed with this root hash
    #[arg(long, value_name = "HASH")]
    pub(crate) root_hash: Option<Hash>,
    /// Only those that were sealed with this behaviour hash
    #[arg(long, value_name = "HASH")]
    pub(crate) behaviour_hash: Option<Hash>,
    /// Only those whose goal holds all of these words
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Option<String>,
    /// Only those whose steps cost so many cents at least
    #[arg(long, value_name = "CENTS")]
    pub(crate) cost_min: Option<Cost>,
    /// Only those whose steps cost so many cents at most
    #[arg(long, value_name = "CENTS")]
    pub(crate) cost_max: Option<Cost>,
    /// Only those whose steps took so many milliseconds at least
    #[arg(long, value_name = "MS")]
    pub(crate) duration_min: Option<DurationMs>,
    /// Only those whose steps took so many milliseconds at most
    #[arg(long, value_name = "MS")]
    pub(crate) duration_max: Option<DurationMs>,
    /// By start, cost or duration [default: what is bounded of cost and duration, else start]
    #[arg(long)]
    pub(crate) sort: Option<RunSort>,
    /// The oldest, or the least, first
    #[arg(long)]
    pub(crate) oldest: bool,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
    /// Go on where the list before ended
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// Count them instead
    #[arg(long, conflicts_with_all = ["sort", "oldest", "limit", "cursor"])]
    pub(crate) count: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tree {
    pub(crate) run: RunId,
    /// Start from this trace
    #[arg(long)]
    pub(crate) root: Option<TraceId>,
    /// Levels below the start
    #[arg(long)]
    pub(crate) depth: Option<u32>,
}

/// What stands below the options of `diff`.
const DIFF_HELP: &str = "\
Exit codes: 0 identical, 1 diverged, 2 usage, 3 unverifiable: a run is not sealed, was erased, or could not be read. Runs \
with the same behaviour and other outputs are 1, with --behaviour 0.

With --json: one line, as the API answers, with the differences up to --limit.";

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The first run
    pub(crate) a: RunId,
    /// The second run
    pub(crate) b: RunId,
    /// Accept the same behaviour: the agent chose the same, whatever came back
    #[arg(long)]
    pub(crate) behaviour: bool,
    /// Prove the first divergence
    #[arg(long)]
    pub(crate) proof: bool,
    /// At most so many differences
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
    /// Go on where the differences before ended
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Baseline {
    /// Make a sealed run the baseline of a name
    Set {
        run: RunId,
        /// The name
        #[arg(long)]
        name: BaselineName,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        /// On whose word
        #[arg(long)]
        by: Option<String>,
    },
    /// List the names and what they stand for
    List {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Go on where the list before ended
        #[arg(long)]
        cursor: Option<String>,
    },
}

/// What stands below the options of `check`.
const CHECK_HELP: &str = "\
The baseline is a, the run b. Exit codes: 0 identical, 1 diverged, 2 usage, 3 unverifiable: there is no such baseline or \
run, one of them is not sealed, or was erased. Runs with the same behaviour and other outputs are 1, with --behaviour 0.";

#[derive(Debug, Args)]
pub(crate) struct Check {
    pub(crate) run: RunId,
    /// The name of the baseline
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: BaselineName,
    /// Accept the same behaviour: the agent chose the same, whatever came back
    #[arg(long)]
    pub(crate) behaviour: bool,
    /// At most so many differences
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
}

/// What stands below the options of `verify`.
const VERIFY_HELP: &str = "\
Of a bundle: five verdicts, integrity, identity, time, completeness and redaction, each pass, fail or unconfirmed, with a \
reason that `tracekeep explain` explains, and what it does not prove. Of what stands by itself, which the first bytes tell, \
two of them, integrity and identity: a checkpoint (log checkpoint), a .tlog-proof (log proof INDEX, with --leaf), an entry \
with its proof (log proof --run), and that the log extends a checkpoint from before (log witness-export --from SIZE, with \
--checkpoint).

Trust comes from the brought key alone; no ledger, server or configuration is looked at. Exit codes: 0 all pass, 1 one \
fails, 2 usage, or the file is none of these, 3 one is unconfirmed: no key was brought, or no leaf, or nothing ties it to \
the brought checkpoint.

Of a run: every entry's commitment and its place in the ledger's tree, every step's hashes, all that each seal states, and the \
indices. Exit codes: 0 everything is as recorded, 1 something is not, or there is no such run, 2 usage, 3 something could \
not be checked: it was erased.";

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The bundle, checkpoint or proof
    #[arg(required_unless_present = "run", conflicts_with = "run")]
    pub(crate) file: Option<PathBuf>,
    /// The ledger's public key, as NAME+ID+BASE64 or a file with one a line
    #[arg(long, value_name = "KEY|FILE", conflicts_with = "run")]
    pub(crate) key: Vec<String>,
    /// A checkpoint of the same log from before, which that of the file must extend
    #[arg(long, value_name = "FILE", conflicts_with = "run")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Of a .tlog-proof: the leaf hash of the entry, as its receipt states it
    #[arg(long, value_name = "HASH", conflicts_with = "run")]
    pub(crate) leaf: Option<Hash>,
    /// The run to recompute, of the ledger
    #[arg(long)]
    pub(crate) run: Option<RunId>,
}

/// What stands below the options of `traces`.
const TRACES_HELP: &str = "\
A time is RFC 3339, or an age: 90s, 10m, 2h, 30d, 4w. A search by words builds the text index, or catches it up, through \
whoever may write to the ledger; where nobody is reached who may, it says that it did not see everything.

With --json: a trace a line, then {\"next_cursor\": …} if there are more and {\"complete\": false} if not everything was \
searched; of --counts one line. Exit code 1: nothing fits.";

#[derive(Debug, Args)]
pub(crate) struct Traces {
    pub(crate) run: RunId,
    /// Only those of this type, or Custom ones of this name
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) type_name: Option<String>,
    /// Only those with this tag; of several, with all
    #[arg(long)]
    pub(crate) tag: Vec<String>,
    /// Only those with at least one of these tags
    #[arg(long, value_name = "TAG")]
    pub(crate) any_tag: Vec<String>,
    /// Only the children of this trace
    #[arg(long, value_name = "ID", conflicts_with = "roots")]
    pub(crate) parent: Option<TraceId>,
    /// Only those that hang on no other
    #[arg(long)]
    pub(crate) roots: bool,
    /// ok, error or open
    #[arg(long)]
    pub(crate) status: Option<TraceStatus>,
    /// Only those that began at this time or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<When>,
    /// Only those that began before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<When>,
    /// Only those whose text holds all of these words
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Option<String>,
    /// Only these
    #[arg(long)]
    pub(crate) id: Vec<TraceId>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
    /// Go on where the list before ended
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// Newest first
    #[arg(long)]
    pub(crate) newest: bool,
    /// Count them by type, tag and status instead; --type and one --tag choose counters
    #[arg(long, conflicts_with_all = [
        "any_tag", "parent", "roots", "status", "since", "until", "text", "id", "limit", "cursor", "newest",
    ])]
    pub(crate) counts: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Complete {
    #[arg(required_unless_present = "stale")]
    pub(crate) run: Option<RunId>,
    /// Abort every run instead that is still running although it started longer ago
    #[arg(long, value_name = "AGE", allow_hyphen_values = true, conflicts_with_all = [
        "run", "status", "metadata", "plan_hash", "behaviour_hash", "root_hash",
    ])]
    pub(crate) stale: Option<When>,
    /// completed, failed or aborted
    #[arg(long, default_value = "completed")]
    pub(crate) status: FinalStatus,
    /// Why it ended
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Free members of the end: a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// Claim the hash of the plan; a wrong claim is refused
    #[arg(long, value_name = "HASH")]
    pub(crate) plan_hash: Option<Hash>,
    /// Claim the behaviour hash
    #[arg(long, value_name = "HASH")]
    pub(crate) behaviour_hash: Option<Hash>,
    /// Claim the root hash
    #[arg(long, value_name = "HASH")]
    pub(crate) root_hash: Option<Hash>,
}

/// What stands below the options of `idem check`.
const IDEM_CHECK_HELP: &str = "\
Exit codes: 0 new (the caller holds the lease: go), 1 not to be done: duplicate, in_progress, conflict or failed, which \
the first word says; 3 the gate could not answer: never go then.

With --json: one line, as the API answers.";

#[derive(Debug, Subcommand)]
pub(crate) enum Idem {
    /// Ask whether to do what the request says, and hold the lease if so
    #[command(after_help = IDEM_CHECK_HELP)]
    Check(IdemCheck),
    /// Say that it is done
    Complete {
        key: Key,
        /// What the check gave
        #[arg(long)]
        token: Token,
        /// The answer that others get: JSON, @FILE, or - for stdin
        #[arg(long, value_name = "JSON", default_value = "null")]
        response: String,
    },
    /// Say that it failed, for good unless told
    Fail {
        key: Key,
        /// What the check gave
        #[arg(long)]
        token: Token,
        /// Why: told to those who ask later
        #[arg(long, value_name = "TEXT", default_value = "")]
        error: String,
        /// Nothing happened: whoever asks next does it
        #[arg(long)]
        retryable: bool,
    },
    /// Hold the lease for longer
    Renew {
        key: Key,
        /// What the check gave
        #[arg(long)]
        token: Token,
    },
    /// Say how a key stands
    Status { key: Key },
    /// Forget a key: the same request is new again
    Rm { key: Key },
    /// Let the ledger's own gate decide again where it was in Redis alone: keys known there may be given out again
    #[command(after_help = IDEM_TAKE_BACK_HELP)]
    TakeBack,
}

/// What stands below the options of `idem take-back`.
const IDEM_TAKE_BACK_HELP: &str = "\
A gate in Redis alone (TRACEKEEP_IDEMPOTENCY_ARBITER=none) is noted in the ledger's file, whose own gate then refuses to \
answer: it would not know what Redis decided. To keep those keys, set the ledger as arbiter instead, which takes each over \
when it is asked about. Nobody else may have the ledger open.";

#[derive(Debug, Args)]
pub(crate) struct IdemCheck {
    pub(crate) key: Key,
    /// What is to be done: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", required_unless_present = "fingerprint")]
    pub(crate) request: Option<String>,
    /// SHA-256 of the request, in hex, instead of the request
    #[arg(long, value_name = "HEX", conflicts_with = "request")]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Milliseconds that the lease lasts without being renewed
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(crate) lease_ms: u64,
    /// Seconds that the answer is kept
    #[arg(long, value_name = "S", default_value_t = 86_400)]
    pub(crate) ttl_s: u64,
    /// The run that asks; told to those who ask later
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<RunId>,
}

/// What stands below the options of `replay claim`.
const REPLAY_CLAIM_HELP: &str = "\
A step's replay_behavior decides: skip is answered from the record, execute and check are done again, once in a session. \
What was claimed is completed with `replay complete`, or ended under its key with `idem fail` or `idem renew`.

Exit codes: 0 new (the caller holds the claim: do it), 1 not to be done: recorded, duplicate, in_progress or failed, which \
the first word says; 3 there is no such step, or nobody could answer: never do it then.

With --json: one line, as the API answers.";

/// What stands below the options of `replay complete`.
const REPLAY_COMPLETE_HELP: &str = "\
Exit codes: 0 taken, 1 the step's replay_behavior is check and this is not the recorded output (both hashes are said), 3 not \
taken: there is no such step, it was not claimed, or the claim is another's by now.

With --json: one line, as a claim is answered.";

#[derive(Debug, Subcommand)]
pub(crate) enum Replay {
    /// Claim a step: get its output, or the word to do it again
    #[command(after_help = REPLAY_CLAIM_HELP)]
    Claim(ReplayClaim),
    /// Say what doing a claimed step again gave
    #[command(after_help = REPLAY_COMPLETE_HELP)]
    Complete(ReplayComplete),
    /// Print a step's output as it is recorded, null where it had none: one line of JSON
    Output { run: RunId, index: u32 },
}

#[derive(Debug, Args)]
pub(crate) struct ReplayClaim {
    pub(crate) run: RunId,
    /// The step
    pub(crate) index: u32,
    /// The replay's name: what was done again in it is not done once more
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Key,
    /// Milliseconds that the claim lasts without being renewed
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(crate) lease_ms: u64,
    /// Seconds that the output is kept
    #[arg(long, value_name = "S", default_value_t = 86_400)]
    pub(crate) ttl_s: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayComplete {
    pub(crate) run: RunId,
    /// The step
    pub(crate) index: u32,
    /// The replay's name
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Key,
    /// What the claim gave
    #[arg(long)]
    pub(crate) token: Token,
    /// The output: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON", default_value = "null")]
    pub(crate) output: String,
}

/// What stands below the commands of `audit`.
const AUDIT_HELP: &str = "\
Exit codes of show, reconcile and watch: 0 clean (show: or pending), 1 findings, 2 usage. Of pending: 1 where a run waits.

With --json: show gives the audit in short, then an expectation a line; reconcile and watch the verdict; pending a run a \
line, then {\"next_cursor\": …} if there are more; expect and ack the receipt.";

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Declare what must happen: one thing, or a contract of the configuration
    Expect(AuditExpect),
    /// Acknowledge that something was done, failed, or was undone
    Ack(AuditAck),
    /// Show what is expected and where it stands
    Show { run: RunId },
    /// Compare what should have happened with what did, and record the verdict if it changed
    Reconcile { run: RunId },
    /// List the runs that wait for something, overdue or not
    Pending {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Go on where the list before ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// List what was said of a run through Redis and the ledger refuses for good; Redis holds it until its ttl ends
    Parked {
        run: RunId,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Go on where the list before ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Wait until nothing of a run is pending, then as reconcile
    Watch { run: RunId },
}

#[derive(Debug, Args)]
pub(crate) struct AuditExpect {
    pub(crate) run: RunId,
    /// A contract of tracekeep.toml, or standard
    #[arg(long, value_name = "NAME", conflicts_with_all = [
        "domain", "action", "deadline_ms", "optional", "count", "liveness", "id",
    ])]
    pub(crate) contract: Option<String>,
    /// The part of the system that must act
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// What it must do
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// Milliseconds that it has from now
    #[arg(long, value_name = "MS")]
    pub(crate) deadline_ms: Option<u64>,
    /// It may stay undone
    #[arg(long)]
    pub(crate) optional: bool,
    /// How many times it must happen
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) count: u32,
    /// The run counts as dead when nobody has acted in time
    #[arg(long)]
    pub(crate) liveness: bool,
    /// An id of its own: the same again is then a duplicate, and else one more expectation
    #[arg(long)]
    pub(crate) id: Option<ExpectationId>,
}

#[derive(Debug, Args)]
pub(crate) struct AuditAck {
    pub(crate) run: RunId,
    /// The part of the system that acted
    pub(crate) domain: String,
    /// What it did
    pub(crate) action: String,
    /// SUCCESS, FAILED or ROLLED_BACK
    #[arg(long, default_value = "SUCCESS")]
    pub(crate) status: AckStatus,
    /// What it made, by its id
    #[arg(long, value_name = "ID")]
    pub(crate) result_id: Option<String>,
    /// What went wrong
    #[arg(long, value_name = "TEXT")]
    pub(crate) error: Option<String>,
    /// Why it was undone
    #[arg(long, value_name = "TEXT")]
    pub(crate) rollback_reason: Option<String>,
    /// An id of its own: the same again, as after a timeout, is then a duplicate, and else a second acknowledgement
    #[arg(long)]
    pub(crate) id: Option<AckId>,
}

/// Reads the command line; what is wrong with it ends the process with 2.
pub(crate) fn parse() -> Cli {
    Cli::parse()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
