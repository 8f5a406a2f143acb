//! The ledger over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use tracekeep_audit::{AuditExpectation, AuditSummary, AuditVerdict, DomainAck, PendingRun};
use tracekeep_core::Timestamp;
use tracekeep_core::body::Body;
use tracekeep_core::compare::{Comparison, Level};
use tracekeep_core::id::{BaselineName, IncidentId, LedgerId, RunId, TraceId};
use tracekeep_core::limits::REQUEST_BYTES_MAX;
use tracekeep_core::matches::Matches;
use tracekeep_core::model::Op;
use tracekeep_core::view::{
    Baseline, ConsistencyProof, DeclaredKey, Head, Held, Incident, InclusionProof, LogEntry, LogEvent, Multiproof,
    MultiproofOf, Run, RunCount, SignedProof, Step, Trace, TraceCounts, TreeNode, UnsealedRun,
};
use tracekeep_core::wire::{from_text, to_json};
use tracekeep_store::{
    Batch, Code, CompareQuery, CountsQuery, Error, ExportOf, ExportRequest, GcReport, GcRequest, IncidentQuery,
    LedgerStore, Outcome, Page, PageRequest, ParkedFact, Receipt, Report, Result, RunFilter, RunQuery, RunReport,
    Source, TraceQuery, TreeQuery,
};

use crate::answer::{Answer, event, unknown};
use crate::request::{Query, segment};

/// Bytes of an answer at most: a page of a thousand large items.
const ANSWER_BYTES_MAX: u64 = 4 << 30;

/// A ledger in a running server.
#[derive(Debug)]
pub struct HttpLedger {
    agent: ureq::Agent,
    base: String,
    ledger: LedgerId,
    source: Source,
}

impl HttpLedger {
    /// Connects to the server at `url` (such as `http://127.0.0.1:4318`) and asks for its ledger.
    ///
    /// # Errors
    /// `unreachable` where no Tracekeep server answers there.
    pub fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, Source::default())
    }

    /// The same, with the ids that the client makes coming from `source`.
    ///
    /// # Errors
    /// As [`HttpLedger::connect`].
    pub fn connect_with(url: &str, source: Source) -> Result<Self> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A ledger is reached as it was named, never through what the environment says.
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(Duration::from_secs(120)))
            .max_idle_connections_per_host(16)
            // A server closes an idle connection after 10 s: a write must not meet that.
            .max_idle_age(Duration::from_secs(5))
            .build();
        let (agent, base) = (ureq::Agent::new_with_config(config), url.trim_end_matches('/').to_owned());
        let mut ledger = Self { agent, base, ledger: LedgerId::from_bytes([0; 16]), source };
        let id: String = ledger.get("/api/v1/log")?.member("ledger")?;
        let id = id.parse().map_err(|_| Error::new(Code::Unreachable, "the server names no ledger"))?;
        ledger.ledger = id;
        Ok(ledger)
    }

    /// Where the server is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Where the ids come from that are made here.
    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// What the server signs, as text: `path` is below `/api/v1/log/`, such as `checkpoint?size=7` or `key`.
    ///
    /// # Errors
    /// Why it does not; `unreachable`.
    pub fn signed(&self, path: &str) -> Result<String> {
        let answer = self.get(&format!("/api/v1/log/{path}"))?;
        String::from_utf8(answer.body).map_err(|_| Error::new(Code::Unreachable, "the server answered no text"))
    }

    /// A run's seal, or its step, or its trace, with its proof and a signed checkpoint.
    ///
    /// # Errors
    /// Why there is none; `unreachable`.
    pub fn run_proof(&self, run_id: &RunId, step: Option<u32>, trace: Option<&TraceId>) -> Result<SignedProof> {
        let query = Query::new().add("step", step).add("trace", trace.map(TraceId::as_str));
        self.get(&query.on(&format!("/api/v1/runs/{}/proof", segment(run_id.as_str()))))?.whole()
    }

    /// What shows whoever trusts the key before it that the key which is declared at `log_index` took over.
    ///
    /// # Errors
    /// Why there is none; `unreachable`.
    pub fn handover(&self, log_index: u64) -> Result<SignedProof> {
        self.get(&format!("/api/v1/log/keys/{log_index}/handover"))?.whole()
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        let answer = self.agent.get(format!("{}{path}", self.base)).call().map_err(unreachable).and_then(take)?;
        if answer.status == 200 { Ok(answer) } else { Err(answer.problem()) }
    }

    /// Sends a form, whatever its answer. Where none came, it may have been taken.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        self.ask(path, body).map_err(unknown)
    }

    /// Sends a form that is a question, whatever its answer: where none came, nothing was written.
    fn ask(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        take(request.send(body).map_err(unreachable)?)
    }

    /// Deletes what stands at a path, whatever the answer. Where none came, it may have been deleted.
    pub(crate) fn remove(&self, path: &str) -> Result<Answer> {
        let response = self.agent.delete(format!("{}{path}", self.base)).call();
        take(response.map_err(|error| unknown(unreachable(error)))?).map_err(unknown)
    }

    /// Has the server make a bundle: the zip, and the tree size that it is of.
    ///
    /// # Errors
    /// As [`tracekeep_store::Exporter::export`]. Where no answer came, the export may stand in the log.
    pub fn export(&self, of: &ExportOf, request: &ExportRequest) -> Result<(Vec<u8>, u64)> {
        let (path, mut request) = match of {
            ExportOf::Incident(id) => (format!("/api/v1/incidents/{}/bundle", segment(id.as_str())), request.clone()),
            ExportOf::Run(id) => (run_path(id, "/bundle"), request.clone()),
            ExportOf::Period(_) => ("/api/v1/bundles".to_owned(), request.clone()),
        };
        if let ExportOf::Period(period) = of {
            request.period = Some(*period);
        }
        let post = self.agent.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        let sent = post.send(to_json(&request).as_str().as_bytes());
        let response = sent.map_err(|error| unknown(unreachable(error)))?;
        let size = response.headers().get("tracekeep-tree-size").and_then(|size| size.to_str().ok()?.parse().ok());
        let answer = take(response).map_err(unknown)?.accepted()?;
        Ok((answer.body, size.unwrap_or(0)))
    }

    /// Facts of a run's audit that its server holds in Redis, and that the ledger refuses for good.
    ///
    /// # Errors
    /// `run_not_found`, `audit_off`, `invalid_parameter`, `invalid_cursor`; `unreachable`.
    pub fn parked(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<ParkedFact>> {
        self.get(&Query::new().page(page).on(&run_path(run_id, "/audit/parked")))?.page()
    }

    fn get_optional(&self, path: &str) -> Result<Option<Answer>> {
        match self.get(path) {
            Ok(answer) => Ok(Some(answer)),
            Err(error)
                if matches!(
                    error.code(),
                    "run_not_found"
                        | "step_not_found"
                        | "trace_not_found"
                        | "baseline_not_found"
                        | "incident_not_found"
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Ids are made here, so that a retry names the same things; under a key the server knows the retry by the key. Times
    /// are left to the server.
    fn send(&self, mut batch: Batch) -> Result<Receipt> {
        for op in batch.ops.iter_mut().filter(|_| batch.key.is_none()) {
            match op {
                Op::StartRun(op) => {
                    op.run_id.get_or_insert_with(|| self.source.run_id());
                }
                Op::RecordTrace(op) => {
                    op.id.get_or_insert_with(|| self.source.trace_id());
                }
                Op::Expect(op) => {
                    op.id.get_or_insert_with(|| self.source.expectation_id());
                }
                Op::Ack(op) => {
                    op.id.get_or_insert_with(|| self.source.ack_id());
                }
                Op::OpenIncident(op) => {
                    op.incident_id.get_or_insert_with(|| self.source.incident_id());
                }
                Op::RecordExport(op) => {
                    op.export_id.get_or_insert_with(|| self.source.export_id());
                }
                _ => {}
            }
        }
        let mut request =
            self.agent.post(format!("{}/api/v1/batches", self.base)).header("content-type", "application/json");
        if let Some(key) = &batch.key {
            request = request.header("idempotency-key", quoted(key.as_str()));
        }
        let body = body(batch.ops)?;
        let response = request.send(&body[..]).map_err(|error| unknown(unreachable(error)))?;
        let replayed = response.headers().get("idempotency-replayed").is_some_and(|value| value == "true");
        let answer = take(response).map_err(unknown)?;
        match answer.status {
            // The write happened, but what it gave is not known: the same again gives the receipt as a duplicate.
            200 | 201 => match from_text(&answer.body) {
                Ok(receipt) => Ok(Receipt { replayed, ..receipt }),
                Err(error) => Err(Error::new(Code::CommitUnknown, format!("the receipt cannot be read: {error}"))),
            },
            _ => Err(answer.problem()),
        }
    }
}

/// A string of structured fields (RFC 8941).
fn quoted(key: &str) -> String {
    format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The batch as the server reads it. What the server alone may say is left out.
fn body(ops: Vec<Op>) -> Result<Vec<u8>> {
    let mut body = b"{\"ops\":[".to_vec();
    for (place, mut op) in ops.into_iter().enumerate() {
        op.check().map_err(|invalid| Error::from(invalid).under(&format!("/ops/{place}")))?;
        if place > 0 {
            body.push(b',');
        }
        match &op {
            Op::StartRun(_) => without(&["source"], &op.body(), &mut body),
            _ => body.extend_from_slice(op.body().as_str().as_bytes()),
        }
    }
    body.extend_from_slice(b"]}");
    if body.len() > REQUEST_BYTES_MAX as usize {
        let detail = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
        return Err(tracekeep_core::Invalid::new(tracekeep_core::InvalidCode::TooLarge, "/ops", detail).into());
    }
    Ok(body)
}

/// An op without members that the door says by itself.
pub(crate) fn without(names: &[&str], op: &Body, out: &mut Vec<u8>) {
    out.push(b'{');
    for (place, (name, value)) in op.members().filter(|(name, _)| !names.contains(&&**name)).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
    }
    out.push(b'}');
}

fn unreachable(error: ureq::Error) -> Error {
    Error::new(Code::Unreachable, format!("the server could not be reached: {error}"))
}

fn take(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
    let status = response.status().as_u16();
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(unreachable)?;
    Ok(Answer { status, body })
}

pub(crate) fn run_path(run_id: &RunId, rest: &str) -> String {
    format!("/api/v1/runs/{}{rest}", segment(run_id.as_str()))
}

/// One run's indices are checked over HTTP; the whole ledger's beside its file, by `fsck`.
fn demand(run_id: Option<&RunId>) -> Result<&RunId> {
    let all =
        || Error::new(Code::InvalidParameter, "over HTTP the indices of one run are checked, not of all").at("run");
    run_id.ok_or_else(all)
}

#[async_trait]
impl LedgerStore for HttpLedger {
    fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// One request a batch, in order. After the first whose outcome is unknown, or where the server is unreachable, none
    /// is sent: the rest is answered `unreachable`, not applied.
    async fn commit(&self, batches: Vec<Batch>) -> Vec<Result<Receipt>> {
        let mut lost = false;
        let answers = batches.into_iter().map(|batch| {
            if lost {
                return Err(Error::new(Code::Unreachable, "not sent: a batch before it got no answer"));
            }
            let answer = self.send(batch);
            lost = answer
                .as_ref()
                .is_err_and(|error| error.outcome() == Outcome::Unknown || error.code() == Code::Unreachable.as_str());
            answer
        });
        answers.collect()
    }

    async fn run(&self, run_id: &RunId) -> Result<Option<Run>> {
        self.get_optional(&run_path(run_id, ""))?.map(|answer| answer.read()).transpose()
    }

    async fn runs(&self, query: &RunQuery) -> Result<Page<Run>> {
        let path = Query::new()
            .runs(&query.filter)
            .add("sort", query.sort)
            .order(query.order)
            .page(&query.page)
            .on("/api/v1/runs");
        self.get(&path)?.page()
    }

    async fn run_count(&self, filter: &RunFilter) -> Result<RunCount> {
        Ok(from_text(&self.get(&Query::new().runs(filter).on("/api/v1/runs/count"))?.body)?)
    }

    async fn step(&self, run_id: &RunId, index: u32) -> Result<Option<Step>> {
        self.get_optional(&run_path(run_id, &format!("/steps/{index}")))?.map(|answer| answer.read()).transpose()
    }

    async fn steps(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<Step>> {
        self.get(&Query::new().page(page).on(&run_path(run_id, "/steps")))?.page()
    }

    async fn compare(&self, a: &RunId, b: &RunId, query: &CompareQuery) -> Result<Comparison> {
        let path = Query::new()
            .add("level", (query.level != Level::Exact).then_some(query.level))
            .add("proof", query.proof.then_some(true))
            .page(&query.page)
            .on(&run_path(a, &format!("/compare/{}", segment(b.as_str()))));
        self.get(&path)?.whole()
    }

    async fn matches(&self, run_id: &RunId) -> Result<Matches> {
        self.get(&run_path(run_id, "/matches"))?.whole()
    }

    async fn baseline(&self, name: &BaselineName) -> Result<Option<Baseline>> {
        let path = format!("/api/v1/baselines/{}", segment(name.as_str()));
        self.get_optional(&path)?.map(|answer| answer.read()).transpose()
    }

    async fn baselines(&self, page: &PageRequest) -> Result<Page<Baseline>> {
        self.get(&Query::new().page(page).on("/api/v1/baselines"))?.page()
    }

    async fn trace(&self, run_id: &RunId, id: &TraceId) -> Result<Option<Trace>> {
        let path = run_path(run_id, &format!("/traces/{}", segment(id.as_str())));
        self.get_optional(&path)?.map(|answer| answer.read()).transpose()
    }

    async fn traces(&self, run_id: &RunId, query: &TraceQuery) -> Result<Page<Trace>> {
        let filter = &query.filter;
        let path = Query::new()
            .add_all("id", &filter.ids)
            .add("type", filter.type_name.as_deref())
            .add_all("tag", &filter.tags)
            .add_all("any_tag", &filter.any_tags)
            .add("parent", filter.parent.as_ref())
            .add("roots", filter.roots.then_some(true))
            .add("status", filter.status)
            .add("from", filter.time.from())
            .add("to", filter.time.to())
            .add("text", filter.text.as_deref())
            .order(query.order)
            .page(&query.page)
            .on(&run_path(run_id, "/traces"));
        self.get(&path)?.page()
    }

    async fn trace_counts(&self, run_id: &RunId, query: &CountsQuery) -> Result<TraceCounts> {
        let path = Query::new()
            .add("type", query.type_name.as_deref())
            .add("tag", query.tag.as_deref())
            .on(&run_path(run_id, "/traces/counts"));
        let answer = self.get(&path)?;
        Ok(from_text(&answer.body)?)
    }

    async fn verify_indices(&self, run_id: Option<&RunId>) -> Result<Report> {
        Ok(from_text(&self.get(&run_path(demand(run_id)?, "/indices"))?.body)?)
    }

    async fn verify_run(&self, run_id: &RunId) -> Result<RunReport> {
        self.get(&run_path(run_id, "/verify"))?.whole()
    }

    async fn rebuild_indices(&self, run_id: Option<&RunId>) -> Result<Report> {
        let url = format!("{}{}", self.base, run_path(demand(run_id)?, "/rebuild"));
        let answer = self.agent.post(url).send_empty().map_err(unreachable).and_then(take)?;
        if answer.status == 200 { Ok(from_text(&answer.body)?) } else { Err(answer.problem()) }
    }

    async fn tree(&self, run_id: &RunId, query: &TreeQuery) -> Result<Page<TreeNode>> {
        let path = Query::new()
            .add("root", query.root.as_ref())
            .add("depth", query.depth)
            .page(&query.page)
            .on(&run_path(run_id, "/tree"));
        self.get(&path)?.list("nodes")
    }

    async fn audit(&self, run_id: &RunId) -> Result<AuditSummary> {
        Ok(from_text(&self.get(&run_path(run_id, "/audit"))?.body)?)
    }

    async fn expectations(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<AuditExpectation>> {
        self.get(&Query::new().page(page).on(&run_path(run_id, "/expectations")))?.page()
    }

    async fn acks(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<DomainAck>> {
        self.get(&Query::new().page(page).on(&run_path(run_id, "/acks")))?.page()
    }

    /// Of the log's own body: an entry states its verdict there.
    async fn verdict_at(&self, log_index: u64) -> Result<AuditVerdict> {
        let none = || Error::new(Code::EntryNotFound, format!("log index {log_index} states no verdict"));
        let entry = self.entries(log_index, 1).await?.into_iter().next().ok_or_else(none)?;
        let body = entry.body.ok_or_else(none)?;
        match body.value().as_object().and_then(|body| body.get("verdict")) {
            Some(verdict) => Ok(from_text(verdict.to_json().as_str().as_bytes())?),
            None => Err(none()),
        }
    }

    async fn pending_runs(&self, page: &PageRequest) -> Result<Page<PendingRun>> {
        self.get(&Query::new().page(page).on("/api/v1/audit/pending"))?.page()
    }

    async fn unsealed_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<UnsealedRun>> {
        let path = Query::new().add("before", Some(before)).add("limit", Some(limit)).on("/api/v1/telemetry/unsealed");
        Ok(self.get(&path)?.page()?.items)
    }

    async fn due_runs(&self, before: Timestamp, limit: u32) -> Result<Vec<PendingRun>> {
        let path = Query::new().add("before", Some(before)).add("limit", Some(limit)).on("/api/v1/audit/due");
        Ok(self.get(&path)?.page()?.items)
    }

    async fn incident(&self, id: &IncidentId) -> Result<Option<Incident>> {
        let path = format!("/api/v1/incidents/{}", segment(id.as_str()));
        self.get_optional(&path)?.map(|answer| answer.read()).transpose()
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Page<Incident>> {
        let filter = &query.filter;
        let path = Query::new()
            .add("status", filter.status)
            .add("severity", filter.severity)
            .add("run", filter.run.as_ref())
            .add("from", filter.time.from())
            .add("to", filter.time.to())
            .order(query.order)
            .page(&query.page)
            .on("/api/v1/incidents");
        self.get(&path)?.page()
    }

    async fn holds(&self, page: &PageRequest) -> Result<Page<Held>> {
        self.get(&Query::new().page(page).on("/api/v1/holds"))?.page()
    }

    async fn signing_keys(&self, page: &PageRequest) -> Result<Page<DeclaredKey>> {
        self.get(&Query::new().page(page).on("/api/v1/log/keys"))?.page()
    }

    async fn gc(&self, request: &GcRequest) -> Result<GcReport> {
        let url = format!("{}/api/v1/gc", self.base);
        let body = to_json(request);
        let request = self.agent.post(url).header("content-type", "application/json");
        let answer = request.send(body.as_str().as_bytes()).map_err(|error| unknown(unreachable(error)));
        let answer = answer.and_then(|response| take(response).map_err(unknown))?;
        if answer.status == 200 { Ok(from_text(&answer.body)?) } else { Err(answer.problem()) }
    }

    async fn head(&self) -> Result<Head> {
        let answer = self.get("/api/v1/log")?;
        Ok(Head { tree_size: answer.member("tree_size")?, root: answer.member("root")? })
    }

    async fn entries(&self, from: u64, limit: u32) -> Result<Vec<LogEntry>> {
        let path = Query::new().add("from", Some(from)).add("limit", Some(limit)).on("/api/v1/log/entries");
        Ok(self.get(&path)?.page()?.items)
    }

    async fn run_entries(&self, run_id: &RunId, page: &PageRequest) -> Result<Page<LogEntry>> {
        let path = Query::new().page(page).on(&format!("/api/v1/runs/{}/entries", segment(run_id.as_str())));
        self.get(&path)?.page()
    }

    async fn events(&self, from: u64, limit: u32) -> Result<Vec<LogEvent>> {
        // The server tells events in a stream without end; the leaves say the same.
        self.entries(from, limit).await?.iter().map(event).collect()
    }

    async fn inclusion(&self, log_index: u64, size: Option<u64>) -> Result<InclusionProof> {
        let path = Query::new().add("size", size).on(&format!("/api/v1/log/proof/{log_index}"));
        Ok(from_text(&self.get(&path)?.body)?)
    }

    async fn multiproof(&self, indices: &[u64], size: Option<u64>) -> Result<Multiproof> {
        let form = to_json(&MultiproofOf { indices: indices.to_vec(), size });
        self.ask("/api/v1/log/multiproof", form.as_str().as_bytes())?.accepted()?.whole()
    }

    async fn consistency(&self, from: u64, to: Option<u64>) -> Result<ConsistencyProof> {
        let path = Query::new().add("from", Some(from)).add("to", to).on("/api/v1/log/consistency");
        Ok(from_text(&self.get(&path)?.body)?)
    }
}
