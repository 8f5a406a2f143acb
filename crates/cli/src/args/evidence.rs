//! The arguments of `log` and `keys`.

use std::path::PathBuf;

use clap::Subcommand;
use tracekeep_core::id::{RunId, TraceId};

pub(super) const LOG_HELP: &str = "\
Checkpoints and proofs are texts in the formats of C2SP (docs/format/evidence.md): whoever has the public key (tracekeep \
keys public) checks them without the ledger, with tracekeep verify FILE --key KEY. The first one makes the key.";

pub(super) const KEYS_HELP: &str = "The private key lies in LEDGER.keys/ beside the ledger, never in it. rotate and adopt need \
the ledger for themselves: stop its server first. A key that was replaced is kept in LEDGER.keys/retired/, by its ID, and signs \
checkpoints and bundles of sizes of its time (export --at, log checkpoint --size), also ones that nobody asked for before. One \
that was exposed: rotate, delete its file there, and tell whoever holds its public half not to trust it, nor what it hands over \
to; sizes of its time are then not signed again.";

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Print the signed checkpoint at the head, or at an earlier size
    Checkpoint {
        #[arg(long, value_name = "ENTRIES")]
        size: Option<u64>,
    },
    /// Print the hashes by which the log extends what it was: witness-export has them with the checkpoint, for verify
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
    /// Print the proof that the log extends an earlier size, with its checkpoint: what a witness is sent, and verify takes
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
    /// Put a new key in the place of the one that signs; print it, and below it what hands over to it
    Rotate {
        /// Why
        #[arg(long)]
        why: Option<String>,
        /// On whose word
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
    },
    /// Print what shows whoever has an older key that the next one took over: a line of JSON for each rotation
    Handover {
        /// That of the key that is declared here alone [default: all, the oldest first]
        log_index: Option<u64>,
    },
    /// Print the newest key that one which you trust leads to, by what `keys handover` printed: no ledger is needed
    Follow {
        /// What it printed
        file: PathBuf,
        /// The key that you trust, or a file with it
        #[arg(long, value_name = "KEY")]
        key: String,
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
