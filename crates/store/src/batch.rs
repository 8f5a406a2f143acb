//! A batch: ops that are committed together or not at all.

use tracekeep_core::body::Body;
use tracekeep_core::hash::{Hash, Salt};
use tracekeep_core::id::Key;
use tracekeep_core::json::{Object, Value};
use tracekeep_core::limits::BATCH_OPS_MAX;
use tracekeep_core::model::{EffectGate, Op};
use tracekeep_core::seal::{self, StepLeaves};
use tracekeep_core::wire::{Path, refuse_rest, take_optional};
use tracekeep_core::{Invalid, InvalidCode};

use crate::error::{Code, Error, Result};
use crate::redact::Redaction;
use crate::source::Source;

/// Ops that are committed together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The ops, in order: 1 to 1,000.
    pub ops: Vec<Op>,
    /// The idempotency key that the batch is sent under, if any.
    pub key: Option<Key>,
    /// How many of the first ops were held in front of the ledger.
    pub(crate) moved: usize,
}

impl Batch {
    /// A batch of one op.
    #[must_use]
    pub fn one(op: Op) -> Self {
        Self::of(vec![op])
    }

    /// A batch of several ops.
    #[must_use]
    pub const fn of(ops: Vec<Op>) -> Self {
        Self { ops, key: None, moved: 0 }
    }

    /// A batch of several ops, the first `moved` of which were held in front of the ledger and may state when they were
    /// received: for whoever moves them.
    #[must_use]
    pub const fn moving(ops: Vec<Op>, moved: usize) -> Self {
        Self { ops, key: None, moved }
    }

    /// The same batch under an idempotency key, if any.
    #[must_use]
    pub fn keyed(mut self, key: Option<Key>) -> Self {
        self.key = key;
        self
    }

    /// The same batch under an idempotency key.
    #[must_use]
    pub fn under(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Reads {"ops": […], "key"?: …} as it comes in at a door.
    ///
    /// # Errors
    /// What is wrong with it, with the JSON Pointer to the place; `local_only`.
    pub fn read(mut object: Object<'_>) -> Result<Self> {
        let at = &Path::ROOT;
        let ops = match object.take("ops") {
            Some(Value::Array(ops)) => ops,
            Some(other) => return Err(at.name("ops").wrong_type("an array", &other).into()),
            None => return Err(at.name("ops").refuse(InvalidCode::MissingMember, "is required").into()),
        };
        let key = take_optional(&mut object, "key", at)?;
        refuse_rest(&object, at)?;
        let ops = ops.into_iter().enumerate();
        let ops = ops.map(|(place, op)| Self::read_op(op).map_err(|error| error.under(&format!("/ops/{place}"))));
        Ok(Self::of(ops.collect::<Result<_>>()?).keyed(key))
    }

    /// Reads an op as it comes in at a door: the door says where a run comes from, not who sends it.
    ///
    /// # Errors
    /// As [`Op::read`]; `local_only`.
    pub fn read_op(value: Value<'_>) -> Result<Op> {
        let op = value.as_object();
        let starts = op.and_then(|op| op.get("op")?.as_str()) == Some("start_run");
        if starts && op.is_some_and(|op| op.get("source").is_some()) {
            let detail = "is not a member here: the door says it";
            return Err(Path::ROOT.name("source").refuse(InvalidCode::UnknownMember, detail).into());
        }
        let op = Op::read(value)?.unreceived()?;
        if op.is_local() {
            let detail = "only the process that writes to the ledger says whose signatures count and what was exported";
            return Err(Error::new(Code::LocalOnly, detail));
        }
        Ok(op)
    }

    /// Does what the caller's own thread does, once: checks the ops, takes out of them what `rules` find, states where the `gate` is kept, fills in ids,
    /// absent times and the batch's random bytes, makes the bodies canonical and computes the commitments.
    ///
    /// Hashes that a step claims are checked against what was sent; recorded are those over what is left of it.
    ///
    /// # Errors
    /// What is wrong with the first wrong op, its path under `/ops/INDEX`. Limits of a whole op, its bytes and its depth,
    /// come after everything else. A batch that breaks any other rule draws nothing from `source`.
    pub fn prepare(mut self, source: &Source, rules: &Redaction, gate: Option<EffectGate>) -> Result<Prepared> {
        if self.ops.is_empty() || self.ops.len() > BATCH_OPS_MAX as usize {
            return Err(Error::new(Code::InvalidBatch, format!("a batch has 1 to {BATCH_OPS_MAX} ops")).at("/ops"));
        }
        demand_alone(&self.ops)?;
        let wrong = |place: usize, invalid: Invalid| Error::from(invalid).under(&format!("/ops/{place}"));
        for (place, op) in self.ops.iter_mut().enumerate() {
            refuse_stated(op, place < self.moved).and_then(|()| op.check()).map_err(|invalid| wrong(place, invalid))?;
            rules.redact(op);
            if let Some(stated) = op.effect_gate_mut() {
                *stated = gate;
            }
        }
        let random = source.bytes();
        let ops = self.ops.into_iter().enumerate().map(|(place, op)| {
            PreparedOp::new(op, place as u64, &random, source).map_err(|invalid| wrong(place, invalid))
        });
        let ops: Vec<_> = ops.collect::<Result<_>>()?;
        let key_salt = Salt::of_entry(&random, ops.len() as u64);
        Ok(Prepared { ops, key: self.key, key_salt })
    }
}

/// A redaction is about what earlier batches recorded: nothing else of its run stands in its batch.
fn demand_alone(ops: &[Op]) -> Result<()> {
    for (place, op) in ops.iter().enumerate() {
        let Op::Redact(redact) = op else { continue };
        if ops.iter().filter(|op| op.run_id() == Some(&redact.run_id)).count() > 1 {
            let detail = "a redaction stands alone for its run in a batch";
            return Err(Error::new(Code::InvalidBatch, detail).at(format!("/ops/{place}")));
        }
    }
    Ok(())
}

/// What was taken out of an op, and where the gate is kept, is for the door to say; when it was received, for the mover.
fn refuse_stated(op: &mut Op, is_moved: bool) -> std::result::Result<(), Invalid> {
    let refuse = |name: &str| {
        let detail = "is not a member here: the door says it";
        Err(Path::ROOT.name(name).refuse(InvalidCode::UnknownMember, detail))
    };
    if op.is_moved() && !is_moved {
        return refuse("received_at");
    }
    // The door in front of what is moved has stated it already.
    if matches!(op.redacted_mut(), Some(Some(_))) && !is_moved {
        return refuse("redacted");
    }
    if matches!(op.effect_gate_mut(), Some(Some(_))) {
        return refuse("idempotency_store");
    }
    Ok(())
}

/// A batch whose every byte is settled but for position, leaf and rows.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) ops: Vec<PreparedOp>,
    pub(crate) key: Option<Key>,
    pub(crate) key_salt: Salt,
}

impl Prepared {
    /// Bytes of the bodies: what the batch weighs in a queue.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.ops.iter().map(|op| op.body.as_str().len() as u64).sum()
    }

    /// The bodies of the ops, in order, so that a backend can encode them on the caller's thread. The entries that the plan
    /// makes of them share their text.
    pub fn bodies(&self) -> impl Iterator<Item = &Body> + Clone {
        self.ops.iter().map(|op| &op.body)
    }

    /// Ops in the batch.
    #[must_use]
    pub fn op_count(&self) -> u64 {
        self.ops.len() as u64
    }
}

/// One op, ready to be decided.
#[derive(Clone, Debug)]
pub(crate) struct PreparedOp {
    pub(crate) op: Op,
    pub(crate) body: Body,
    pub(crate) commit: Hash,
    pub(crate) salt: Salt,
    /// Members that the caller left to be generated: compared as they stand in the record.
    pub(crate) generated: Vec<&'static str>,
    pub(crate) step_leaves: Option<StepLeaves>,
}

impl PreparedOp {
    /// Fills in a checked op.
    fn new(mut op: Op, place: u64, random: &[u8; 32], source: &Source) -> std::result::Result<Self, Invalid> {
        let generated = op.generated();
        fill_in(&mut op, source);
        let salt = Salt::of_entry(random, place);
        Self::settled(op, salt, generated)
    }

    /// An op that needs nothing filled in, as it stands in the record.
    pub(crate) fn settled(op: Op, salt: Salt, generated: Vec<&'static str>) -> std::result::Result<Self, Invalid> {
        let body = op.body();
        body.check_limits()?;
        // The commitment of a seal, a verdict and a redaction covers what the plan computes, so it is made there.
        let computed =
            matches!(op, Op::CompleteRun(_) | Op::SealRun(_) | Op::Reconcile(_) | Op::EraseRun(_) | Op::Redact(_));
        let commit = if computed { Hash::ZERO } else { body.commitment(&salt) };
        let step_leaves = match &op {
            Op::RecordStep(step) => Some(seal::step_leaves(step)),
            _ => None,
        };
        Ok(Self { op, body, commit, salt, generated, step_leaves })
    }

    /// What is left of a recorded op: no commitment is made of it, and its step's leaves are `step_leaves`.
    pub(crate) fn left(op: Op, step_leaves: Option<StepLeaves>) -> Self {
        let (body, salt) = (op.body(), Salt::from_bytes([0; 32]));
        Self { op, body, commit: Hash::ZERO, salt, generated: Vec::new(), step_leaves }
    }
}

fn fill_in(op: &mut Op, source: &Source) {
    match op {
        Op::StartRun(op) => {
            op.run_id.get_or_insert_with(|| source.run_id());
            op.correlation_id.get_or_insert_with(|| source.correlation_id());
            op.started_at.get_or_insert_with(|| source.now());
        }
        Op::RecordStep(op) => {
            op.occurred_at.get_or_insert_with(|| source.now());
        }
        Op::RecordTrace(op) => {
            op.id.get_or_insert_with(|| source.trace_id());
            op.occurred_at.get_or_insert_with(|| source.now());
        }
        Op::CompleteRun(op) => {
            op.completed_at.get_or_insert_with(|| source.now());
        }
        Op::Expect(op) => {
            op.id.get_or_insert_with(|| source.expectation_id());
        }
        Op::Ack(op) => {
            op.id.get_or_insert_with(|| source.ack_id());
        }
        Op::OpenIncident(op) => {
            op.incident_id.get_or_insert_with(|| source.incident_id());
            op.created_at.get_or_insert_with(|| source.now());
        }
        Op::ResolveIncident(op) => {
            op.resolved_at.get_or_insert_with(|| source.now());
        }
        Op::RecordExport(op) => {
            op.export_id.get_or_insert_with(|| source.export_id());
        }
        Op::EnsureRun(_)
        | Op::SealRun(_)
        | Op::DescribeRun(_)
        | Op::EndTrace(_)
        | Op::SetExpectationStatus(_)
        | Op::ClearAudit(_)
        | Op::Reconcile(_)
        | Op::EraseRun(_)
        | Op::Redact(_)
        | Op::Hold(_)
        | Op::ReleaseHold(_)
        | Op::DeclareKey(_)
        | Op::SetBaseline(_) => {}
    }
}
