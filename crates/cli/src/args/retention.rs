//! What `hold`, `redact` and `gc` take.

use clap::Args;
use tracekeep_core::age::Age;
use tracekeep_core::id::{RunId, TraceId};

/// What stands below the options of `hold`.
pub(super) const HOLD_HELP: &str = "\
A hold is let go of with the same RUN or --tag, --release, and a --reason of its own; nothing else ends it. With --json: of --list, what is held a \
line.";

#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[arg(required_unless_present_any = ["tag", "list"])]
    pub(crate) run: Option<RunId>,
    /// Every run with this tag, those that come later too
    #[arg(long, conflicts_with = "run")]
    pub(crate) tag: Option<String>,
    /// Why it is held, or let go of: it stays in the log
    #[arg(long, required_unless_present = "list")]
    pub(crate) reason: Option<String>,
    /// On whose word [default: the user]
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Let go of it
    #[arg(long)]
    pub(crate) release: bool,
    /// List what is held
    #[arg(long, conflicts_with_all = ["run", "tag", "reason", "by", "release"])]
    pub(crate) list: bool,
}

/// What stands below the options of `redact`.
pub(super) const REDACT_HELP: &str = "\
What the members say goes for good, and what would give it away with it: a hash over them, the words of a trace in the text \
index, the hashes of a run over its steps. That they were there stays proven, and the log says who withheld them and why. \
Members are those of the recorded body: params, outcome_data, metadata, trace_type/arguments, trace_type/result.";

#[derive(Debug, Args)]
pub(crate) struct Redact {
    pub(crate) run: RunId,
    /// The step, by its index
    #[arg(long, value_name = "INDEX", required_unless_present = "trace", conflicts_with = "trace")]
    pub(crate) step: Option<u32>,
    /// The trace, with what ended it
    #[arg(long, value_name = "ID")]
    pub(crate) trace: Option<TraceId>,
    /// A member to withhold; may be repeated
    #[arg(long = "member", value_name = "NAME", required = true)]
    pub(crate) members: Vec<String>,
    /// Why: it outlives what is withheld
    #[arg(long)]
    pub(crate) reason: String,
    /// On whose word [default: the user]
    #[arg(long)]
    pub(crate) by: Option<String>,
}

/// What stands below the options of `gc`.
pub(super) const GC_HELP: &str = "\
A run's age is that of its seal by the ledger's own clock. Runs that have not ended, and those that are held, are passed \
over. Content, index rows and words go for good; positions, times and hashes stay, so that every proof still holds, and the \
redaction says who erased it and why. Ended early, the same command goes on. Exit code 1: something could not be erased.";

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// What ended so long ago, such as 12h, 30d, 8w [default: 30d]
    #[arg(long, value_name = "AGE")]
    pub(crate) older_than: Option<Age>,
    /// Say what would be erased, and erase nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// This run alone, of any age
    #[arg(long, conflicts_with_all = ["older_than", "dry_run"], requires = "reason")]
    pub(crate) run: Option<RunId>,
    /// Why: it outlives the run [default: retention: older than AGE]
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// On whose word [default: the user]
    #[arg(long)]
    pub(crate) by: Option<String>,
}
