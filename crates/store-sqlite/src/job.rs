//! What waits for the writer, and what becomes of it.

use tracekeep_store::gate::{Reply, Ruling};
use tracekeep_store::{Error, Receipt, Result};

use crate::error::corrupt;
use crate::gate::Question;
use crate::ready::Ready;

/// Batches of one call, each ready or refused.
pub(crate) type Batches = Vec<Result<Ready>>;
/// What became of them.
pub(crate) type Receipts = Vec<Result<Receipt>>;

/// One call that waits for the writer.
pub(crate) enum Job {
    /// Batches for the log.
    Batches(Batches),
    /// A question to the gate.
    Gate(Box<Question>),
}

/// What became of a job.
pub(crate) enum Done {
    /// Of batches.
    Receipts(Receipts),
    /// Of a question to the gate.
    Gate(Box<Result<Ruling>>),
}

/// A job, or one batch of it alone.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    /// Batches for the log.
    Batches(&'a [Result<Ready>]),
    /// A question to the gate.
    Gate(&'a Question),
}

impl Job {
    /// All of it.
    pub(crate) fn work(&self) -> Work<'_> {
        match self {
            Self::Batches(batches) => Work::Batches(batches),
            Self::Gate(question) => Work::Gate(question),
        }
    }

    /// Ops, as a queue counts them.
    pub(crate) fn ops(&self) -> u64 {
        match self {
            Self::Batches(batches) => batches.iter().flatten().map(|ready| ready.prepared().op_count()).sum(),
            Self::Gate(_) => 1,
        }
    }

    /// Bytes of what it brings.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Batches(batches) => batches.iter().flatten().map(Ready::bytes).sum(),
            Self::Gate(question) => question.ask.bytes(),
        }
    }

    /// All of it refused: a batch by its own error where it has one.
    pub(crate) fn refuse(&self, error: &Error) -> Done {
        self.work().refuse(error)
    }
}

impl Work<'_> {
    /// All of it refused: a batch by its own error where it has one.
    pub(crate) fn refuse(self, error: &Error) -> Done {
        match self {
            Self::Batches(batches) => {
                let own = |batch: &Result<Ready>| Err(batch.as_ref().err().unwrap_or(error).clone());
                Done::Receipts(batches.iter().map(own).collect())
            }
            Self::Gate(_) => Done::Gate(Box::new(Err(error.clone()))),
        }
    }
}

impl Done {
    /// Of a job of batches.
    pub(crate) fn receipts(self) -> Receipts {
        match self {
            Self::Receipts(receipts) => receipts,
            Self::Gate(_) => Vec::new(),
        }
    }

    /// Of a question to the gate.
    pub(crate) fn reply(self) -> Result<Reply> {
        self.ruling()?.reply
    }

    /// The same, with what is kept from now on.
    pub(crate) fn ruling(self) -> Result<Ruling> {
        match self {
            Self::Gate(ruling) => *ruling,
            Self::Receipts(_) => Err(corrupt("the gate gave no answer")),
        }
    }
}
