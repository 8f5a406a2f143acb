//! Erasing runs, and holding them.

use tracekeep_core::age::Age;
use tracekeep_core::id::{RunId, TraceId};
use tracekeep_core::model::{EraseRun, Hold, HoldOn, Op, Redact, ReleaseHold};
use tracekeep_core::view::Held;
use tracekeep_store::{Batch, GcReport, GcRequest, Page, PageRequest, Receipt, Result, block_on, gc_with_held};

use crate::open::{commit, no_answer};
use crate::runs::RunStore;

fn redacting(run_id: &RunId, members: &[&str], reason: &str) -> Redact {
    Redact {
        run_id: run_id.clone(),
        step: None,
        trace: None,
        members: members.iter().copied().map(str::to_owned).collect(),
        reason: reason.to_owned(),
        by: None,
        redacted: None,
    }
}

impl RunStore {
    /// Erases a run that has ended: the content of its entries, its rows and its words go for good, and its id is never
    /// free again. What proves that it was there stays, with who erased it and why as the run's last entry.
    ///
    /// ```
    /// use tracekeep::{FinalStatus, StartRun, Tracekeep};
    ///
    /// let tracekeep = Tracekeep::open_in_memory();
    /// let run = tracekeep.runs().start_run(StartRun::default())?;
    /// tracekeep.runs().complete_run(&run, FinalStatus::Completed)?;
    /// tracekeep.runs().delete_run(&run, "the customer asked for it")?;
    ///
    /// let gone = tracekeep.runs().get_run(&run).expect_err("it was erased");
    /// assert_eq!(gone.code(), "run_erased");
    /// assert_eq!(gone.redaction().expect("what took it").reason, "the customer asked for it");
    /// # Ok::<(), tracekeep::Error>(())
    /// ```
    ///
    /// # Errors
    /// `run_not_found`; `run_running`; `held`. An erased run erased again is a duplicate, whatever the reason.
    #[doc(alias = "delete_trace")]
    pub fn delete_run(&self, run_id: &RunId, reason: &str) -> Result<Receipt> {
        let op = EraseRun { run_id: run_id.clone(), reason: reason.to_owned(), by: None, redacted: None };
        let answer = self.commit_all(vec![Batch::one(Op::EraseRun(op))]).pop();
        answer.unwrap_or_else(|| Err(no_answer()))
    }

    /// Withholds members of one step of a run, such as `params`: what they say goes for good, and with it what would give it
    /// away. The rest of the step stays readable, and that the members were there stays proven.
    ///
    /// ```
    /// use tracekeep::{Json, RecordStep, StartRun, Tracekeep};
    ///
    /// let tracekeep = Tracekeep::open_in_memory();
    /// let run = tracekeep.runs().start_run(StartRun::default())?;
    /// tracekeep.runs().record_step(RecordStep::new(run.clone(), 0, "login", Json::parse(r#"{"user":"ann"}"#)?))?;
    /// tracekeep.runs().redact_step(&run, 0, &["params"], "the customer asked for it")?;
    ///
    /// let step = tracekeep.runs().get_step(&run, 0)?.expect("it is still there");
    /// assert_eq!((step.skill_name.as_str(), step.params.as_str()), ("login", "{}"));
    /// assert_eq!(step.withheld.unwrap_or_default(), ["input_hash", "params"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `run_not_found`, `step_not_found`; `invalid_member` where the step has no such member, or it is never withheld;
    /// `held`; `too_large`. What is withheld already withheld again is a duplicate, whatever the reason.
    pub fn redact_step(&self, run_id: &RunId, index: u32, members: &[&str], reason: &str) -> Result<Receipt> {
        self.redact(Redact { step: Some(index), ..redacting(run_id, members, reason) })
    }

    /// The same for one trace, and for the entry that ended it: such as `trace_type/arguments`.
    ///
    /// # Errors
    /// As [`RunStore::redact_step`], `trace_not_found` in the place of `step_not_found`.
    pub fn redact_trace(&self, run_id: &RunId, trace: &TraceId, members: &[&str], reason: &str) -> Result<Receipt> {
        self.redact(Redact { trace: Some(trace.clone()), ..redacting(run_id, members, reason) })
    }

    /// Withholds what `op` names, on its word.
    ///
    /// # Errors
    /// As [`RunStore::redact_step`].
    pub fn redact(&self, op: Redact) -> Result<Receipt> {
        commit(&self.ledger, Batch::one(Op::Redact(op)))
    }

    /// Erases every run that ended so long ago by the ledger's own clock, and is not held. Others write meanwhile; where an
    /// error ends it, the same again goes on.
    ///
    /// # Errors
    /// Failures of the storage.
    #[doc(alias = "cleanup_old_traces")]
    pub fn cleanup_old_runs(&self, older_than: Age) -> Result<GcReport> {
        self.gc(&GcRequest { older_than: Some(older_than), ..GcRequest::default() })
    }

    /// Erases, or counts, the runs that a request asks for: all of them, in as many calls as it takes.
    ///
    /// # Errors
    /// Refused input; failures of the storage.
    pub fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        let mut request = request.clone();
        let mut whole: Option<GcReport> = None;
        loop {
            let part = match &self.audit {
                None => block_on(self.ledger.gc(&request))?,
                Some(audit) => block_on(gc_with_held(&*self.ledger, &**audit, &request))?,
            };
            request.cursor.clone_from(&part.next_cursor);
            whole = Some(match whole {
                None => part,
                Some(before) => before.and(part),
            });
            if request.cursor.is_none()
                && let Some(whole) = whole
            {
                return Ok(whole);
            }
        }
    }

    /// Holds a run, or every run with a tag, for a reason: nothing held is erased.
    ///
    /// # Errors
    /// `run_not_found`; `conflict` where it is held for another reason.
    pub fn hold(&self, on: HoldOn, reason: &str) -> Result<Receipt> {
        let (run_id, tag) = on.into_parts();
        commit(
            &self.ledger,
            Batch::one(Op::Hold(Hold { run_id, tag, reason: reason.to_owned(), by: None, redacted: None })),
        )
    }

    /// Lets go of what is held.
    ///
    /// # Errors
    /// `run_not_found`; `not_held` where it never was.
    pub fn release_hold(&self, on: HoldOn, reason: &str) -> Result<Receipt> {
        let (run_id, tag) = on.into_parts();
        commit(
            &self.ledger,
            Batch::one(Op::ReleaseHold(ReleaseHold {
                run_id,
                tag,
                reason: reason.to_owned(),
                by: None,
                redacted: None,
            })),
        )
    }

    /// A page of what is held now, in the order in which it came to be.
    ///
    /// # Errors
    /// `invalid_parameter`, `invalid_cursor`.
    pub fn holds(&self, page: &PageRequest) -> Result<Page<Held>> {
        block_on(self.ledger.holds(page))
    }
}
