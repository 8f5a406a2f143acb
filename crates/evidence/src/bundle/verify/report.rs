//! What verifying a bundle comes to.

use tracekeep_core::json::Json;
use tracekeep_core::wire::{object, object_field, to_json, words};

use crate::bundle::facts::Totals;
use crate::bundle::manifest::Predicate;

words! {
    /// What a bundle is held to, each by itself.
    pub enum Aspect {
        /// Nothing in it was changed, and all of it is in the log.
        Integrity = "integrity",
        /// It is from the ledger whose key the verifier brought.
        Identity = "identity",
        /// When things were recorded.
        Time = "time",
        /// Nothing was left out of what it claims to show.
        Completeness = "completeness",
        /// What is not shown was there, and why it is not shown.
        Redaction = "redaction",
    }
}

words! {
    /// How it came out.
    pub enum Outcome {
        /// It holds.
        Pass = "pass",
        /// It does not.
        Fail = "fail",
        /// It could not be told.
        Unconfirmed = "unconfirmed",
    }
}

words! {
    /// Why a verdict is not `pass`: [`explained`](crate::bundle::explained) says what to do.
    #[non_exhaustive]
    pub enum Reason {
        /// The file is no zip, or was cut.
        NotAZip = "not_a_zip",
        /// More than 32 members.
        TooManyMembers = "too_many_members",
        /// An entry that is no plain file, stored or deflated, of a name that a bundle has, or one of a name more.
        UnexpectedMember = "unexpected_member",
        /// Bytes of the zip that its directory does not account for.
        StrayBytes = "stray_bytes",
        /// A member that is not there.
        MissingMember = "missing_member",
        /// More bytes than a bundle may have.
        TooLarge = "too_large",
        /// A member that its own zip says is damaged.
        DamagedMember = "damaged_member",
        /// The manifest is not in its form.
        MalformedManifest = "malformed_manifest",
        /// The manifest is of another version of the format.
        UnknownFormat = "unknown_format",
        /// A signature by a brought key is wrong.
        BadSignature = "bad_signature",
        /// No brought key has signed it.
        UnknownSigner = "unknown_signer",
        /// The members are not those that the manifest names, with these digests.
        WrongMembers = "wrong_members",
        /// The checkpoint is no signed note, or the note is no checkpoint.
        MalformedCheckpoint = "malformed_checkpoint",
        /// A line is not a record in canonical form.
        MalformedRecord = "malformed_record",
        /// Log indices do not rise from line to line, or reach the checkpoint's size.
        Misordered = "misordered",
        /// The key that signed it is not the one that the log had declared by then.
        SupersededKey = "superseded_key",
        /// A record is of another ledger.
        WrongLedger = "wrong_ledger",
        /// Members do not give their entry's commitment.
        WrongCommitment = "wrong_commitment",
        /// The proof is not in its form, or does not lead from the records to the checkpoint's root.
        WrongProof = "wrong_proof",
        /// The checkpoint that was brought is larger than the bundle's.
        OlderThanKnown = "older_than_known",
        /// The log does not extend the checkpoint that was brought.
        WrongConsistency = "wrong_consistency",
        /// Nothing in the bundle ties it to the checkpoint that was brought.
        NoConsistencyProof = "no_consistency_proof",
        /// The checkpoint that was brought is not one of this log under a brought key.
        UnknownOldCheckpoint = "unknown_old_checkpoint",
        /// An entry was recorded before one in front of it, or the last one at another time than the bundle's.
        TimeRunsBack = "time_runs_back",
        /// An entry of a run is missing: a number among its entries; of a period, a run that started in it.
        MissingEntry = "missing_entry",
        /// A seal is not over all entries of its run in front of it.
        WrongRunRoot = "wrong_run_root",
        /// Something that its kind requires is missing and not said to be, or the other way round.
        Incomplete = "incomplete",
        /// No entry in it opens the incident that it claims to be about.
        WrongIncident = "wrong_incident",
        /// What it shows of controls is not what its records show.
        WrongControls = "wrong_controls",
        /// Its debrief is not what its records say.
        WrongDebrief = "wrong_debrief",
        /// The lines of a period have a gap, or end inside of it.
        MissingLeaf = "missing_leaf",
        /// An entry was erased, and no later redaction of its run says so; or one is shown although a later redaction erased
        /// its run.
        UnnamedErasure = "unnamed_erasure",
        /// What a proof that stands by itself is about was not brought: a leaf hash, or a checkpoint from before.
        NotBrought = "not_brought",
        /// No key was brought.
        NoKey = "no_key",
        /// Something before it failed.
        NotChecked = "not_checked",
    }
}

words! {
    /// What a verdict does not cover in this bundle: it changes nothing of the verdict.
    pub enum Remark {
        /// No entry of the bundle declares the key that signed it.
        KeyNotDeclared = "key_not_declared",
        /// The entry that gives the bundle its time is not in it.
        CreatedAtNotShown = "created_at_not_shown",
        /// The last entry of a run is no seal: later ones, below the checkpoint too, may have been left out.
        EndNotProven = "end_not_proven",
        /// It was made although something that its kind requires is missing.
        Forced = "forced",
        /// How other runs came out is claimed: their entries are not in the bundle.
        ComparisonNotProven = "comparison_not_proven",
        /// Members are withheld.
        MembersWithheld = "members_withheld",
        /// Entries were erased.
        EntriesErased = "entries_erased",
    }
}

/// One of the five verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it is about.
    pub aspect: Aspect,
    /// How it came out.
    pub outcome: Outcome,
    /// Why it is not `pass`.
    pub reason: Option<Reason>,
    /// Where that was found, if it is of one place: the name of a member, of records with the number of the line.
    pub place: Option<String>,
    /// What it leaves open in this bundle.
    pub remarks: Vec<Remark>,
}

impl Verdict {
    /// What a check came to: remarks where it holds.
    pub(crate) fn concluded(aspect: Aspect, result: Result<Vec<Remark>, Reason>) -> Self {
        match result {
            Ok(remarks) => Self { aspect, outcome: Outcome::Pass, reason: None, place: None, remarks },
            Err(reason) => {
                let outcome = if reason.is_open() { Outcome::Unconfirmed } else { Outcome::Fail };
                Self { aspect, outcome, reason: Some(reason), place: None, remarks: Vec::new() }
            }
        }
    }

    /// What no verdict of this kind proves.
    #[must_use]
    pub const fn does_not_prove(&self) -> &'static str {
        match self.aspect {
            Aspect::Integrity => {
                "that what was recorded is true, only that the log has it; nor, unless a checkpoint from before is brought, that \
                 whoever holds the key has not made the log anew, or shows others another one"
            }
            Aspect::Identity => "who holds the key, nor that nobody else does",
            Aspect::Time => {
                "when things happened: recorded_at is the ledger's own clock, occurred_at the sender's word; nor that entries \
                 without a line here were recorded in order"
            }
            Aspect::Completeness => {
                "that everything that happened was recorded, nor what came after the checkpoint; of a run that is not sealed, and \
                 after a latest seal, entries below the checkpoint may have been left out, another incident for one; nor which runs are \
                 related to the one that the bundle is about: one may have been left out, or erased before; nor that no entry of no \
                 run was left out, an incident's resolution for one; nor that the log has a run under this id once only; nor, \
                 but for what controls are made of, what seals and verdicts state"
            }
            Aspect::Redaction => "what the withheld members held",
        }
    }
}

/// What verifying came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The five, in the order of [`Aspect::ALL`].
    pub verdicts: [Verdict; 5],
    /// What the bundle claims, where its manifest could be read; believed only as far as the verdicts say.
    pub claims: Option<Predicate>,
    /// What it shows, where all of that could be read.
    pub shown: Option<Counts>,
}

object! {
    /// What a bundle shows, as counted by who verifies it.
    pub struct Counts {
        /// The log that its records are of.
        required origin: String,
        /// Entries of the log at its checkpoint.
        required size: u64,
        /// Its records; leaves that stand alone are none, but those of runs that are shown.
        required entries: u64,
        /// The runs that they are of, by id.
        required runs: Vec<RunCounts>,
        /// What their steps add up to.
        required totals: Totals,
        /// Where members of them are withheld, by log index.
        required withheld: Vec<Withheld>,
    }
}

object! {
    /// What a bundle shows of one run.
    pub struct RunCounts {
        /// The run.
        required run_id: String,
        /// Its records; leaves that stand alone are none, but those of runs that are shown.
        required entries: u64,
        /// Those that were erased.
        required erased: u64,
    }
}

object! {
    /// Members of one entry that are withheld.
    pub struct Withheld {
        /// The entry.
        required log_index: u64,
        /// Their names, sorted.
        required members: Vec<String>,
    }
}

object_field!(RunCounts, Withheld);

impl Report {
    pub(super) fn blank() -> Self {
        let blank = |aspect: &Aspect| Verdict {
            aspect: *aspect,
            outcome: Outcome::Unconfirmed,
            reason: Some(Reason::NotChecked),
            place: None,
            remarks: Vec::new(),
        };
        let verdicts: Vec<_> = Aspect::ALL.iter().map(blank).collect();
        Self { verdicts: verdicts.try_into().expect("invariant: there are five aspects"), claims: None, shown: None }
    }

    /// One verdict.
    #[must_use]
    pub const fn verdict(&self, aspect: Aspect) -> &Verdict {
        &self.verdicts[aspect as usize]
    }

    pub(super) fn conclude(&mut self, aspect: Aspect, result: Result<Vec<Remark>, Reason>) {
        self.verdicts[aspect as usize] = Verdict::concluded(aspect, result);
    }

    /// The whole: `fail` where any verdict is, else `unconfirmed` where any is, else `pass`.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        outcome_of(&self.verdicts)
    }

    /// Whether there was nothing to verify: the file is no zip.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.verdicts[0].reason == Some(Reason::NotAZip)
    }

    /// {claims?, outcome, shown?, verdicts: [{aspect, does_not_prove, outcome, place?, reason?, remarks}]}.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut members = vec![
            ("outcome", Json::from(self.outcome().as_str())),
            ("verdicts", verdicts_json(&self.verdicts, Verdict::does_not_prove)),
        ];
        members.extend(self.claims.as_ref().map(|claims| ("claims", to_json(claims))));
        members.extend(self.shown.as_ref().map(|shown| ("shown", to_json(shown))));
        Json::object(members).expect("invariant: what was read from a document nests less than one may")
    }
}

/// `fail` where any verdict is, else `unconfirmed` where any is, else `pass`.
pub(crate) fn outcome_of(verdicts: &[Verdict]) -> Outcome {
    let has = |outcome| verdicts.iter().any(|verdict| verdict.outcome == outcome);
    if has(Outcome::Fail) {
        Outcome::Fail
    } else if has(Outcome::Unconfirmed) {
        Outcome::Unconfirmed
    } else {
        Outcome::Pass
    }
}

/// [{aspect, does_not_prove, outcome, place?, reason?, remarks}].
pub(crate) fn verdicts_json(verdicts: &[Verdict], does_not_prove: impl Fn(&Verdict) -> &'static str) -> Json {
    Json::array(verdicts.iter().map(|verdict| {
        let mut members = vec![
            ("aspect", Json::from(verdict.aspect.as_str())),
            ("does_not_prove", Json::from(does_not_prove(verdict))),
            ("outcome", Json::from(verdict.outcome.as_str())),
            ("remarks", Json::array(verdict.remarks.iter().map(|remark| Json::from(remark.as_str())))),
        ];
        members.extend(verdict.place.as_deref().map(|place| ("place", Json::from(place))));
        members.extend(verdict.reason.map(|reason| ("reason", Json::from(reason.as_str()))));
        Json::object(members).expect("invariant: a verdict nests less than a document may")
    }))
}

impl Reason {
    /// Whether it leaves a verdict open, instead of failing it.
    const fn is_open(self) -> bool {
        matches!(
            self,
            Self::NoKey | Self::NotChecked | Self::NotBrought | Self::NoConsistencyProof | Self::UnknownOldCheckpoint
        )
    }
}

impl From<crate::Code> for Reason {
    fn from(code: crate::Code) -> Self {
        match code {
            crate::Code::UnknownSigner => Self::UnknownSigner,
            crate::Code::BadSignature => Self::BadSignature,
            _ => Self::MalformedCheckpoint,
        }
    }
}
