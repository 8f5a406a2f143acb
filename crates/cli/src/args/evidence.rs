//! The arguments of `log` and `keys`.

use clap::Subcommand;
use tracekeep_core::id::{RunId, TraceId};

pub(super) const LOG_HELP: &str = "Checkpoints and proofs are texts in the formats of C2SP (docs/format/evidence.md): whoever has \
the public key (tracekeep keys public) checks them without the ledger. The first one makes the key.";

pub(super) const KEYS_HELP: &str = "The private key lies in LEDGER.keys/ beside the ledger, never in it. rotate and adopt need \
the ledger for themselves: stop its server first. A key that was replaced is kept in LEDGER.keys/retired/, and signs sizes of \
its time again (export --at, log checkpoint --size). One that was exposed: rotate, delete its file there, and tell whoever holds \
its public half not to trust it; sizes of its time are then not signed again.";

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Print the signed checkpoint at the head, or at an earlier size
    Checkpoint {
        #[arg(long, value_name = "ENTRIES")]
        size: Option<u64>,
    },
    /// Prove that the log extends what it was
    Consistency {
        /// The earlier size
        #[arg(long, value_name = "ENTRIES")]
        from: u64,
        /// The later size [default: the head's]
        #[arg(long, value_name = "ENTRIES")]
        to: Option<u64>,
    },
    /// Prove an entry (a receipt's log_index) as a .tlog-proof; or a run's seal, step or trace as JSON
    Proof {
        #[arg(conflicts_with = "run")]
        log_index: Option<u64>,
        #[arg(long)]
        run: Option<RunId>,
        /// A step of the run
        #[arg(long, value_name = "INDEX", requires = "run", conflicts_with = "trace")]
        step: Option<u32>,
        /// A trace of the run
        #[arg(long, value_name = "ID", requires = "run")]
        trace: Option<TraceId>,
    },
    /// Print what a witness is sent that has seen an earlier size
    WitnessExport {
        /// The size that it has seen; 0 for one that has seen nothing
        #[arg(long, value_name = "ENTRIES")]
        from: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Print the public key that signs now: what a verifier brings
    Public,
    /// List the keys that signed, and from where on
    Show,
    /// Put a new key in the place of the one that signs, and keep that one aside in LEDGER.keys/retired/
    Rotate {
        /// Why
        #[arg(long)]
        why: Option<String>,
        /// On whose word
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Begin with a new key where the declared one is lost, or has signed what is no longer here
    Adopt {
        /// Why
        #[arg(long)]
        why: String,
        /// On whose word
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
}
