//! The arguments of `incidents` and `export`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tracekeep_core::Timestamp;
use tracekeep_core::id::{IncidentId, RunId, TraceId};
use tracekeep_core::model::{BundleKind, IncidentStatus, Severity};

use crate::commands::Span;
use crate::when::When;

/// What stands below the options of `export`.
pub(crate) const EXPORT_HELP: &str = "\
The target is the incident or the run of that id; where both have it, say which with --incident or --run. \
`tracekeep verify BUNDLE --key KEY` checks the bundle with nothing else. The log states who exported what and when, above \
the size that the bundle is of, which is printed: the same with --at SIZE and the same --by gives the same bytes, unless \
something was erased since. --only-steps and --only-traces leave the rest of the run as it is: its start with goal and \
plan, its end, its audit, holds and incidents.

A period begins with FROM and ends before TO. Of both, a time is RFC 3339, and a date is a whole day in UTC: \
2026-11-01..2026-11-30 is the month with its last day.

The file is the owner's alone to read, and is on the disk before the log states the export; a server states it before it \
sends the bundle. An export that was killed may leave .tracekeep-*.part beside it: delete that.

With --json: one line {\"file\", \"kind\", \"tree_size\", \"bytes\", \"sha256\"}.";

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The incident or the run; none with --period alone
    #[arg(required_unless_present_any = ["period", "incident", "run"], conflicts_with_all = ["incident", "run"])]
    pub(crate) target: Option<String>,
    /// The incident of this id, where a run has it, too
    #[arg(long, value_name = "ID", conflicts_with = "run")]
    pub(crate) incident: Option<IncidentId>,
    /// The run of this id, where an incident has it, too
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<RunId>,
    /// evidence, soc2 or executive_debrief; period where no target is named [default: evidence]
    #[arg(long)]
    pub(crate) kind: Option<BundleKind>,
    /// Where to put it
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Replace what is there already
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Entries of the log to export [default: all there are]
    #[arg(long, value_name = "SIZE")]
    pub(crate) at: Option<u64>,
    /// Who exports: it stands in the bundle [default: the user]
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Show of steps and traces these steps alone, and of related runs nothing; it is proven that the others were there
    #[arg(long, value_name = "INDEX", value_delimiter = ',')]
    pub(crate) only_steps: Vec<u32>,
    /// Show of steps and traces these traces alone, or beside those of --only-steps
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) only_traces: Vec<TraceId>,
    /// Withhold members, of related runs too: step/3/params,trace/ID/trace_type/arguments
    #[arg(long, value_name = "MEMBER", value_delimiter = ',')]
    pub(crate) redact: Vec<String>,
    /// Export the runs with the same correlation id, too, but for those that were erased
    #[arg(long)]
    pub(crate) related: bool,
    /// Prove that the log extends what it was at this size: the leaf of its last entry is shown
    #[arg(long, value_name = "SIZE")]
    pub(crate) since: Option<u64>,
    /// Export although something is missing: the bundle says so
    #[arg(long)]
    pub(crate) force: bool,
    /// Of soc2 the period that is audited; without a target, all runs that started in it: dates, the last one included,
    /// or times, the end excluded
    #[arg(long, value_name = "FROM..TO")]
    pub(crate) period: Option<Span>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Incidents {
    /// Open an incident: its run is held until it is resolved and let go of
    Open(Box<IncidentOpen>),
    /// Find incidents by when they were opened, newest first
    List(IncidentList),
    /// Show an incident
    Show { incident: IncidentId },
    /// Say how an incident ended: it stays so
    Resolve {
        incident: IncidentId,
        /// What was found and done
        #[arg(long, value_name = "TEXT")]
        resolution: String,
        /// On whose word [default: the user]
        #[arg(long)]
        by: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct IncidentOpen {
    /// An id of its own; the same again is a duplicate
    #[arg(long)]
    pub(crate) id: Option<IncidentId>,
    /// The run that caused it
    #[arg(long)]
    pub(crate) run: Option<RunId>,
    /// low, medium, high or critical
    #[arg(long)]
    pub(crate) severity: Option<Severity>,
    /// The policy that was violated
    #[arg(long, value_name = "ID")]
    pub(crate) policy_id: Option<String>,
    /// Its name
    #[arg(long, value_name = "NAME")]
    pub(crate) policy_name: Option<String>,
    /// What kind of violation it is
    #[arg(long, value_name = "TYPE")]
    pub(crate) violation_type: Option<String>,
    /// What the policy allows
    #[arg(long, value_name = "JSON")]
    pub(crate) threshold: Option<String>,
    /// What was found instead
    #[arg(long, value_name = "JSON")]
    pub(crate) actual: Option<String>,
    /// The step of the run that violated it
    #[arg(long, value_name = "INDEX", requires = "run")]
    pub(crate) step: Option<u32>,
    /// When it was violated, in RFC 3339 [default: when that step occurred]
    #[arg(long, value_name = "TIME")]
    pub(crate) violated_at: Option<Timestamp>,
    /// What it is, in a line
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// What is known, in words
    #[arg(long, value_name = "TEXT")]
    pub(crate) summary: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct IncidentList {
    /// open or resolved
    #[arg(long)]
    pub(crate) status: Option<IncidentStatus>,
    /// low, medium, high or critical
    #[arg(long)]
    pub(crate) severity: Option<Severity>,
    /// Only those of this run
    #[arg(long)]
    pub(crate) run: Option<RunId>,
    /// Only those that were opened at this time or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<When>,
    /// Only those that were opened before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<When>,
    /// Oldest first
    #[arg(long)]
    pub(crate) oldest: bool,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: u32,
    /// Go on where the list before ended
    #[arg(long)]
    pub(crate) cursor: Option<String>,
}
